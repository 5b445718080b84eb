//! Ranges against brute force.

use proptest::prelude::*;

use super::*;
use crate::schema::DenseOptions;
use crate::search::range::Nearest;
use crate::vectors::{Encodings, Slot};

#[test]
fn a_range_has_nearly_all_rows_and_an_exact_one_all() {
    use EncodingKind::{F32, Int4, Int8};
    let builders = [
        (schema(Metric::Cosine, Int4), true),
        (schema(Metric::Cosine, Int4), false),
        (schema(Metric::L2, Int8), true),
        (schema(Metric::Dot, F32), true),
        (schema(Metric::L2, F32), false),
        (schema(Metric::L2, Int4).walk_dimension(16), true),
    ];
    for (builder, is_sealed) in builders {
        let schema = builder.build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let (mut found, mut wanted, mut walks) = (0, 0, 0);
        for query in queries(12) {
            let passes = |filter: bool| move |id: u64| !filter || id % 10 < 5;
            for (filter, rows) in
                [(false, 1), (false, 7), (false, 30), (false, 90), (false, 1_000), (true, 20)]
            {
                let ranked = fixture.ranked(&query, passes(filter));
                let mut request = RangeRequest::new(query.clone(), between(&ranked, rows));
                if filter {
                    request = request.filter(Filter::Range(
                        "group".into(),
                        crate::Range { lt: Some(5.into()), ..Default::default() },
                    ));
                }
                let truth: Vec<u64> = ranked[..rows].iter().map(|row| row.0).collect();
                let response = fixture.rows.search_range(&request).unwrap();
                let ids = fixture.check(&query, &response.hits);
                assert!(ids.iter().all(|id| truth.contains(id)), "nothing is beyond the threshold");
                assert!(!response.truncated && response.stats.interrupted.is_none());
                walks += usize::from(!response.stats.exact);
                found += ids.len();
                wanted += truth.len();
                let exact = fixture.rows.search_range(&request.exact()).unwrap();
                assert!(exact.stats.exact);
                let mut ids = fixture.check(&query, &exact.hits);
                ids.sort_unstable();
                let mut truth = truth;
                truth.sort_unstable();
                assert_eq!(ids, truth);
            }
        }
        assert!(found as f64 >= 0.95 * wanted as f64, "{schema:?} sealed {is_sealed}: {found} of {wanted}");
        // A walk that sees a part of the components is less sure, so more of its ranges end as scans.
        let least = if schema.walk_dimension() < schema.dimension() { 10 } else { 30 };
        assert!(walks >= least, "only {walks} of 72 ranges were walked: {schema:?} sealed {is_sealed}");
        drop(fixture.db);
    }
}

/// The walk itself has to be good, not only the ranges that end as scans.
#[test]
fn walked_ranges_have_nearly_all_rows() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let (mut found, mut wanted) = (0, 0);
    for query in queries(40) {
        let ranked = fixture.ranked(&query, |_| true);
        for rows in [3, 30, 60] {
            let response =
                fixture.rows.search_range(&RangeRequest::new(query.clone(), between(&ranked, rows))).unwrap();
            if !response.stats.exact {
                found += response.hits.len();
                wanted += rows;
            }
        }
    }
    assert!(wanted > 500, "{wanted}");
    assert!(found as f64 >= 0.95 * wanted as f64, "{found} of {wanted}");
}

/// What is told of a range is what was done: the same answer, walks that grow until one is wide enough, and scans where they are exact.
#[test]
fn ranges_are_explained() {
    for is_sealed in [true, false] {
        let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), is_sealed);
        let mut widened = 0;
        for query in queries(12) {
            let ranked = fixture.ranked(&query, |_| true);
            for rows in [1, 30, 90, 1_000] {
                let request = RangeRequest::new(query.clone(), between(&ranked, rows));
                for request in [request.clone(), request.exact()] {
                    widened += usize::from(is_explained(&fixture, request));
                }
            }
        }
        assert!(widened > 0, "no range took a second walk");
    }
}

/// Checks what is told of one range, and tells whether it took more than one walk.
fn is_explained(fixture: &Fixture, request: RangeRequest) -> bool {
    let plain = fixture.rows.search_range(&request).unwrap();
    let mut explained = fixture.rows.search_range(&request.clone().explain()).unwrap();
    let Explain { exact, stages, .. } = explained.explain.take().unwrap();
    assert_eq!(explained, plain);
    assert_eq!(exact, plain.stats.exact);
    let [stage] = &stages[..] else { panic!("{stages:?}") };
    assert_eq!((&*stage.path, stage.rows), ("range", plain.hits.len() as u64));
    assert_eq!((stage.runs, stage.wanted, stage.exact), (1, RANGE_ROWS_MAX as u64, exact));
    let sum = |of: fn(&SegmentReport) -> u64| stage.segments.iter().map(of).sum::<u64>();
    assert_eq!(sum(|report| report.rows), ROWS as u64);
    assert_eq!(sum(|report| report.matching), fixture.live.len() as u64);
    assert_eq!(sum(|report| report.distances), plain.stats.distances);
    assert_eq!(sum(|report| report.found), plain.hits.len() as u64);
    for report in &stage.segments {
        let is_scan = |plan: &SegmentPlan| matches!(plan, SegmentPlan::ScanRows | SegmentPlan::Skip);
        assert_eq!(report.plans.last().is_some_and(is_scan), report.exact, "{report:?}");
        assert!(!request.exact || report.plans.iter().all(is_scan), "{report:?}");
    }
    assert_eq!(stage.segments.iter().all(|report| report.exact), exact);
    stage.segments.iter().any(|report| report.plans.starts_with(&[SegmentPlan::Walk; 2]))
}

#[test]
fn a_limit_keeps_the_nearest_and_says_so() {
    let fixture = Fixture::new(&schema(Metric::L2, EncodingKind::F32).build().unwrap(), true);
    let query = queries(1).remove(0);
    let ranked = fixture.ranked(&query, |_| true);
    for (rows, limit) in [(500, 20), (21, 20), (20, 20), (19, 20), (500, 1)] {
        let request = RangeRequest::new(query.clone(), between(&ranked, rows)).limit(limit).exact();
        let response = fixture.rows.search_range(&request).unwrap();
        let ids = fixture.check(&query, &response.hits);
        assert_eq!(ids, ranked[..rows.min(limit)].iter().map(|row| row.0).collect::<Vec<_>>());
        assert_eq!(response.truncated, rows > limit);
        let walked = fixture.rows.search_range(&RangeRequest { exact: false, ..request }).unwrap();
        fixture.check(&query, &walked.hits);
        assert!(walked.hits.len() <= limit && walked.truncated <= (rows > limit));
    }
    // So small a limit is walked to, however many rows lie within the threshold.
    let walked = fixture.rows.search_range(&RangeRequest::new(query, 1e9).limit(20)).unwrap();
    assert!(walked.truncated && !walked.stats.exact && walked.hits.len() == 20);
}

proptest! {
    #[test]
    fn the_nearest_of_a_range_are_those_of_a_sort(
        distances in prop::collection::vec(0_u8..30, 0..200),
        (limit, reach) in (1_usize..40, 0_u8..40),
    ) {
        let reach = f32::from(reach);
        let mut nearest = Nearest::new(reach, limit);
        let rows: Vec<_> = distances.iter().zip(0..).map(|(distance, slot)| (f32::from(*distance), slot % 3, Slot(slot as u32))).collect();
        rows.iter().for_each(|row| nearest.offer(*row));
        let (found, truncated) = nearest.finish();
        let mut expected: Vec<_> = rows.into_iter().filter(|row| row.0 <= reach).collect();
        expected.sort_by(execute::by_rank);
        prop_assert_eq!(truncated, expected.len() > limit);
        expected.truncate(limit);
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn the_reach_is_the_last_distance_within_a_threshold(bits in 0_u32..0x7f80_0000, is_negative: bool) {
        let threshold = f32::from_bits(bits);
        let of = |metric| Encodings::new(&DenseOptions::new(2).metric(metric));
        let l2 = of(Metric::L2);
        let reach = l2.reach(threshold);
        prop_assert!(l2.score(reach) <= threshold);
        prop_assert!(reach == f32::MAX || l2.score(reach.next_up()) > threshold);
        let threshold = if is_negative { -threshold } else { threshold };
        prop_assert_eq!(of(Metric::Dot).score(of(Metric::Dot).reach(threshold)), threshold);
    }
}
