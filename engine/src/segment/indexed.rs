//! The inverted indexes of a segment as one view shows it: of texts and of sparse vectors, of all rows, dead ones too.
//!
//! A sealed segment has them in its file, or beside it (`words.rs`); a growing one in runs, as its rows came. Words that are in neither, as the
//! field came to be searched by word when the rows were there, are made when they are first asked for and kept with the segment (`made.rs`).
//! All of these are of the rows without their patches; the words of those whose texts updates changed are beside them (`moved.rs`).

use std::borrow::Cow;
use std::sync::Arc;

use super::{DeadRows, GrowingSegment, SealedSegment, Segment, SegmentView};
use crate::payload::FieldId;
use crate::schema::VectorId;
use crate::text::{Analyzer, Gone, Index, IndexOf, NOWHERE, Run, Share, SparseBuilder, index_texts};

/// Rows of a segment that are indexed together.
#[derive(Clone, Debug)]
pub(crate) struct IndexedRows {
    /// The first of them, if they follow each other.
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// Which they are, if they do not.
    pub(crate) listed: Option<Arc<[u32]>>,
    /// Those that are not to be found here: by their places in the list, if there is one, else in the segment.
    pub(crate) gone: Arc<DeadRows>,
    /// Whether others than the dead are among those, whose words moved.
    has_moved: bool,
}

impl IndexedRows {
    /// Which rows these are, for a search.
    pub(crate) fn share(&self) -> Share<'_> {
        match &self.listed {
            Some(rows) => Share::Listed(rows),
            None if self.has_moved => Share::Rest,
            None => Share::Whole,
        }
    }

    /// The row of the segment at a place.
    pub(crate) fn row(&self, place: u32) -> Option<u32> {
        match &self.listed {
            Some(rows) => rows.get(place as usize).copied(),
            None => Some(self.first + place),
        }
    }

    /// The place of a row, if it is to be found here.
    pub(crate) fn place(&self, row: u32) -> Option<u32> {
        let gone = Gone { dead: &self.gone, first: self.first };
        self.share().place(row, gone, self.count)
    }

    /// By places what the rows of the segment become, of which each is told: the dead are [`NOWHERE`]. So are those here that are not to be
    /// found; of rows that follow each other, and of which none moved, that is what is told already.
    pub(crate) fn slots<'a>(&self, of_segment: &'a [u32]) -> Cow<'a, [u32]> {
        let first = self.first as usize;
        let following = of_segment.get(first..first + self.count as usize);
        if let Some(slots) = following.filter(|_| self.listed.is_none() && !self.has_moved) {
            return Cow::Borrowed(slots);
        }
        let slot = |place: u32| match self.row(place) {
            Some(row) if !self.is_gone(place) => of_segment.get(row as usize).copied().unwrap_or(NOWHERE),
            _ => NOWHERE,
        };
        Cow::Owned((0..self.count).map(slot).collect())
    }

    /// Whether the row at a place is not to be found here.
    pub(crate) fn is_gone(&self, place: u32) -> bool {
        self.gone.contains(self.first + place)
    }
}

/// Rows of a segment and the words of one of their fields.
#[derive(Clone, Debug)]
pub(crate) struct TextPart {
    pub(crate) rows: IndexedRows,
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

    /// Rows that follow each other.
    fn following(&self, first: u32, count: u32) -> IndexedRows {
        let has_moved = !self.moved.is_empty();
        IndexedRows { first, count, listed: None, gone: self.gone.clone(), has_moved }
    }

    /// Memory of the words of a growing segment.
    pub(crate) fn word_bytes(&self) -> usize {
        self.runs.bytes() + self.moved.size_bytes()
    }

    /// The words of a field, as an analyser finds them: of all rows, part by part. The parts are the same for all fields.
    pub(crate) fn texts(&self, field: FieldId, analyzer: Analyzer) -> Vec<TextPart> {
        let mut parts = match &self.segment {
            Segment::Sealed(segment) => {
                let index = self.words(segment, field, analyzer);
                vec![TextPart { rows: self.following(0, self.rows), index }]
            }
            Segment::Growing(segment) => self.growing_texts(segment, field, analyzer),
        };
        let moved = self.moved_indexes(field, analyzer).map(|(shown, index)| {
            let (listed, gone) = (shown.run.rows.clone(), shown.gone.clone());
            let count = listed.len() as u32;
            let rows = IndexedRows { first: 0, count, listed: Some(listed), gone, has_moved: true };
            TextPart { rows, index: Some(index) }
        });
        parts.extend(moved);
        parts
    }

    /// Those of a growing segment, but for what moved.
    fn growing_texts(&self, segment: &GrowingSegment, field: FieldId, analyzer: Analyzer) -> Vec<TextPart> {
        let is_late = self.late.contains(&field);
        let index = |first: u32, rows: u32| index_texts(analyzer, rows, self.each_text(field, first, rows));
        let made = |first: u32, rows: u32| {
            segment.made.get((IndexOf::Text(field), Some(analyzer), first), || index(first, rows))
        };
        let part = |run: &Run| TextPart {
            rows: self.following(run.first, run.rows),
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
            parts.push(TextPart { rows: self.following(first, rows), index: Some(index) });
        }
        parts
    }

    /// The words of a field of a sealed segment's rows, but for what moved: stored, or made now. `None` if no row has the field.
    fn words(&self, segment: &SealedSegment, field: FieldId, analyzer: Analyzer) -> Option<Arc<Index>> {
        if let Some(index) = stored_words(segment, field, analyzer) {
            return Some(index);
        }
        if !has_field(segment, field) {
            return None;
        }
        let rows = segment.rows();
        let make = || index_texts(analyzer, rows, self.each_text(field, 0, rows));
        let made = segment.made.get((IndexOf::Text(field), Some(analyzer), 0), make);
        // Somebody may have written them meanwhile, and told it to forget what it has in memory.
        if stored_words(segment, field, analyzer).is_some() {
            segment.made.forget(IndexOf::Text(field));
        }
        Some(made)
    }

    /// Whether this is a sealed segment some row of which has a field, whose words as an analyser finds them are in no file.
    pub(crate) fn lacks_words(&self, field: FieldId, analyzer: Analyzer) -> bool {
        let lacks = |sealed: &Arc<SealedSegment>| {
            stored_words(sealed, field, analyzer).is_none() && has_field(sealed, field)
        };
        self.as_sealed().is_some_and(lacks)
    }

    /// Whether the words of a field are there, so that asking for them makes none.
    pub(crate) fn has_words(&self, field: FieldId, analyzer: Analyzer) -> bool {
        let is_there = match &self.segment {
            Segment::Sealed(_) => !self.lacks_words(field, analyzer),
            Segment::Growing(_) => !self.late.contains(&field) && self.runs.end() >= self.rows,
        };
        is_there && self.moved.is_empty()
    }

    /// The same of the index of a sparse vector.
    pub(crate) fn has_entries(&self, number: VectorId) -> bool {
        match &self.segment {
            Segment::Sealed(segment) => segment.stores_sparse_index(number),
            Segment::Growing(_) => self.runs.end() >= self.rows,
        }
    }

    /// The texts of a field, of so many rows from one on, by their places among these, as the rows are without their patches.
    pub(super) fn each_text(
        &self,
        field: FieldId,
        first: u32,
        rows: u32,
    ) -> impl Iterator<Item = (u32, Cow<'_, str>)> {
        (0..rows)
            .filter_map(move |slot| Some((slot, self.segment.own_value(first + slot, field)?.as_text()?)))
    }

    /// Rows that follow each other, of whose sparse vectors none moves.
    fn entries(&self, first: u32, count: u32) -> IndexedRows {
        IndexedRows { first, count, listed: None, gone: self.dead.clone(), has_moved: false }
    }

    /// The index of a sparse vector: of all rows, part by part.
    pub(crate) fn sparse_indexes(&self, number: VectorId) -> Vec<TextPart> {
        if let Segment::Sealed(segment) = &self.segment {
            return vec![TextPart { rows: self.entries(0, self.rows), index: segment.sparse_index(number) }];
        }
        let part = |run: &Run| TextPart {
            rows: self.entries(run.first, run.rows),
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
            parts.push(TextPart {
                rows: self.entries(first, rows),
                index: Some(Arc::new(builder.finish(rows))),
            });
        }
        parts
    }
}

/// The words of a field in the file of a sealed segment, or in one beside it.
fn stored_words(segment: &SealedSegment, field: FieldId, analyzer: Analyzer) -> Option<Arc<Index>> {
    segment.own_words(field, analyzer).or_else(|| segment.added_words(field, analyzer))
}

/// Whether some row of a sealed segment has a field, but for patches.
fn has_field(segment: &SealedSegment, field: FieldId) -> bool {
    segment.fields().any(|own| own == field)
}
