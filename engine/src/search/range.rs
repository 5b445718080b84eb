//! Range search: all rows nearer than a threshold, however many that are.
//!
//! **Problem.** A walk has a width, and how wide it has to be depends on how many rows there are to find, which nobody
//! knows before.
//!
//! **Idea.** Walk with a small width and double it until it was wide enough: the farthest candidate is beyond the
//! threshold by more than scores may be off, and the walk was as wide as a search for so many rows is by default, so the
//! rows within the threshold are found as surely as the `k` of a search. Candidates whose score leaves it in doubt on
//! which side they are get exact distances. Where so wide a walk would compare as many rows as a scan (the same cost
//! that plans a search), the segment is scanned instead, which is exact.
//!
//! **Invariants.** Every returned row is within the threshold, by its exact score; approximate means that some are
//! missing. Which ones were kept when there are more than the limit: the nearest of those found.
//!
//! **Cost.** All walks together compare at most about twice as much as the last one, because each is half as wide as the
//! next. Walking on with one pool that grows would save that, at the price of a walk that knows of thresholds; it
//! was not done.

mod request;

use std::collections::HashSet;
use std::time::Instant;

pub use self::request::{RangeRequest, RangeResponse};
use super::SearchStats;
use super::execute::{Ranked, by_rank};
use super::explain::{Begun, Explain, Reports, SegmentPlan, Stage, micros_since};
use super::hits::hits;
use super::plan::{self, Counts, Plan, Wanted, Way};
use super::scan::{Scan, compare};
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::graph::WalkRequest;
use crate::interrupt::{Token, Watch};
use crate::limits::{RANGE_ROWS_MAX, check_limit};
use crate::payload::CompiledFilter;
use crate::schema::Metric;
use crate::segment::{Candidates, DenseView, Parts};
use crate::validate;
use crate::vectors::{Encodings, Slot};

/// Rows within the reach, of which the nearest are kept.
pub(crate) struct Nearest {
    /// Rows farther than this are not wanted. Falls when there are too many.
    reach: f32,
    limit: usize,
    found: Vec<Ranked>,
    /// Rows that were kept, perhaps for a while.
    taken: usize,
    truncated: bool,
}

impl Nearest {
    pub(crate) fn new(reach: f32, limit: usize) -> Self {
        Self { reach, limit, found: Vec::new(), taken: 0, truncated: false }
    }

    pub(crate) fn offer(&mut self, row: Ranked) {
        if row.0 > self.reach {
            return;
        }
        self.found.push(row);
        self.taken += 1;
        // Twice the limit, so that choosing the nearest is paid by as many rows as it looks at.
        if self.found.len() > 2 * self.limit {
            self.cut();
        }
    }

    /// Keeps the nearest, unsorted.
    fn cut(&mut self) {
        if self.found.len() > self.limit {
            let (_, last, _) = self.found.select_nth_unstable_by(self.limit - 1, by_rank);
            self.reach = last.0;
            self.found.truncate(self.limit);
            self.truncated = true;
        }
    }

    /// The rows, nearest first, and whether there were more.
    pub(crate) fn finish(mut self) -> (Vec<Ranked>, bool) {
        self.cut();
        self.found.sort_unstable_by(by_rank);
        (self.found, self.truncated)
    }
}

/// A request that fits its collection, and how far it has come.
struct Ranging<'a> {
    vector: Vec<f32>,
    /// Of the vector among the dense ones.
    place: usize,
    filter: Option<CompiledFilter>,
    exact: bool,
    encodings: &'a Encodings,
    degree: usize,
    watch: Watch,
    nearest: Nearest,
    stats: SearchStats,
}

/// Finds the rows of a range.
pub(crate) fn search_range(view: &ViewState, asked: &RangeRequest, of: Token<'_>) -> Result<RangeResponse> {
    view.check()?;
    let began = asked.explain.then(Instant::now);
    let mut ranging = Ranging::new(view, asked, of)?;
    let mut reports = Reports::wanted(asked.explain);
    for (index, segment) in view.segments.iter().enumerate() {
        if ranging.watch.poll() {
            break;
        }
        ranging.stats.segments += 1;
        let place = ranging.place;
        for part in Parts::of(segment, place).iter() {
            let taken = ranging.nearest.taken;
            let mut begun = reports.begin(index, part, &mut ranging.stats);
            ranging.run(index, &part.dense(place), &mut begun);
            let found = ranging.nearest.taken - taken;
            reports.end(begun, found, &mut ranging.stats, &ranging.watch);
        }
    }
    let Ranging { watch, nearest, mut stats, place, .. } = ranging;
    let (found, truncated) = nearest.finish();
    stats.interrupted = watch.interrupted();
    stats.exact &= stats.interrupted.is_none();
    let searched = began.map(|began| Stage {
        path: "range".into(),
        runs: 1,
        wanted: asked.limit as u64,
        rows: found.len() as u64,
        exact: stats.exact,
        micros: micros_since(began),
        postings: 0,
        segments: reports.finish().unwrap_or_default(),
    });
    let hits = hits(view, (found, place), asked.with_payload);
    let explain = began.zip(searched).map(|(began, stage)| Explain {
        exact: stats.exact,
        micros: micros_since(began),
        stages: vec![stage],
    });
    Ok(RangeResponse { hits, truncated, stats, explain })
}

impl<'a> Ranging<'a> {
    fn new(view: &'a ViewState, request: &RangeRequest, token: Token<'_>) -> Result<Self> {
        let watch = Watch::new(request.budget, request.cancel.as_ref()).and(token);
        let threshold = request.threshold;
        if !threshold.is_finite() {
            return Err(Error::invalid("threshold", format!("{threshold} is not a finite number")));
        }
        let place = view.schema.dense_place("vector_name", &request.vector_name)?;
        let Some((.., options)) = view.schema.dense().nth(place) else { unreachable!("it has a place") };
        if options.metric == Metric::L2 && threshold < 0.0 {
            return Err(Error::invalid(
                "threshold",
                format!("no Euclidean distance is below zero, as {threshold} is"),
            ));
        }
        if request.limit == 0 {
            return Err(Error::invalid("limit", "a search asks for at least one row"));
        }
        check_limit("limit", "RANGE_ROWS_MAX", RANGE_ROWS_MAX, request.limit)?;
        let encodings = &view.encodings[place];
        Ok(Self {
            vector: validate::dense("vector", request.vector.clone(), options)?,
            place,
            filter: view.compiled(request.filter.as_ref())?,
            exact: request.exact,
            encodings,
            degree: options.graph.degree,
            watch,
            nearest: Nearest::new(encodings.reach(threshold), request.limit),
            stats: SearchStats { exact: true, ..SearchStats::default() },
        })
    }

    /// Adds the rows of a segment.
    fn run(&mut self, index: usize, dense: &DenseView<'_>, begun: &mut Begun) {
        if let Some(nodes) = dense.few(self.filter.as_ref(), &self.watch) {
            begun
                .takes(if nodes.is_empty() { SegmentPlan::Skip } else { SegmentPlan::ScanRows }, nodes.len());
            let scorer = self.encodings.exact_scorer(&self.vector, dense.vectors());
            let nearest = &mut self.nearest;
            self.stats.distances += compare(&*scorer, &self.watch, &nodes, |distance, node| {
                nearest.offer((distance, index, dense.slot_of(node)));
            });
            return;
        }
        let vectors = dense.count();
        let is_whole = self.filter.is_none() && dense.dead() == 0;
        let candidates = (!is_whole).then(|| dense.candidates(self.filter.as_ref(), &self.watch));
        let count = candidates.as_ref().map_or(vectors, |candidates| candidates.count);
        let filtered = self.filter.is_some();
        // Its scans compare exact rows: what is within reach is returned, however many.
        let counts = Counts {
            vectors,
            candidates: count,
            degree: self.degree,
            filtered,
            has_codes: false,
            blocks: None,
        };
        let mut seen = Vec::new();
        let mut ef = plan::default_ef(1);
        let must_scan = loop {
            let way = match plan::choose(&counts, &Wanted { k: 1, ef, exact: self.exact }) {
                Plan::Skip => {
                    begun.takes(SegmentPlan::Skip, count);
                    return;
                }
                Plan::Scan => break true,
                Plan::Walk(_) if !dense.segment.has_graph => break true,
                Plan::Walk(way) => way,
            };
            begun.takes(way, count);
            match self.walk(dense, candidates.as_ref(), (ef.min(count), way), &mut seen) {
                Walked::Whole(rows) => {
                    self.stats.exact = false;
                    let found =
                        rows.into_iter().map(|(distance, node)| (distance, index, dense.slot_of(node)));
                    found.for_each(|row| self.nearest.offer(row));
                    return;
                }
                Walked::Narrow => ef *= 2,
                Walked::Costly => break true,
                Walked::Interrupted => break false,
            }
        };
        if must_scan {
            begun.takes(SegmentPlan::ScanRows, count);
            let candidates = candidates.unwrap_or_else(|| dense.candidates(None, &self.watch));
            let scorer = self.encodings.exact_scorer(&self.vector, dense.vectors());
            let scan = Scan { candidates: &candidates, scorer: &*scorer, sieve: None, watch: &self.watch };
            let nearest = &mut self.nearest;
            self.stats.distances += scan.run(|distance, node| {
                if distance <= nearest.reach {
                    nearest.offer((distance, index, dense.slot_of(node)));
                }
                nearest.reach
            });
        }
        if self.watch.interrupted().is_some() {
            self.keep(index, dense, seen);
        }
    }

    /// One walk, and whether it was wide enough. `seen` are the rows that the walks before left in doubt, and then those
    /// that this one does.
    fn walk(
        &mut self,
        dense: &DenseView<'_>,
        candidates: Option<&Candidates>,
        (ef, way): (usize, Way),
        seen: &mut Vec<Slot>,
    ) -> Walked {
        let rows = dense.picked_vectors();
        let scorer = dense.encoding(self.encodings).scorer(&self.vector, rows);
        let (margin, reach) = (scorer.margin(), self.nearest.reach);
        let admit = candidates.map(|candidates| &*candidates.bits);
        let request = WalkRequest {
            visible: dense.visible(),
            admit,
            among_admitted: way.among_admitted,
            distances_max: way.distances_max,
            watch: Some(&self.watch),
            ..WalkRequest::new(ef)
        };
        let walk = dense.walk(&*scorer, &request);
        self.stats.distances += walk.distances;
        let is_all_of_the_graph = walk.candidates.len() < ef;
        let farthest = walk.candidates.last().map_or(f32::INFINITY, |row| row.0);
        let mut found = walk.candidates;
        found.truncate(found.partition_point(|row| row.0 - margin <= reach));
        let slots: Vec<Slot> = found.iter().map(|row| row.1).collect();
        if self.watch.interrupted().is_some() {
            // It is wider than those before it, but did not come as far.
            seen.extend(slots);
            return Walked::Interrupted;
        }
        seen.clone_from(&slots);
        if walk.cut || is_all_of_the_graph {
            return Walked::Costly;
        }
        // As wide as a search for so many rows is by default; more than the limit need not be found.
        let is_wide_for = |rows: usize| plan::default_ef(rows.min(self.nearest.limit)) <= ef;
        // Where a margin says nothing of distances, only the number of rows counts.
        let is_beyond = farthest - margin > reach || margin.is_infinite();
        if !is_beyond && !is_wide_for(ef) {
            return Walked::Narrow;
        }
        if margin > 0.0 {
            let mut distances = vec![0.0; slots.len()];
            self.encodings.exact_scorer(&self.vector, rows).score(&slots, &mut distances);
            self.stats.distances += slots.len() as u64;
            found = distances.into_iter().zip(slots).filter(|row| row.0 <= reach).collect();
        }
        if is_wide_for(found.len()) { Walked::Whole(found) } else { Walked::Narrow }
    }

    /// Adds the rows that walks have seen before the interruption, and that were not added since.
    fn keep(&mut self, index: usize, dense: &DenseView<'_>, mut seen: Vec<Slot>) {
        let added = self.nearest.found.iter().filter(|row| row.1 == index);
        let mut known: HashSet<Slot> = added.map(|row| row.2).collect();
        seen.retain(|node| known.insert(dense.slot_of(*node)));
        let mut distances = vec![0.0; seen.len()];
        self.encodings.exact_scorer(&self.vector, dense.picked_vectors()).score(&seen, &mut distances);
        self.stats.distances += seen.len() as u64;
        for (distance, node) in distances.into_iter().zip(seen) {
            self.nearest.offer((distance, index, dense.slot_of(node)));
        }
    }
}

/// What came of a walk.
enum Walked {
    /// It was wide enough: the rows within the reach, with their exact distances.
    Whole(Vec<(f32, Slot)>),
    /// A wider one may find more.
    Narrow,
    /// It compared more than a scan would, or the graph led it to fewer rows than there are.
    Costly,
    Interrupted,
}
