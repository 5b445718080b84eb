//! A query from request to response: check, run, read the rows.

use std::time::Instant;

use rayon::prelude::*;

use super::group::{Asked, Grouping};
use super::node::{Node, Scores};
use super::request::{Names, Query, Select};
use super::resolve::{field, is_made, kinds, resolve};
use super::response::{FoundGroup, QueryHit, QueryResponse};
use super::run::{Journal, Ranked, Run};
use crate::collection::{ViewState, with_marks, with_vectors};
use crate::error::{Error, Result};
use crate::interrupt::{Interrupted, Token, Watch};
use crate::limits::{
    GROUP_ROWS_MAX, GROUPS_MAX, K_MAX, SEARCH_BATCH_MAX, SEARCH_BATCH_ROWS_MAX, check_limit,
};
use crate::payload::{FieldId, FieldType, Payload};
use crate::point::Point;
use crate::schema::VectorId;
use crate::search::{Explain, SearchStats, micros_since};
use crate::segment::HITS_AHEAD;
use crate::threads::{Pools, Work};

/// Answers a query.
pub(crate) fn query(view: &ViewState, query: &Query, token: Token<'_>) -> Result<QueryResponse> {
    let watch = Watch::new(query.budget, query.cancel.as_ref()).and(token).at_once(query.at_once);
    if query.at_once && !is_made(view, query) {
        let stats = SearchStats { interrupted: Some(Interrupted::OutOfTime), ..SearchStats::default() };
        return Ok(QueryResponse { hits: Vec::new(), groups: Vec::new(), stats, explain: None });
    }
    Checked::new(view, query)?.answer(view, query, &watch)
}

/// Answers many queries: by the threads of the rayon pool that the caller is in, or else those of the database, if it is open.
/// Every query is checked before the first is run.
pub(crate) fn query_batch(
    view: &ViewState,
    queries: &[Query],
    (pools, token): (Option<&Pools>, Token<'_>),
) -> Result<Vec<QueryResponse>> {
    check_limit("queries", "SEARCH_BATCH_MAX", SEARCH_BATCH_MAX, queries.len())?;
    let watches = queries.iter().map(|query| Watch::new(query.budget, query.cancel.as_ref()).and(token));
    let watched: Vec<(usize, &Query, Watch)> = queries
        .iter()
        .zip(watches)
        .enumerate()
        .map(|(index, (query, watch))| (index, query, watch))
        .collect();
    let check = |(index, query): (usize, &Query)| {
        Checked::new(view, query).map_err(|error| error.within(&format!("queries[{index}]")))
    };
    let checked = queries.iter().enumerate().map(check).collect::<Result<Vec<_>>>()?;
    let rows = checked.iter().fold(0_usize, |rows, checked| rows.saturating_add(checked.rows));
    check_limit("queries", "SEARCH_BATCH_ROWS_MAX", SEARCH_BATCH_ROWS_MAX, rows)?;
    let one = |((index, query, watch), checked): ((usize, &Query, Watch), Checked<'_>)| {
        checked.answer(view, query, &watch).map_err(|error| error.within(&format!("queries[{index}]")))
    };
    let all: Vec<_> = watched.into_iter().zip(checked).collect();
    let many = |all: Vec<_>| all.into_par_iter().with_max_len(1).map(one).collect();
    match pools {
        _ if rayon::current_thread_index().is_some() => many(all),
        Some(pools) if all.len() > 1 => pools.run(Work::Search, || many(all))?,
        _ => all.into_iter().map(one).collect(),
    }
}

/// A query that fits its view.
struct Checked<'a> {
    node: Node<'a>,
    /// Rows that it returns at most.
    rows: usize,
    group: Option<(FieldId, FieldType)>,
    selected: Selected,
}

impl<'a> Checked<'a> {
    fn new(view: &'a ViewState, query: &Query) -> Result<Self> {
        view.check()?;
        if query.k == 0 {
            return Err(Error::invalid("k", "a query asks for at least one row"));
        }
        view.compiled(query.filter.as_ref())?;
        let (mut rows, mut group) = (query.k, None);
        match &query.group {
            None => check_limit("k", "K_MAX", K_MAX, query.k)?,
            Some(by) => {
                check_limit("k", "GROUPS_MAX", GROUPS_MAX, query.k)?;
                if by.per_group == 0 {
                    return Err(Error::invalid("group.per_group", "a group has at least one row"));
                }
                check_limit("group.per_group", "GROUP_ROWS_MAX", GROUP_ROWS_MAX, by.per_group)?;
                rows = query.k * by.per_group;
                check_limit("group", "K_MAX", K_MAX, rows)?;
                group = Some(kinds(view, "group", &by.field)?);
            }
        }
        let node = resolve(view, &query.source)?;
        check_threshold(query.threshold, node.scores(view))?;
        let selected = Selected::new(view, &query.select)?;
        Ok(Self { node, rows, group, selected })
    }

    fn answer(&self, view: &ViewState, query: &Query, watch: &Watch) -> Result<QueryResponse> {
        let began = query.explain.then(Instant::now);
        let journal = Journal::new(query.explain);
        let run = Run::new(view, query.filter.as_ref(), watch, &journal)?;
        let scores = self.node.scores(view);
        // Rows may be large.
        let goes_on = |_: &Ranked| !query.at_once || !watch.poll();
        let hit = |row: Ranked| self.selected.hit(&run, row, scores);
        let read = |rows: Vec<Ranked>| {
            let asked = rows.chunks(HITS_AHEAD).inspect(|rows| self.selected.prefetch(&run, rows));
            asked.flatten().copied().take_while(goes_on).map(hit).collect()
        };
        let (mut hits, mut groups) = (Vec::new(), Vec::new());
        let is_exact = match (&query.group, self.group) {
            (Some(group), Some(field)) => {
                let Query { threshold, k, .. } = *query;
                let asked = Asked { filter: query.filter.as_ref(), threshold, group, field, k };
                let (found, exact) = Grouping::new(&run, &self.node, asked).run()?;
                groups =
                    found.into_iter().map(|(value, rows)| FoundGroup { value, hits: read(rows) }).collect();
                exact
            }
            _ => {
                let mut found = self.node.top(&run, query.k);
                let reaches = |row: &Ranked| {
                    query.threshold.is_none_or(|threshold| scores.reaches(row.score, threshold))
                };
                found.rows.truncate(found.rows.partition_point(reaches));
                hits = read(found.rows);
                found.exact
            }
        };
        drop(run);
        let (mut stats, stages) = journal.finish();
        stats.interrupted = watch.interrupted();
        stats.exact = is_exact && stats.interrupted.is_none();
        let explain = began.zip(stages).map(|(began, stages)| Explain {
            exact: stats.exact,
            micros: micros_since(began),
            stages,
        });
        Ok(QueryResponse { hits, groups, stats, explain })
    }
}

fn check_threshold(threshold: Option<f32>, scores: Scores) -> Result<()> {
    let reason = match threshold {
        Some(threshold) if !threshold.is_finite() => format!("{threshold} is not a finite number"),
        Some(_) if scores == Scores::Absent => "the source gives an order and no scores".into(),
        _ => return Ok(()),
    };
    Err(Error::invalid("threshold", reason))
}

/// What is read of a row.
pub(super) struct Selected {
    /// All fields where there is no list.
    fields: Option<Vec<FieldId>>,
    vectors: Vectors,
}

/// Which vectors are read of a row.
enum Vectors {
    All,
    /// By their numbers.
    Only(Vec<VectorId>),
}

impl Selected {
    pub(super) fn new(view: &ViewState, select: &Select) -> Result<Self> {
        let number =
            |(index, name): (usize, &String)| Ok(field(view, &format!("select.fields[{index}]"), name)?.0);
        let fields = match &select.fields {
            Names::All => None,
            Names::None => Some(Vec::new()),
            Names::Only(names) => {
                Some(each_once(names.iter().enumerate().map(number).collect::<Result<_>>()?))
            }
        };
        let vector = |(index, name): (usize, &String)| {
            Ok(view.schema.vector(&format!("select.vectors[{index}]"), name)?.0)
        };
        let vectors = match &select.vectors {
            Names::All => Vectors::All,
            Names::None => Vectors::Only(Vec::new()),
            Names::Only(names) => {
                Vectors::Only(each_once(names.iter().enumerate().map(vector).collect::<Result<_>>()?))
            }
        };
        Ok(Self { fields, vectors })
    }

    /// Asks for what some rows have, which is read next.
    fn prefetch(&self, run: &Run<'_>, rows: &[Ranked]) {
        let (segments, fields) = (&run.view.segments, self.fields.as_deref());
        for Ranked { segment, slot, .. } in rows {
            let segment = &segments[*segment];
            segment.prefetch_id(slot.0);
            segment.prefetch_version(slot.0);
            segment.prefetch_payload(slot.0, fields);
        }
        rows.iter().for_each(|row| segments[row.segment].prefetch_rest(row.slot.0, fields));
    }

    pub(super) fn hit(&self, run: &Run<'_>, row: Ranked, scores: Scores) -> QueryHit {
        let segment = &run.view.segments[row.segment];
        let payload = match &self.fields {
            Some(fields) if fields.is_empty() => Payload::new(),
            fields => segment.payload(row.slot.0, &run.view.fields, fields.as_deref()),
        };
        let is_wanted = |number: VectorId| match &self.vectors {
            Vectors::All => true,
            Vectors::Only(numbers) => numbers.contains(&number),
        };
        let point = Point { payload, ..Point::without_vector(run.id(&row)) };
        let place = (row.segment, row.slot.0);
        let point = with_vectors(with_marks(point, run.view, place), run.view, place, is_wanted);
        QueryHit { score: (scores != Scores::Absent).then_some(row.score), point }
    }
}

/// Numbers of fields or vectors, each once: every row is read for each of them, so a name that is said a thousand times is to cost what it costs once.
pub(crate) fn each_once(mut numbers: Vec<u16>) -> Vec<u16> {
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Db, Schema};

    /// Ten thousand hits were each read a hundred thousand times for a request that named one field so often.
    #[test]
    fn a_name_that_is_said_often_is_read_once() {
        let schema = Schema::builder(2).sparse("words").build().unwrap();
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("rows", schema).unwrap();
        rows.upsert(vec![Point::new(1, [1.0, 0.0]).with("b", 1_i64).with("a", 2_i64)]).unwrap();
        let view = rows.view();
        let select =
            Select { fields: Names::of(["b", "a", "b", "b"]), vectors: Names::of(["words", "words"]) };
        let selected = Selected::new(&view.state, &select).unwrap();
        assert_eq!(selected.fields.map(|fields| fields.len()), Some(2));
        assert!(matches!(selected.vectors, Vectors::Only(numbers) if numbers.len() == 1));
        let select = Select { fields: Names::of(["a", "c"]), ..Select::default() };
        let error = Selected::new(&view.state, &select).map(drop).unwrap_err().to_string();
        assert!(error.contains("select.fields[1].c"), "{error}");
    }
}
