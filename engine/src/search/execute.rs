//! Searching one view: each segment by its plan, then one list of all.
//!
//! A walk that found fewer rows than there are to find (a filter that the graph cannot be walked under, or rows that
//! came while it walked) is followed by a scan: a filtered search returns `k` rows if `k` rows match.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::plan::{self, Counts, Plan, Wanted};
use super::{Hit, SearchRequest, SearchResponse, SearchStats};
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::graph::WalkRequest;
use crate::limits::{EF_MAX, K_MAX, check_limit};
use crate::payload::{CompiledFilter, Payload};
use crate::segment::{Candidates, Segment, SegmentView};
use crate::validate;
use crate::vectors::{Encodings, Slot};

/// Rows scored with one call.
const SCAN_BLOCK: usize = 256;

/// A request that fits its collection.
struct Query {
    vector: Vec<f32>,
    filter: Option<CompiledFilter>,
    wanted: Wanted,
}

impl Query {
    fn new(view: &ViewState, request: &SearchRequest) -> Result<Self> {
        if request.k == 0 {
            return Err(Error::invalid("k", "a search asks for at least one row"));
        }
        check_limit("k", "K_MAX", K_MAX, request.k)?;
        let ef = request.ef.unwrap_or_else(|| plan::default_ef(request.k));
        if ef == 0 {
            return Err(Error::invalid("ef", "a walk has a width of at least one"));
        }
        check_limit("ef", "EF_MAX", EF_MAX, ef)?;
        let vector = validate::vector("vector", request.vector.clone(), &view.schema)?;
        let filter =
            request.filter.as_ref().map(|filter| CompiledFilter::new(filter, &view.fields)).transpose()?;
        let wanted = Wanted { k: request.k, ef: ef.max(request.k), exact: request.exact };
        Ok(Self { vector, filter, wanted })
    }
}

/// Searches a view.
pub(crate) fn search(view: &ViewState, request: &SearchRequest) -> Result<SearchResponse> {
    let query = Query::new(view, request)?;
    view.check()?;
    let mut stats = SearchStats { segments: 0, distances: 0, exact: true };
    let mut found: Vec<(f32, usize, Slot)> = Vec::new();
    for (index, segment) in view.segments.iter().enumerate() {
        stats.segments += 1;
        let searching = Searching {
            segment,
            query: &query,
            encodings: &view.encodings,
            degree: view.schema.graph.degree,
        };
        let nearest = searching.run(&mut stats);
        found.extend(nearest.into_iter().map(|(distance, slot)| (distance, index, slot)));
    }
    found.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    found.truncate(request.k);
    let hits = found
        .into_iter()
        .map(|(distance, index, slot)| {
            let segment = &view.segments[index];
            let payload = if request.with_payload {
                segment.payload(slot.0, &view.fields, None)
            } else {
                Payload::new()
            };
            Hit { id: segment.id(slot.0), score: view.encodings.score(distance), payload }
        })
        .collect();
    Ok(SearchResponse { hits, stats })
}

struct Searching<'a> {
    segment: &'a SegmentView,
    query: &'a Query,
    encodings: &'a Encodings,
    degree: usize,
}

impl Searching<'_> {
    /// The nearest rows of the segment, at most `k`, nearest first.
    fn run(&self, stats: &mut SearchStats) -> Vec<(f32, Slot)> {
        let vectors = self.segment.vector_count();
        // Without a filter and without deaths every vector is a candidate, and no bitmap is needed to say so.
        let is_whole = self.query.filter.is_none() && self.segment.dead.vectors == 0;
        let candidates = (!is_whole).then(|| self.segment.candidates(self.query.filter.as_ref()));
        let count = candidates.as_ref().map_or(vectors, |candidates| candidates.count);
        let counts = Counts { vectors, candidates: count, degree: self.degree };
        match plan::choose(&counts, &self.query.wanted) {
            Plan::Skip => Vec::new(),
            Plan::Scan => self.scan(candidates, stats),
            Plan::Walk { distances_max } => {
                let nearest = self.walk(candidates.as_ref(), distances_max, stats);
                if nearest.len() >= self.query.wanted.k.min(count) {
                    stats.exact = false;
                    return nearest;
                }
                self.scan(candidates, stats)
            }
        }
    }

    /// What the graph leads to; nothing if it took too long.
    fn walk(
        &self,
        candidates: Option<&Candidates>,
        distances_max: u64,
        stats: &mut SearchStats,
    ) -> Vec<(f32, Slot)> {
        let Wanted { k, ef, .. } = self.query.wanted;
        let (rows, query) = (self.segment.picked_vectors(), &self.query.vector);
        let scorer = self.segment.encoding(self.encodings).scorer(query, rows);
        let admit = candidates.map(|candidates| &candidates.bits);
        let request = WalkRequest { ef, visible: self.segment.rows, admit, distances_max };
        let walk = match &self.segment.segment {
            Segment::Growing(segment) => segment.graph.search(&*scorer, &request),
            Segment::Sealed(segment) => segment.graph.search(&*scorer, &request),
        };
        stats.distances += walk.distances;
        if walk.cut {
            return Vec::new();
        }
        let mut nearest = match scorer.margin() {
            0.0 => walk.candidates,
            margin => self.reranked(walk.candidates, margin, stats),
        };
        nearest.truncate(k);
        nearest
    }

    /// Candidates in the order of their exact distances, as far as their scores leave it in doubt whether they are
    /// among the `k` nearest.
    fn reranked(
        &self,
        mut candidates: Vec<(f32, Slot)>,
        margin: f32,
        stats: &mut SearchStats,
    ) -> Vec<(f32, Slot)> {
        let k = self.query.wanted.k;
        let exact = self.encodings.exact_scorer(&self.query.vector, self.segment.picked_vectors());
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

    /// The nearest of all candidates.
    fn scan(&self, candidates: Option<Candidates>, stats: &mut SearchStats) -> Vec<(f32, Slot)> {
        let candidates = candidates.unwrap_or_else(|| self.segment.candidates(None));
        let scorer = self.encodings.exact_scorer(&self.query.vector, self.segment.vectors());
        let k = self.query.wanted.k;
        let mut nearest: BinaryHeap<Found> = BinaryHeap::with_capacity(k.min(candidates.count) + 1);
        let mut distances = [0.0; SCAN_BLOCK];
        let mut slots = Vec::with_capacity(SCAN_BLOCK);
        let mut ones = candidates.bits.ones().map(|slot| Slot(slot as u32));
        loop {
            slots.clear();
            slots.extend(ones.by_ref().take(SCAN_BLOCK));
            if slots.is_empty() {
                break;
            }
            let distances = &mut distances[..slots.len()];
            scorer.score(&slots, distances);
            for (&distance, &slot) in distances.iter().zip(&slots) {
                let found = Found(distance, slot);
                if nearest.len() < k {
                    nearest.push(found);
                } else if nearest.peek().is_some_and(|farthest| found < *farthest) {
                    nearest.pop();
                    nearest.push(found);
                }
            }
        }
        stats.distances += candidates.count as u64;
        nearest.into_sorted_vec().into_iter().map(|Found(distance, slot)| (distance, slot)).collect()
    }
}

fn by_distance(a: &(f32, Slot), b: &(f32, Slot)) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
}

/// A row and its distance, in the order of both.
#[derive(Clone, Copy, Debug)]
struct Found(f32, Slot);

impl Ord for Found {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Found {}
