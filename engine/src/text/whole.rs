//! An index of many texts, in bounded memory.

use std::borrow::Cow;
use std::convert::Infallible;

use super::Analyzer;
use super::analysis::Analysis;
use super::index::{Flavour, Index, MergeSource, NOWHERE, TextBuilder, merge_in_memory};

/// Memory of a builder after which another one is begun.
pub(crate) const BUILDER_BYTES_MAX: usize = 64 << 20;

/// Texts of rows, to be indexed in pieces.
pub(crate) struct PiecesOf<'m, T> {
    pub(crate) analysis: &'m mut Analysis,
    pub(crate) rows: u32,
    /// In ascending order; rows that do not come have no text.
    pub(crate) texts: T,
    /// Memory of a builder after which another piece is begun.
    pub(crate) builder_bytes: usize,
}

impl<'a, T: IntoIterator<Item = (u32, Cow<'a, str>)>> PiecesOf<'_, T> {
    /// Calls `each` with the indexes of rows that follow each other, and the first row of each.
    pub(crate) fn index<E>(self, mut each: impl FnMut(u32, Index) -> Result<(), E>) -> Result<(), E> {
        let Self { analysis, rows, texts, builder_bytes } = self;
        let mut texts = texts.into_iter().peekable();
        let mut first = 0;
        loop {
            let mut builder = TextBuilder::new(analysis);
            let mut end = first;
            while let Some((slot, text)) = texts.next_if(|_| builder.memory_bytes() < builder_bytes) {
                builder.push(slot - first, &text);
                end = slot + 1;
            }
            let is_last = texts.peek().is_none();
            let end = if is_last { rows } else { end };
            each(first, builder.finish(end - first))?;
            first = end;
            if is_last {
                return Ok(());
            }
        }
    }
}

/// Indexes texts of so many rows, which come in ascending order; rows that do not come have no text.
pub(crate) fn index_texts<'a>(
    analyzer: Analyzer,
    rows: u32,
    texts: impl IntoIterator<Item = (u32, Cow<'a, str>)>,
) -> Index {
    index_texts_by(&mut Analysis::new(analyzer), rows, texts)
}

/// The same by an analyser at work, with the stems that it remembers.
pub(crate) fn index_texts_by<'a>(
    analysis: &mut Analysis,
    rows: u32,
    texts: impl IntoIterator<Item = (u32, Cow<'a, str>)>,
) -> Index {
    let mut pieces: Vec<(u32, Index)> = Vec::new();
    let of = PiecesOf { analysis, rows, texts, builder_bytes: BUILDER_BYTES_MAX };
    let indexed: Result<(), Infallible> = of.index(|first, piece| {
        pieces.push((first, piece));
        Ok(())
    });
    match indexed {
        Ok(()) => {}
        Err(never) => match never {},
    }
    match pieces.pop() {
        Some((0, whole)) => whole,
        last => {
            pieces.extend(last);
            join(&pieces, rows)
        }
    }
}

/// One index of several that follow each other; each comes with its first row.
fn join(pieces: &[(u32, Index)], rows: u32) -> Index {
    let slots: Vec<Vec<u32>> = pieces
        .iter()
        .map(|(first, piece)| {
            (*first..first + piece.info.rows).map(|slot| if slot < rows { slot } else { NOWHERE }).collect()
        })
        .collect();
    let sources: Vec<MergeSource<'_>> =
        pieces.iter().zip(&slots).map(|((_, index), slots)| MergeSource { index, slots }).collect();
    merge_in_memory(Flavour::Counts, &sources, rows)
}
