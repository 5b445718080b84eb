//! Writing a dense vector: its rows, then what is made of them as the file has them, so that memory holds them once.
//!
//! Codes and sketches are trained on the rows of the new segment. Its graph is that of the growing segment, less the dead; or it
//! goes on from the graph of the sealed source that most rows come from; or it is built anew.

use std::borrow::Cow;

use super::{DenseInfo, SealedDense};
use crate::dir::Access;
use crate::error::Result;
use crate::faults;
use crate::graph::{BuildRequest, BuiltGraph, Resumed, build, build_on};
use crate::random::scattered;
use crate::schema::DenseOptions;
use crate::segment::blocks::BlockWriter;
use crate::segment::meta::{Part, PartKind, Section};
use crate::segment::parts::{floats, nodes, section};
use crate::segment::placing::LiveRow;
use crate::segment::writer::Writing;
use crate::segment::{SealRequest, Segment, SegmentView, segment_file};
use crate::vectors::{Encodings, GrowingCodes, Rows, SealedRows, Slot};

/// Rows between two looks at whether to stop, where they are copied.
const ROWS_PER_STEP: usize = 1 << 14;
/// Rows that a codec is trained on.
const TRAINED_ROWS_MAX: usize = 1024;

/// A graph is gone on with if one row in so many is of it,
const TAKEN_ONE_IN: usize = 4;
/// and if no more than one died for so many that live.
const DIED_ONE_IN: usize = 2;

/// Writes a dense vector of the rows of a new segment: that with a place among the dense ones.
pub(in crate::segment) fn write(writing: &Writing<'_>, out: &mut BlockWriter, place: usize) -> Result<Part> {
    let Some((number, _, options)) = writing.request.schema.dense().nth(place) else {
        unreachable!("places are those of the schema")
    };
    let has_it = |(_, row): &(u32, &LiveRow)| writing.source(row).dense(place).has(row.slot);
    let slots: Vec<u32> = (0..).zip(writing.rows).filter(has_it).map(|(slot, _)| slot).collect();
    let dense = DenseWriting { writing, options, place, slots: &slots };
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
    let nodes = nodes::write(out, writing.rows.len(), slots.iter().copied())?;
    Ok(Part {
        kind: PartKind::Dense,
        number,
        info: DenseInfo::of(options, slots.len() as u32).encode(),
        sections: [&[vector_rows], &codes[..], &sketches[..], &[graph], &nodes[..]].concat(),
    })
}

struct DenseWriting<'a> {
    writing: &'a Writing<'a>,
    options: &'a DenseOptions,
    /// Among the dense vectors of the schema.
    place: usize,
    /// The new rows that have the vector.
    slots: &'a [u32],
}

impl DenseWriting<'_> {
    /// The nodes, as they lie in the sources.
    fn rows(&self) -> impl ExactSizeIterator<Item = &LiveRow> {
        self.slots.iter().map(|slot| &self.writing.rows[*slot as usize])
    }

    fn encodings(&self) -> &Encodings {
        &self.writing.request.encodings[self.place]
    }

    fn request(&self) -> &SealRequest<'_> {
        self.writing.request
    }

    fn write_rows(&self, out: &mut BlockWriter) -> Result<()> {
        let DenseOptions { dimension, element, .. } = *self.options;
        let mut bytes = vec![0; dimension * element.size_bytes()];
        for (index, row) in self.rows().enumerate() {
            if index % ROWS_PER_STEP == 0 {
                self.writing.go_on()?;
            }
            let vector = self.writing.source(row).dense(self.place).vector(row.slot).unwrap_or_default();
            element.write(&vector, &mut bytes);
            out.write(&bytes)?;
        }
        Ok(())
    }

    fn written_rows(&self, section: Section) -> Result<SealedRows> {
        let (dir, name) = (self.writing.dir, segment_file(self.request().id));
        let blob = dir.map(&name, Access::Near)?;
        let range = section.offset as usize..(section.offset + section.length_bytes) as usize;
        SealedRows::new(blob, range.clone(), (self.options.dimension, self.options.element))
            .map_err(|error| crate::dir::corrupt(dir, &name, range.start as u64, error.to_string()))
    }

    /// Trains the codec on a sample of the rows and writes their codes.
    fn write_codes(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<[Section; 3]> {
        let Some(codec) = self.encodings().sealed.codec().filter(|_| rows.len() > 0) else {
            return Ok([Section::default(); 3]);
        };
        let codes = GrowingCodes::of(codec.clone(), codec.train(&borrowed(&sample_of(rows))), rows);
        let slots = || (0..rows.len() as u32).map(Slot);
        Ok([
            section(out, |out| slots().try_for_each(|slot| out.write(codes.code(slot))))?,
            section(out, |out| slots().try_for_each(|slot| floats(out, codes.factors(slot))))?,
            section(out, |out| floats(out, codes.parameters()))?,
        ])
    }

    /// Writes sketches of the rows, where the encoding has some.
    fn write_sketches(&self, out: &mut BlockWriter, rows: &SealedRows) -> Result<[Section; 3]> {
        let Some(sketcher) = self.encodings().sketcher.as_ref().filter(|_| rows.len() > 0) else {
            return Ok([Section::default(); 3]);
        };
        let made = sketcher.make(&borrowed(&sample_of(rows)), rows);
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
        let dense = &segment.dense[self.place];
        dense.link_rest(&view.dense(self.place), self.request().stop);
        self.writing.go_on()?;
        let order: Vec<Slot> = self.rows().map(|row| Slot(row.slot)).collect();
        Ok(dense.graph.seal_as(&order, &*self.encodings().growing.pair_scorer(&dense.vectors)))
    }

    fn built_graph(&self, rows: SealedRows) -> Result<BuiltGraph> {
        let SealRequest { id, stop, .. } = *self.request();
        let growing = &self.encodings().growing;
        let rows = rows.encoded(growing.codec());
        let pairs = growing.pair_scorer(&rows);
        let request = BuildRequest { rows: self.slots.len(), options: self.options.graph, seed: id, stop };
        let built = match self.resumable() {
            Some((sealed, numbers)) => {
                let resumed = Resumed { graph: &sealed.graph, numbers: &numbers };
                build_on(&request, resumed, &*pairs)
            }
            None => build(&request, &*pairs),
        };
        built.ok_or_else(|| self.writing.stopped())
    }

    /// The vector in the sealed source that most rows come from, and the new numbers of its nodes, if going on with its graph is
    /// less work than building anew.
    fn resumable(&self) -> Option<(&SealedDense, Vec<Option<u32>>)> {
        let sources = self.request().sources.iter().enumerate();
        let sealed =
            sources.filter_map(|(index, source)| Some((index, &source.as_sealed()?.dense[self.place])));
        let count = |index: usize| self.rows().filter(|row| row.source == index).count();
        let (taken, source, sealed) =
            sealed.map(|(index, sealed)| (count(index), index, sealed)).max_by_key(|(taken, ..)| *taken)?;
        let died = sealed.vectors() as usize - taken;
        if taken * TAKEN_ONE_IN < self.slots.len() || died * DIED_ONE_IN > taken {
            return None;
        }
        let mut numbers = vec![None; sealed.vectors() as usize];
        for (number, row) in (0..).zip(self.rows()).filter(|(_, row)| row.source == source) {
            numbers[sealed.nodes.node_of(row.slot)? as usize] = Some(number);
        }
        Some((sealed, numbers))
    }
}

/// Rows to train on, as they are drawn.
fn sample_of(rows: &SealedRows) -> Vec<Cow<'_, [f32]>> {
    drawn_of(rows.len()).into_iter().map(|row| rows.row(Slot(row))).collect()
}

/// Some of so many rows, spread over all of them, in no order: errors are measured on pairs that are a few places apart in a sample, and rows that
/// stand together are nearer to one another than any two.
fn drawn_of(rows: usize) -> Vec<u32> {
    scattered((0..rows as u32).step_by(rows.div_ceil(TRAINED_ROWS_MAX)))
}

fn borrowed<'a>(sample: &'a [Cow<'_, [f32]>]) -> Vec<&'a [f32]> {
    sample.iter().map(|row| &**row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_to_train_on_are_of_all_and_in_no_order() {
        let mut drawn = drawn_of(100_000);
        let apart = drawn.windows(2).map(|rows| u64::from(rows[0].abs_diff(rows[1]))).sum::<u64>();
        assert!(apart / drawn.len() as u64 > 25_000, "a third of all rows, on average: {apart}");
        drawn.sort_unstable();
        assert_eq!(drawn, (0..100_000).step_by(98).collect::<Vec<u32>>());
        assert_eq!(drawn_of(1), [0]);
    }
}
