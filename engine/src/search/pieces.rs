//! The indexes of a view: those of all its segments, as a search over them takes them.

use std::sync::Arc;

use super::explain::{Reports, SegmentPlan, SegmentReport};
use crate::collection::ViewState;
use crate::interrupt::Watch;
use crate::payload::{CompiledFilter, Passing};
use crate::segment::{IndexedRows, SegmentView};
use crate::text::{Answer, Gone, Index, Part, PartRead, Scored};

/// What a search of indexes found.
#[derive(Clone, Debug, Default)]
pub(crate) struct PostingsFound {
    /// Best first; of equal scores the lesser segment and slot. No fewer than `k` if more match, unless it was interrupted.
    pub(crate) rows: Vec<Scored>,
    /// What was done, by segment.
    pub(crate) read: Vec<PartRead>,
}

impl PostingsFound {
    fn new(answer: Answer, pieces: &Pieces<'_>) -> Self {
        let mut read = vec![PartRead::default(); pieces.view.segments.len()];
        for (piece, part) in pieces.pieces.iter().zip(&answer.read) {
            let of = &mut read[piece.segment];
            (of.postings, of.took) = (of.postings + part.postings, of.took + part.took);
        }
        Self { rows: answer.rows, read }
    }

    /// Postings that were read.
    pub(crate) fn postings(&self) -> u64 {
        self.read.iter().map(|read| read.postings).sum()
    }

    /// Tells of each segment what was done there.
    pub(crate) fn report(
        &self,
        view: &ViewState,
        filter: Option<&CompiledFilter>,
        reports: &mut Reports,
        watch: &Watch,
    ) {
        reports.read(self.postings());
        for (index, (segment, read)) in view.segments.iter().zip(&self.read).enumerate() {
            reports.push(|| SegmentReport {
                // None after an interruption: what ended is not begun anew to be told of.
                matching: filter.map_or(segment.live(), |_| segment.passing(filter, watch).count()) as u64,
                plans: vec![SegmentPlan::Postings],
                found: self.rows.iter().filter(|row| row.segment == index).count() as u64,
                exact: watch.interrupted().is_none(),
                micros: u64::try_from(read.took.as_micros()).unwrap_or(u64::MAX),
                ..SegmentReport::of(index, segment)
            });
        }
    }
}

/// Rows of a segment and the indexes over them, by field of the query.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) segment: usize,
    pub(super) rows: IndexedRows,
    pub(super) indexes: Vec<Option<Arc<Index>>>,
}

/// The pieces of a view.
#[derive(Debug)]
pub(super) struct Pieces<'a> {
    pub(super) view: &'a ViewState,
    pub(super) pieces: Vec<Piece>,
}

impl Pieces<'_> {
    /// The live rows that pass a filter, by segment; nothing without a filter.
    fn admitted(&self, filter: Option<&CompiledFilter>, watch: &Watch) -> Vec<Option<Passing>> {
        let admit = |segment: &SegmentView| filter.map(|filter| segment.passing(Some(filter), watch));
        self.view.segments.iter().map(admit).collect()
    }

    /// The rows that a search of those that pass the filter finds.
    pub(super) fn find(
        &self,
        (filter, watch): (Option<&CompiledFilter>, &Watch),
        search: impl FnOnce(&[Part<'_>]) -> Answer,
    ) -> PostingsFound {
        PostingsFound::new(self.with(&self.admitted(filter, watch), search), self)
    }

    /// Runs with the pieces in the form that a search takes.
    pub(super) fn with<T>(&self, admitted: &[Option<Passing>], run: impl FnOnce(&[Part<'_>]) -> T) -> T {
        let indexes: Vec<Vec<Option<&Index>>> =
            self.pieces.iter().map(|piece| piece.indexes.iter().map(Option::as_deref).collect()).collect();
        let parts: Vec<Part<'_>> = self
            .pieces
            .iter()
            .zip(&indexes)
            .map(|(piece, indexes)| Part {
                segment: piece.segment,
                indexes,
                gone: Gone { dead: &piece.rows.gone, first: piece.rows.first },
                share: piece.rows.share(),
                rows: piece.rows.count,
                admitted: admitted.get(piece.segment).and_then(Option::as_ref),
            })
            .collect();
        run(&parts)
    }

    /// Scores of rows, each a segment and a slot; `score` gives those of ascending slots of one piece.
    pub(super) fn scores(
        &self,
        rows: &[(usize, u32)],
        score: impl Fn(usize, &[u32]) -> Vec<Option<f32>>,
    ) -> Vec<Option<f32>> {
        let mut scores = vec![None; rows.len()];
        for (at, piece) in self.pieces.iter().enumerate() {
            let own = |(place, (segment, row)): (usize, &(usize, u32))| {
                (*segment == piece.segment).then(|| Some((piece.rows.place(*row)?, place))).flatten()
            };
            let mut own: Vec<(u32, usize)> = rows.iter().enumerate().filter_map(own).collect();
            own.sort_unstable();
            let slots: Vec<u32> = own.iter().map(|(slot, _)| *slot).collect();
            if slots.is_empty() {
                continue;
            }
            for ((_, place), found) in own.into_iter().zip(score(at, &slots)) {
                scores[place] = found;
            }
        }
        scores
    }
}
