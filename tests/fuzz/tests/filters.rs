//! Filters as text, changed at random: a bounded and seeded number of them.

use ragstone_fuzz::filter;

const CORPUS: [&str; 12] = [
    r#"s = "en" and i >= 2020 and not (l contains "draft" or s prefix "Re:")"#,
    r"s in ('a', 'b') or s not in () or b = true",
    "i > 1 and <= 9 and f between -1.5e3 and 2",
    "t >= \"2024-05-01T12:00:00.25+02:00\" and t < timestamp 9",
    "g within 1.5 km of (48.2, 16.37)",
    r#"l contains any ("a", "b") and s match "green tea""#,
    "j exists or j is null or i is not null",
    "all of (any of (), not not b != false)",
    "all tenants and `odd \\` name` = 1",
    "\"\\u{1f600}\\n\"",
    "größe\n=\t'ä'",
    "((((((i = 1))))))",
];

#[test]
fn the_corpus_is_read() {
    assert_eq!(CORPUS.iter().filter(|text| filter(text.as_bytes())).count(), CORPUS.len() - 1);
}

#[test]
fn changed_texts_are_read_or_refused() {
    const RUNS: usize = 20_000;
    let mut state = 7_u64;
    // A linear congruential generator (Knuth 1981), its upper bits.
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let mut read = 0;
    for _ in 0..RUNS {
        let mut text = CORPUS[below(CORPUS.len())].as_bytes().to_vec();
        for _ in 0..=below(3) {
            let (other, at) = (CORPUS[below(CORPUS.len())].as_bytes(), below(text.len() + 1));
            let from = below(other.len());
            let part = &other[from..(from + 1 + below(8)).min(other.len())];
            let end = (at + below(4)).min(text.len());
            text.splice(at..end, part.iter().copied());
        }
        read += usize::from(filter(&text));
    }
    assert!((RUNS / 50..RUNS).contains(&read), "{read} of {RUNS} were read");
}
