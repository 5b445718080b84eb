//! Segments in, one sealed segment out: the writer of seals and merges alike.
//!
//! It takes the live rows of its sources as of one view, in an order of its own (`placing.rs`), and writes them as a new file. A
//! growing segment's graph goes on, renumbered and repaired around the dead; of sealed sources the largest one's does, if it has
//! enough of the rows, and the others' rows are inserted. Rows that die while it works are carried over by the caller, who gets the
//! new slot of each old one.

use std::sync::Arc;

use super::blocks::BlockWriter;
use super::expiry::Expiring;
use super::meta::Meta;
use super::parts::{columns, dense, expiries, ids, indexes, multi, sparse, versions};
use super::placing::{LiveRow, live_rows};
use super::sealed::{Check, Opening, SealedSegment};
use super::{DeadRows, Patches, SegmentView, segment_file};
use crate::dir::{Dir, io_error};
use crate::error::{Error, Result};
use crate::faults::{self, Mutant};
use crate::payload::{FieldId, FieldTable};
use crate::schema::{Schema, VectorKind};
use crate::signal::Closing;
use crate::vectors::Encodings;
use crate::verify::Storage;

/// What to write.
pub(crate) struct SealRequest<'a> {
    /// The number of the new segment.
    pub(crate) id: u64,
    pub(crate) sources: &'a [SegmentView],
    pub(crate) schema: &'a Schema,
    pub(crate) fields: &'a FieldTable,
    /// By dense vector.
    pub(crate) encodings: &'a [Encodings],
    /// Where the new segment is to be.
    pub(crate) storage: Storage,
    /// Ends the work when it is set: whoever closes a database does not wait for the merge of a large collection.
    pub(crate) stop: Closing<'a>,
    /// Of the new segment, at most.
    pub(crate) filter_cache_bytes: usize,
    /// [Fields by which searches filter](SealedSegment::indexed): their columns are put in order before the new segment is searched, so that none
    /// waits for that, or goes through all rows meanwhile.
    pub(crate) indexed: &'a [(FieldId, u8)],
}

/// A segment and where its rows come from.
pub(crate) struct SealedFrom {
    pub(crate) segment: Arc<SealedSegment>,
    sources: Vec<SegmentView>,
    /// For each source, for each of its slots, the new slot.
    slots: Vec<Vec<Option<u32>>>,
}

impl SealedFrom {
    /// The patches made since, by the sources as they are now.
    pub(crate) fn patched_since(&self, now: &[SegmentView]) -> Patches {
        let mut patches = Vec::new();
        for ((then, slots), now) in self.sources.iter().zip(&self.slots).zip(now) {
            let is_new =
                |slot, patch| then.patches.get(slot).is_none_or(|written| !Arc::ptr_eq(written, patch));
            let new = now.patches.iter().filter(|(slot, patch)| is_new(*slot, patch));
            let new =
                new.filter_map(|(old, patch)| Some((slots.get(old as usize).copied().flatten()?, patch)));
            patches.extend(new.map(|(slot, patch)| (slot, patch.clone())));
        }
        Patches::default().with(patches)
    }

    /// The rows that died since, by the sources as they are now.
    pub(crate) fn carried_over(&self, now: &[SegmentView]) -> DeadRows {
        let mut dead = DeadRows::default();
        for ((then, slots), now) in self.sources.iter().zip(&self.slots).zip(now) {
            for old in now.dead.bits.difference(&then.dead.bits) {
                // Rows beyond the source's were not there to be written; a source takes no more rows.
                if let Some(new) = slots.get(old).copied().flatten() {
                    dead.insert(new);
                }
            }
        }
        dead
    }
}

/// Writes, syncs and opens a segment. `None` if no row is alive. An error leaves nothing behind; it is one, too, if the work
/// was stopped.
///
/// Sealed sources are verified first, if they were not yet: copied damage would have right checksums.
pub(crate) fn seal(dir: &dyn Dir, request: &SealRequest<'_>) -> Result<Option<SealedFrom>> {
    let mut sealed = request.sources.iter().filter_map(SegmentView::as_sealed);
    sealed.try_for_each(|sealed| sealed.verify_once(Some(dir)))?;
    let mut rows = live_rows(request);
    if faults::is(Mutant::SealDropsLastRow) {
        rows.pop();
    }
    if rows.is_empty() {
        return Ok(None);
    }
    let segment = Writing { dir, request, rows: &rows }.write_and_open().inspect_err(|_| {
        // No manifest names the file, so nothing is unknown without it; it is what fills the disk, perhaps.
        if let Err(error) = dir.remove(&segment_file(request.id)) {
            tracing::debug!(%error, "left an unfinished segment for the next opening");
        }
    })?;
    let mut slots: Vec<Vec<Option<u32>>> =
        request.sources.iter().map(|source| vec![None; source.rows as usize]).collect();
    for (new, row) in rows.iter().enumerate() {
        slots[row.source][row.slot as usize] = Some(new as u32);
    }
    Ok(Some(SealedFrom { segment, sources: request.sources.to_vec(), slots }))
}

/// A segment on its way into its file.
pub(super) struct Writing<'a> {
    pub(super) dir: &'a dyn Dir,
    pub(super) request: &'a SealRequest<'a>,
    /// The rows by their new slots.
    pub(super) rows: &'a [LiveRow],
}

impl Writing<'_> {
    fn write_and_open(&self) -> Result<Arc<SealedSegment>> {
        self.write()?;
        faults::point(self.step("seal.file", "merge.file"));
        self.dir.sync()?;
        let SealRequest { id, schema, encodings, storage, filter_cache_bytes, .. } = *self.request;
        let check = Check::Written;
        let opening = Opening { schema, encodings, storage, check, filter_cache_bytes };
        let segment = Arc::new(SealedSegment::open(self.dir, id, &opening)?);
        // Whoever closes the database does not wait for it; the segment is whole without.
        segment.make_ahead(self.request.indexed, &self.request.stop.watch());
        Ok(segment)
    }

    fn write(&self) -> Result<()> {
        let id = self.request.id;
        let mut out = BlockWriter::create(self.dir, &segment_file(id))?;
        let mut parts = Vec::new();
        for place in 0..self.request.encodings.len() {
            parts.push(dense::write(self, &mut out, place)?);
        }
        for (number, _, kind) in self.request.schema.numbered() {
            match kind {
                VectorKind::Dense(_) => {}
                VectorKind::Sparse(_) => parts.push(sparse::write(self, &mut out, number)?),
                VectorKind::Multi(options) => parts.push(multi::write(self, &mut out, (number, options))?),
            }
        }
        parts.push(ids::write(&mut out, self.rows.iter().map(|row| self.source(row).id(row.slot)))?);
        let of_rows = self.rows.iter().map(|row| self.source(row).version(row.slot));
        parts.push(versions::write(&mut out, of_rows)?);
        let of_rows = self.rows.iter().map(|row| self.source(row).expires_at(row.slot));
        if !faults::is(Mutant::ForgetExpiriesOnSeal) {
            parts.extend(expiries::write(&mut out, &of_rows.collect::<Vec<_>>())?);
        }
        parts.extend(columns::write(self, &mut out)?);
        parts.extend(indexes::write(self, &mut out)?);
        out.finish(&Meta::new(id, self.rows.len() as u32, parts).encode())
    }

    /// Fails once the work was stopped.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.request.stop.is_set() {
            return Err(self.stopped());
        }
        Ok(())
    }

    pub(super) fn stopped(&self) -> Error {
        let path = self.dir.file_path(&segment_file(self.request.id));
        let source = std::io::Error::new(std::io::ErrorKind::Interrupted, "the database is being closed");
        io_error("complete", &path, source)
    }

    /// The name of a fail point in a seal or in a merge.
    pub(super) fn step(&self, of_seal: &'static str, of_merge: &'static str) -> &'static str {
        let is_merge = self.request.sources.iter().all(|source| source.as_sealed().is_some());
        if is_merge { of_merge } else { of_seal }
    }

    pub(super) fn source(&self, row: &LiveRow) -> &SegmentView {
        &self.request.sources[row.source]
    }
}
