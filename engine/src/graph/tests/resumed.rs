//! Graphs that go on with the lists of a sealed one.

use super::*;

/// The rows of `vectors` that live, by their numbers among the living.
fn numbered(vectors: &[Vec<f32>], live: &FixedBitSet) -> (GrowingRows, Vec<Option<u32>>) {
    let mut numbers = vec![None; vectors.len()];
    (0..).zip(live.ones()).for_each(|(number, row)| numbers[row] = Some(number));
    let living: Vec<Vec<f32>> = live.ones().map(|row| vectors[row].clone()).collect();
    (stored(&living), numbers)
}

#[test]
fn generations_of_deaths_and_births_cost_no_recall() {
    for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
        let mut random = SplitMix64(31);
        let encoding = exact_encodings(metric);
        let options = GraphOptions { degree: 16, ef_construction: 80 };
        let mut vectors = clustered(2_000, 20, metric, &mut random);
        let request =
            |rows: &GrowingRows| BuildRequest { rows: rows.len(), options, seed: 5, stop: Closing::NEVER };
        let rows = stored(&vectors);
        let mut graph =
            opened(&build(&request(&rows), &*encoding.growing.pair_scorer(&rows)).unwrap()).unwrap();
        for _ in 0..6 {
            let mut live: FixedBitSet = (0..vectors.len()).filter(|_| random.below(5) > 0).collect();
            live.grow(vectors.len() + 400);
            // A whole neighbourhood dies with them.
            let near = exact(&encoding, &vectors[random.below(2_000)], &stored(&vectors), |_| true, 100);
            near.iter().for_each(|slot| live.remove(slot.index()));
            let before = vectors.len();
            vectors.extend(clustered(400, 20, metric, &mut random));
            live.insert_range(before..vectors.len());
            let (rows, numbers) = numbered(&vectors, &live);
            vectors = live.ones().map(|row| vectors[row].clone()).collect();
            let pairs = encoding.growing.pair_scorer(&rows);
            let resumed = Resumed { graph: &graph, numbers: &numbers[..before] };
            let next = opened(&build_on(&request(&rows), resumed, &*pairs).unwrap()).unwrap();
            assert_sound(check::sealed(&next));
            assert_eq!(next.len(), vectors.len());
            graph = next;
        }
        let rows = stored(&vectors);
        let fresh = opened(&build(&request(&rows), &*encoding.growing.pair_scorer(&rows)).unwrap()).unwrap();
        let (mut found, mut found_fresh) = (0, 0);
        for query in clustered(200, 20, metric, &mut random) {
            let truth = exact(&encoding, &query, &rows, |_| true, 10);
            let scorer = encoding.growing.scorer(&query, &rows);
            found += overlap(&graph.search(&*scorer, &WalkRequest::new(24)), &truth);
            found_fresh += overlap(&fresh.search(&*scorer, &WalkRequest::new(24)), &truth);
        }
        // Threads build a little differently each time: of 200 queries that is 30 rows more or less.
        assert!(found + 60 >= found_fresh, "{metric:?}: {found} of 2,000, anew {found_fresh}");
    }
}

#[test]
fn all_none_or_one_may_have_lived() {
    let mut random = SplitMix64(32);
    let vectors = clustered(300, 12, Metric::L2, &mut random);
    let encoding = exact_encodings(Metric::L2);
    let rows = stored(&vectors);
    let pairs = encoding.growing.pair_scorer(&rows);
    let request = BuildRequest { rows: 300, options: small(), seed: 3, stop: Closing::NEVER };
    let graph = opened(&build(&request, &*pairs).unwrap()).unwrap();
    let only = |live: &dyn Fn(u32) -> bool| -> Vec<Option<u32>> {
        (0..300).map(|row| live(row).then_some(row)).collect()
    };
    for numbers in [only(&|_| true), only(&|_| false), only(&|row| row == 17), Vec::new()] {
        let resumed = Resumed { graph: &graph, numbers: &numbers };
        let next = opened(&build_on(&request, resumed, &*pairs).unwrap()).unwrap();
        assert_sound(check::sealed(&next));
        let walk = next.search(&*encoding.growing.scorer(&vectors[7], &rows), &WalkRequest::new(300));
        assert_eq!(walk.candidates.len(), 300);
    }
}
