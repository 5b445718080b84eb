use proptest::prelude::*;

use super::*;
use crate::ingest::Chunk;
use crate::retrieve::StageScores;

const DOCUMENT: &str = "Zero one two.\n\nThree four five. Six seven eight.\n\n\nNine ten eleven twelve.";

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn slice(text: &str, start: usize, end: usize) -> String {
    text.chars().skip(start).take(end - start).collect()
}

/// A chunk of a text; `gap` is what lies between it and the end of the chunk before.
fn hit(
    document: &str,
    text: &str,
    ordinal: usize,
    range: (usize, usize),
    gap: Option<&str>,
    score: f32,
) -> RetrievedChunk {
    let part = slice(text, range.0, range.1);
    let chunk = Chunk {
        document: document.to_owned(),
        ordinal,
        heading: "A > B".to_owned(),
        start: range.0,
        end: range.1,
        tokens: words(&part),
        text: part,
        content_sha256: String::new(),
    };
    let scores = StageScores { nearness: Some(score), ..StageScores::default() };
    RetrievedChunk { chunk, score, scores, beside: None, gap: gap.map(str::to_owned) }
}

fn parts(document: &str) -> [RetrievedChunk; 4] {
    [
        hit(document, DOCUMENT, 0, (0, 13), None, 0.9),
        hit(document, DOCUMENT, 1, (15, 31), Some("\n\n"), 0.8),
        hit(document, DOCUMENT, 2, (21, 48), None, 0.7),
        hit(document, DOCUMENT, 3, (51, 74), Some("\n\n\n"), 0.6),
    ]
}

/// Tokens around a passage, in these tests.
const FRAME: usize = 8;

fn packed(hits: Vec<RetrievedChunk>, room: usize) -> Packed {
    let costed = hits.into_iter().map(|found| {
        let (text, signature) = (words(&found.chunk.text), Signature::of(&found.chunk.text));
        Costed { text, frame: FRAME, signature, found }
    });
    pack(&costed.collect::<Vec<_>>(), room)
}

fn shown(packed: &Packed) -> Vec<(usize, usize)> {
    packed.citations.iter().map(|citation| (citation.start, citation.end)).collect()
}

#[test]
fn neighbours_and_overlaps_become_one_citation_with_the_exact_slice() {
    for order in [[0, 1, 2, 3], [3, 1, 0, 2], [0, 3, 2, 1], [2, 3, 0, 1]] {
        let all = parts("d");
        let result = packed(order.iter().map(|at| all[*at].clone()).collect(), 1_000);
        assert_eq!(shown(&result), [(0, 74)], "{order:?}");
        assert_eq!(result.citations[0].text, DOCUMENT);
        assert_eq!(result.citations[0].score, 0.9);
        assert_eq!(result.citations[0].heading, "A > B");
        let chunks = &result.citations[0].chunks;
        assert_eq!(chunks.iter().map(|chunk| chunk.ordinal).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(chunks[2].scores.nearness, Some(0.7));
        // Chunks that are put together share what stands around them.
        assert_eq!(result.used, chunks_words(&all) + FRAME);
        assert!(result.dropped.is_empty());
    }
}

fn chunks_words(chunks: &[RetrievedChunk]) -> usize {
    chunks.iter().map(|found| words(&found.chunk.text)).sum()
}

#[test]
fn chunks_that_do_not_touch_stay_apart_best_first() {
    let [first, _, third, fourth] = parts("d");
    let result = packed(vec![fourth.clone(), first.clone()], 1_000);
    assert_eq!(shown(&result), [(51, 74), (0, 13)]);
    assert_eq!(result.citations.iter().map(|citation| citation.index).collect::<Vec<_>>(), [1, 2]);
    // Neighbours whose gap is not known cannot be put together.
    let unknown = RetrievedChunk { gap: None, ..fourth };
    assert_eq!(shown(&packed(vec![third, unknown], 1_000)), [(21, 48), (51, 74)]);
    // Nor are the same places of different documents neighbours.
    let other = parts("e").into_iter().nth(1).unwrap();
    assert_eq!(packed(vec![first, other], 1_000).citations.len(), 2);
}

#[test]
fn headings_of_joined_chunks_are_what_they_share() {
    for (a, b, expected) in [("A > B", "A > C", "A"), ("A", "A > B", "A"), ("A", "B", ""), ("", "A", "")] {
        let [mut first, mut second, ..] = parts("d");
        first.chunk.heading = a.to_owned();
        second.chunk.heading = b.to_owned();
        assert_eq!(packed(vec![first, second], 1_000).citations[0].heading, expected);
    }
}

#[test]
fn repetitions_are_dropped_for_the_better_one() {
    let [first, ..] = parts("d");
    let mut copy = parts("e")[0].clone();
    copy.chunk.text = "ZERO  one two!".to_owned();
    copy.score = 0.5;
    let result = packed(vec![first.clone(), copy, first], 1_000);
    assert_eq!(result.citations.len(), 1);
    let reasons: Vec<_> = result.dropped.iter().map(|d| (d.document.as_str(), d.reason)).collect();
    assert_eq!(reasons, [("e", DropReason::Duplicate), ("d", DropReason::Duplicate)]);
}

#[test]
fn the_budget_is_for_whole_chunks_and_smaller_ones_may_still_fit() {
    // Three words of text, and eight around it.
    let small = |document: &str, text: &str| hit(document, text, 0, (0, text.len()), None, 0.5);
    let big = small("b", "a far longer text that has fourteen words and so needs more of it");
    let hits = vec![small("a", "one two three"), big, small("c", "four five six")];
    for (budget, kept, dropped) in [
        (10, vec![], vec!["a", "b", "c"]),
        (11, vec!["a"], vec!["b", "c"]),
        (22, vec!["a", "c"], vec!["b"]),
        (44, vec!["a", "b, c"], vec![]),
    ] {
        let result = packed(hits.clone(), budget);
        let names: Vec<_> = result.dropped.iter().map(|d| d.document.as_str()).collect();
        assert_eq!(names, dropped, "budget {budget}");
        assert!(result.dropped.iter().all(|d| d.reason == DropReason::Budget && d.tokens >= 11));
        assert_eq!(
            result.citations.len(),
            if kept.is_empty() { 0 } else { 3 - dropped.len() },
            "budget {budget}"
        );
    }
}

#[test]
fn nothing_found_is_nothing_packed() {
    assert_eq!(packed(Vec::new(), 1), Packed::default());
}

proptest! {
    /// Any chunks of any document in any order: citations are disjoint exact slices within the budget.
    #[test]
    fn citations_are_exact_slices_within_the_budget(
        text in "[a-e \n]{1,120}",
        cuts in proptest::collection::vec((1usize..20, 0usize..4, any::<bool>()), 1..12),
        order in any::<u64>(),
        budget in 1usize..120,
    ) {
        let length = text.chars().count();
        let (mut hits, mut starts, mut end) = (Vec::new(), 0usize, 0usize);
        for (ordinal, (long, overlap, keep)) in cuts.into_iter().enumerate() {
            let start = end.saturating_sub(overlap).max(starts);
            let next = (end + long).min(length);
            if next <= end { break; }
            let gap = (start == end && ordinal > 0).then_some("");
            if keep {
                hits.push(hit("d", &text, ordinal, (start, next), gap, 0.5));
            }
            (starts, end) = (start + 1, next);
        }
        let mut key = order | 1;
        hits.sort_by_cached_key(|_| { key = key.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); key });
        let offered = hits.len();
        let result = packed(hits, budget);
        let mut ranges = shown(&result);
        ranges.sort_unstable();
        for pair in ranges.windows(2) {
            prop_assert!(pair[0].1 < pair[1].0 || pair[0].1 <= pair[1].0, "{:?} touch", pair);
        }
        for citation in &result.citations {
            prop_assert_eq!(&citation.text, &slice(&text, citation.start, citation.end));
        }
        prop_assert!(result.citations.iter().map(|citation| words(&citation.text)).sum::<usize>() <= budget);
        prop_assert!(result.citations.len() + result.dropped.len() <= offered);
    }
}
