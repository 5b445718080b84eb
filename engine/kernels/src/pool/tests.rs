//! Pools against lists that are sorted.

use super::*;
use proptest::prelude::*;

proptest! {
    /// Against the definition: sort everything, cut behind the `width`-th admitted node.
    #[test]
    fn holds_the_nearest_admitted_and_what_lies_between(
        width in 1_usize..70,
        batches in prop::collection::vec(prop::collection::vec((0_u32..1000, any::<bool>()), 0..40), 0..12),
    ) {
        for isa in Isa::available() {
            let mut pool = CandidatePool::with_isa(isa);
            // What another walk left behind does not matter.
            pool.reset(3);
            pool.offer(&[1, 2, 3, 4, 5], &[5.0, 4.0, 3.0, 2.0, 1.0], |node| node % 2 == 0, |_| {});
            pool.reset(width);
            let mut all = Vec::new();
            for batch in &batches {
                let from = all.len() as u32;
                // Distinct distances: among equals the order of arrival decides.
                for (i, (distance, admitted)) in batch.iter().enumerate() {
                    let node = from + i as u32;
                    let distance = if *distance > 990 { f32::INFINITY } else { *distance as f32 + node as f32 / 1000.0 };
                    all.push((distance, node, *admitted));
                }
                let offered = &all[from as usize..];
                let nodes: Vec<u32> = offered.iter().map(|x| x.1).collect();
                let distances: Vec<f32> = offered.iter().map(|x| x.0).collect();
                pool.offer(&nodes, &distances, |node| all[node as usize].2, |_| {});
            }
            let mut finite: Vec<_> = all.iter().filter(|x| x.0.is_finite()).collect();
            finite.sort_by(|a, b| a.0.total_cmp(&b.0));
            let wanted: Vec<_> = finite.iter().filter(|x| x.2).take(width).map(|x| (x.0, x.1)).collect();
            let found: Vec<_> = pool.admitted().filter(|x| x.0.is_finite()).collect();
            prop_assert_eq!(&found, &wanted);
            let edge = if wanted.len() == width { wanted[width - 1].0 } else { f32::MAX };
            let expected: Vec<u32> = finite.iter().filter(|x| x.0 <= edge).map(|x| x.1).collect();
            let mut expanded = Vec::new();
            loop {
                let peeked = pool.peek_next();
                let next = pool.expand_next();
                prop_assert_eq!(peeked, next.map(|x| x.1));
                let Some((distance, node)) = next else { break };
                prop_assert_eq!(distance, all[node as usize].0);
                if distance.is_finite() {
                    expanded.push(node);
                }
            }
            prop_assert_eq!(expanded, expected);
        }
    }

    /// Against the pool that asks about each node; distances repeat, so that the order among equals is compared too.
    #[test]
    fn what_is_all_admitted_is_held_alike(
        width in 1_usize..150,
        batches in prop::collection::vec(prop::collection::vec(-3_i32..400, 0..40), 0..20),
    ) {
        for isa in Isa::available() {
            let (mut asking, mut pool) = (CandidatePool::with_isa(Isa::Scalar), CandidatePool::with_isa(isa));
            // What another walk left behind does not matter.
            pool.reset(70);
            pool.offer_admitted(&[1, 2, 3], &[5.0, 4.0, 3.0], |_| {});
            pool.expand_next();
            asking.reset(width);
            pool.reset(width);
            let mut node = 0;
            for batch in &batches {
                let nodes: Vec<u32> = (node..).take(batch.len()).collect();
                node += batch.len() as u32;
                let distances: Vec<f32> = batch
                    .iter()
                    .map(|distance| match distance {
                        -3 => f32::INFINITY,
                        -2 => f32::NAN,
                        -1 => -0.0,
                        _ => *distance as f32 / 8.0,
                    })
                    .collect();
                let before = pool.peek_next();
                let told = std::cell::Cell::new(None);
                asking.offer(&nodes, &distances, |_| true, |_| {});
                pool.offer_admitted(&nodes, &distances, |node| told.set(Some(node)));
                if pool.peek_next() != before {
                    prop_assert_eq!(told.get(), pool.peek_next());
                }
                let bits = |pool: &CandidatePool| -> Vec<(u32, u32)> {
                    pool.admitted().map(|(distance, node)| (distance.to_bits(), node)).collect()
                };
                prop_assert_eq!(bits(&pool), bits(&asking), "{}", isa.name());
                prop_assert_eq!(pool.bound(), asking.bound());
                prop_assert_eq!(pool.frontier(), asking.frontier());
                prop_assert_eq!(pool.expand_next(), asking.expand_next());
                prop_assert_eq!(pool.distance(pool.len()), f32::INFINITY);
            }
        }
    }

    #[test]
    fn tells_which_node_comes_next(distances in prop::collection::vec(0.0_f32..1.0, 1..60)) {
        let told = std::cell::Cell::new(None);
        let mut pool = CandidatePool::default();
        pool.reset(20);
        for (node, distance) in (0_u32..).zip(&distances) {
            told.set(None);
            let before = pool.peek_next();
            pool.offer(&[node], &[*distance], |_| true, |node| told.set(Some(node)));
            if pool.peek_next() != before {
                prop_assert_eq!(told.get(), pool.peek_next());
            }
            if node % 3 == 0 {
                pool.expand_next();
            }
        }
    }
}
