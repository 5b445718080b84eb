//! Texts of each grammar, changed at random: a bounded and seeded number of them; `cargo xtask fuzz-texts` goes on.

use ragstone::PointId;
use ragstone::query::Cursor;
use ragstone_fuzz::{Random, exercise_text};

/// Settings, grants, cursors, bodies of cursors, JSON, names: by the kind that the first byte of an input says.
fn corpus() -> Vec<(u8, Vec<u8>)> {
    let settings = [
        "listen = \"127.0.0.1:1\"\nrequest_bytes_max = \"32MiB\"\n[tls]\ncert = \"c.pem\"\nkey = 'k.pem'\n",
        "concurrent_requests_max = 0x10\nrequest_timeout = \"30s\"\n[jwt]\nroles = [\"reader=read on a\", '''x=admin''']\n",
        "# nothing\n[access]\n\n\"listen\" = 1e3\n",
    ];
    let grants = [
        "read on notes-*, drafts where tenant = $claims.tenant",
        "write on * where year in (1, $claims.years) and not (a prefix \"$claims.b\")",
        "manage on a",
        "manage on a-*, max max 12",
        "admin",
    ];
    let cursors = [Cursor::from(PointId::Num(7)), Cursor::from(PointId::from("ü"))];
    let json = ["{\"a\": [1, -2.5e3, null, \"\\u00e9\"]}", "[[[[]]], {}]", "18446744073709551616"];
    let names =
        ["english", "0123456789abcdef0123456789abcdef", "a@1", "hybrid", "m=http://127.0.0.1:1/v1#x", "user"];
    let bodies: [&[u8]; 3] = [
        b"\x01\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00",
        b"\x01\x01\x01\x00\x00\x00f\x01\x02\x07\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00x",
        b"\x01\x02\x01\x00\x00\x00f\x00\x01\x01\x00\x00\x00x",
    ];
    let of_kind = |kind: u8, texts: &[&str]| -> Vec<(u8, Vec<u8>)> {
        texts.iter().map(|text| (kind, text.as_bytes().to_vec())).collect()
    };
    let mut all =
        [of_kind(0, &settings), of_kind(1, &grants), of_kind(4, &json), of_kind(5, &names)].concat();
    all.extend(cursors.iter().map(|cursor| (2, cursor.to_string().into_bytes())));
    all.extend(bodies.iter().map(|body| (3, body.to_vec())));
    all
}

fn input(kind: u8, text: &[u8]) -> Vec<u8> {
    [&[kind][..], text].concat()
}

#[test]
fn the_corpus_is_read() {
    let corpus = corpus();
    let read = corpus.iter().filter(|(kind, text)| exercise_text(&input(*kind, text))).count();
    assert!(read > corpus.len() / 2, "{read} of {} are what they are to be", corpus.len());
}

#[test]
fn changed_texts_are_read_or_refused() {
    const RUNS: usize = 15_000;
    let (mut random, corpus) = (Random::new(17), corpus());
    let mut read = 0;
    for _ in 0..RUNS {
        let (kind, mut text) = corpus[random.below(corpus.len())].clone();
        for _ in 0..=random.below(3) {
            let (_, other) = &corpus[random.below(corpus.len())];
            let (at, from) = (random.below(text.len() + 1), random.below(other.len()));
            let part = match random.below(4) {
                0 => random.bytes(2),
                _ => other[from..(from + 1 + random.below(8)).min(other.len())].to_vec(),
            };
            let end = (at + random.below(4)).min(text.len());
            text.splice(at..end, part);
        }
        read += usize::from(exercise_text(&input(kind, &text)));
    }
    assert!((RUNS / 100..RUNS).contains(&read), "{read} of {RUNS} were read");
}
