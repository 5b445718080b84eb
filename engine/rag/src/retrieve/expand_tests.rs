use super::*;
use crate::retrieve::StageScores;

/// Chapters of two sections, sections of three chunks.
fn heading(ordinal: usize) -> String {
    format!("C{} > S{}", ordinal / 6, ordinal / 3)
}

fn chunk(document: &str, ordinal: usize) -> Chunk {
    let text = format!("text {ordinal}");
    let (start, end) = (10 * ordinal, 10 * ordinal + 9);
    let (document, heading, content_sha256) = (document.to_owned(), heading(ordinal), String::new());
    Chunk { document, ordinal, heading, start, end, text, tokens: 2, content_sha256 }
}

fn found(document: &str, ordinal: usize) -> RetrievedChunk {
    let scores = StageScores { words: Some(1.0), ..StageScores::default() };
    RetrievedChunk { chunk: chunk(document, ordinal), score: 0.5, scores, beside: None, gap: None }
}

/// What the store says of those that are asked for, if it has these.
fn stored(candidates: Vec<Place>, there: &[usize]) -> HashMap<Place, String> {
    let is_there = |(document, ordinal): &Place| document == "d" && there.contains(ordinal);
    candidates.into_iter().filter(is_there).map(|place| (place.clone(), heading(place.1))).collect()
}

/// What is added to chunks of a document of which these are there.
fn added(expansion: Expansion, hits: &[usize], there: &[usize]) -> Vec<usize> {
    let hits: Vec<RetrievedChunk> = hits.iter().map(|at| found("d", *at)).collect();
    let added = expansion.of(&hits, stored(expansion.candidates(&hits), there));
    assert!(added.iter().all(|added| added.hit < hits.len()));
    added.into_iter().map(|added| added.ordinal).collect()
}

fn near(before: usize, after: usize) -> Expansion {
    Expansion { before, after, ..Expansion::default() }
}

fn section(parents: usize) -> Expansion {
    Expansion { section: true, parents, ..Expansion::default() }
}

#[test]
fn neighbours_and_sections_are_added_nearest_first_and_once() {
    let all: &[usize] = &[0, 1, 2, 3, 4, 5, 6, 7, 8];
    // what is asked for, what was found, what the store has, what is added
    type Case<'a> = (Expansion, &'a [usize], &'a [usize], &'a [usize]);
    let cases: [Case<'_>; 10] = [
        (near(0, 0), &[4], all, &[]),
        (near(1, 2), &[4], all, &[5, 3, 6]),
        (near(2, 2), &[0], &[0, 1], &[1]),
        // What lies behind a chunk that is not there is not added.
        (near(2, 2), &[4], &[2, 4, 6], &[]),
        (near(1, 1), &[4, 5], all, &[3, 6]),
        (near(1, 1), &[4, 7], all, &[5, 3, 8, 6]),
        (section(0), &[4], all, &[5, 3]),
        (section(0), &[3], all, &[4, 5]),
        (Expansion { after: 3, ..section(0) }, &[4], all, &[5, 3, 6, 7]),
        // Over a chunk that was found itself.
        (section(0), &[3, 4], all, &[5]),
    ];
    for (expansion, hits, there, expected) in cases {
        assert_eq!(added(expansion, hits, there), expected, "{expansion:?} of {hits:?}");
    }
    let elsewhere = [found("other", 4)];
    assert!(near(1, 1).of(&elsewhere, stored(near(1, 1).candidates(&elsewhere), all)).is_empty());
}

#[test]
fn sections_around_come_level_by_level_after_the_sections_of_all() {
    let all: Vec<usize> = (0..15).collect();
    assert_eq!(added(section(1), &[4], &all), [5, 3, 2, 1, 0]);
    assert_eq!(added(Expansion { section: false, ..section(1) }, &[4], &all), [5, 3, 2, 1, 0]);
    // Above the outermost heading is the document.
    assert_eq!(added(section(2), &[4], &all)[..6], [5, 3, 2, 1, 0, 6]);
    let whole = added(section(2), &[4], &all);
    assert_eq!(added(section(PARENTS_MAX), &[4], &all), whole);
    assert_eq!(whole.len(), 14);
    // The sections of both, then what stands around each.
    assert_eq!(added(section(1), &[4, 10], &all), [5, 3, 11, 9, 2, 1, 0, 8, 7, 6]);
    // The section around is cut off by what is not there.
    assert_eq!(added(section(1), &[4], &[0, 1, 3, 5, 6]), [5, 3]);
    // No farther than the limit on either side, however long the section is.
    let long: Vec<usize> = (0..200).collect();
    let far = added(section(2), &[100], &long);
    assert_eq!((far.len(), far.iter().min(), far.iter().max()), (2 * NEIGHBOURS_MAX, Some(&68), Some(&132)));
}

#[test]
fn paths_lie_within_each_other_by_whole_headings() {
    for (path, section, expected) in [
        ("A > B", "A > B", true),
        ("A > B > C", "A > B", true),
        ("A > B", "A > B > C", false),
        ("A > Bees", "A > B", false),
        ("A", "", true),
        ("", "", true),
        ("", "A", false),
    ] {
        assert_eq!(lies_within(path, section), expected, "{path:?} in {section:?}");
    }
    let up = |levels| above("A > B > C", levels);
    assert_eq!([up(0), up(1), up(2), up(3), up(9)], ["A > B > C", "A > B", "A", "", ""]);
}

#[test]
fn only_what_may_be_added_is_looked_up() {
    let ordinals = |expansion: Expansion, hits: &[(&str, usize)]| {
        let hits: Vec<RetrievedChunk> = hits.iter().map(|(document, at)| found(document, *at)).collect();
        expansion.candidates(&hits)
    };
    let place = |document: &str, ordinal: usize| (document.to_owned(), ordinal);
    assert!(ordinals(Expansion::default(), &[("d", 4)]).is_empty());
    assert_eq!(ordinals(near(5, 1), &[("d", 2)]), [place("d", 0), place("d", 1), place("d", 3)]);
    // Each once, and none that was found.
    assert_eq!(
        ordinals(near(1, 1), &[("d", 4), ("e", 0), ("d", 5)]),
        [place("d", 3), place("d", 6), place("e", 1)]
    );
    assert_eq!(ordinals(section(0), &[("d", 100)]).len(), 2 * NEIGHBOURS_MAX);
}

#[test]
fn all_that_may_be_added_is_bounded() {
    near(0, 1).validate(EXPANSION_CHUNKS_MAX).unwrap();
    section(0).validate(EXPANSION_CHUNKS_MAX / (2 * NEIGHBOURS_MAX)).unwrap();
    Expansion::default().validate(usize::MAX).unwrap();
    for (expansion, k) in [
        (near(0, 1), EXPANSION_CHUNKS_MAX + 1),
        (section(0), EXPANSION_CHUNKS_MAX / (2 * NEIGHBOURS_MAX) + 1),
        (Expansion { section: false, ..section(1) }, EXPANSION_CHUNKS_MAX / (2 * NEIGHBOURS_MAX) + 1),
        (near(1, 1), EXPANSION_CHUNKS_MAX / 2 + 1),
    ] {
        let error = expansion.validate(k).unwrap_err().to_string();
        assert!(error.starts_with("expand: ") && error.contains("EXPANSION_CHUNKS_MAX"), "{error}");
    }
}

#[test]
fn more_than_the_limit_is_refused() {
    let most = Expansion { before: NEIGHBOURS_MAX, after: NEIGHBOURS_MAX, ..section(PARENTS_MAX) };
    most.validate(1).unwrap();
    for (over, limit) in [
        (Expansion { before: NEIGHBOURS_MAX + 1, ..most }, "NEIGHBOURS_MAX = 32"),
        (Expansion { after: NEIGHBOURS_MAX + 1, ..most }, "NEIGHBOURS_MAX = 32"),
        (Expansion { parents: PARENTS_MAX + 1, ..most }, "PARENTS_MAX = 16"),
    ] {
        let error = over.validate(1).unwrap_err().to_string();
        assert!(error.contains(limit), "{error}");
    }
}
