use proptest::prelude::*;

use super::*;
use crate::ingest::Chunk;
use crate::retrieve::StageScores;

fn pooled(document: &str, ordinal: usize, score: f32, text: &str, vector: [f32; 2]) -> Pooled {
    let chunk = Chunk {
        document: document.to_owned(),
        ordinal,
        heading: String::new(),
        start: 10 * ordinal,
        end: 10 * ordinal + text.chars().count(),
        tokens: 3,
        text: text.to_owned(),
        content_sha256: String::new(),
    };
    let found = RetrievedChunk { chunk, score, scores: StageScores::default(), gap: None, beside: None };
    Pooled { found, vector: Some(vector.to_vec()) }
}

/// Two of one document that say the same in other words, a copy, and one about something else.
fn pool() -> Vec<Pooled> {
    vec![
        pooled("a", 0, 0.9, "the lease ends in May", [1.0, 0.0]),
        pooled("a", 1, 0.8, "in May it is over", [0.99, 0.1]),
        pooled("b", 0, 0.7, "The lease ends in May!", [1.0, 0.0]),
        pooled("b", 1, 0.6, "the deposit is three rents", [0.0, 1.0]),
        pooled("c", 0, 0.1, "roses are cut in March", [-0.5, 0.9]),
    ]
}

fn wanted() -> Result<()> {
    Ok(())
}

fn selected(selection: Selection) -> (Vec<String>, Vec<(String, DropReason)>) {
    let Selected { chunks, dropped } = selection.of(pool(), &wanted).unwrap();
    let name = |document: &str, ordinal: usize| format!("{document}{ordinal}");
    (
        chunks.iter().map(|found| name(&found.chunk.document, found.chunk.ordinal)).collect(),
        dropped.iter().map(|it| (name(&it.document, it.ordinal), it.reason)).collect(),
    )
}

#[test]
fn each_reason_leaves_out_what_it_is_about() {
    let all = Selection { k: 3, ..Selection::default() };
    // what is asked for, what is kept, what is left out and told
    type Case = (Selection, &'static [&'static str], &'static [(&'static str, DropReason)]);
    let cases: [Case; 8] = [
        (all, &["a0", "a1", "b0"], &[]),
        (Selection { k: 9, ..all }, &["a0", "a1", "b0", "b1", "c0"], &[]),
        (Selection { distinct: true, ..all }, &["a0", "a1", "b1"], &[("b0", DropReason::Duplicate)]),
        (
            Selection { per_document: Some(1), ..all },
            &["a0", "b0", "c0"],
            &[("a1", DropReason::PerDocument), ("b1", DropReason::PerDocument)],
        ),
        (Selection { min_score: Some(0.75), ..all }, &["a0", "a1"], &[("b0", DropReason::Score)]),
        (
            Selection { mmr: Some(0.5), k: 2, ..all },
            &["a0", "b1"],
            &[("a1", DropReason::Mmr), ("b0", DropReason::Mmr)],
        ),
        (Selection { mmr: Some(1.0), ..all }, &["a0", "a1", "b0"], &[]),
        (
            Selection { mmr: Some(0.7), distinct: true, per_document: Some(1), ..all },
            &["a0", "b1", "c0"],
            &[("a1", DropReason::PerDocument), ("b0", DropReason::PerDocument)],
        ),
    ];
    for (selection, kept, dropped) in cases {
        let (found, left_out) = selected(selection);
        assert_eq!(found, kept, "{selection:?}");
        let left_out: Vec<(&str, DropReason)> =
            left_out.iter().map(|(name, reason)| (name.as_str(), *reason)).collect();
        assert_eq!(left_out, dropped, "{selection:?}");
    }
    assert_eq!(all.of(Vec::new(), &wanted).unwrap(), Selected::default());
    assert_eq!((all.pool(), Selection { distinct: true, ..all }.pool()), (3, 12));
    assert_eq!(Selection { k: K_MAX, mmr: Some(0.5), ..all }.pool(), K_MAX);
}

/// Each chunk that is chosen by MMR is compared with the whole pool, which once had ten thousand where documents had their share.
#[test]
fn the_pool_that_mmr_chooses_from_is_bounded_and_has_room_to_be_filled() {
    let most = Selection { k: MMR_CHUNKS_MAX, mmr: Some(0.5), per_document: Some(1), ..Selection::default() };
    most.validate().unwrap();
    assert_eq!((most.pool_max(), Selection { mmr: None, ..most }.pool_max()), (MMR_POOL_MAX, K_MAX));
    // As many again as were found first: four for each that may be missing.
    assert_eq!(most.pool_max(), 2 * most.pool());
}

/// What says the same as a chunk that is itself left out says something new.
#[test]
fn only_what_is_kept_is_repeated() {
    let pool = vec![
        pooled("a", 0, 0.9, "the lease ends in May", [1.0, 0.0]),
        pooled("a", 1, 0.8, "the deposit is three rents", [0.0, 1.0]),
        pooled("b", 0, 0.7, "The deposit is three rents!", [0.0, 1.0]),
    ];
    for mmr in [None, Some(0.9)] {
        let selection =
            Selection { k: 2, distinct: true, per_document: Some(1), mmr, ..Selection::default() };
        let Selected { chunks, dropped } = selection.of(pool.clone(), &wanted).unwrap();
        let kept: Vec<&str> = chunks.iter().map(|found| found.chunk.document.as_str()).collect();
        assert_eq!(kept, ["a", "b"], "{mmr:?}");
        assert_eq!(dropped.iter().map(|it| it.reason).collect::<Vec<_>>(), [DropReason::PerDocument]);
    }
}

#[test]
fn a_trial_tells_how_many_would_be_kept_and_whose_share_is_full() {
    let all = Selection { k: 3, ..Selection::default() };
    // what is asked for, how many would be kept, the documents that have their share
    type Case = (Selection, usize, &'static [&'static str]);
    let cases: [Case; 6] = [
        (all, 3, &[]),
        (Selection { per_document: Some(1), ..all }, 3, &["a", "b", "c"]),
        (Selection { per_document: Some(1), k: 9, mmr: Some(0.5), ..all }, 3, &["a", "b", "c"]),
        (Selection { per_document: Some(2), ..all }, 3, &["a"]),
        (Selection { per_document: Some(1), min_score: Some(0.65), ..all }, 2, &["a", "b"]),
        (Selection { per_document: Some(1), distinct: true, k: 2, ..all }, 2, &["a", "b"]),
    ];
    for (selection, kept, full) in cases {
        let mut tried = pool();
        let trial = selection.trial(&mut tried, &wanted).unwrap();
        let full = full.iter().map(|document| (*document).to_owned()).collect();
        assert_eq!(trial, Trial { kept, full }, "{selection:?}");
        assert_eq!(tried, pool(), "it is given back");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_its_name() {
    let all = Selection { k: 3, ..Selection::default() };
    for (selection, expected) in [
        (Selection { k: 0, ..all }, "k"),
        (Selection { k: K_MAX + 1, ..all }, "k"),
        (Selection { k: MMR_CHUNKS_MAX + 1, mmr: Some(0.5), ..all }, "k"),
        (Selection { mmr: Some(-0.1), ..all }, "mmr"),
        (Selection { mmr: Some(f32::NAN), ..all }, "mmr"),
        (Selection { min_score: Some(f32::INFINITY), ..all }, "min_score"),
        (Selection { per_document: Some(0), ..all }, "per_document"),
        (Selection { per_document: Some(K_MAX + 1), ..all }, "per_document"),
    ] {
        match selection.validate() {
            Err(Error::Invalid { field, .. } | Error::Limit { field, .. }) => assert_eq!(field, expected),
            other => panic!("{selection:?}: {other:?}"),
        }
    }
    let most =
        Selection { k: MMR_CHUNKS_MAX, mmr: Some(0.0), min_score: Some(-1.0), per_document: Some(1), ..all };
    most.validate().unwrap();
}

#[test]
fn a_cancelled_choice_ends() {
    let selection = Selection { k: 2, mmr: Some(0.5), ..Selection::default() };
    let cancelled = || Err(ragstone::Error::Cancelled.into());
    assert!(matches!(selection.of(pool(), &cancelled), Err(Error::Engine(ragstone::Error::Cancelled))));
}

/// Maximal marginal relevance as it is written down, everything computed anew each time.
fn naive_mmr(pool: &[Pooled], k: usize, lambda: f32) -> Vec<usize> {
    let relevance = scaled(pool.iter().map(|pooled| pooled.found.score));
    let vector = |at: usize| pool[at].vector.as_deref().unwrap();
    let mut kept: Vec<usize> = Vec::new();
    while kept.len() < k.min(pool.len()) {
        let value = |at: usize| {
            let likeness = |other: &usize| {
                let (a, b) = (vector(*other), vector(at));
                cosine(product(a, b), [product(a, a), product(b, b)])
            };
            let alike = kept.iter().map(likeness).fold(0.0, f32::max);
            lambda * relevance[at] - (1.0 - lambda) * alike
        };
        let mut best = None;
        for at in (0..pool.len()).filter(|at| !kept.contains(at)) {
            if best.is_none_or(|best| value(at) > value(best)) {
                best = Some(at);
            }
        }
        kept.extend(best);
    }
    kept
}

proptest! {
    #[test]
    fn mmr_is_the_naive_one(
        rows in proptest::collection::vec((0.0f32..1.0, -1.0f32..1.0, -1.0f32..1.0), 0..12),
        k in 1usize..8,
        lambda in 0.0f32..=1.0,
    ) {
        let mut pool: Vec<Pooled> = rows
            .iter()
            .enumerate()
            .map(|(at, (score, x, y))| pooled("d", at, *score, &format!("text {at}"), [*x, *y]))
            .collect();
        pool.sort_by(|a, b| b.found.score.total_cmp(&a.found.score));
        let expected: Vec<usize> =
            naive_mmr(&pool, k, lambda).into_iter().map(|at| pool[at].found.chunk.ordinal).collect();
        let selection = Selection { k, mmr: Some(lambda), ..Selection::default() };
        let found = selection.of(pool, &wanted).unwrap().chunks;
        prop_assert_eq!(found.iter().map(|found| found.chunk.ordinal).collect::<Vec<_>>(), expected);
    }
}
