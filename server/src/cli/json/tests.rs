//! What is typed or comes out of files, changed at random: a bounded and seeded number of texts.

use ragstone::FieldType;

use super::*;

const CORPUS: [&str; 6] = [
    r#"{"id": "a", "vector": [0.5, 1e3], "payload": {"s": "\u00e9", "i": -7, "f": 1.5e-3, "b": true}, "expires_at": "2026-01-31T00:00:00.5+02:00"}"#,
    r#"{"id": 18446744073709551615, "vectors": {"w": {"indices": [1, 9], "values": [1, 2]}, "l": [[1, 2], [3, 4]]}, "payload": {"t": 1e300, "g": {"lat": 48.2, "lon": 16}}}"#,
    r#"{"id": 1, "set": {"l": ["a", "b"], "t": "1970-01-01T00:00:02Z", "j": [1, {"a": null}]}, "unset": ["s"], "expires_at": null}"#,
    r#"{"fuse": {"sources": [{"nearest": {"query": [1, 0], "vector": "v", "ef": 9}}, {"text": {"query": "tea"}}], "candidates": 10}}"#,
    r#"{"rescore": {"from": {"order_by": {"field": "i", "descending": true}}, "by": {"recommend": {"positive": [1, [0.5, 1]], "negative": ["a"]}}}}"#,
    r#"{"id": 9223372036854775808, "payload": {"i": 9223372036854775808, "t": -62135596800000001, "f": 123456789012345678901234567890}}"#,
];

/// Whoever gave a list of points in place of a point a line got the whole file back, as the error.
#[test]
fn an_error_shows_the_beginning_of_what_is_wrong() {
    let list = format!("[{}]", vec!["{\"id\": \"ä\"}"; 100].join(", "));
    let raw: Box<RawValue> = serde_json::from_str(&list).unwrap();
    let refused = [
        point(&raw, &Types::new()).unwrap_err(),
        value::value(&raw, Some(FieldType::Bool), "value").unwrap_err(),
        source(parsed(&raw, "source").unwrap(), "source").unwrap_err(),
    ];
    for error in refused.map(|error| error.to_string()) {
        assert!(error.contains("[{\"id\":") && error.contains('…') && error.len() < 250, "{error}");
    }
}

#[test]
fn no_text_is_a_panic() {
    const RUNS: usize = 6_000;
    let of = |(name, field_type): (&str, FieldType)| (name.to_owned(), field_type);
    let types: Types = [
        ("s", FieldType::String),
        ("i", FieldType::Int),
        ("f", FieldType::Float),
        ("b", FieldType::Bool),
        ("t", FieldType::Timestamp),
        ("l", FieldType::Strings),
        ("g", FieldType::Geo),
        ("j", FieldType::Json),
    ]
    .map(of)
    .into();
    let mut state = 23_u64;
    // A linear congruential generator (Knuth 1981), its upper bits.
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let (mut json, mut points) = (0, 0);
    for _ in 0..RUNS {
        let mut text = CORPUS[below(CORPUS.len())].as_bytes().to_vec();
        for _ in 0..below(4) {
            let (other, at) = (CORPUS[below(CORPUS.len())].as_bytes(), below(text.len() + 1));
            let from = below(other.len());
            let part = &other[from..(from + 1 + below(6)).min(other.len())];
            let end = (at + below(4)).min(text.len());
            text.splice(at..end, part.iter().copied());
        }
        let Ok(raw) = serde_json::from_slice::<Box<RawValue>>(&text) else { continue };
        json += 1;
        if let Ok(point) = point(&raw, &types) {
            points += 1;
            shown_point(&point);
        }
        let _ = update(&raw, &types);
        let _ = value::value(&raw, None, "value");
        let _ = typed(raw.get(), Some(FieldType::Json), "value");
        let _ = write(&format!("{{\"upsert\": {raw}}}\n{{\"update\": {raw}}}"), "lines", &types);
        if let Ok(read) = parsed(&raw, "text") {
            let _ = moment(&read, "moment");
            let _ = source(read.clone(), "source");
            let _ = query(read.clone());
            let _ = vector(read, "vector");
        }
    }
    assert!(json > RUNS / 10 && points > RUNS / 100, "{json} texts were JSON, {points} of them points");
}
