//! Which snapshot is meant where none is named: the newest, or that from which a moment is reached.
//!
//! **Problem.** One that cannot be read says of no moment and of no database. Were the others refused for it, a turned bit in a snapshot of last
//! year would keep everybody from that of yesterday; were it passed over whatever it may be, less could be restored than was asked for, and nobody would know.
//!
//! **Idea.** The store says when an object was written last, and nobody writes a snapshot before it is begun. So what was written before the
//! chosen one was begun, by a margin for clocks that differ, is older: had it been readable, the choice were the same. It is passed over with a
//! warning. Whoever copies a place gives its objects later times, never earlier ones. Any other may be the one that is meant, and is
//! an [error](Error::Undecided), after which a name decides.

use object_store::ObjectMeta;
use ragstone::snapshot::Until;

use crate::error::{Error, Result};
use crate::manifest::Snapshot;
use crate::names::{SNAPSHOTS, check_name};
use crate::repository::Repository;

/// Microseconds by which the clocks of a store and of whoever takes snapshots may differ. Stores cut what they say to seconds, too.
const CLOCKS_APART_US: u64 = 60_000_000;

/// A snapshot whose manifest cannot be read.
pub(crate) struct Unreadable {
    name: String,
    /// When it was written last, as the store says: microseconds since 1970.
    written_us: u64,
    pub(crate) why: Error,
}

impl Repository {
    /// Every snapshot, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`], and [`Error::Damaged`] if one cannot be read.
    pub fn list(&self) -> Result<Vec<Snapshot>> {
        let (snapshots, unreadable) = self.all()?;
        match unreadable.into_iter().next() {
            Some(Unreadable { why, .. }) => Err(why),
            None => Ok(snapshots),
        }
    }

    /// The newest snapshot: of the database of which one was taken last, the one of the latest moment. One that is damaged is passed over,
    /// with a warning in the log, if it is older.
    ///
    /// # Errors
    /// [`Error::NoSnapshot`]; [`Error::Undecided`] if one that cannot be read may be the newest; [`Error::Store`].
    pub fn newest(&self) -> Result<Snapshot> {
        self.choose(None)
    }

    /// The snapshot to begin with for a moment; without one, the newest.
    pub(crate) fn choose(&self, until: Option<&Until>) -> Result<Snapshot> {
        let (mut snapshots, unreadable) = self.all()?;
        let newest = snapshots.last().map(|newest| (newest.lineage, newest.created_us));
        snapshots.retain(|snapshot| newest.is_some_and(|(lineage, _)| snapshot.lineage == lineage));
        let chosen = to_begin_with(snapshots, until);
        for Unreadable { name, written_us, why } in unreadable {
            let decided = chosen.as_ref().zip(newest).filter(|(chosen, (_, newest_us))| {
                is_chosen_anyway(chosen, until, written_us) && is_older(written_us, *newest_us)
            });
            let Some((chosen, _)) = decided else {
                let (reason, readable) = (why.to_string(), chosen.map(|chosen| chosen.name));
                return Err(Error::Undecided { name, reason, readable });
            };
            tracing::warn!(error = %why, chosen = chosen.name, "a snapshot that cannot be read is passed over: it is older");
        }
        chosen.ok_or_else(|| Error::NoSnapshot { until: until.cloned() })
    }

    /// Every snapshot, oldest first, and what stands among them and cannot be read.
    fn all(&self) -> Result<(Vec<Snapshot>, Vec<Unreadable>)> {
        let mut snapshots = Vec::new();
        let unreadable = self.look(|snapshot| snapshots.push(snapshot))?;
        snapshots.sort_by(|a, b| (a.created_us, &a.name).cmp(&(b.created_us, &b.name)));
        Ok((snapshots, unreadable))
    }

    /// What there is under the names of snapshots. What no snapshot can be called is none, such as what a desktop leaves in each folder that
    /// somebody looks at.
    pub(crate) fn manifests(&self) -> Result<Vec<(String, ObjectMeta)>> {
        let named = |meta: ObjectMeta| {
            let object = self.name_of(&meta.location);
            let name = object.strip_prefix(SNAPSHOTS)?.strip_prefix('/')?;
            check_name(name).is_ok().then(|| (name.to_owned(), meta))
        };
        Ok(self.list_objects(SNAPSHOTS)?.into_iter().filter_map(named).collect())
    }

    /// Looks at every snapshot, one after the other, in no order: each may name very many files. Those that cannot be read.
    pub(crate) fn look(&self, mut see: impl FnMut(Snapshot)) -> Result<Vec<Unreadable>> {
        let mut unreadable = Vec::new();
        for (name, meta) in self.manifests()? {
            match self.snapshot(&name) {
                Ok(snapshot) => see(snapshot),
                // It was deleted meanwhile.
                Err(Error::NotFound { .. }) => {}
                Err(why @ Error::Damaged { .. }) => {
                    let written_us = u64::try_from(meta.last_modified.timestamp_micros()).unwrap_or_default();
                    unreadable.push(Unreadable { name, written_us, why });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(unreadable)
    }
}

/// The snapshot of one lineage to begin with: the newest from which the moment can be reached.
///
/// A snapshot without the collection of a write may be of before the collection was made, or of after it was deleted, which
/// only those beside it tell.
fn to_begin_with(mut snapshots: Vec<Snapshot>, until: Option<&Until>) -> Option<Snapshot> {
    match until {
        Some(Until::Position(position)) => snapshots.retain(|snapshot| snapshot.position <= *position),
        Some(Until::TimeUs(time_us)) => snapshots.retain(|snapshot| snapshot.time_us <= *time_us),
        Some(Until::Write { collection, seq }) => {
            let of = |snapshot: &Snapshot| last_write(snapshot, collection);
            if snapshots.iter().any(|snapshot| of(snapshot).is_some_and(|found| found <= *seq)) {
                snapshots.retain(|snapshot| of(snapshot).is_some_and(|found| found <= *seq));
            } else {
                // Those that have it are beyond the write; the collection was made before the newest of them.
                let with_it = snapshots.iter().filter(|snapshot| of(snapshot).is_some());
                let end = with_it.map(|snapshot| snapshot.position).max().unwrap_or(u64::MAX);
                snapshots.retain(|snapshot| of(snapshot).is_none() && snapshot.position <= end);
            }
        }
        _ => {}
    }
    snapshots.into_iter().max_by_key(|snapshot| (snapshot.position, snapshot.created_us))
}

/// The number of the last write of a collection, if a snapshot has it.
fn last_write(snapshot: &Snapshot, collection: &str) -> Option<u64> {
    snapshot.collections.iter().find(|(name, _)| name == collection).map(|(_, seq)| *seq)
}

/// Whether what was written then is older than what was begun at a moment.
fn is_older(written_us: u64, begun_us: u64) -> bool {
    written_us.saturating_add(CLOCKS_APART_US) < begun_us
}

/// Whether this one of a lineage is chosen whatever another is that was written then: that is older, and the newest is chosen of those that
/// will do. But of a write whose collection the chosen one lacks, those that have it tell which will do.
fn is_chosen_anyway(chosen: &Snapshot, until: Option<&Until>, written_us: u64) -> bool {
    let depends_on_others = matches!(
        until,
        Some(Until::Write { collection, .. }) if last_write(chosen, collection).is_none()
    );
    !depends_on_others && is_older(written_us, chosen.created_us)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Snapshots at positions 10, 20 … with this number of the last write of `notes`, if they have the collection.
    fn snapshots(seqs: &[Option<u64>]) -> Vec<Snapshot> {
        let snapshot = |(number, seq): (u64, &Option<u64>)| Snapshot {
            name: number.to_string(),
            lineage: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            position: 10 * number,
            time_us: 1_000 * number,
            created_us: number,
            collections: seq.iter().map(|seq| ("notes".to_owned(), *seq)).collect(),
            files: Vec::new(),
        };
        (1..).zip(seqs).map(snapshot).collect()
    }

    fn write(seq: u64) -> Until {
        Until::Write { collection: "notes".into(), seq }
    }

    /// What snapshots have of the collection, the moment, and the snapshot to begin with.
    type Row<'a> = (&'a [Option<u64>], Option<Until>, Option<&'a str>);

    #[test]
    fn the_newest_that_leads_to_the_moment_is_begun_with() {
        let rows: &[Row<'_>] = &[
            (&[None, Some(5)], None, Some("2")),
            (&[None, Some(5)], Some(Until::End), Some("2")),
            (&[None, None, None], Some(Until::Position(20)), Some("2")),
            (&[None, None], Some(Until::Position(9)), None),
            (&[None, None, None], Some(Until::TimeUs(2_999)), Some("2")),
            // It has the write to come, or has it just now.
            (&[None, Some(5), Some(8)], Some(write(7)), Some("2")),
            (&[None, Some(5), Some(8)], Some(write(8)), Some("3")),
            // Deleted afterwards, or made anew.
            (&[None, Some(5), None], Some(write(6)), Some("2")),
            (&[Some(5), None, Some(2)], Some(write(6)), Some("3")),
            // All that have it are beyond.
            (&[None, Some(5)], Some(write(4)), Some("1")),
            (&[None, Some(5), None], Some(write(4)), Some("1")),
            (&[Some(5), None, Some(7), None], Some(write(4)), Some("2")),
            (&[Some(5), None], Some(write(4)), None),
            // None has it: it was made since, or between two of them.
            (&[None, None], Some(write(1)), Some("2")),
            (&[], Some(write(1)), None),
        ];
        for (seqs, until, expected) in rows {
            let found = to_begin_with(snapshots(seqs), until.as_ref()).map(|snapshot| snapshot.name);
            assert_eq!(found.as_deref(), *expected, "{seqs:?} {until:?}");
        }
    }

    /// A minute decides, and for a write of a collection that the chosen one lacks nothing does.
    #[test]
    fn what_is_older_changes_no_choice() {
        let begun_us = 10 * CLOCKS_APART_US;
        let with = Snapshot { created_us: begun_us, ..snapshots(&[Some(5)]).remove(0) };
        let without = Snapshot { collections: Vec::new(), ..with.clone() };
        let older_us = begun_us - CLOCKS_APART_US - 1;
        for until in [None, Some(Until::End), Some(Until::Position(10)), Some(Until::TimeUs(1_000))] {
            for chosen in [&with, &without] {
                assert!(is_chosen_anyway(chosen, until.as_ref(), older_us), "{until:?}");
                assert!(!is_chosen_anyway(chosen, until.as_ref(), older_us + 1), "{until:?}");
            }
        }
        assert!(is_chosen_anyway(&with, Some(&write(6)), older_us));
        assert!(!is_chosen_anyway(&with, Some(&write(6)), older_us + 1));
        assert!(!is_chosen_anyway(&without, Some(&write(6)), 0));
    }
}
