//! Segments in, one sealed segment out: the writer of seals and merges alike.
//!
//! It takes the live rows of its sources as of one view, those with a vector first, in the order of sources and slots,
//! and writes them as a new file. A growing segment's graph goes on, renumbered and repaired around the dead; of sealed
//! sources the largest one's does, if it has enough of the rows, and the others' rows are inserted. Rows that die while it works are carried over by the caller, who
//! gets the new slot of each old one.

use std::sync::Arc;

use super::blocks::BlockWriter;
use super::meta::{CodeSections, Meta, Section};
use super::sealed::{Check, Opening, SealedSegment, key_of_id};
use super::{DeadRows, Segment, SegmentView, segment_file};
use crate::dir::{Access, Dir, io_error};
use crate::error::{Error, Result};
use crate::faults::{self, Mutant};
use crate::graph::{BuildRequest, BuiltGraph, Resumed, build, build_on};
use crate::payload::{ColumnBuilder, FieldTable};
use crate::schema::Schema;
use crate::signal::Closing;
use crate::vectors::{Encodings, GrowingCodes, Rows, SealedRows, Slot};
use crate::verify::Storage;

/// Rows between two looks at whether to stop, where they are copied.
const ROWS_PER_STEP: usize = 1 << 14;
/// Rows that a codec is trained on.
const TRAINED_ROWS_MAX: usize = 1024;

/// A graph is gone on with if one row in so many is of it,
const TAKEN_ONE_IN: usize = 4;
/// and if no more than one died for so many that live.
const DIED_ONE_IN: usize = 2;

/// What to write.
pub(crate) struct SealRequest<'a> {
    /// The number of the new segment.
    pub(crate) id: u64,
    pub(crate) sources: &'a [SegmentView],
    pub(crate) schema: &'a Schema,
    pub(crate) fields: &'a FieldTable,
    pub(crate) encodings: &'a Encodings,
    /// Where the new segment is to be.
    pub(crate) storage: Storage,
    /// Ends the work when it is set: whoever closes a database does not wait for the merge of a large collection.
    pub(crate) stop: Closing<'a>,
    /// Of the new segment, at most.
    pub(crate) filter_cache_bytes: usize,
}

/// A segment and where its rows come from.
pub(crate) struct SealedFrom {
    pub(crate) segment: Arc<SealedSegment>,
    sources: Vec<SegmentView>,
    /// For each source, for each of its slots, the new slot.
    slots: Vec<Vec<Option<u32>>>,
}

impl SealedFrom {
    /// The rows that died since, by the sources as they are now.
    pub(crate) fn carried_over(&self, now: &[SegmentView]) -> DeadRows {
        let mut dead = DeadRows::default();
        for ((then, slots), now) in self.sources.iter().zip(&self.slots).zip(now) {
            for old in now.dead.bits.difference(&then.dead.bits) {
                // Rows beyond the source's were not there to be written; a source takes no more rows.
                if let Some(new) = slots.get(old).copied().flatten() {
                    dead.insert(new, new < self.segment.vectors());
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
    request.sources.iter().filter_map(SegmentView::as_sealed).try_for_each(|sealed| sealed.verify_once())?;
    let mut rows = live_rows(request.sources);
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

/// A row of a source.
#[derive(Clone, Copy)]
struct LiveRow {
    source: usize,
    slot: u32,
    has_vector: bool,
}

/// Live rows, those with a vector first.
fn live_rows(sources: &[SegmentView]) -> Vec<LiveRow> {
    let mut rows = Vec::with_capacity(sources.iter().map(SegmentView::live).sum());
    for has_vector in [true, false] {
        for (index, source) in sources.iter().enumerate() {
            let live = source.matching(None);
            let of_kind =
                live.ones().map(|slot| slot as u32).filter(|slot| source.has_vector(*slot) == has_vector);
            rows.extend(of_kind.map(|slot| LiveRow { source: index, slot, has_vector }));
        }
    }
    rows
}

struct Writing<'a> {
    dir: &'a dyn Dir,
    request: &'a SealRequest<'a>,
    rows: &'a [LiveRow],
}

impl Writing<'_> {
    fn write_and_open(&self) -> Result<Arc<SealedSegment>> {
        self.write()?;
        faults::point(self.step("seal.file", "merge.file"));
        self.dir.sync()?;
        let SealRequest { id, schema, encodings, storage, filter_cache_bytes, .. } = *self.request;
        let check = Check::Written;
        let opening = Opening { schema, encodings, storage, check, filter_cache_bytes };
        Ok(Arc::new(SealedSegment::open(self.dir, id, &opening)?))
    }

    fn write(&self) -> Result<()> {
        let SealRequest { id, schema, .. } = *self.request;
        let name = segment_file(id);
        let mut out = BlockWriter::create(self.dir, &name)?;
        let vectors = self.rows.iter().take_while(|row| row.has_vector).count();
        let vector_rows = section(&mut out, |out| self.write_vectors(out, vectors))?;
        self.go_on()?;
        out.flush()?;
        faults::point(self.step("seal.vectors", "merge.vectors"));
        // What follows is made of the vectors as the file has them, so that memory holds them once.
        let written = self.written_rows(&name, vector_rows)?;
        let codes = self.write_codes(&mut out, &written)?;
        self.go_on()?;
        let sketches = self.write_sketches(&mut out, &written)?;
        self.go_on()?;
        let graph = section(&mut out, |out| self.write_graph(out, written, vectors))?;
        faults::point(self.step("seal.graph", "merge.graph"));
        let (order, id_ends, ids) = self.write_ids(&mut out)?;
        let columns = self.write_columns(&mut out)?;
        faults::point(self.step("seal.columns", "merge.columns"));
        let meta = Meta {
            segment: id,
            rows: self.rows.len() as u32,
            vectors: vectors as u32,
            dimension: schema.dimension as u32,
            metric: schema.metric,
            encoding: schema.encoding,
            walk_dimension: schema.walk_dimension() as u32,
            vector_rows,
            codes,
            sketches,
            graph,
            order,
            id_ends,
            ids,
            columns,
        };
        out.finish(&meta.encode())
    }

    /// Fails once the work was stopped.
    fn go_on(&self) -> Result<()> {
        if self.request.stop.is_set() {
            return Err(self.stopped());
        }
        Ok(())
    }

    fn stopped(&self) -> Error {
        let path = self.dir.file_path(&segment_file(self.request.id));
        let source = std::io::Error::new(std::io::ErrorKind::Interrupted, "the database is being closed");
        io_error("complete", &path, source)
    }

    /// The name of a fail point in a seal or in a merge.
    fn step(&self, of_seal: &'static str, of_merge: &'static str) -> &'static str {
        let is_merge = self.request.sources.iter().all(|source| source.as_sealed().is_some());
        if is_merge { of_merge } else { of_seal }
    }

    fn source(&self, row: &LiveRow) -> &SegmentView {
        &self.request.sources[row.source]
    }

    fn write_vectors(&self, out: &mut BlockWriter, vectors: usize) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.request.schema.dimension * 4);
        for (index, row) in self.rows[..vectors].iter().enumerate() {
            if index % ROWS_PER_STEP == 0 {
                self.go_on()?;
            }
            bytes.clear();
            let vector = self.source(row).vector(row.slot).unwrap_or_default();
            bytes.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
            out.write(&bytes)?;
        }
        Ok(())
    }

    fn written_rows(&self, name: &str, section: Section) -> Result<SealedRows> {
        let blob = self.dir.map(name, Access::Near)?;
        let range = section.offset as usize..(section.offset + section.length_bytes) as usize;
        SealedRows::new(blob, range.clone(), self.request.schema.dimension)
            .map_err(|error| crate::dir::corrupt(self.dir, name, range.start as u64, error.to_string()))
    }

    /// Trains the codec on a sample of the rows and writes their codes.
    fn write_codes(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<CodeSections> {
        let Some(codec) = self.request.encodings.sealed.codec().filter(|_| rows.len() > 0) else {
            return Ok(CodeSections::default());
        };
        let codes = GrowingCodes::of(codec.clone(), codec.train(&sample_of(rows)), rows);
        let slots = || (0..rows.len() as u32).map(Slot);
        Ok(CodeSections {
            codes: section(out, |out| slots().try_for_each(|slot| out.write(codes.code(slot))))?,
            factors: section(out, |out| slots().try_for_each(|slot| floats(out, codes.factors(slot))))?,
            parameters: section(out, |out| floats(out, codes.parameters()))?,
        })
    }

    /// Writes sketches of the rows, where the encoding has some.
    fn write_sketches(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<CodeSections> {
        let Some(sketcher) = self.request.encodings.sketcher.as_ref().filter(|_| rows.len() > 0) else {
            return Ok(CodeSections::default());
        };
        let made = sketcher.make(&sample_of(rows), rows);
        let words = |out: &mut BlockWriter, words: &[u32]| {
            words.iter().try_for_each(|value| out.write(&value.to_le_bytes()))
        };
        Ok(CodeSections {
            codes: section(out, |out| out.write(&made.codes))?,
            factors: section(out, |out| words(out, &made.factors))?,
            parameters: section(out, |out| floats(out, &made.parameters))?,
        })
    }

    fn write_graph(&self, out: &mut BlockWriter, rows: SealedRows, vectors: usize) -> Result<()> {
        let graph = match self.grown_graph(vectors)? {
            Some(graph) => graph,
            None => self.built_graph(rows, vectors)?,
        };
        out.write(graph.as_bytes())
    }

    /// The graph of a growing segment, of the rows that live. `None` of other sources, and if so many died that building
    /// anew is better.
    fn grown_graph(&self, vectors: usize) -> Result<Option<BuiltGraph>> {
        let [view @ SegmentView { segment: Segment::Growing(segment), .. }] = self.request.sources else {
            return Ok(None);
        };
        segment.link_rest(view, self.request.stop);
        self.go_on()?;
        let order: Vec<Slot> = self.rows[..vectors].iter().map(|row| Slot(row.slot)).collect();
        Ok(segment.graph.seal_as(&order, &*self.request.encodings.growing.pair_scorer(&segment.vectors)))
    }

    fn built_graph(&self, rows: SealedRows, vectors: usize) -> Result<BuiltGraph> {
        let SealRequest { id, schema, encodings, stop, .. } = *self.request;
        let rows = rows.encoded(encodings.growing.codec());
        let pairs = encodings.growing.pair_scorer(&rows);
        let request = BuildRequest { rows: vectors, options: schema.graph, seed: id, stop };
        let built = match self.resumable(vectors) {
            Some((sealed, numbers)) => {
                let resumed = Resumed { graph: &sealed.graph, numbers: &numbers };
                build_on(&request, resumed, &*pairs)
            }
            None => build(&request, &*pairs),
        };
        built.ok_or_else(|| self.stopped())
    }

    /// The sealed source that most rows come from, and the new numbers of its rows, if going on with its graph is less
    /// work than building anew.
    fn resumable(&self, vectors: usize) -> Option<(&SealedSegment, Vec<Option<u32>>)> {
        let sources = self.request.sources.iter().enumerate();
        let sealed = sources.filter_map(|(index, source)| Some((index, source.as_sealed()?)));
        let rows = &self.rows[..vectors];
        let count = |index: usize| rows.iter().filter(|row| row.source == index).count();
        let (taken, source, sealed) =
            sealed.map(|(index, sealed)| (count(index), index, sealed)).max_by_key(|(taken, ..)| *taken)?;
        let died = sealed.vectors() as usize - taken;
        if taken * TAKEN_ONE_IN < vectors || died * DIED_ONE_IN > taken {
            return None;
        }
        let mut numbers = vec![None; sealed.rows() as usize];
        for (number, row) in (0..).zip(rows).filter(|(_, row)| row.source == source) {
            numbers[row.slot as usize] = Some(number);
        }
        Some((sealed, numbers))
    }

    fn write_ids(&self, out: &mut BlockWriter) -> Result<(Section, Section, Section)> {
        let keys: Vec<Vec<u8>> =
            self.rows.iter().map(|row| key_of_id(&self.source(row).id(row.slot))).collect();
        let mut slots: Vec<u32> = (0..keys.len() as u32).collect();
        slots.sort_unstable_by(|a, b| keys[*a as usize].cmp(&keys[*b as usize]));
        let order = section(out, |out| slots.iter().try_for_each(|slot| out.write(&slot.to_le_bytes())))?;
        let mut end = 0u64;
        let id_ends = section(out, |out| {
            keys.iter().try_for_each(|key| {
                end += key.len() as u64;
                out.write(&end.to_le_bytes())
            })
        })?;
        let ids = section(out, |out| keys.iter().try_for_each(|key| out.write(key)))?;
        Ok((order, id_ends, ids))
    }

    fn write_columns(
        &self,
        out: &mut BlockWriter,
    ) -> Result<std::collections::BTreeMap<u16, crate::payload::ColumnEntry>> {
        let mut columns = std::collections::BTreeMap::new();
        for (field, (_, field_type)) in (0u16..).zip(self.request.fields.iter()) {
            self.go_on()?;
            let mut builder = ColumnBuilder::new(field_type, self.rows.len());
            for (new, row) in self.rows.iter().enumerate() {
                if let Some(value) = self.source(row).value(row.slot, field) {
                    builder.push(new, value);
                }
            }
            if let Some((mut entry, bytes)) = builder.finish() {
                entry.offset = section(out, |out| out.write(&bytes))?.offset;
                columns.insert(field, entry);
            }
        }
        Ok(columns)
    }
}

/// Rows to train on, spread over all of them.
fn sample_of(rows: &SealedRows) -> Vec<&[f32]> {
    let step = rows.len().div_ceil(TRAINED_ROWS_MAX);
    (0..rows.len()).step_by(step).map(|row| rows.row(Slot(row as u32))).collect()
}

fn floats(out: &mut BlockWriter, floats: &[f32]) -> Result<()> {
    floats.iter().try_for_each(|value| out.write(&value.to_le_bytes()))
}

/// Writes one aligned section.
fn section(out: &mut BlockWriter, write: impl FnOnce(&mut BlockWriter) -> Result<()>) -> Result<Section> {
    out.align()?;
    let offset = out.position();
    write(out)?;
    Ok(Section { offset, length_bytes: out.position() - offset })
}
