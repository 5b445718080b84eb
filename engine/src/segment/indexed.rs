//! The inverted indexes of a segment as one view shows it: of texts and of sparse vectors, of all rows, dead ones too.
//!
//! A sealed segment has them in its file, or beside it (`words.rs`); a growing one in runs, as its rows came. Words that are in neither, as the
//! field came to be searched by word when the rows were there, are made when they are first asked for, of the rows as they are with their
//! patches, and kept with the segment (`made.rs`).

use std::borrow::Cow;
use std::sync::Arc;

use super::{SealedSegment, Segment, SegmentView};
use crate::payload::FieldId;
use crate::schema::VectorId;
use crate::text::{Analyzer, Index, IndexOf, Run, SparseBuilder, index_texts};

/// Consecutive rows of a segment and the words of one of their fields.
#[derive(Clone, Debug)]
pub(crate) struct TextPart {
    pub(crate) first: u32,
    pub(crate) rows: u32,
    /// None if no row has the field.
    pub(crate) index: Option<Arc<Index>>,
}

impl SegmentView {
    /// Notes that a field is searched by word from now on, and the rows of a growing segment, which takes no more, were not
    /// indexed for it.
    pub(crate) fn index_later(&mut self, field: FieldId) {
        self.late.push(field);
        self.late_rows = self.rows;
    }

    /// The words of a field, as an analyser finds them: of all rows, part by part. The parts are the same for all fields.
    pub(crate) fn texts(&self, field: FieldId, analyzer: Analyzer) -> Vec<TextPart> {
        let segment = match &self.segment {
            Segment::Sealed(segment) => {
                return vec![TextPart {
                    first: 0,
                    rows: self.rows,
                    index: self.words(segment, field, analyzer),
                }];
            }
            Segment::Growing(segment) => segment,
        };
        let is_late = self.late.contains(&field);
        let index = |first: u32, rows: u32| index_texts(analyzer, rows, self.each_text(field, first, rows));
        let made = |first: u32, rows: u32| {
            segment.made.get((IndexOf::Text(field), Some(analyzer), first), || index(first, rows))
        };
        let part = |run: &Run| TextPart {
            first: run.first,
            rows: run.rows,
            index: match is_late {
                true => Some(made(run.first, run.rows)),
                false => run.index(IndexOf::Text(field)).cloned(),
            },
        };
        let mut parts: Vec<TextPart> = self.runs.iter().map(part).collect();
        // Rows that were saved from a damaged file have no runs, nor do those of a collection that had nothing to index.
        let first = self.runs.end();
        let rows = if is_late { self.late_rows } else { self.rows }.saturating_sub(first);
        if rows > 0 {
            let index = if is_late { made(first, rows) } else { Arc::new(index(first, rows)) };
            parts.push(TextPart { first, rows, index: Some(index) });
        }
        parts
    }

    /// The words of a field of a sealed segment's rows: stored, or made now, of the rows as they are with their patches. `None` if no
    /// row has the field.
    fn words(&self, segment: &SealedSegment, field: FieldId, analyzer: Analyzer) -> Option<Arc<Index>> {
        if let Some(index) = self.stored_words(segment, field, analyzer) {
            return Some(index);
        }
        if !self.has_field(field) {
            return None;
        }
        let rows = segment.rows();
        let make = || index_texts(analyzer, rows, self.each_text(field, 0, rows));
        let made = segment.made.get((IndexOf::Text(field), Some(analyzer), 0), make);
        // Somebody may have written them meanwhile, and told it to forget what it has in memory.
        if self.stored_words(segment, field, analyzer).is_some() {
            segment.made.forget(IndexOf::Text(field));
        }
        Some(made)
    }

    /// The words of a field in the file of a sealed segment, or in one beside it. What updates changed since is in the latter alone: they
    /// change no field in place that is searched by word.
    fn stored_words(
        &self,
        segment: &SealedSegment,
        field: FieldId,
        analyzer: Analyzer,
    ) -> Option<Arc<Index>> {
        let own = segment.own_words(field, analyzer).filter(|_| !self.patches.is_about(field));
        own.or_else(|| segment.added_words(field, analyzer))
    }

    /// Whether this is a sealed segment some row of which has a field, whose words as an analyser finds them are in no file.
    pub(crate) fn lacks_words(&self, field: FieldId, analyzer: Analyzer) -> bool {
        let stored = self.as_sealed().map(|sealed| self.stored_words(sealed, field, analyzer));
        stored.is_some_and(|stored| stored.is_none()) && self.has_field(field)
    }

    /// Whether some row of a sealed segment has a field, or had it before it was updated.
    fn has_field(&self, field: FieldId) -> bool {
        let sealed = self.as_sealed();
        sealed.is_some_and(|sealed| sealed.fields().any(|own| own == field)) || self.patches.is_about(field)
    }

    /// The texts of a field, of so many rows from one on, by their places among these.
    pub(super) fn each_text(
        &self,
        field: FieldId,
        first: u32,
        rows: u32,
    ) -> impl Iterator<Item = (u32, Cow<'_, str>)> {
        (0..rows).filter_map(move |slot| Some((slot, self.value(first + slot, field)?.as_text()?)))
    }

    /// The index of a sparse vector: of all rows, part by part.
    pub(crate) fn sparse_indexes(&self, number: VectorId) -> Vec<TextPart> {
        if let Segment::Sealed(segment) = &self.segment {
            return vec![TextPart { first: 0, rows: self.rows, index: segment.sparse_index(number) }];
        }
        let part = |run: &Run| TextPart {
            first: run.first,
            rows: run.rows,
            index: run.index(IndexOf::Sparse(number)).cloned(),
        };
        let mut parts: Vec<TextPart> = self.runs.iter().map(part).collect();
        // Rows that were saved from a damaged file have no runs.
        let (first, rows) = (self.runs.end(), self.rows - self.runs.end().min(self.rows));
        if rows > 0 {
            let mut builder = SparseBuilder::default();
            for (slot, row) in
                (0..rows).filter_map(|slot| Some((slot, self.sparse_row(first + slot, number)?)))
            {
                builder.push(slot, row.indices, row.values);
            }
            parts.push(TextPart { first, rows, index: Some(Arc::new(builder.finish(rows))) });
        }
        parts
    }
}
