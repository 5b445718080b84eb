//! Graphs against brute force, against concurrency and against damage.

mod damage;
mod ended;
mod order;
mod resumed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fixedbitset::FixedBitSet;
use proptest::prelude::*;

use super::sealed::GraphError;
use super::*;
use crate::pace::at_once;
use crate::random::SplitMix64;
use crate::schema::{DenseOptions, EncodingKind, GraphOptions, Metric};
use crate::signal::Closing;
use crate::vectors::{Encodings, GrowingRows, PairScorer, Rows};

/// Points around a few dozen centres, as embeddings are; under dot their lengths differ.
fn clustered(rows: usize, dimension: usize, metric: Metric, random: &mut SplitMix64) -> Vec<Vec<f32>> {
    let centres: Vec<Vec<f32>> = (0..40).map(|_| (0..dimension).map(|_| random.normal()).collect()).collect();
    let mut row = || {
        let centre = &centres[random.below(centres.len())];
        let mut row: Vec<f32> = centre.iter().map(|x| x + 0.6 * random.normal()).collect();
        match metric {
            Metric::Cosine => {
                let length = ragstone_kernels::norm(&row);
                row.iter_mut().for_each(|x| *x /= length);
            }
            Metric::Dot => {
                let length = 0.5 + random.uniform();
                row.iter_mut().for_each(|x| *x *= length);
            }
            Metric::L2 => {}
        }
        row
    };
    (0..rows).map(|_| row()).collect()
}

/// The encodings of exact rows, which depend on no dimension.
fn exact_encodings(metric: Metric) -> Encodings {
    let options = DenseOptions::new(8).metric(metric).encoding(EncodingKind::F32);
    Encodings::new(&options)
}

fn stored(vectors: &[Vec<f32>]) -> GrowingRows {
    let rows = GrowingRows::new(vectors[0].len(), None);
    vectors.iter().for_each(|vector| {
        rows.push(vector);
    });
    rows
}

fn exact(
    encoding: &Encodings,
    query: &[f32],
    rows: &dyn Rows,
    admits: impl Fn(Slot) -> bool,
    k: usize,
) -> Vec<Slot> {
    let slots: Vec<Slot> = (0..rows.len() as u32).map(Slot).filter(|slot| admits(*slot)).collect();
    let mut distances = vec![0.0; slots.len()];
    encoding.exact_scorer(query, rows).score(&slots, &mut distances);
    let mut all: Vec<_> = distances.into_iter().zip(slots).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    all.into_iter().take(k).map(|x| x.1).collect()
}

fn overlap(found: &Walk, truth: &[Slot]) -> usize {
    found.candidates.iter().take(truth.len()).filter(|x| truth.contains(&x.1)).count()
}

fn assert_sound(wrong: Vec<String>) {
    assert!(wrong.is_empty(), "{} violations: {:#?}", wrong.len(), &wrong[..wrong.len().min(5)]);
}

fn small() -> GraphOptions {
    GraphOptions { degree: 16, ef_construction: 64 }
}

fn opened(built: &BuiltGraph) -> Result<SealedGraph, GraphError> {
    open_verified(built.as_bytes().to_vec())
}

fn open_verified(bytes: Vec<u8>) -> Result<SealedGraph, GraphError> {
    let graph = open_bytes(bytes)?;
    at_once(|pace| graph.verify(pace)).map(|()| graph)
}

/// Bytes at a multiple of four, as a memory map's are.
struct Aligned(Vec<u32>);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

fn open_bytes(bytes: Vec<u8>) -> Result<SealedGraph, GraphError> {
    let mut words = vec![0; bytes.len().div_ceil(4)];
    bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(&bytes);
    SealedGraph::open(Arc::new(Aligned(words)), 0..bytes.len())
}

#[test]
fn finds_what_brute_force_finds_under_every_metric() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut random = SplitMix64(11);
        let vectors = clustered(3_000, 24, metric, &mut random);
        let queries = clustered(100, 24, metric, &mut random);
        let (rows, encoding) = (stored(&vectors), exact_encodings(metric));
        let pairs = encoding.growing.pair_scorer(&rows);
        let options = GraphOptions { degree: 24, ef_construction: 100 };
        let request = BuildRequest { rows: rows.len(), options, seed: 1, stop: Closing::NEVER };
        let graph = opened(&build(&request, &*pairs).unwrap()).unwrap();
        assert_sound(check::sealed(&graph));
        let mut found = 0;
        for query in &queries {
            let walk = graph.search(&*encoding.growing.scorer(query, &rows), &WalkRequest::new(64));
            assert!(walk.candidates.is_sorted_by(|a, b| a.0 <= b.0));
            assert_eq!(walk.candidates.len(), 64);
            assert!(walk.distances < 1_500, "{} distances", walk.distances);
            found += overlap(&walk, &exact(&encoding, query, &rows, |_| true, 10));
        }
        assert!(found >= 950, "recall of {metric:?}: {found} of 1000");
    }
}

/// A growing graph over all of `vectors`, inserted one after another.
fn grown(rows: &GrowingRows, encoding: &Encodings, options: GraphOptions) -> GrowingGraph {
    let graph = GrowingGraph::new(options, 7);
    let pairs = encoding.growing.pair_scorer(rows);
    (0..rows.len() as u32).for_each(|slot| graph.insert(Slot(slot), &*pairs));
    graph
}

#[test]
fn a_growing_graph_finds_what_brute_force_finds_and_hides_what_is_not_admitted() {
    let mut random = SplitMix64(5);
    let vectors = clustered(2_500, 20, Metric::Cosine, &mut random);
    let queries = clustered(60, 20, Metric::Cosine, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::Cosine));
    let graph = grown(&rows, &encoding, small());
    assert_sound(check::growing(&graph));
    let admit: FixedBitSet = (0..2_500).filter(|slot| slot % 5 < 2).collect();
    let (mut found, mut found_admitted) = (0, 0);
    for query in &queries {
        let scorer = encoding.growing.scorer(query, &rows);
        let walk = graph.search(&*scorer, &WalkRequest::new(64));
        found += overlap(&walk, &exact(&encoding, query, &rows, |_| true, 10));

        let request = WalkRequest { visible: 2_000, admit: Some(&admit), ..WalkRequest::new(40) };
        let walk = graph.search(&*scorer, &request);
        let admits = |slot: Slot| slot.0 < 2_000 && slot.0 % 5 < 2;
        assert_eq!(walk.candidates.len(), 40, "as many as asked for, whatever is refused");
        assert!(walk.candidates.iter().all(|x| admits(x.1)));
        found_admitted += overlap(&walk, &exact(&encoding, query, &rows, admits, 10));
    }
    assert!(found >= 570, "recall {found} of 600");
    assert!(found_admitted >= 570, "recall among the admitted {found_admitted} of 600");
}

#[test]
fn a_walk_ends_at_its_limit_and_says_so() {
    let mut random = SplitMix64(6);
    let vectors = clustered(1_500, 16, Metric::L2, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let graph = grown(&rows, &encoding, small());
    let nobody = FixedBitSet::new();
    let scorer = encoding.growing.scorer(&vectors[0], &rows);
    let request = WalkRequest { admit: Some(&nobody), ..WalkRequest::new(10) };
    let all = graph.search(&*scorer, &request);
    assert!(all.candidates.is_empty() && !all.cut);
    assert!(all.distances >= 1_500, "without admitted rows a walk meets every node");
    let cut = graph.search(&*scorer, &WalkRequest { distances_max: 200, ..request });
    assert!(cut.cut && (200..300).contains(&cut.distances), "{cut:?}");
}

#[test]
fn graphs_of_nothing_of_one_and_of_equals() {
    let encoding = exact_encodings(Metric::L2);
    for count in [0, 1, 2, 3, 40, 700] {
        let vectors = vec![vec![1.0, 2.0, 3.0]; count];
        let rows = GrowingRows::new(3, None);
        vectors.iter().for_each(|vector| {
            rows.push(vector);
        });
        let graph = grown(&rows, &encoding, small());
        assert_sound(check::growing(&graph));
        let request = BuildRequest { rows: count, options: small(), seed: 3, stop: Closing::NEVER };
        let sealed = opened(&build(&request, &*encoding.growing.pair_scorer(&rows)).unwrap()).unwrap();
        assert_sound(check::sealed(&sealed));
        let query = [1.0, 2.0, 2.0];
        let scorer = encoding.growing.scorer(&query, &rows);
        let request = WalkRequest::new(count.max(1));
        assert_eq!(graph.search(&*scorer, &request).candidates.len(), count);
        assert_eq!(sealed.search(&*scorer, &request).candidates.len(), count);
    }
}

/// A graph of some of the rows.
fn build_of(nodes: &FixedBitSet, rows: u32, pairs: &dyn PairScorer) -> BuiltGraph {
    let graph = GrowingGraph::new(small(), 3);
    let slots: Vec<Slot> = nodes.ones().map(|slot| Slot(slot as u32)).collect();
    graph.insert_all(&slots, pairs, Closing::NEVER);
    graph.seal(&(0..rows).map(Slot).collect::<Vec<_>>(), pairs)
}

#[test]
fn rows_without_a_vector_are_no_nodes() {
    let mut random = SplitMix64(8);
    let vectors = clustered(900, 12, Metric::L2, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let nodes: FixedBitSet = (0..900).filter(|slot| slot % 3 == 1).collect();
    let graph = opened(&build_of(&nodes, 900, &*encoding.growing.pair_scorer(&rows))).unwrap();
    assert_sound(check::sealed(&graph));
    assert_eq!((graph.len(), graph.rows()), (300, 900));
    let walk = graph.search(&*encoding.growing.scorer(&vectors[0], &rows), &WalkRequest::new(900));
    assert_eq!(walk.candidates.len(), 300);
    assert!(walk.candidates.iter().all(|x| x.1.0 % 3 == 1));
}

#[test]
fn searches_beside_inserts_find_what_was_there_before() {
    let mut random = SplitMix64(9);
    let vectors = clustered(4_000, 16, Metric::Cosine, &mut random);
    let encoding = exact_encodings(Metric::Cosine);
    let rows = stored(&vectors);
    let graph = GrowingGraph::new(small(), 1);
    let (next, inserted) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let pairs = encoding.growing.pair_scorer(&rows);
                loop {
                    let slot = next.fetch_add(1, Ordering::Relaxed);
                    if slot >= vectors.len() {
                        break;
                    }
                    graph.insert(Slot(slot as u32), &*pairs);
                    inserted.fetch_add(1, Ordering::Release);
                }
            });
        }
        scope.spawn(|| {
            let mut random = SplitMix64(10);
            let (mut hits, mut asked) = (0, 0);
            loop {
                let before = inserted.load(Ordering::Acquire);
                // Two writers: all but the last two slots below the count are in for certain.
                let visible = before.saturating_sub(2) as u32;
                if visible > 0 {
                    let own = random.below(visible as usize);
                    let request = WalkRequest { visible, ..WalkRequest::new(32) };
                    let walk = graph.search(&*encoding.growing.scorer(&vectors[own], &rows), &request);
                    assert!(walk.candidates.iter().all(|x| x.1.0 < visible));
                    hits += usize::from(walk.candidates.iter().any(|x| x.1.index() == own));
                    asked += 1;
                }
                if before == vectors.len() {
                    break;
                }
            }
            assert!(hits * 100 >= asked * 98, "{hits} rows of {asked} found themselves");
        });
    });
    assert_eq!(graph.len(), vectors.len());
    assert_sound(check::growing(&graph));
}

#[test]
fn repair_removes_the_dead_and_keeps_recall_and_reach() {
    let mut random = SplitMix64(12);
    let vectors = clustered(2_400, 20, Metric::Cosine, &mut random);
    let queries = clustered(60, 20, Metric::Cosine, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::Cosine));
    let pairs = encoding.growing.pair_scorer(&rows);
    let graph = GrowingGraph::new(small(), 7);
    let mut dead = FixedBitSet::with_capacity(vectors.len());
    for slot in 0..1_800 {
        graph.insert(Slot(slot), &*pairs);
    }
    // Four rounds of death, by chance and whole neighbourhoods, with births between.
    for round in 0..4 {
        for _ in 0..150 {
            dead.insert(random.below(1_800 + round * 150));
        }
        let centre = random.below(1_800);
        dead.extend(exact(&encoding, &vectors[centre], &rows, |_| true, 80).iter().map(|slot| slot.index()));
        dead.remove_range_from(1_800 + round * 150);
        graph.repair(&dead, &*pairs);
        assert_sound(check::growing(&graph));
        for slot in 0..150 {
            graph.insert(Slot((1_800 + round * 150 + slot) as u32), &*pairs);
        }
        assert_sound(check::growing(&graph));
    }
    assert_eq!(graph.len(), 2_400 - dead.count_ones(..));
    assert_eq!(graph.repair(&dead, &*pairs), 0, "they are gone already");
    let mut found = 0;
    for query in &queries {
        let walk = graph.search(&*encoding.growing.scorer(query, &rows), &WalkRequest::new(64));
        assert!(walk.candidates.iter().all(|x| !dead.contains(x.1.index())));
        found += overlap(&walk, &exact(&encoding, query, &rows, |slot| !dead.contains(slot.index()), 10));
    }
    assert!(found >= 570, "recall {found} of 600 after repairs");
}

trait RemoveRangeFrom {
    fn remove_range_from(&mut self, start: usize);
}

impl RemoveRangeFrom for FixedBitSet {
    fn remove_range_from(&mut self, start: usize) {
        self.set_range(start.., false);
    }
}

#[test]
fn a_graph_whose_nodes_all_died_begins_anew() {
    let mut random = SplitMix64(13);
    let vectors = clustered(900, 8, Metric::L2, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::L2));
    let pairs = encoding.growing.pair_scorer(&rows);
    let graph = GrowingGraph::new(small(), 7);
    (0..600).for_each(|slot| graph.insert(Slot(slot), &*pairs));
    let dead: FixedBitSet = (0..600).collect();
    assert_eq!(graph.repair(&dead, &*pairs), 600);
    let scorer = encoding.growing.scorer(&vectors[0], &rows);
    assert!(
        graph
            .search(&*scorer, &WalkRequest { admit: Some(&FixedBitSet::new()), ..WalkRequest::new(5) })
            .candidates
            .is_empty()
    );
    (600..900).for_each(|slot| graph.insert(Slot(slot), &*pairs));
    assert_sound(check::growing(&graph));
    let walk = graph.search(&*scorer, &WalkRequest { ..WalkRequest::new(900) });
    assert_eq!(walk.candidates.iter().filter(|x| x.1.0 >= 600).count(), 300);
}

#[test]
fn bytes_survive_a_round_trip_and_give_the_same_walks() {
    let mut random = SplitMix64(14);
    let vectors = clustered(1_200, 16, Metric::Dot, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::Dot));
    let request = BuildRequest { rows: 1_200, options: small(), seed: 3, stop: Closing::NEVER };
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let pairs = encoding.growing.pair_scorer(&rows);
    let (first, second) =
        one.install(|| (build(&request, &*pairs).unwrap(), build(&request, &*pairs).unwrap()));
    assert_eq!(first, second, "one thread and one seed give the same bytes");
    let written = first.as_bytes().to_vec();
    let framed: Vec<u8> = [&[0xaa; 64][..], &written, &[0xbb; 12]].concat();
    let whole = open_bytes(written.clone()).unwrap();
    let mut words = vec![0; framed.len().div_ceil(4)];
    bytemuck::cast_slice_mut(&mut words)[..framed.len()].copy_from_slice(&framed);
    let part = SealedGraph::open(Arc::new(Aligned(words)), 64..64 + written.len()).unwrap();
    for vector in vectors.iter().step_by(100) {
        let scorer = encoding.growing.scorer(vector, &rows);
        let request = WalkRequest::new(20);
        assert_eq!(whole.search(&*scorer, &request), part.search(&*scorer, &request));
    }
}

#[test]
fn a_growing_graph_is_sealed_without_its_dead_and_in_another_order() {
    let mut random = SplitMix64(17);
    let vectors = clustered(2_000, 16, Metric::Cosine, &mut random);
    let queries = clustered(60, 16, Metric::Cosine, &mut random);
    let (rows, encoding) = (stored(&vectors), exact_encodings(Metric::Cosine));
    let pairs = encoding.growing.pair_scorer(&rows);
    let graph = GrowingGraph::new(small(), 7);
    // Every seventh row has no vector.
    (0..2_000_u32).filter(|slot| !slot.is_multiple_of(7)).for_each(|slot| graph.insert(Slot(slot), &*pairs));
    let top = graph.layer_of(Slot((0..2_000).max_by_key(|slot| graph.layer_of(Slot(*slot))).unwrap()));
    // The dead: every tenth, and all that are high up, the entry among them.
    let dead = |slot: &Slot| slot.0 % 10 == 3 || graph.layer_of(*slot) >= top;
    let order: Vec<Slot> = (0..2_000).rev().map(Slot).filter(|slot| !dead(slot)).collect();
    let sealed = opened(&graph.seal_as(&order, &*pairs).unwrap()).unwrap();
    assert_sound(check::sealed(&sealed));
    assert_eq!(sealed.rows(), order.len());
    assert_eq!(sealed.len(), order.iter().filter(|slot| !slot.0.is_multiple_of(7)).count());
    let ordered: Vec<Vec<f32>> = order.iter().map(|slot| vectors[slot.index()].clone()).collect();
    let rows = stored(&ordered);
    let mut found = 0;
    for query in &queries {
        let walk = sealed.search(&*encoding.growing.scorer(query, &rows), &WalkRequest::new(64));
        found += overlap(
            &walk,
            &exact(&encoding, query, &rows, |slot| !order[slot.index()].0.is_multiple_of(7), 10),
        );
    }
    assert!(found >= 570, "recall {found} of 600");

    let few: Vec<Slot> = (0..900).map(Slot).collect();
    assert_eq!(graph.seal_as(&few, &*pairs), None, "too many have died");
    let none = graph.seal_as(&[Slot(0)], &*pairs).map(|built| opened(&built).unwrap().len());
    assert_eq!(none, Some(0), "a graph without nodes");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any order of inserts and repairs leaves a sound graph that shows exactly the living.
    #[test]
    fn any_history_leaves_a_sound_graph(steps in prop::collection::vec((0_usize..30, any::<u64>(), 1_usize..3), 1..8)) {
        let (rows, encoding) = (GrowingRows::new(4, None), exact_encodings(Metric::L2));
        let graph = GrowingGraph::new(GraphOptions { degree: 4, ef_construction: 16 }, 2);
        let mut dead = FixedBitSet::new();
        for (inserts, seed, kinds) in steps {
            let mut random = SplitMix64(seed);
            for _ in 0..inserts {
                // Few distinct values: equal rows are the hard case.
                let row: Vec<f32> = (0..4).map(|_| random.below(kinds * 2) as f32).collect();
                let slot = rows.push(&row);
                graph.insert(slot, &*encoding.growing.pair_scorer(&rows));
            }
            dead.grow(rows.len());
            let chance = random.below(4);
            (0..rows.len()).filter(|_| random.below(4) < chance).collect::<Vec<_>>().into_iter().for_each(|slot| dead.insert(slot));
            graph.repair(&dead, &*encoding.growing.pair_scorer(&rows));
            let wrong = check::growing(&graph);
            prop_assert!(wrong.is_empty(), "{:?}", wrong);
            let walk = graph.search(&*encoding.growing.scorer(&[0.0; 4], &rows), &WalkRequest::new(1_000));
            let mut living: Vec<usize> = walk.candidates.iter().map(|x| x.1.index()).filter(|slot| !dead.contains(*slot)).collect();
            living.sort_unstable();
            let expected: Vec<usize> = (0..rows.len()).filter(|slot| !dead.contains(*slot)).collect();
            prop_assert_eq!(living, expected);
        }
    }
}
