//! Rows by the words of their texts (`search/words.rs`): exactly, through the lists of rows that each word has.

use super::node::Scores;
use super::run::{Found, Ranked, Run};
use crate::interrupt::POLL_DISTANCES;
use crate::search::{Reports, SearchStats, WordsSearch};
use crate::text::Scored;
use crate::vectors::Slot;

/// See [`TextQuery`](super::TextQuery).
#[derive(Debug)]
pub(super) struct Words<'a>(pub(super) WordsSearch<'a>);

impl Words<'_> {
    pub(super) fn top(&self, run: &Run<'_>, n: usize, reports: &mut Reports) -> Found {
        let n = n.min(run.live());
        if n == 0 {
            return Found { rows: Vec::new(), is_whole: true, exact: true };
        }
        let found = self.0.best(n, run.filter.as_deref(), run.watch);
        run.count(SearchStats { segments: found.read.len(), exact: true, ..SearchStats::default() });
        found.report(run.view, run.filter.as_deref(), reports, run.watch);
        let is_interrupted = run.watch.interrupted().is_some();
        let is_whole = found.rows.len() < n && !is_interrupted;
        let ranked = |row: &Scored| Ranked { score: row.score, segment: row.segment, slot: Slot(row.slot) };
        let mut rows: Vec<Ranked> = found.rows.iter().map(ranked).collect();
        run.sort(&mut rows, Scores::Greater);
        Found { rows, is_whole, exact: !is_interrupted }
    }

    /// All rows have a score: those without any of the words have none of them, which is 0.
    pub(super) fn rank(&self, run: &Run<'_>, rows: &[Ranked]) -> Vec<Ranked> {
        let mut ranked = Vec::with_capacity(rows.len());
        for rows in rows.chunks(POLL_DISTANCES as usize) {
            if run.watch.poll() {
                break;
            }
            let keys: Vec<(usize, u32)> = rows.iter().map(|row| (row.segment, row.slot.0)).collect();
            let scores = self.0.scores(&keys).into_iter().map(Option::unwrap_or_default);
            ranked.extend(rows.iter().zip(scores).map(|(row, score)| Ranked { score, ..*row }));
        }
        run.sort(&mut ranked, Scores::Greater);
        ranked
    }
}

#[cfg(test)]
mod tests {
    use crate::query::{Nearest, Query, Source, TextQuery};
    use crate::{Analyzer, CancelToken, Db, Point, Schema, SparseVector};

    /// The lists of all terms were read in every segment, however long ago the time was over.
    #[test]
    fn who_is_cancelled_reads_no_lists() {
        let db = Db::in_memory().unwrap();
        let schema = Schema::builder(2).text("title", Analyzer::English).sparse("words").build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        let words = || SparseVector { indices: vec![3], values: vec![1.0] };
        let point = |id: u64| Point::new(id, [1.0, 0.0]).with("title", "tea").with_vector("words", words());
        rows.upsert((0..9).map(point).collect()).unwrap();
        let sources: [Source; 3] = [
            TextQuery::new("tea").into(),
            TextQuery::new("tea").all_terms().into(),
            Nearest::new(words()).by("words").into(),
        ];
        for source in sources {
            let postings = |token: CancelToken| {
                let query = Query::new(source.clone(), 3).explain().cancel(token);
                let response = rows.query(&query).unwrap();
                (response.hits.len(), response.explain.unwrap().stages[0].postings)
            };
            assert_eq!(postings(CancelToken::new()), (3, 9), "{source:?}");
            let token = CancelToken::new();
            token.cancel();
            assert_eq!(postings(token), (0, 0), "{source:?}");
        }
    }
}
