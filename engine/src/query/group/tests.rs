//! Groups: what it takes to fill them, and what an interruption and a limit leave of them.

use super::super::resolve::{kinds, resolve};
use super::super::run::{Journal, Ranked, Run};
use super::{Asked, Grouping};
use crate::interrupt::{Watch, cancelled_at};
use crate::limits::GROUP_BYTES_MAX;
use crate::query::{Fuse, Group, Nearest, Query, QueryResponse, Source, TextQuery};
use crate::{Analyzer, Collection, Db, DbOptions, Metric, Point, Schema};

/// Two rows a document, and one for it that no source gives.
const DOCUMENTS: u64 = 1_000;

fn row(id: u64) -> Point {
    let title = if id.is_multiple_of(2) { "tea" } else { "rain" };
    let point = Point::new(id, [id as f32, 0.0]).with("title", title).with("kind", (id % 3) as i64);
    let point = point.with("document", (id / 2) as i64).with("documents", vec![format!("d{}", id / 2)]);
    point.with("kinds", vec![format!("k{}", id % 3)])
}

fn filled() -> (Db, Collection) {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).metric(Metric::L2).text("title", Analyzer::English).build().unwrap();
    let rows = db.create_collection("rows", schema).unwrap();
    rows.upsert((0..2 * DOCUMENTS).map(row).collect()).unwrap();
    let bare = |at: u64| Point::without_vector(10_000 + at).with("document", at as i64);
    rows.upsert((0..DOCUMENTS).map(bare).collect()).unwrap();
    (db, rows)
}

/// By words and a vector together.
fn grouped(k: usize, field: &str, per_group: usize) -> Query {
    let sources: [Source; 2] = [Nearest::new([0.0, 0.0]).exact().into(), TextQuery::new("tea").into()];
    Query::new(Fuse::reciprocal_rank(sources), k).group(field, per_group).explain()
}

fn ids(response: &QueryResponse) -> Vec<Vec<String>> {
    let groups = response.groups.iter();
    groups.map(|group| group.hits.iter().map(|hit| hit.point.id.to_string()).collect()).collect()
}

/// How often the fusion ran.
fn runs(response: &QueryResponse) -> u64 {
    response.explain.as_ref().and_then(|explain| explain.stages.last()).map_or(0, |stage| stage.runs)
}

/// Grouping what words and vectors find fetched every row wherever a document had fewer rows than were wanted of it, or a field fewer
/// values than groups were wanted.
#[test]
fn groups_that_have_all_their_rows_are_not_filled_up_with_all_rows() {
    let (_db, rows) = filled();
    let ask = |k: usize, field: &str, per_group: usize| rows.query(&grouped(k, field, per_group)).unwrap();
    for field in ["document", "documents"] {
        let found = ask(3, field, 3);
        assert_eq!(ids(&found), [["0", "1"], ["2", "3"], ["4", "5"]], "{field}");
        assert_eq!(runs(&found), 1, "{field}");
    }
    for field in ["kind", "kinds"] {
        let found = ask(10, field, 2);
        assert_eq!(ids(&found), [["0", "6"], ["2", "8"], ["4", "10"]], "{field}");
        assert_eq!(runs(&found), 1, "{field}");
    }
    // What lies behind all others is found nevertheless: a row of a group, and a group.
    let late = row(9_001).with("kind", 7).with("kinds", vec!["k1".to_owned(), "k7".to_owned()]);
    rows.upsert(vec![Point::new(9_000, [1e6, 0.0]).with("document", 0), late]).unwrap();
    let found = ask(3, "document", 3);
    assert_eq!(ids(&found), [vec!["0", "1", "9000"], vec!["2", "3"], vec!["4", "5"]]);
    for field in ["kind", "kinds"] {
        assert_eq!(ids(&ask(10, field, 2))[3], ["9001"], "{field}");
    }
}

/// Looks at each answer that an interruption leaves once the first search is done; gives the whole one.
fn cut_later(rows: &Collection, query: &Query, each: impl Fn(&QueryResponse)) -> QueryResponse {
    let mut cut = 0;
    for look in 1.. {
        let response = rows.query(&query.clone().cancel(cancelled_at(look))).unwrap();
        if response.stats.interrupted.is_none() {
            assert!(cut > 0, "later searches look, too");
            return response;
        }
        if runs(&response) > 1 {
            each(&response);
            cut += 1;
        }
    }
    unreachable!("the looks come to an end")
}

#[test]
fn an_interruption_leaves_the_groups_that_were_found_before_it() {
    let (_db, rows) = filled();
    // So far away that all rows are fetched.
    rows.upsert(vec![Point::new(9_000, [1e6, 0.0]).with("document", 0)]).unwrap();
    cut_later(&rows, &grouped(3, "document", 3), |response| assert_eq!(response.groups.len(), 3));
    // Of a fusion, one source may have given all that it was asked for, and the next one nothing.
    let by_words = Point::without_vector(8_000).with("title", "storm").with("document", 5_000);
    rows.upsert(vec![by_words]).unwrap();
    let sources: [Source; 2] = [Nearest::new([0.0, 0.0]).exact().into(), TextQuery::new("storm").into()];
    let query = Query::new(Fuse::reciprocal_rank(sources), 2).group("document", 3).explain();
    cut_later(&rows, &query, |response| {
        assert_eq!(ids(response), [vec!["0", "1"], vec!["8000"]]);
    });
}

/// A group's best row lay in the segment that is searched last, and gave way to more rows of the group that were farther.
#[test]
fn an_interruption_leaves_a_group_its_best_row() {
    let options = DbOptions { background: false, ..DbOptions::default() };
    let db = Db::in_memory_with(options).unwrap();
    let schema = Schema::builder(2).metric(Metric::L2).build().unwrap();
    let rows = db.create_collection("rows", schema).unwrap();
    let point = |id: u64, document: i64| Point::new(id, [id as f32, 0.0]).with("document", document);
    rows.upsert((1_000..1_200).map(|id| point(id, if id < 1_005 { 0 } else { 2 })).collect()).unwrap();
    db.flush().unwrap();
    rows.upsert((0..80).map(|id| point(id, i64::from(id > 0))).collect()).unwrap();
    let query = Query::new(Nearest::new([0.0, 0.0]).exact(), 2).group("document", 3).explain();
    let whole = cut_later(&rows, &query, |response| {
        let best: Vec<String> = ids(response).into_iter().map(|mut group| group.swap_remove(0)).collect();
        assert_eq!(best, ["0", "1"]);
    });
    assert_eq!(ids(&whole), [["0", "1000", "1001"], ["1", "2", "3"]]);
}

/// Runs with three groups to be found by their documents, of one row each, and with the best row of each.
fn with_groups(test: impl FnOnce(Grouping<'_>, [Ranked; 3])) {
    let (_db, rows) = filled();
    let state = rows.view().state;
    let (watch, journal) = (Watch::default(), Journal::new(false));
    let run = Run::new(&state, None, &watch, &journal).unwrap();
    let node = resolve(&state, &Nearest::new([0.0, 0.0]).exact().into()).unwrap();
    let group = Group { field: "document".to_owned(), per_group: 1 };
    let field = kinds(&state, "group", &group.field).unwrap();
    let asked = Asked { filter: None, threshold: None, group: &group, field, k: 3 };
    let found = node.top(&run, 6).rows;
    test(Grouping::new(&run, &node, asked), [found[0], found[2], found[4]]);
}

/// A thousand groups by a field of long texts were as many copies of these in memory.
#[test]
fn values_of_groups_are_bounded() {
    with_groups(|mut grouping, [first, second, _]| {
        // There is room for one more.
        grouping.bytes = GROUP_BYTES_MAX - size_of::<i64>();
        grouping.add(&[first], false).unwrap();
        let error = grouping.add(&[first, second], false).unwrap_err().to_string();
        assert_eq!(error, "group: 67108872 is beyond the limit GROUP_BYTES_MAX = 67108864");
    });
}

/// What a walk had missed and a later one found came behind all that the first one had found.
#[test]
fn groups_are_in_the_order_of_their_best_rows_whichever_was_found_first() {
    with_groups(|mut grouping, [first, second, third]| {
        for row in [second, first, third] {
            grouping.add(&[row], false).unwrap();
        }
        grouping.sort();
        let best: Vec<Ranked> = grouping.groups.iter().map(|group| group.rows[0]).collect();
        assert_eq!(best, [first, second, third]);
    });
}
