//! Searches that end early, at every moment at which they can.

use std::time::Duration;

use super::*;
use crate::interrupt::cancelled_at;

#[test]
fn what_has_no_time_or_was_cancelled_before_finds_nothing() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let token = CancelToken::new();
    token.cancel();
    let query = queries(1).remove(0);
    let (search, range) = (SearchRequest::new(query.clone(), 10), RangeRequest::new(query, 0.5));
    let cases = [
        (search.clone().cancel(token.clone()), range.clone().cancel(token), Interrupted::Cancelled),
        (search.clone().budget(Duration::ZERO), range.clone().budget(Duration::ZERO), Interrupted::OutOfTime),
    ];
    for (search, range, expected) in cases {
        let stats = SearchStats { interrupted: Some(expected), ..SearchStats::default() };
        let nothing = SearchResponse { hits: Vec::new(), stats, explain: None };
        assert_eq!(fixture.rows.search(&search).unwrap(), nothing);
        assert_eq!(fixture.rows.search_batch(&[search.clone(), search]).unwrap(), [nothing.clone(), nothing]);
        let response = fixture.rows.search_range(&range).unwrap();
        assert_eq!(response, RangeResponse { hits: Vec::new(), truncated: false, stats, explain: None });
    }
    let in_time =
        fixture.rows.search(&search.clone().budget(Duration::MAX).cancel(CancelToken::new())).unwrap();
    assert_eq!(in_time, fixture.rows.search(&search).unwrap());
    let in_time = fixture.rows.search_range(&range.clone().budget(Duration::MAX)).unwrap();
    assert_eq!(in_time, fixture.rows.search_range(&range).unwrap());
}

/// Runs a search with tokens that are cancelled ever later, until it is done first. Returns how many hits it had each time
/// before.
fn interrupted(
    fixture: &Fixture,
    query: &[f32],
    search: impl Fn(CancelToken) -> (Vec<Hit>, SearchStats),
) -> Vec<usize> {
    let mut hits_by_poll = Vec::new();
    for poll in 1.. {
        let (hits, stats) = search(cancelled_at(poll));
        fixture.check(query, &hits);
        if stats.interrupted.is_none() {
            return hits_by_poll;
        }
        assert_eq!(stats.interrupted, Some(Interrupted::Cancelled));
        assert!(!stats.exact);
        hits_by_poll.push(hits.len());
    }
    unreachable!("the polls have no end")
}

#[test]
fn a_search_that_is_cancelled_keeps_what_it_has() {
    for is_sealed in [true, false] {
        let schema = schema(Metric::Cosine, EncodingKind::Int4).build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let segments = fixture.segments() as u64;
        let query = queries(1).remove(0);
        let search = |request: &SearchRequest, token| {
            let response = fixture.rows.search(&request.clone().cancel(token)).unwrap();
            (response.hits, response.stats)
        };
        let request = SearchRequest::new(query.clone(), 100);
        let exact = request.clone().exact();
        let live = fixture.live.len() as u64;
        let hits = interrupted(&fixture, &query, |token| search(&exact, token));
        let polls = hits.len() as u64 - segments;
        assert!(
            (live / 1_024..=live.div_ceil(512)).contains(&polls),
            "{polls}: every 512 to 1,023 rows of a scan"
        );
        assert!(hits.is_sorted() && hits.last() == Some(&100), "{hits:?}");
        let wide = request.clone().ef(300);
        let hits = interrupted(&fixture, &query, |token| search(&wide, token));
        assert!(hits.len() as u64 > segments + 1, "a walk is polled");
        assert!(hits.is_sorted() && hits.last() == Some(&100), "{hits:?}");
        // A filter that one row in ten passes promises `k` rows, unless it is interrupted.
        let filtered = request.filter(Filter::eq("group", 4));
        let (hits, stats) = search(&filtered, cancelled_at(segments + 1));
        assert!(hits.is_empty() && stats.interrupted.is_some());
        assert_eq!(search(&filtered, cancelled_at(u64::MAX)).0.len(), 100);
    }
}

#[test]
fn a_range_that_is_cancelled_keeps_what_it_has() {
    for is_sealed in [true, false] {
        let schema = schema(Metric::Cosine, EncodingKind::Int4).build().unwrap();
        let fixture = Fixture::new(&schema, is_sealed);
        let query = queries(1).remove(0);
        // So many rows that two walks are too narrow and a scan follows.
        let request = RangeRequest::new(query.clone(), between(&fixture.ranked(&query, |_| true), 600));
        let hits = interrupted(&fixture, &query, |token| {
            let response = fixture.rows.search_range(&request.clone().cancel(token)).unwrap();
            (response.hits, response.stats)
        });
        // Three walks and some blocks of a scan. What a walk found stays, though the next one and the scan begin anew.
        assert!(hits.len() > 10 && hits.first() == Some(&0), "{hits:?}");
        assert!(hits.windows(2).all(|pair| pair[1] * 10 >= pair[0] * 9), "{hits:?}");
        let scan_polls = fixture.live.len() / 1_024;
        assert!(hits[hits.len() - scan_polls] > 400, "the scan begins with what was walked to: {hits:?}");
        assert!(hits.last().is_some_and(|last| *last > 500), "{hits:?}");
    }
}

#[test]
fn each_search_of_a_batch_has_its_own_token_and_budget() {
    let fixture = Fixture::new(&schema(Metric::Cosine, EncodingKind::Int4).build().unwrap(), true);
    let request = SearchRequest::new(queries(1).remove(0), 10);
    let requests = [
        request.clone().exact().cancel(cancelled_at(3)),
        request.clone(),
        request.clone().budget(Duration::ZERO),
        request.budget(Duration::MAX),
    ];
    let interrupted: Vec<_> = fixture
        .rows
        .search_batch(&requests)
        .unwrap()
        .iter()
        .map(|response| response.stats.interrupted)
        .collect();
    assert_eq!(interrupted, [Some(Interrupted::Cancelled), None, Some(Interrupted::OutOfTime), None]);
}
