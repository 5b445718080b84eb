//! Ids and etags of rows, without the rows: what tells which of them have changed.

use super::View;
use super::read::Walk;
use crate::error::Result;
use crate::limits::{BATCH_OPS_MAX, check_limit};
use crate::point::PointId;

/// The ids of a view's rows with their etags, in the order of the ids: [`View::ids`].
pub struct Ids<'a>(Walk<'a>);

impl std::fmt::Debug for Ids<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ids").finish_non_exhaustive()
    }
}

impl Iterator for Ids<'_> {
    type Item = (PointId, u64);

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.0.next()?;
        let etag = self.0.view.segments[found.segment].version(found.slot);
        Some((found.id, etag))
    }
}

impl std::iter::FusedIterator for Ids<'_> {}

impl View {
    /// The id of every row with its [etag](crate::Point::etag), in the order of the ids, after one if that is given; of all tenants. No
    /// row is read, so that it takes microseconds where [`iter`](Self::iter) takes milliseconds.
    ///
    /// ```
    /// use ragstone::{Db, Point, PointId, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new(1, [0.0, 1.0]), Point::new(2, [1.0, 0.0])])?;
    /// let before = notes.view().seq();
    /// notes.upsert(vec![Point::new(2, [1.0, 1.0])])?;
    /// let view = notes.view();
    /// let changed: Vec<_> = view.ids(None)?.filter(|(_, etag)| *etag > before).collect();
    /// assert_eq!(changed, [(PointId::from(2), 2)]);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a segment is damaged.
    pub fn ids(&self, after: Option<&PointId>) -> Result<Ids<'_>> {
        Ok(Ids(Walk::of_all(&self.state, after)?))
    }

    /// Compares every segment with its checksums that was not compared before: who copies rows elsewhere, and then removes them here, must
    /// not pass over some because of damage that nobody has found yet.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) for the first damage.
    pub fn verify(&self) -> Result<()> {
        self.state.sealed().try_for_each(|sealed| sealed.verify_once(None))
    }

    /// Live rows that have the default vector, as [`CollectionInfo::vectors`](crate::CollectionInfo::vectors) counts them.
    pub fn vectors(&self) -> u64 {
        self.state.current().vectors()
    }

    /// The etags of rows, in the order asked; `None` where there is no row.
    ///
    /// # Errors
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a segment is damaged and a row is in none of the others;
    /// [`Error::Limit`](crate::Error::Limit) beyond [`BATCH_OPS_MAX`] ids.
    pub fn etags(&self, ids: &[PointId]) -> Result<Vec<Option<u64>>> {
        check_limit("ids", "BATCH_OPS_MAX", BATCH_OPS_MAX, ids.len())?;
        let view = self.state.current();
        let etag = |id| Ok(view.visible(id)?.map(|(segment, slot)| view.segments[segment].version(slot)));
        ids.iter().map(etag).collect()
    }
}
