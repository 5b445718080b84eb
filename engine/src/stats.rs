//! What a database holds, and what that takes, in numbers: for operators, and for whoever puts it on a gauge.
//!
//! Everything is counted already, so it costs a look at each segment, and no disk.

use std::collections::BTreeSet;

use crate::collection::CollectionCore;
use crate::db::Db;
use crate::error::Result;
use crate::lineage::Lineage;
use crate::replacement::{hidden_name, is_hidden};
use crate::segment::Segment;

/// What a database holds: [`Db::stats`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct DbStats {
    /// Every collection, by name. What is being made to [replace](crate::Replacement) one is counted in the others' places only.
    pub collections: Vec<CollectionStats>,
    /// Bytes of the log.
    pub log_bytes: u64,
    /// Position of the last write in it.
    pub log_position: u64,
    /// Bytes of memory that the rows take which are in no sealed segment, of all collections.
    pub growing_bytes: u64,
    /// Which history its positions belong to.
    pub lineage: Lineage,
}

/// What a collection holds, and what that takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionStats {
    /// Its name.
    pub name: String,
    /// Live rows.
    pub points: u64,
    /// Live rows that have the default vector; without one, the first dense vector by name.
    pub vectors: u64,
    /// Segments that are sealed.
    pub sealed_segments: usize,
    /// Bytes of their files.
    pub sealed_bytes: u64,
    /// Rows in them that died, and take room until a merge.
    pub dead_points: u64,
    /// Live rows that are in no sealed segment yet.
    pub growing_points: u64,
    /// Bytes of memory that these take.
    pub growing_bytes: u64,
    /// Rows with a dense vector that are not nodes of its graph yet, counted for each such vector: searches compare them one by one.
    pub unlinked_points: u64,
    /// Number of the last applied write.
    pub seq: u64,
    /// Whether another collection is being made to take its place.
    pub is_being_replaced: bool,
}

impl Db {
    /// Whether a failure has ended writing: what is on disk is unknown then, and the database is to be opened anew. One that is only
    /// read has no writes that could end.
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned), with what happened.
    pub fn check_writes(&self) -> Result<()> {
        let store = self.any_store();
        if store.is_read_only() { Ok(()) } else { store.log.check() }
    }

    /// What it holds, and what that takes.
    ///
    /// ```
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// db.create_collection("notes", Schema::new(2)?)?.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    /// let stats = db.stats()?;
    /// assert_eq!((stats.collections[0].points, stats.collections[0].growing_points), (1, 1));
    /// assert!(stats.growing_bytes > 0);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned) of a database that takes no more writes.
    pub fn stats(&self) -> Result<DbStats> {
        let store = self.any_store();
        if !store.is_read_only() {
            store.log.check()?;
        }
        // By the names that they have at one moment.
        let names = store.read_names();
        let all: Vec<_> = names.collections.iter().map(|(name, core)| (name.clone(), core.clone())).collect();
        drop(names);
        let hidden: BTreeSet<&String> =
            all.iter().map(|(name, _)| name).filter(|name| is_hidden(name)).collect();
        let shown = all.iter().filter(|(name, _)| !is_hidden(name));
        let collections: Vec<CollectionStats> =
            shown.map(|(_, core)| core.stats(hidden.contains(&hidden_name(core.id)))).collect();
        Ok(DbStats {
            collections,
            log_bytes: store.log.size_bytes(),
            log_position: store.log.mark().position,
            growing_bytes: all.iter().map(|(_, core)| core.growing_bytes()).sum(),
            lineage: self.lineage(),
        })
    }
}

impl CollectionCore {
    fn stats(&self, is_being_replaced: bool) -> CollectionStats {
        let view = self.view().current();
        let mut stats = CollectionStats {
            name: self.name().to_string(),
            points: view.segments.iter().map(|segment| segment.live() as u64).sum(),
            vectors: view.vectors(),
            sealed_segments: 0,
            sealed_bytes: 0,
            dead_points: 0,
            growing_points: 0,
            growing_bytes: self.growing_bytes(),
            unlinked_points: 0,
            seq: view.seq,
            is_being_replaced,
        };
        for segment in &*view.segments {
            match &segment.segment {
                Segment::Sealed(sealed) => {
                    stats.sealed_segments += 1;
                    stats.sealed_bytes += sealed.size_bytes();
                    stats.dead_points += segment.dead.count as u64;
                }
                Segment::Growing(_) => {
                    stats.growing_points += segment.live() as u64;
                    let unlinked = segment.all_dense().map(|dense| u64::from(segment.rows - dense.linked()));
                    stats.unlinked_points += unlinked.sum::<u64>();
                }
            }
        }
        stats
    }
}

#[cfg(test)]
mod tests {
    use crate::{Db, DbOptions, Point, Schema};

    #[test]
    fn rows_move_from_memory_to_segments_and_die_there() {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::in_memory_with(options).unwrap();
        let rows = db.create_collection("a", Schema::new(2).unwrap()).unwrap();
        db.create_collection("b", Schema::new(2).unwrap()).unwrap();
        let point = |id: u64| Point::new(id, [1.0, id as f32]);
        rows.upsert((0..10).map(point).collect()).unwrap();
        let replacement = db.begin_replacement("b", Schema::new(2).unwrap()).unwrap();
        replacement.collection().upsert(vec![point(1)]).unwrap();
        let stats = db.stats().unwrap();
        let names: Vec<_> = stats.collections.iter().map(|of| (&*of.name, of.is_being_replaced)).collect();
        assert_eq!(names, [("a", false), ("b", true)]);
        let a = &stats.collections[0];
        assert_eq!((a.points, a.vectors, a.growing_points, a.sealed_segments, a.seq), (10, 10, 10, 0, 1));
        assert!(a.growing_bytes > 0 && stats.growing_bytes > a.growing_bytes);
        assert!(a.unlinked_points <= 10);
        db.flush().unwrap();
        rows.delete(&[1.into(), 2.into()]).unwrap();
        let stats = db.stats().unwrap();
        let a = &stats.collections[0];
        assert_eq!((a.points, a.growing_points, a.sealed_segments, a.dead_points), (8, 0, 1, 2));
        assert!(a.sealed_bytes > 0);
        assert_eq!(a.unlinked_points, 0);
    }
}
