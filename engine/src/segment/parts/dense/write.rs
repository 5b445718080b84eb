//! Writing a dense vector: its rows, then what is made of them as the file has them, so that memory holds them once.
//!
//! Codes and sketches are trained on the rows of the new segment. Its graph is that of the growing segment, less the dead; or it
//! goes on from the graph of the sealed source that most rows come from; or it is built anew.

use super::DenseInfo;
use crate::dir::Access;
use crate::error::Result;
use crate::faults;
use crate::graph::{BuildRequest, BuiltGraph, Resumed, build, build_on};
use crate::segment::blocks::BlockWriter;
use crate::segment::meta::{Part, PartKind, Section};
use crate::segment::parts::{floats, section};
use crate::segment::writer::{LiveRow, Writing};
use crate::segment::{SealRequest, SealedSegment, Segment, SegmentView, segment_file};
use crate::vectors::{GrowingCodes, Rows, SealedRows, Slot};

/// Rows between two looks at whether to stop, where they are copied.
const ROWS_PER_STEP: usize = 1 << 14;
/// Rows that a codec is trained on.
const TRAINED_ROWS_MAX: usize = 1024;

/// A graph is gone on with if one row in so many is of it,
const TAKEN_ONE_IN: usize = 4;
/// and if no more than one died for so many that live.
const DIED_ONE_IN: usize = 2;

/// Writes a dense vector of the rows of a new segment.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter) -> Result<Part> {
    let vectors = writing.rows.iter().take_while(|row| row.has_vector).count();
    let dense = DenseWriting { writing, rows: &writing.rows[..vectors] };
    let vector_rows = section(out, |out| dense.write_rows(out))?;
    writing.go_on()?;
    out.flush()?;
    faults::point(writing.step("seal.vectors", "merge.vectors"));
    let written = dense.written_rows(vector_rows)?;
    let codes = dense.write_codes(out, &written)?;
    writing.go_on()?;
    let sketches = dense.write_sketches(out, &written)?;
    writing.go_on()?;
    let graph = section(out, |out| dense.write_graph(out, written))?;
    faults::point(writing.step("seal.graph", "merge.graph"));
    Ok(Part {
        kind: PartKind::Dense,
        number: 0,
        info: DenseInfo::of(writing.request.schema, vectors as u32).encode(),
        sections: [&[vector_rows], &codes[..], &sketches[..], &[graph]].concat(),
    })
}

struct DenseWriting<'a> {
    writing: &'a Writing<'a>,
    /// The rows that have the vector.
    rows: &'a [LiveRow],
}

impl DenseWriting<'_> {
    fn request(&self) -> &SealRequest<'_> {
        self.writing.request
    }

    fn write_rows(&self, out: &mut BlockWriter) -> Result<()> {
        let mut bytes = Vec::with_capacity(self.request().schema.dimension * 4);
        for (index, row) in self.rows.iter().enumerate() {
            if index % ROWS_PER_STEP == 0 {
                self.writing.go_on()?;
            }
            bytes.clear();
            let vector = self.writing.source(row).vector(row.slot).unwrap_or_default();
            bytes.extend(vector.iter().flat_map(|component| component.to_le_bytes()));
            out.write(&bytes)?;
        }
        Ok(())
    }

    fn written_rows(&self, section: Section) -> Result<SealedRows> {
        let (dir, name) = (self.writing.dir, segment_file(self.request().id));
        let blob = dir.map(&name, Access::Near)?;
        let range = section.offset as usize..(section.offset + section.length_bytes) as usize;
        SealedRows::new(blob, range.clone(), self.request().schema.dimension)
            .map_err(|error| crate::dir::corrupt(dir, &name, range.start as u64, error.to_string()))
    }

    /// Trains the codec on a sample of the rows and writes their codes.
    fn write_codes(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<[Section; 3]> {
        let Some(codec) = self.request().encodings.sealed.codec().filter(|_| rows.len() > 0) else {
            return Ok([Section::default(); 3]);
        };
        let codes = GrowingCodes::of(codec.clone(), codec.train(&sample_of(rows)), rows);
        let slots = || (0..rows.len() as u32).map(Slot);
        Ok([
            section(out, |out| slots().try_for_each(|slot| out.write(codes.code(slot))))?,
            section(out, |out| slots().try_for_each(|slot| floats(out, codes.factors(slot))))?,
            section(out, |out| floats(out, codes.parameters()))?,
        ])
    }

    /// Writes sketches of the rows, where the encoding has some.
    fn write_sketches(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<[Section; 3]> {
        let Some(sketcher) = self.request().encodings.sketcher.as_ref().filter(|_| rows.len() > 0) else {
            return Ok([Section::default(); 3]);
        };
        let made = sketcher.make(&sample_of(rows), rows);
        let words = |out: &mut BlockWriter, words: &[u32]| {
            words.iter().try_for_each(|value| out.write(&value.to_le_bytes()))
        };
        Ok([
            section(out, |out| out.write(&made.codes))?,
            section(out, |out| words(out, &made.factors))?,
            section(out, |out| floats(out, &made.parameters))?,
        ])
    }

    fn write_graph(&self, out: &mut BlockWriter, rows: SealedRows) -> Result<()> {
        let graph = match self.grown_graph()? {
            Some(graph) => graph,
            None => self.built_graph(rows)?,
        };
        out.write(graph.as_bytes())
    }

    /// The graph of a growing segment, of the rows that live. `None` of other sources, and if so many died that building
    /// anew is better.
    fn grown_graph(&self) -> Result<Option<BuiltGraph>> {
        let [view @ SegmentView { segment: Segment::Growing(segment), .. }] = self.request().sources else {
            return Ok(None);
        };
        segment.link_rest(view, self.request().stop);
        self.writing.go_on()?;
        let order: Vec<Slot> = self.rows.iter().map(|row| Slot(row.slot)).collect();
        Ok(segment.graph.seal_as(&order, &*self.request().encodings.growing.pair_scorer(&segment.vectors)))
    }

    fn built_graph(&self, rows: SealedRows) -> Result<BuiltGraph> {
        let SealRequest { id, schema, encodings, stop, .. } = *self.request();
        let rows = rows.encoded(encodings.growing.codec());
        let pairs = encodings.growing.pair_scorer(&rows);
        let request = BuildRequest { rows: self.rows.len(), options: schema.graph, seed: id, stop };
        let built = match self.resumable() {
            Some((sealed, numbers)) => {
                let resumed = Resumed { graph: &sealed.dense.graph, numbers: &numbers };
                build_on(&request, resumed, &*pairs)
            }
            None => build(&request, &*pairs),
        };
        built.ok_or_else(|| self.writing.stopped())
    }

    /// The sealed source that most rows come from, and the new numbers of its rows, if going on with its graph is less
    /// work than building anew.
    fn resumable(&self) -> Option<(&SealedSegment, Vec<Option<u32>>)> {
        let sources = self.request().sources.iter().enumerate();
        let sealed = sources.filter_map(|(index, source)| Some((index, source.as_sealed()?)));
        let count = |index: usize| self.rows.iter().filter(|row| row.source == index).count();
        let (taken, source, sealed) =
            sealed.map(|(index, sealed)| (count(index), index, sealed)).max_by_key(|(taken, ..)| *taken)?;
        let died = sealed.vectors() as usize - taken;
        if taken * TAKEN_ONE_IN < self.rows.len() || died * DIED_ONE_IN > taken {
            return None;
        }
        let mut numbers = vec![None; sealed.rows() as usize];
        for (number, row) in (0..).zip(self.rows).filter(|(_, row)| row.source == source) {
            numbers[row.slot as usize] = Some(number);
        }
        Some((sealed, numbers))
    }
}

/// Rows to train on, spread over all of them.
fn sample_of(rows: &SealedRows) -> Vec<&[f32]> {
    let step = rows.len().div_ceil(TRAINED_ROWS_MAX);
    (0..rows.len()).step_by(step).map(|row| rows.row(Slot(row as u32))).collect()
}
