//! The best rows of one source, ranked by another.
//!
//! Rows that the second source cannot score are left out. While fewer can be scored than are wanted, twice as many
//! candidates are fetched, until there are no more: all fetches together look at twice as many rows as the last.

use super::node::Rescoring;
use super::run::{Found, Run};

pub(super) fn top(rescoring: &Rescoring, run: &Run<'_>, n: usize) -> Found {
    let mut candidates = rescoring.candidates.max(n);
    loop {
        let from = rescoring.from.top(run, candidates);
        let ranked = rescoring.by.rank(run, &from.rows);
        let is_over = from.is_whole || ranked.rows.len() >= n || run.watch.interrupted().is_some();
        if is_over || candidates >= run.live() {
            let mut rows = ranked.rows;
            let is_whole = from.is_whole && rows.len() <= n;
            rows.truncate(n);
            return Found { rows, is_whole, exact: from.exact && ranked.exact };
        }
        candidates *= 2;
    }
}
