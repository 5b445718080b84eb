//! The best rows of one source, ranked by another.
//!
//! Rows that the second source cannot score are left out. While fewer can be scored than are wanted, twice as many
//! candidates are fetched, until there are no more: all fetches together look at twice as many rows as the last.
//!
//! **Where few rows can be scored at all**, as few have the vector or one of a query's components, that would be all rows, whatever the first source finds:
//! so an index of the second one is asked for as many rows as are wanted. If there are not so many, they are all that the answer can have, and the first
//! source is asked which of them it gives.

use super::node::Rescoring;
use super::run::{Found, Ranked, Run};

pub(super) fn top(rescoring: &Rescoring<'_>, run: &Run<'_>, n: usize) -> Found {
    let first = rescoring.candidates.max(n);
    let mut candidates = first;
    let mut before = Vec::new();
    loop {
        let from = rescoring.from.top(run, candidates);
        let ranked = rescoring.by.rank(run, &from.rows);
        let is_cut = run.watch.interrupted().is_some();
        if is_cut && ranked.rows.len() <= before.len() {
            // What was ranked of fewer candidates is better than what is left of these.
            return Found { rows: before, is_whole: false, exact: false };
        }
        let is_over = from.is_whole || ranked.rows.len() >= n || is_cut;
        if is_over || candidates >= run.live() {
            let mut rows = ranked.rows;
            let is_whole = from.is_whole && rows.len() <= n;
            rows.truncate(n);
            return Found { rows, is_whole, exact: from.exact && ranked.exact };
        }
        if candidates == first
            && let Some(all) = all_scored(rescoring, run, n)
        {
            return all;
        }
        before = ranked.rows;
        candidates *= 2;
    }
}

/// All rows that both sources have, if the second one has fewer than so many, and an index that tells them.
fn all_scored(rescoring: &Rescoring<'_>, run: &Run<'_>, n: usize) -> Option<Found> {
    if !rescoring.by.has_index() || !rescoring.from.tells_what_it_gives() {
        return None;
    }
    let scored = rescoring.by.top(run, n);
    if !scored.is_whole {
        return None;
    }
    let keys: Vec<(usize, u32)> = scored.rows.iter().map(|row| (row.segment, row.slot.0)).collect();
    let gives = rescoring.from.gives(run, &keys);
    let both = scored.rows.into_iter().zip(gives).filter(|(_, gives)| *gives);
    let both: Vec<Ranked> = both.map(|(row, _)| row).collect();
    let ranked = rescoring.by.rank(run, &both);
    if run.watch.interrupted().is_some() {
        // Some of them are missing.
        return None;
    }
    Some(Found { rows: ranked.rows, is_whole: true, exact: scored.exact && ranked.exact })
}

#[cfg(test)]
mod tests {
    use crate::interrupt::cancelled_at;
    use crate::query::{Fuse, Nearest, Query, QueryResponse, Rescore, Source, TextQuery};
    use crate::{Analyzer, Db, Metric, Point, Schema, SparseVector};

    const ROWS: u64 = 2_000;
    /// The component that two rows have, one of them far away.
    const RARE: u32 = 77;
    /// The one that twenty rows have, which come after others.
    const LATE: u32 = 78;

    fn weights(index: u32, weight: f32) -> SparseVector {
        SparseVector { indices: vec![index], values: vec![weight] }
    }

    fn row(id: u64) -> Point {
        let weights = match id {
            4 => weights(RARE, 1.0),
            1_999 => weights(RARE, 2.0),
            500..520 => weights(LATE, 1.0),
            _ => weights((id % 5) as u32, 1.0),
        };
        let title = if id.is_multiple_of(2) { "tea" } else { "rain" };
        Point::new(id, [id as f32, 0.0]).with("title", title).with_vector("words", weights)
    }

    /// The ids, and how often the first source ran.
    fn found(response: &QueryResponse) -> (Vec<String>, u64) {
        let ids = response.hits.iter().map(|hit| hit.point.id.to_string()).collect();
        let stages = &response.explain.as_ref().unwrap().stages;
        let of_first =
            |path: &str| path.starts_with("source.rescore.from.") && path.matches('.').count() == 3;
        (ids, stages.iter().filter(|stage| of_first(&stage.path)).map(|stage| stage.runs).sum())
    }

    /// Every row was fetched, and ranked, to find that two have the component that was asked for.
    #[test]
    fn few_rows_that_can_be_scored_are_not_looked_for_among_all() {
        let db = Db::in_memory().unwrap();
        let schema = Schema::builder(2).metric(Metric::L2).text("title", Analyzer::English).sparse("words");
        let rows = db.create_collection("rows", schema.build().unwrap()).unwrap();
        rows.upsert((0..ROWS).map(row).collect()).unwrap();
        let near = || Source::from(Nearest::new([0.0, 0.0]).exact());
        let tea = || TextQuery::new("tea");
        let ask = |from: Source, index: u32| {
            let by = Nearest::new(weights(index, 1.0)).by("words");
            found(&rows.query(&Query::new(Rescore::new(from, by), 10).explain()).unwrap())
        };
        for from in [near(), Fuse::reciprocal_rank([near(), tea().into()]).into()] {
            assert_eq!(ask(from, RARE), (vec!["1999".to_owned(), "4".to_owned()], 1));
        }
        assert_eq!(ask(tea().into(), RARE), (vec!["4".to_owned()], 1), "the other one has not the word");
        assert_eq!(ask(near(), 79), (Vec::new(), 1), "no row has it");
        assert_eq!(ask(near(), 3).1, 1, "enough of the first hundred have it");
        // Where there are enough, they are looked for among more and more: of 800 rows twenty have it.
        let (ids, runs) = ask(near(), LATE);
        assert_eq!((ids.len(), runs), (10, 4));
        assert!(ask(tea().all_terms().into(), RARE).1 > 1, "which rows have all words is not told");
    }

    /// What had been ranked was gone as soon as time ran out among the next candidates: with five of ten rows ranked, the answer had none.
    #[test]
    fn an_interruption_leaves_what_was_ranked_before_it() {
        let db = Db::in_memory().unwrap();
        let schema = Schema::builder(2).metric(Metric::L2).sparse("words").build().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        // One row that can be scored is among the first, the others are behind many.
        let row = |id: u64| {
            let index = if id == 2 || (50..70).contains(&id) { LATE } else { RARE };
            Point::new(id, [id as f32, 0.0]).with_vector("words", weights(index, 1.0))
        };
        rows.upsert((0..ROWS).map(row).collect()).unwrap();
        let by = Nearest::new(weights(LATE, 1.0)).by("words");
        let rescore = Rescore::new(Nearest::new([0.0, 0.0]).exact(), by).candidates(20);
        let mut cut = 0;
        for look in 1.. {
            let query = Query::new(rescore.clone(), 10).explain().cancel(cancelled_at(look));
            let response = rows.query(&query).unwrap();
            let (ids, runs) = found(&response);
            if response.stats.interrupted.is_none() {
                assert_eq!((ids.len(), runs), (10, 3));
                break;
            }
            if runs > 1 {
                assert_eq!(ids.first().map(String::as_str), Some("2"), "look {look}");
                cut += 1;
            }
        }
        assert!(cut > 0, "later runs look, too");
    }
}
