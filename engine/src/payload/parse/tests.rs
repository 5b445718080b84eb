//! What is read, what is refused and where, and that what is printed reads back.

use proptest::prelude::*;

use super::*;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX};
use crate::payload::{GeoPoint, Range, Value};

fn fields() -> BTreeMap<String, FieldType> {
    let fields = [
        ("lang", FieldType::String),
        ("year", FieldType::Int),
        ("score", FieldType::Float),
        ("draft", FieldType::Bool),
        ("at", FieldType::Timestamp),
        ("tags", FieldType::Strings),
        ("place", FieldType::Geo),
    ];
    fields.map(|(name, field_type)| (name.to_owned(), field_type)).into()
}

fn range(set: impl FnOnce(&mut Range)) -> Range {
    let mut range = Range::default();
    set(&mut range);
    range
}

/// 2^53 + 1, written with a point, was read as the float next to it, another number.
#[test]
fn an_int_with_a_point_is_the_one_that_is_written() {
    let year = |digits: &str| Filter::parse_for(&format!("year = {digits}"), &fields());
    assert_eq!(year("9007199254740991.0"), Ok(Filter::eq("year", 9_007_199_254_740_991)));
    for digits in ["9007199254740993.0", "-9007199254740993.0"] {
        assert_eq!(year(digits).unwrap_err().reason, "write an int of this size in digits only");
    }
}

#[test]
fn what_people_write_is_read() {
    let lang = |text: &str| Filter::eq("lang", text);
    let not = |filter| Filter::Not(Box::new(filter));
    let since = |year: i64| Filter::Range("year".into(), range(|range| range.gte = Some(year.into())));
    let cases = [
        ("lang = \"en\"", lang("en")),
        ("lang=='en'", lang("en")),
        ("`lang` <> 'en'", not(lang("en"))),
        ("NOT lang = 'en'", not(lang("en"))),
        ("lang = 'en' and year >= 2020", Filter::And(vec![lang("en"), since(2020)])),
        (
            "lang = 'a' or lang = 'b' AND year >= 1",
            Filter::Or(vec![lang("a"), Filter::And(vec![lang("b"), since(1)])]),
        ),
        (
            "(lang = 'a' or lang = 'b') and year >= 1",
            Filter::And(vec![Filter::Or(vec![lang("a"), lang("b")]), since(1)]),
        ),
        ("year not in (1, 2)", not(Filter::In("year".into(), vec![1.into(), 2.into()]))),
        ("draft in ()", Filter::In("draft".into(), vec![])),
        (
            "year > 1 and <= 9 and draft = true",
            Filter::And(vec![
                Filter::Range(
                    "year".into(),
                    Range { gt: Some(1.into()), lte: Some(9.into()), ..Range::default() },
                ),
                Filter::eq("draft", true),
            ]),
        ),
        (
            "year between 1 and 9 and draft = TRUE",
            Filter::And(vec![
                Filter::Range(
                    "year".into(),
                    Range { gte: Some(1.into()), lte: Some(9.into()), ..Range::default() },
                ),
                Filter::eq("draft", true),
            ]),
        ),
        ("all of (lang = 'a')", Filter::And(vec![lang("a")])),
        ("any of ()", Filter::Or(vec![])),
        ("in = 1 and all != 2", Filter::And(vec![Filter::eq("in", 1), not(Filter::eq("all", 2))])),
        ("tags contains 'x'", Filter::contains("tags", "x")),
        (
            "tags not contains any ('x', 'y')",
            not(Filter::Contains("tags".into(), vec!["x".into(), "y".into()])),
        ),
        ("title PREFIX 'Re:'", Filter::Prefix("title".into(), "Re:".into())),
        ("title match 'green tea'", Filter::Match("title".into(), "green tea".into())),
        (
            "year exists and lang is not null",
            Filter::And(vec![Filter::Exists("year".into()), Filter::Exists("lang".into())]),
        ),
        ("year is null", not(Filter::Exists("year".into()))),
        (
            "place within 1.5 km of (48.2, -16)",
            Filter::GeoRadius("place".into(), GeoPoint::new(48.2, -16.0), 1500.0),
        ),
        ("place within 500m of (1, 2)", Filter::GeoRadius("place".into(), GeoPoint::new(1.0, 2.0), 500.0)),
        ("all tenants and year = 1", Filter::And(vec![Filter::AllTenants, Filter::eq("year", 1)])),
        ("at = timestamp '1970-01-01T00:00:01Z'", Filter::Eq("at".into(), Value::Timestamp(1_000_000))),
        ("at = timestamp -9223372036854775808", Filter::Eq("at".into(), Value::Timestamp(i64::MIN))),
        ("a-b.c = -5", Filter::eq("a-b.c", -5)),
        ("größe = 1e3", Filter::eq("größe", 1000.0)),
    ];
    for (text, expected) in cases {
        let read = Filter::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(read, expected, "{text}");
        assert_eq!(Filter::parse(&read.to_string()), Ok(read.clone()), "{read}");
    }
}

#[test]
fn literals_take_the_types_of_their_fields() {
    let read = |text: &str| Filter::parse_for(text, &fields()).unwrap();
    assert_eq!(read("score = 1"), Filter::eq("score", 1.0));
    assert_eq!(read("year = 1e3"), Filter::eq("year", 1000));
    assert_eq!(read("at = '1970-01-02'"), Filter::Eq("at".into(), Value::Timestamp(86_400_000_000)));
    assert_eq!(read("year = -9223372036854775808"), Filter::eq("year", i64::MIN));
    let big = Filter::In("score".into(), vec![1e19.into()]);
    assert_eq!(read("score in (10000000000000000000)"), big);
}

/// Text, column and words of the reason, with the fields above.
const REFUSED: [(&str, usize, &str); 44] = [
    ("", 1, "expected a condition, found the end"),
    (
        "lang",
        5,
        "expected an operator: = != < <= > >= in between contains prefix match exists is within, found the end",
    ),
    ("lang =", 7, "expected a value, found the end"),
    ("lang = en", 8, "a string is written \"en\""),
    ("lang = and", 8, "expected a value, found `and`"),
    ("lang = 'en", 8, "closing '"),
    ("lang = 'en' year = 1", 13, "expected `and`, `or` or the end, found `year`"),
    ("(lang = 'en'", 13, "expected `and`, `or` or `)`, found the end"),
    ("lang = 'en')", 12, "found `)`"),
    ("lang in 'en'", 9, "expected `(`, found a string"),
    ("lang in ('en' 'de')", 15, "expected `,` or `)`"),
    ("lang in ('en',)", 15, "expected a value, found `)`"),
    ("year between 1 or 2", 16, "expected `and`, found `or`"),
    ("year > 1 and > 2", 14, "a second bound with >"),
    ("not", 4, "expected a condition, found the end"),
    ("lang = 'en' and", 16, "expected a condition, found the end"),
    ("or = 1", 1, "expected a condition, found `or`"),
    ("lang not = 'x'", 10, "expected an operator"),
    ("lang like 'x'", 6, "expected an operator"),
    ("1 = year", 1, "expected a condition, found `1`"),
    ("lang = 'ä' and % = 1", 16, "`%` means nothing here"),
    ("yaer = 1", 1, "did you mean `year`?"),
    ("colour = 1", 1, "the collection has no field of this name"),
    ("lang = 1", 8, "`lang` is string, this is a number"),
    ("year = 'x'", 8, "`year` is int, this is a string"),
    ("year in (1, true)", 13, "`year` is int, this is bool"),
    ("year = 1.5", 8, "no whole number"),
    ("year = 9223372036854775808", 8, "64 bits"),
    ("score = 1e999", 9, "beyond"),
    ("draft > false", 1, "no order"),
    ("at > 'yesterday'", 6, "a time is written"),
    ("at > '2024-05-01T12:00:00.123456789Z'", 6, "six digits of a second at most"),
    ("at > 5", 6, "`at` is timestamp, this is a number"),
    ("tags = 'x'", 8, "`tags contains`"),
    ("lang contains 'x'", 1, "`lang` is string, and `contains` is for strings fields"),
    ("place within 5 miles of (1, 2)", 16, "expected `m` or `km`, found `miles`"),
    ("year is nul", 9, "expected `null`"),
    ("lang prefix 5", 13, "expected a string"),
    ("place within -1 m of (1, 2)", 14, "a radius is a number of metres from zero on, not -1"),
    ("place within 1e306 km of (1, 2)", 14, "a radius is a number of metres from zero on, not inf"),
    ("place within 1 m of (91, 2)", 22, "91 is not between -90 and 90 degrees"),
    ("place within 1 m of (1, -180.5)", 25, "-180.5 is not between -180 and 180 degrees"),
    ("lang match 'x'", 1, "`lang` has no lexical index, which `match` needs"),
    ("year match 'x'", 1, "`year` is int, and `match` is for string fields"),
];

#[test]
fn what_is_wrong_is_pointed_at() {
    for (text, column, words) in REFUSED {
        let error = Filter::parse_for_texts(text, &fields(), |field| field == "title").expect_err(text);
        assert_eq!((error.line, error.column), (1, column), "{text}: {error}");
        assert!(error.reason.contains(words), "{text}: {error}");
    }
}

/// Which fields are searched by word is asked of the collection where nobody says it here.
#[test]
fn words_are_matched_in_texts_alone() {
    let text = "lang match 'tea' and not lang match 'moon'";
    let read = Filter::parse_for(text, &fields());
    assert!(read.is_ok());
    assert_eq!(Filter::parse_for_texts(text, &fields(), |field| field == "lang"), read);
    let error = Filter::parse_for_texts(text, &fields(), |_| false).unwrap_err();
    assert!(error.to_string().ends_with("\n  lang match 'tea' and not lang match 'moon'\n  ^^^^"), "{error}");
}

#[test]
fn depth_terms_and_length_are_bounded() {
    let nested = |open: &str, close: &str, times: usize| {
        format!("{}year = 1{}", open.repeat(times), close.repeat(times))
    };
    for (open, close) in [("(", ")"), ("not ", ""), ("all of (", ")"), ("not (", ")")] {
        let error = Filter::parse(&nested(open, close, 100_000 / open.len())).unwrap_err();
        assert!(error.reason.contains("FILTER_DEPTH_MAX"), "{open}: {error}");
    }
    assert!(Filter::parse(&nested("not ", "", FILTER_DEPTH_MAX - 1)).is_ok());
    assert!(Filter::parse(&nested("not ", "", FILTER_DEPTH_MAX)).is_err());
    let list = |count: usize| format!("year in ({})", vec!["1"; count].join(", "));
    assert!(Filter::parse(&list(FILTER_TERMS_MAX - 1)).is_ok());
    assert!(Filter::parse(&list(FILTER_TERMS_MAX)).unwrap_err().reason.contains("FILTER_TERMS_MAX"));
    let long = format!("lang = '{}'", "x".repeat(FILTER_TEXT_BYTES_MAX));
    assert!(Filter::parse(&long).unwrap_err().to_string().contains("FILTER_TEXT_BYTES_MAX"));
}

/// Any name: those of keywords, those that need quotes.
fn name() -> impl Strategy<Value = String> {
    let odd = prop_oneof!["[a-zäß_][a-z0-9_.-]{0,6}", "\\PC{1,6}", "[`\\\\\"' ]{1,4}"];
    let keyword =
        prop::sample::select(vec!["and", "Or", "not", "in", "all", "any", "of", "true", "between", "exists"]);
    prop_oneof![4 => odd, 1 => keyword.prop_map(str::to_owned)]
}

fn value() -> impl Strategy<Value = Value> {
    let float = any::<f64>().prop_filter("finite", |number| number.is_finite());
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<i64>().prop_map(Value::Timestamp),
        (-70_000_000_000_000_000_i64..300_000_000_000_000_000).prop_map(Value::Timestamp),
        float.prop_map(Value::Float),
        ".{0,8}|[\\x00-\\x20\\\\\"'`]{0,6}".prop_map(Value::String),
    ]
}

fn any_range() -> impl Strategy<Value = Range> {
    let bound = || prop::option::of(value());
    (bound(), bound(), bound(), bound())
        .prop_map(|(gt, gte, lt, lte)| Range { gt, gte, lt, lte })
        .prop_filter("a bound", |range| *range != Range::default())
}

fn filter() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        (name(), value()).prop_map(|(name, value)| Filter::Eq(name, value)),
        (name(), prop::collection::vec(value(), 0..4)).prop_map(|(name, values)| Filter::In(name, values)),
        (name(), ".{0,5}").prop_map(|(name, text)| Filter::Prefix(name, text)),
        (name(), ".{0,5}").prop_map(|(name, text)| Filter::Match(name, text)),
        (name(), prop::collection::vec(".{0,5}", 0..3))
            .prop_map(|(name, texts)| Filter::Contains(name, texts)),
        name().prop_map(Filter::Exists),
        (name(), -90.0..90.0, -180.0..180.0, 0.0..1e9)
            .prop_map(|(name, lat, lon, metres)| Filter::GeoRadius(name, GeoPoint { lat, lon }, metres)),
        Just(Filter::AllTenants),
        (name(), any_range()).prop_map(|(name, range)| Filter::Range(name, range)),
    ];
    leaf.prop_recursive(6, 40, 4, |inner| {
        let several = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            several().prop_map(Filter::And),
            several().prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_printed_reads_back(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(Filter::parse(&text).map_err(|error| error.to_string()), Ok(filter), "{}", text);
    }

    #[test]
    fn any_text_is_a_filter_or_an_error_at_a_place_in_it(text in "\\PC{0,40}|[a-c ()'\"`=<>!,0-9.\\\\andornti]{0,60}") {
        match Filter::parse_for(&text, &fields()).and(Filter::parse(&text)) {
            Ok(filter) => prop_assert_eq!(Filter::parse(&filter.to_string()), Ok(filter)),
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1),
        }
    }
}
