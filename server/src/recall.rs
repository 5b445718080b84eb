//! How many of the right rows live queries find.
//!
//! **Problem.** Dense vectors are found by walking a graph, which misses some. How many depends on the rows, on the queries and on the settings, so
//! a figure from a benchmark says little of a server that has run for a year.
//! **Idea.** A share of the dense queries ([`TelemetryConfig::recall_sample`](crate::TelemetryConfig::recall_sample)) is answered once more, by
//! comparing every row, on the same view, beside its caller's answer. What both have in common is counted for the collection. Searches that a
//! retrieval makes are measured, too ([`Recall::watch`]).
//!
//! It gets out of the way: one such query at a time; it begins only while fewer reads are worked on than there are processors, and is given
//! up after a while. What is drawn and cannot be measured is counted, too. Nothing of a query is kept.

use std::collections::{BTreeMap, HashSet};
use std::num::NonZero;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ragstone::query::{Names, Query, QueryResponse, Select, Source};
use ragstone::{Interrupted, PointId, Vector, View};
use ragstone_rag::Watch;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::RECALL_COLLECTIONS_MAX;
use crate::work::Work;

/// How long a query may wait until there is little else to do.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long comparing every row may take.
const BUDGET: Duration = Duration::from_secs(10);
/// What collections are counted as that have no series of their own; no collection has this name.
const OTHERS: &str = "*";

/// What was measured of a collection so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) queries: u64,
    /// Rows that they should have found.
    pub(crate) wanted: u64,
    /// Those of them that they did find.
    pub(crate) found: u64,
}

/// Draws queries and measures them; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Recall {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    sample: f64,
    /// Queries that were looked at.
    seen: AtomicU64,
    turn: Arc<Semaphore>,
    work: Work,
    /// Fewer reads than that leave a processor free.
    processors: usize,
    skipped: AtomicU64,
    /// By collection. Locked for a look-up, never while something is searched.
    measured: Mutex<BTreeMap<String, Measured>>,
}

impl Recall {
    /// Measures this share of the queries.
    pub(crate) fn new(sample: f64, work: Work) -> Recall {
        let shared = Shared {
            sample,
            seen: AtomicU64::new(0),
            turn: Arc::new(Semaphore::new(1)),
            work,
            processors: std::thread::available_parallelism().map_or(1, NonZero::get),
            skipped: AtomicU64::new(0),
            measured: Mutex::default(),
        };
        Recall { shared: Arc::new(shared) }
    }

    /// The query, if it is to be measured: it is of one dense vector, is not exact anyway, and was drawn.
    pub(crate) fn draw(&self, collection: &str, query: &Query) -> Option<Drawn> {
        if self.shared.sample <= 0.0 || query.group.is_some() {
            return None;
        }
        let Source::Nearest(nearest) = &query.source else { return None };
        if nearest.exact || !matches!(nearest.query, Vector::Dense(_)) {
            return None;
        }
        if !is_drawn(self.shared.seen.fetch_add(1, Ordering::Relaxed), self.shared.sample) {
            return None;
        }
        let Ok(turn) = Arc::clone(&self.shared.turn).try_acquire_owned() else {
            self.skip();
            return None;
        };
        let (mut nearest, ef) = (nearest.clone(), nearest.ef);
        (nearest.exact, nearest.ef) = (true, None);
        let mut exact = Query::new(nearest, query.k).budget(BUDGET);
        exact.filter.clone_from(&query.filter);
        exact.threshold = query.threshold;
        exact.select = Select { fields: Names::None, vectors: Names::None };
        Some(Drawn { recall: self.clone(), collection: collection.to_owned(), exact, ef, turn })
    }

    /// What is told of the searches of retrievals, and measures some of them; nothing where none is to be measured.
    pub(crate) fn watch(&self) -> Option<Arc<Watch>> {
        let recall = Some(self).filter(|recall| recall.shared.sample > 0.0)?.clone();
        Some(Arc::new(move |collection: &str, view: &View, query: &Query| {
            if let Some(drawn) = recall.draw(collection, query) {
                drawn.measure(view);
            }
        }))
    }

    /// What was measured, by collection.
    pub(crate) fn measured(&self) -> Vec<(String, Measured)> {
        let measured = self.shared.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.iter().map(|(collection, measured)| (collection.clone(), *measured)).collect()
    }

    /// Forgets what was measured of collections that are no more, whose places are for others.
    pub(crate) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        let mut measured = self.shared.measured.lock().unwrap_or_else(PoisonError::into_inner);
        measured.retain(|collection, _| collection == OTHERS || is_there(collection));
    }

    /// Queries that were drawn and could not be measured.
    pub(crate) fn skipped(&self) -> u64 {
        self.shared.skipped.load(Ordering::Relaxed)
    }

    fn skip(&self) {
        self.shared.skipped.fetch_add(1, Ordering::Relaxed);
    }

    fn count(&self, collection: String, (wanted, found): (usize, usize)) {
        // A query that nothing matches says nothing.
        if wanted == 0 {
            return;
        }
        let mut measured = self.shared.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = measured.len() < RECALL_COLLECTIONS_MAX || measured.contains_key(&collection);
        let counted = measured.entry(if has_room { collection } else { OTHERS.to_owned() }).or_default();
        counted.queries += 1;
        counted.wanted += wanted as u64;
        counted.found += found as u64;
    }
}

/// Whether the query of this number is drawn: the numbers are spread, so that no rhythm of the callers' decides it.
fn is_drawn(number: u64, sample: f64) -> bool {
    // SplitMix64 (Steele, Lea, Flood 2014).
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^= bits >> 31;
    // The 53 bits that a double holds.
    ((bits >> 11) as f64) / ((1_u64 << 53) as f64) < sample
}

/// A query that is to be measured.
#[derive(Debug)]
pub(crate) struct Drawn {
    recall: Recall,
    collection: String,
    exact: Query,
    /// The width of the walk that was asked for.
    ef: Option<usize>,
    turn: OwnedSemaphorePermit,
}

/// Rows with their scores.
type Ranked = Vec<(PointId, Option<f32>)>;

fn ranked(found: &QueryResponse) -> Ranked {
    found.hits.iter().map(|hit| (hit.point.id.clone(), hit.score)).collect()
}

impl Drawn {
    /// Compares what was found in a view with what there is, later. To be called on a thread of a runtime.
    pub(crate) fn compare(self, view: &View, found: &QueryResponse) {
        if found.stats.interrupted == Some(Interrupted::Cancelled) {
            // Its caller has left, or its deadline has passed: nobody is given what it had found by then.
            self.recall.skip();
            return;
        }
        if found.stats.exact && found.stats.interrupted.is_none() {
            self.recall.count(self.collection, (found.hits.len(), found.hits.len()));
            return;
        }
        let found = ranked(found);
        self.later(view, Some(found));
    }

    /// Compares what is found in a view with what there is, later: of a search whose answer goes into something else. To be called on a thread
    /// of a runtime.
    pub(crate) fn measure(self, view: &View) {
        self.later(view, None);
    }

    fn later(self, view: &View, found: Option<Ranked>) {
        let Ok(runtime) = Handle::try_current() else { return self.recall.skip() };
        // As it is now: what expires until it is compared could be found.
        let view = view.as_of_now().detached();
        runtime.spawn(async move {
            let Drawn { recall, collection, exact, ef, turn } = self;
            let shared = &recall.shared;
            let measured = match shared.work.spare_turn(shared.processors, PATIENCE).await {
                Some(spare) => {
                    let search = move || {
                        let _spare = spare;
                        compared(&view, &exact, ef, found)
                    };
                    tokio::task::spawn_blocking(search).await.ok().flatten()
                }
                None => None,
            };
            match measured {
                Some(measured) => recall.count(collection, measured),
                None => recall.skip(),
            }
            drop(turn);
        });
    }
}

/// What was found, by a walk of this width if that is not known, beside the exact answer; none if that takes too long or fails.
fn compared(view: &View, exact: &Query, ef: Option<usize>, found: Option<Ranked>) -> Option<(usize, usize)> {
    let found = match found {
        Some(found) => found,
        None => {
            let mut walk = exact.clone();
            if let Source::Nearest(nearest) = &mut walk.source {
                (nearest.exact, nearest.ef) = (false, ef);
            }
            ranked(&view.query(&walk).ok()?)
        }
    };
    let exact = view.query(exact).ok()?;
    exact.stats.interrupted.is_none().then(|| overlap(&exact, &found))
}

/// How many rows there should have been, and how many of them were found. Of rows that score like the last of them, any is right.
fn overlap(exact: &QueryResponse, found: &[(PointId, Option<f32>)]) -> (usize, usize) {
    let wanted: HashSet<&PointId> = exact.hits.iter().map(|hit| &hit.point.id).collect();
    let last = exact.hits.last().and_then(|hit| hit.score);
    let is_right =
        |(id, score): &&(PointId, Option<f32>)| wanted.contains(id) || (score.is_some() && *score == last);
    (wanted.len(), found.iter().filter(is_right).count().min(wanted.len()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicI64;

    use ragstone::query::Nearest;
    use ragstone::{Clock, Db, DbOptions, Filter, Point, Schema};

    use super::*;
    use crate::config::ServerConfig;

    fn recall(sample: f64) -> Recall {
        Recall::new(sample, Work::new(&ServerConfig::default()))
    }

    #[test]
    fn the_share_that_is_drawn_is_the_one_that_was_asked_for() {
        for (sample, expected) in
            [(0.0, 0..=0), (0.001, 70..=130), (0.5, 49_000..=51_000), (1.0, 100_000..=100_000)]
        {
            let drawn = (0..100_000).filter(|number| is_drawn(*number, sample)).count();
            assert!(expected.contains(&drawn), "{sample}: {drawn}");
        }
    }

    #[test]
    fn only_dense_queries_that_are_not_exact_are_drawn_and_one_at_a_time() {
        let recall = recall(1.0);
        let dense = Query::nearest([1.0, 0.0], 3).filter(Filter::eq("a", 1));
        let drawn = recall.draw("c", &dense).unwrap();
        let Source::Nearest(nearest) = &drawn.exact.source else { panic!("{drawn:?}") };
        assert!(nearest.exact && drawn.exact.filter == dense.filter && drawn.exact.k == 3);
        assert!(recall.draw("c", &dense).is_none(), "one is under way");
        assert_eq!(recall.skipped(), 1);
        drop(drawn);
        let exact = Query::new(Nearest::new([1.0, 0.0]).exact(), 3);
        for other in [exact, dense.clone().group("a", 1), Query::hybrid([1.0, 0.0], "x", 3)] {
            assert!(recall.draw("c", &other).is_none(), "{other:?}");
        }
        let off = Recall::new(0.0, Work::new(&ServerConfig::default()));
        assert!(off.draw("c", &dense).is_none() && off.watch().is_none());
    }

    #[test]
    fn names_are_bounded() {
        let recall = recall(1.0);
        for number in 0..2 * RECALL_COLLECTIONS_MAX {
            recall.count(format!("c{number}"), (10, 9));
        }
        recall.count("c0".to_owned(), (10, 10));
        recall.count("empty".to_owned(), (0, 0));
        let measured: BTreeMap<String, Measured> = recall.measured().into_iter().collect();
        assert_eq!(measured.len(), RECALL_COLLECTIONS_MAX + 1);
        assert_eq!(measured["c0"], Measured { queries: 2, wanted: 20, found: 19 });
        let others = RECALL_COLLECTIONS_MAX as u64;
        assert_eq!(measured[OTHERS], Measured { queries: others, wanted: 10 * others, found: 9 * others });
        // Those that an alias moved to each night had no series of their own after two months.
        recall.keep(|name| name == "c0");
        recall.count("new".to_owned(), (10, 8));
        let names: Vec<String> = recall.measured().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, [OTHERS, "c0", "new"]);
    }

    /// Waits until so many queries are measured, and the turn is free again.
    async fn counted(recall: &Recall, queries: u64) {
        for _ in 0..4_000 {
            let measured: u64 = recall.measured().iter().map(|(_, measured)| measured.queries).sum();
            let is_free = recall.shared.turn.available_permits() == 1;
            if (measured == queries && is_free) || recall.skipped() > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn what_a_query_missed_is_measured_on_the_view_that_it_saw() {
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let near = |id: u64| Point::new(id, [1.0, id as f32 / 100.0]);
        rows.upsert((0..20).map(near).collect()).unwrap();
        let (view, recall) = (rows.view(), recall(1.0));
        let query = Query::nearest([1.0, 0.0], 5);
        let mut found = view.query(&query).unwrap();
        // As a walk would that misses the two best.
        found.hits.drain(..2);
        found.stats.exact = false;
        // Whatever is written meanwhile.
        rows.delete(&(0..20_u64).map(PointId::from).collect::<Vec<_>>()).unwrap();
        recall.draw("c", &query).unwrap().compare(&view, &found);
        counted(&recall, 1).await;
        assert_eq!(recall.measured(), [("c".to_owned(), Measured { queries: 1, wanted: 5, found: 3 })]);
        // A search whose answer nobody kept is done again, and so few rows are all compared.
        recall.watch().unwrap()("c", &view, &query);
        counted(&recall, 2).await;
        assert_eq!(recall.measured(), [("c".to_owned(), Measured { queries: 2, wanted: 10, found: 8 })]);
    }

    /// Rows that expired while a query waited to be measured were none that it should have found, and others stood in their places.
    #[tokio::test]
    async fn rows_that_expire_meanwhile_are_as_right() {
        let now = Arc::new(AtomicI64::new(1_000));
        let told = Arc::clone(&now);
        let clock = Clock::new(move || told.load(Ordering::Relaxed));
        let mut options = DbOptions::default();
        (options.clock, options.background) = (clock, false);
        let db = Db::in_memory_with(options).unwrap();
        let rows = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        let near = |id: u64| Point::new(id, [1.0, id as f32 / 100.0]);
        let until = |id: u64| if id < 5 { 2_000 } else { 3_000 };
        rows.upsert((0..20).map(|id| near(id).expires_at(until(id))).collect()).unwrap();
        let (view, recall) = (rows.view(), recall(1.0));
        let query = Query::nearest([1.0, 0.0], 5);
        let mut found = view.query(&query).unwrap();
        found.stats.exact = false;
        recall.draw("c", &query).unwrap().compare(&view, &found);
        now.store(2_500, Ordering::Relaxed);
        counted(&recall, 1).await;
        assert_eq!(recall.measured(), [("c".to_owned(), Measured { queries: 1, wanted: 5, found: 5 })]);
    }

    /// Callers who left after milliseconds lowered the recall of a collection, and an alert fired.
    #[tokio::test]
    async fn what_a_caller_left_is_not_measured() {
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        rows.upsert((0..4_u64).map(|id| Point::new(id, [1.0, 0.0])).collect()).unwrap();
        let (view, recall, query) = (rows.view(), recall(1.0), Query::nearest([1.0, 0.0], 2));
        let mut found = view.query(&query).unwrap();
        found.hits.clear();
        found.stats.interrupted = Some(Interrupted::Cancelled);
        recall.draw("c", &query).unwrap().compare(&view, &found);
        assert_eq!((recall.skipped(), recall.measured()), (1, Vec::new()));
        assert!(recall.draw("c", &query).is_some(), "another one may be measured");
    }

    #[test]
    fn rows_that_score_like_the_last_are_as_right() {
        let db = Db::in_memory().unwrap();
        let rows = db.create_collection("c", Schema::new(2).unwrap()).unwrap();
        rows.upsert((0..4_u64).map(|id| Point::new(id, [1.0, 0.0])).collect()).unwrap();
        let exact = rows.view().query(&Query::nearest([1.0, 0.0], 2)).unwrap();
        let score = exact.hits[0].score;
        let others: Vec<(PointId, Option<f32>)> = [2_u64, 3].map(|id| (id.into(), score)).to_vec();
        assert_eq!(overlap(&exact, &others), (2, 2));
        let worse: Vec<(PointId, Option<f32>)> = [7_u64, 8].map(|id| (id.into(), Some(-1.0))).to_vec();
        assert_eq!(overlap(&exact, &worse), (2, 0));
    }
}
