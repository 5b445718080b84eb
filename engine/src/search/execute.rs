//! Searching one view: each segment by its plan, then one list of all.
//!
//! A walk that found fewer rows than there are to find (a filter that the graph cannot be walked under, or rows that
//! came while it walked) is followed by a scan: a filtered search returns `k` rows if `k` rows match. Only an interrupted
//! search returns fewer: it keeps what the walk or scan under way has found, in exact order, and looks at no further
//! segment.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Instant;

use super::explain::{Begun, Explain, Reports, SegmentPlan, Stage, micros_since};
use super::hits::hits;
use super::plan::{self, Counts, Plan, Wanted, Way};
use super::screened::{Admitted, Screening};
use super::{SearchRequest, SearchResponse, SearchStats};
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::graph::{Stop, WalkRequest};
use crate::interrupt::{Token, Watch};
use crate::limits::{EF_MAX, K_MAX, check_limit};
use crate::payload::CompiledFilter;
use crate::schema::DenseOptions;
use crate::segment::{DenseView, Parts, SegmentView};
use crate::validate;
use crate::vectors::{Encodings, Slot};

/// Which rows are nearest to what: a request that fits its collection.
pub(crate) struct Query {
    /// In the form that is compared.
    pub(super) vector: Vec<f32>,
    /// Of the vector among the dense ones.
    place: usize,
    /// Links of a node.
    pub(super) degree: usize,
    /// Whether codes are of all components, so that a scan can do with them.
    scans_codes: bool,
    pub(super) filter: Option<Arc<CompiledFilter>>,
    pub(super) wanted: Wanted,
}

impl Query {
    pub(super) fn new(view: &ViewState, request: &SearchRequest) -> Result<Self> {
        if request.k == 0 {
            return Err(Error::invalid("k", "a search asks for at least one row"));
        }
        check_limit("k", "K_MAX", K_MAX, request.k)?;
        let ef = request.ef.unwrap_or_else(|| plan::default_ef(request.k));
        if ef == 0 {
            return Err(Error::invalid("ef", "a walk has a width of at least one"));
        }
        check_limit("ef", "EF_MAX", EF_MAX, ef)?;
        let place = view.schema.dense_place("vector_name", &request.vector_name)?;
        let Some((.., options)) = view.schema.dense().nth(place) else { unreachable!("it has a place") };
        let vector = validate::dense("vector", request.vector.clone(), options)?;
        let filter = view.compiled(request.filter.as_ref())?.map(Arc::new);
        let wanted = Wanted { k: request.k, ef: ef.max(request.k), exact: request.exact };
        Ok(Self::of((place, options), vector, filter, wanted))
    }

    /// What is nearest to a vector that was checked, of those in a place among the dense ones.
    pub(crate) fn of(
        (place, options): (usize, &DenseOptions),
        vector: Vec<f32>,
        filter: Option<Arc<CompiledFilter>>,
        wanted: Wanted,
    ) -> Self {
        let (degree, scans_codes) = (options.graph.degree, options.walked() == options.dimension);
        Self { vector, place, degree, scans_codes, filter, wanted }
    }
}

/// Searches a view.
pub(crate) fn search(view: &ViewState, request: &SearchRequest, token: Token<'_>) -> Result<SearchResponse> {
    view.check()?;
    let watch = Watch::new(request.budget, request.cancel.as_ref()).and(token);
    Ok(answer(view, request, &Query::new(view, request)?, &watch))
}

/// Answers a request that was checked.
pub(super) fn answer(
    view: &ViewState,
    request: &SearchRequest,
    query: &Query,
    watch: &Watch,
) -> SearchResponse {
    let began = request.explain.then(Instant::now);
    let mut reports = Reports::wanted(request.explain);
    let (found, stats) = nearest(view, query, watch, &mut reports);
    let searched = began.map(|began| Stage {
        path: "search".into(),
        runs: 1,
        wanted: query.wanted.k as u64,
        rows: found.len() as u64,
        exact: stats.exact,
        micros: micros_since(began),
        postings: 0,
        segments: reports.finish().unwrap_or_default(),
    });
    let hits = hits(view, (found, query.place), request.with_payload);
    let explain = began.zip(searched).map(|(began, stage)| Explain {
        exact: stats.exact,
        micros: micros_since(began),
        stages: vec![stage],
    });
    SearchResponse { hits, stats, explain }
}

/// The nearest rows of a view, nearest first, and how they were found.
pub(crate) fn nearest(
    view: &ViewState,
    query: &Query,
    watch: &Watch,
    reports: &mut Reports,
) -> (Vec<Ranked>, SearchStats) {
    let mut stats = SearchStats { exact: true, ..SearchStats::default() };
    let mut found: Vec<Ranked> = Vec::new();
    for (index, segment) in largest_first(&view.segments) {
        if watch.poll() {
            break;
        }
        stats.segments += 1;
        for part in Parts::of(segment, query.place).iter() {
            let searching = Searching {
                dense: part.dense(query.place),
                query,
                encodings: &view.encodings[query.place],
                watch,
                nearest: found.iter().map(|row| row.0).fold(f32::INFINITY, f32::min),
                bound: kth(&mut found, query.wanted.k),
            };
            let mut begun = reports.begin(index, part, &mut stats);
            let nearest = searching.run(&mut stats, &mut begun);
            reports.end(begun, nearest.len(), &mut stats, watch);
            let dense = searching.dense;
            found.extend(nearest.into_iter().map(|(distance, node)| (distance, index, dense.slot_of(node))));
        }
    }
    found.sort_unstable_by(by_rank);
    found.truncate(query.wanted.k);
    stats.interrupted = watch.interrupted();
    stats.exact &= stats.interrupted.is_none();
    (found, stats)
}

/// The segments and their places: what is found in a large one spares work in those after it.
fn largest_first(segments: &[SegmentView]) -> impl Iterator<Item = (usize, &SegmentView)> {
    let mut order: Vec<(usize, &SegmentView)> = segments.iter().enumerate().collect();
    order.sort_by_key(|(_, segment)| std::cmp::Reverse(segment.rows));
    order.into_iter()
}

/// The width of a walk after another has found as many rows as are wanted: some of this segment's are beyond those. With it, a
/// collection of several segments has about the recall of one (60,000 text embeddings, `ef` 64: .977 in one segment, in two
/// and four .978 and .975, where full width has .985 and .984 and takes a fifth longer).
fn later_width(ef: usize) -> usize {
    (ef * 2).div_ceil(3)
}

/// The distance of the `k`-th nearest found, infinite while there are fewer.
fn kth(found: &mut [Ranked], k: usize) -> f32 {
    if found.len() < k {
        return f32::INFINITY;
    }
    found.select_nth_unstable_by(k - 1, by_rank).1.0
}

/// A row of a view: its exact distance, its segment, its slot.
pub(crate) type Ranked = (f32, usize, Slot);

/// The order of results.
pub(super) fn by_rank(a: &Ranked, b: &Ranked) -> Ordering {
    a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2)))
}

/// A query on its way through one segment. Its rows are nodes of the vector that is asked for.
pub(super) struct Searching<'a> {
    pub(super) dense: DenseView<'a>,
    pub(super) query: &'a Query,
    pub(super) encodings: &'a Encodings,
    pub(super) watch: &'a Watch,
    /// The nearest row that was found already.
    nearest: f32,
    /// As many rows as are wanted were found within this distance already.
    pub(super) bound: f32,
}

impl Searching<'_> {
    /// The nearest rows of the segment, at most `k`, nearest first.
    fn run(&self, stats: &mut SearchStats, begun: &mut Begun) -> Vec<(f32, Slot)> {
        if let Some(nodes) = self.dense.few(self.query.filter.as_deref(), self.watch) {
            let by = plan::scan_of_few(nodes.len(), self.has_codes(), &self.query.wanted);
            match nodes.len() {
                0 => begun.takes(SegmentPlan::Skip, 0),
                count => begun.takes(by, count),
            }
            return self.scan_few(&nodes, by, stats);
        }
        let mut may_walk = self.dense.segment.has_graph;
        if may_walk {
            match self.run_screened(stats, begun) {
                Screening::Found(nearest) => return nearest,
                Screening::Vain { is_cut } => may_walk = !is_cut,
            }
        }
        let vectors = self.dense.count();
        // Without a filter and without deaths every vector is a candidate, and no bitmap is needed to say so.
        let is_whole = self.query.filter.is_none() && self.dense.dead() == 0;
        let candidates = (!is_whole).then(|| self.dense.candidates(self.query.filter.as_deref(), self.watch));
        let count = candidates.as_ref().map_or(vectors, |candidates| candidates.count);
        let filtered = self.query.filter.is_some();
        let has_codes = self.has_codes();
        let blocks = self.blocks(candidates.as_ref());
        let counts =
            Counts { vectors, candidates: count, degree: self.query.degree, filtered, has_codes, blocks };
        let scan_by = plan::cheapest_scan(&counts, &self.query.wanted).0;
        let plan = match plan::choose(&counts, &self.query.wanted) {
            Plan::Walk(_) if !may_walk => Plan::Scan,
            plan => plan,
        };
        match plan {
            Plan::Skip => {
                begun.takes(SegmentPlan::Skip, count);
                Vec::new()
            }
            Plan::Scan => {
                begun.takes(scan_by, count);
                self.scan(candidates, scan_by, stats)
            }
            Plan::Walk(way) => {
                begun.takes(way, count);
                let set = candidates.as_ref().map(|candidates| &*candidates.bits);
                let admitted = Admitted { set, screened: None };
                let (nearest, is_cut) = self.walk_as_wide_as_needed(admitted, way, stats);
                let is_enough = !is_cut && nearest.len() >= self.query.wanted.k.min(count);
                if is_enough || self.watch.interrupted().is_some() {
                    stats.exact = false;
                    return nearest;
                }
                begun.takes(scan_by, count);
                let scanned = self.scan(candidates, scan_by, stats);
                match self.watch.interrupted() {
                    None => scanned,
                    Some(_) => nearest_of_both(nearest, scanned, self.query.wanted.k),
                }
            }
        }
    }

    /// Whether a scan can compare codes.
    pub(super) fn has_codes(&self) -> bool {
        self.query.scans_codes && self.dense.encoding(self.encodings).codec().is_some()
    }

    /// What the graph leads to, and whether the walk was cut short. After another segment gave as many rows as are wanted the
    /// walk is narrower, unless it turns out that what is near is all in this one.
    pub(super) fn walk_as_wide_as_needed(
        &self,
        admitted: Admitted<'_>,
        way: Way,
        stats: &mut SearchStats,
    ) -> (Vec<(f32, Slot)>, bool) {
        let Wanted { k, ef, .. } = self.query.wanted;
        if self.bound.is_finite() {
            let (nearest, is_cut) = self.walk((admitted, later_width(ef).max(k)), way, stats);
            if nearest.get(k - 1).is_none_or(|kth| kth.0 > self.nearest) {
                return (nearest, is_cut);
            }
        }
        self.walk((admitted, ef), way, stats)
    }

    fn walk(
        &self,
        (admitted, ef): (Admitted<'_>, usize),
        way: Way,
        stats: &mut SearchStats,
    ) -> (Vec<(f32, Slot)>, bool) {
        let k = self.query.wanted.k;
        let (rows, query) = (self.dense.picked_vectors(), &self.query.vector);
        let scorer = self.dense.encoding(self.encodings).scorer(query, rows);
        let Way { distances_max, among_admitted } = way;
        // Not where codes leave every candidate in doubt.
        let shift = scorer.shift().filter(|_| scorer.margin().is_finite());
        let stop = shift.map(|shift| Stop { k: admitted.widened(k), shift, bound: self.bound });
        let visible = self.dense.visible();
        let watch = Some(self.watch);
        let (ef, admit) = (admitted.widened(ef), admitted.set);
        let screen = admitted.screened.map(|screened| &screened.screen);
        let request = WalkRequest { ef, visible, admit, screen, among_admitted, distances_max, watch, stop };
        let mut walk = self.dense.walk(&*scorer, &request);
        stats.distances += walk.distances;
        if let Some(screened) = admitted.screened {
            self.keep_passing(screened, &mut walk.candidates);
        }
        let mut nearest = match scorer.margin() {
            0.0 => walk.candidates,
            margin => self.reranked(walk.candidates, margin, stats),
        };
        nearest.truncate(k);
        (nearest, walk.cut)
    }

    /// Candidates in the order of their exact distances, as far as their scores leave it in doubt whether they are
    /// among the `k` nearest.
    pub(super) fn reranked(
        &self,
        mut candidates: Vec<(f32, Slot)>,
        margin: f32,
        stats: &mut SearchStats,
    ) -> Vec<(f32, Slot)> {
        let k = self.query.wanted.k;
        let exact = self.encodings.exact_scorer(&self.query.vector, self.dense.picked_vectors());
        let mut compare = |candidates: &mut [(f32, Slot)]| {
            let slots: Vec<Slot> = candidates.iter().map(|(_, slot)| *slot).collect();
            let mut distances = vec![0.0; slots.len()];
            exact.score(&slots, &mut distances);
            stats.distances += slots.len() as u64;
            candidates.iter_mut().zip(distances).for_each(|(candidate, distance)| candidate.0 = distance);
        };
        // Whoever could be nearer than the k-th is likely to be, so they are compared at once.
        let doubtful = |candidates: &[(f32, Slot)], kth: f32| {
            candidates.partition_point(|(distance, _)| *distance - margin <= kth)
        };
        let kth = candidates.get(k - 1).map_or(f32::INFINITY, |candidate| candidate.0);
        let first = doubtful(&candidates, kth);
        // Most of them are hits, whose ids are read next.
        candidates[..first].iter().for_each(|(_, node)| self.dense.prefetch_id_end(*node));
        compare(&mut candidates[..first]);
        candidates[..first].sort_unstable_by(by_distance);
        // If the k-th turned out farther than its score had it, some more are in doubt.
        let kth = candidates.get(k - 1).map_or(f32::INFINITY, |candidate| candidate.0);
        let all = first + doubtful(&candidates[first..], kth);
        if all > first {
            compare(&mut candidates[first..all]);
            candidates[..all].sort_unstable_by(by_distance);
        }
        candidates.truncate(all);
        candidates
    }
}

/// The `k` nearest of what a walk and an interrupted scan have found, with exact distances both.
fn nearest_of_both(mut walked: Vec<(f32, Slot)>, scanned: Vec<(f32, Slot)>, k: usize) -> Vec<(f32, Slot)> {
    walked.extend(scanned);
    // By slot: rounding may depend on which rows are compared in one call.
    walked.sort_unstable_by_key(|(_, slot)| *slot);
    walked.dedup_by_key(|(_, slot)| *slot);
    walked.sort_unstable_by(by_distance);
    walked.truncate(k);
    walked
}

/// The order of the rows of a segment.
pub(super) fn by_distance(a: &(f32, Slot), b: &(f32, Slot)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_a_walk_and_a_scan_found_comes_once() {
        let rows =
            |rows: &[(f32, u32)]| rows.iter().map(|(distance, slot)| (*distance, Slot(*slot))).collect();
        let (walked, scanned) =
            (rows(&[(1.0, 7), (2.0, 1), (4.0, 3)]), rows(&[(1.5, 0), (2.000_1, 1), (5.0, 2)]));
        let both = nearest_of_both(walked, scanned, 4);
        let slots: Vec<u32> = both.iter().map(|(_, slot)| slot.0).collect();
        assert_eq!(slots, [7, 0, 1, 3]);
        assert_eq!(nearest_of_both(both, Vec::new(), 2).len(), 2);
    }
}
