//! Rows whose ids are known: what sources score them, and what is read of them.
//!
//! **Problem.** Whoever ranks the same rows by several sources would find them anew for each of these, and whoever knows which rows are wanted
//! would have to describe them by a filter.
//!
//! **Cost.** A look-up for each id. Scores cost what comparing so many rows costs, and no search; a filter what finding its rows costs, once.

use std::collections::{HashMap, HashSet};

use super::answer::Selected;
use super::node::{Node, Scores};
use super::request::Select;
use super::resolve::resolve_at;
use super::run::{Journal, Ranked, Run};
use super::source::Source;
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::limits::{BATCH_OPS_MAX, CANDIDATES_MAX, QUERY_SOURCES_MAX, check_limit};
use crate::payload::Filter;
use crate::point::{Point, PointId};
use crate::validate;
use crate::vectors::Slot;

/// Where a row is: its segment, and its place there.
type Place = (usize, Slot);

/// The scores of rows by each source, in the order of the sources and of the ids.
pub(crate) fn score(
    view: &ViewState,
    ids: &[PointId],
    sources: &[Source],
    watch: &Watch,
) -> Result<Vec<Vec<Option<f32>>>> {
    view.check()?;
    check_limit("ids", "CANDIDATES_MAX", CANDIDATES_MAX, ids.len())?;
    check_limit("sources", "QUERY_SOURCES_MAX", QUERY_SOURCES_MAX, sources.len())?;
    let node = |(index, source): (usize, &Source)| scoring(view, source, &format!("sources[{index}]"));
    let nodes = sources.iter().enumerate().map(node).collect::<Result<Vec<Node<'_>>>>()?;
    let places = places(view, ids, watch)?;
    let mut seen = HashSet::new();
    let once = places.iter().flatten().filter(|place| seen.insert(**place));
    let rows: Vec<Ranked> =
        once.map(|(segment, slot)| Ranked { score: 0.0, segment: *segment, slot: *slot }).collect();
    let journal = Journal::new(false);
    let run = Run::of_given(view, watch, &journal);
    let mut scores = Vec::with_capacity(nodes.len());
    for node in &nodes {
        let found = node.rank(&run, &rows);
        // What an interruption left would be taken for rows that the source cannot score.
        watch.check()?;
        let of: HashMap<Place, f32> = found.rows.iter().map(|row| (row.key(), row.score)).collect();
        scores.push(places.iter().map(|place| of.get(&(*place)?).copied()).collect());
    }
    Ok(scores)
}

/// A source that gives scores.
fn scoring<'a>(view: &'a ViewState, source: &Source, path: &str) -> Result<Node<'a>> {
    let node = resolve_at(view, source, path)?;
    if node.scores(view) == Scores::Absent {
        return Err(Error::invalid(node.path, "it gives an order and no scores"));
    }
    Ok(node)
}

/// What is selected of rows, in the order of the ids.
pub(crate) fn select(
    view: &ViewState,
    ids: &[PointId],
    (filter, select): (Option<&Filter>, &Select),
    watch: &Watch,
) -> Result<Vec<Option<Point>>> {
    view.check()?;
    check_limit("ids", "BATCH_OPS_MAX", BATCH_OPS_MAX, ids.len())?;
    let compiled = view.compiled(filter)?;
    let selected = Selected::new(view, select)?;
    // Which rows the handle shows is asked of each by itself (`ViewState::visible`), so a set of all that pass is made for what the caller asks
    // alone: of few rows that are read time after time it would be most of the work.
    let asked = compiled.filter(|_| filter.is_some_and(|filter| !filter.passes_all()));
    let passing = asked.map(|asked| view.passing(Some(&asked), watch)).transpose()?;
    let journal = Journal::new(false);
    let run = Run::of_given(view, watch, &journal);
    let passes =
        |(segment, slot): &Place| passing.as_ref().is_none_or(|passing| passing[*segment].contains(slot.0));
    let mut points = Vec::with_capacity(ids.len());
    for place in places(view, ids, watch)? {
        watch.check()?;
        points.push(place.filter(passes).map(|(segment, slot)| {
            let row = Ranked { score: 0.0, segment, slot };
            selected.hit(&run, row, Scores::Absent).point
        }));
    }
    Ok(points)
}

/// Where rows are, in the order of their ids; `None` where there is none.
fn places(view: &ViewState, ids: &[PointId], watch: &Watch) -> Result<Vec<Option<Place>>> {
    let place = |(index, id): (usize, &PointId)| -> Result<Option<Place>> {
        watch.check()?;
        validate::id(&format!("ids[{index}]"), id)?;
        Ok(view.visible(id)?.map(|(segment, slot)| (segment, Slot(slot))))
    };
    ids.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;
    use crate::{CancelToken, Db, RowFilter, Schema, Scope, Sight};

    struct Of(Arc<RowFilter>);

    impl Scope for Of {
        fn sight(&self, _: &str) -> Sight {
            Sight::Rows(self.0.clone())
        }
    }

    /// Through a handle that shows some rows alone, each slice of hits had the rows of all segments looked through.
    #[test]
    fn what_asks_for_nothing_costs_what_the_ids_cost_whoever_asks() {
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("rows", Schema::builder(2).tenant("of").build().unwrap()).unwrap();
        let point = |id: u64, of: &str| Point::new(id, [1.0, 0.0]).with("of", of);
        rows.upsert(vec![point(1, "a"), point(2, "b"), point(3, "a")]).unwrap();
        let looks = Arc::new(AtomicU64::new(0));
        let counted = looks.clone();
        let token = CancelToken::polled(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let scope = Of(Arc::new(RowFilter::new(Filter::eq("of", "a")).unwrap()));
        let view = db.within(Arc::new(scope)).cancelled_by(token).collection("rows").unwrap().view();
        let ids = [1, 2, 3, 4].map(PointId::Num);
        let all = Filter::And(vec![Filter::AllTenants]);
        let asked = |filter: Option<&Filter>| -> (Vec<Option<PointId>>, u64) {
            let before = looks.load(Ordering::Relaxed);
            let points = view.select(&ids, filter, &Select::default()).unwrap();
            let ids = points.into_iter().map(|point| point.map(|point| point.id)).collect();
            (ids, looks.load(Ordering::Relaxed) - before)
        };
        let shown = vec![Some(PointId::Num(1)), None, Some(PointId::Num(3)), None];
        // One look for where each is, and one for reading it.
        for filter in [None, Some(&Filter::AllTenants), Some(&all)] {
            assert_eq!(asked(filter), (shown.clone(), 8), "{filter:?}");
        }
        let (passing, looks) = asked(Some(&Filter::Or(vec![all.clone()])));
        assert!(passing == shown && looks > 8, "{looks}");
        assert!(asked(Some(&Filter::eq("of", "b"))).0.iter().all(Option::is_none));
    }
}
