//! What is refused, and where a message says it is.

use super::*;

fn fields() -> FieldTable {
    let mut fields = FieldTable::default();
    fields.add("year", FieldType::Int);
    fields.add("text", FieldType::String);
    fields.add("score", FieldType::Float);
    fields.add("draft", FieldType::Bool);
    fields.add("at", FieldType::Timestamp);
    fields.add("tags", FieldType::Strings);
    fields.add("place", FieldType::Geo);
    fields.add("extra", FieldType::Json);
    fields
}

fn error(filter: Filter) -> String {
    CompiledFilter::new(&filter, &fields()).unwrap_err().to_string()
}

#[test]
fn errors_name_the_path() {
    let nested = Filter::And(vec![Filter::eq("draft", true), Filter::eq("year", "x")]);
    assert_eq!(error(nested), "filter.and[1].year: the field is int, the value is string");
    let unknown = Filter::Not(Box::new(Filter::Or(vec![Filter::eq("nope", 1i64)])));
    assert_eq!(error(unknown), "filter.not.or[0].nope: the collection has no such payload field");
    let list = Filter::In("year".into(), vec![Value::Int(1), Value::Bool(true)]);
    assert_eq!(error(list), "filter.year[1]: the field is int, the value is bool");
    assert!(error(Filter::Range("year".into(), Range::default())).contains("at least one bound"));
    let bool_range = Range { gt: Some(Value::Bool(true)), ..Range::default() };
    assert!(error(Filter::Range("draft".into(), bool_range)).contains("this field is bool"));
    assert!(error(Filter::eq("score", f64::NAN)).contains("not a finite number"));
}

/// Words by the million were analysed for each segment.
#[test]
fn the_words_of_a_match_are_bounded() {
    let mut fields = fields();
    let (field, _) = fields.find("text").unwrap();
    fields.set_text(field, Analyzer::Standard, 0);
    let words = |count: usize| (0..count).map(|number| format!("w{number} ")).collect::<String>();
    let compiled = |text: String| {
        let filter = Filter::And(vec![Filter::Match("text".into(), text)]);
        CompiledFilter::new(&filter, &fields).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(compiled(words(QUERY_TERMS_MAX)), Ok(()));
    let error = compiled(words(QUERY_TERMS_MAX + 1)).unwrap_err();
    assert_eq!(error, "filter.and[0].text: 1025 is beyond the limit QUERY_TERMS_MAX = 1024");
    assert_eq!(compiled("x ".repeat(FILTER_TEXT_BYTES_MAX / 2)), Ok(()));
    let error = compiled("x".repeat(FILTER_TEXT_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(error, "filter.and[0].text: 1048577 is beyond the limit FILTER_TEXT_BYTES_MAX = 1048576");

    // They are found once, not anew in each segment.
    let filter = Filter::Match("text".into(), "One one, two.".into());
    let once = CompiledFilter::new(&filter, &fields).unwrap();
    assert!(matches!(&once.root, Node::Text(_, _, terms) if terms.terms.len() == 2), "{once:?}");

    // Thousands of such conditions were within the limits, each by itself.
    let all = |texts: Vec<String>| {
        let filter = Filter::Or(texts.into_iter().map(|text| Filter::Match("text".into(), text)).collect());
        CompiledFilter::new(&filter, &fields).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(all(vec![words(QUERY_TERMS_MAX); 9]), Ok(()));
    let error = all(vec![words(QUERY_TERMS_MAX); 10]).unwrap_err();
    assert_eq!(error, "filter: 10251 is beyond the limit FILTER_TERMS_MAX = 10000");
    let half = "x ".repeat(FILTER_TEXT_BYTES_MAX / 4);
    assert_eq!(all(vec![half.clone(); 2]), Ok(()));
    let error = all(vec![half.clone(), half, "x".into()]).unwrap_err();
    assert_eq!(error, "filter.or[2].text: 1048577 is beyond the limit FILTER_TEXT_BYTES_MAX = 1048576");
}

#[test]
fn conditions_are_on_types_that_have_them() {
    let cases = [
        (Filter::eq("tags", vec!["a".to_owned()]), "filter.tags: whole values are asked for of bools"),
        (Filter::eq("at", 3i64), "filter.at: the field is timestamp, the value is int"),
        (Filter::Prefix("year".into(), "2".into()), "filter.year: the condition is on fields of type string"),
        (Filter::contains("text", "x"), "filter.text: the condition is on fields of type strings"),
        (
            Filter::GeoRadius("place".into(), GeoPoint::new(91.0, 0.0), 1.0),
            "filter.place.center.lat: 91 is not between -90 and 90 degrees",
        ),
        (
            Filter::GeoRadius("place".into(), GeoPoint::default(), -1.0),
            "filter.place.metres: a radius is a number of metres from zero on, not -1",
        ),
        (Filter::Match("text".into(), "x".into()), "filter.text: the field has no lexical index"),
        (Filter::Exists("nope".into()), "filter.nope: the collection has no such payload field"),
    ];
    for (filter, expected) in cases {
        let message = error(filter);
        assert!(message.starts_with(expected), "{message}");
    }
    let range = Range { gte: Some(Value::Timestamp(5)), ..Range::default() };
    let sound = Filter::And(vec![Filter::Range("at".into(), range), Filter::Exists("extra".into())]);
    assert!(CompiledFilter::new(&sound, &fields()).is_ok());
}

#[test]
fn a_read_says_whose_rows_it_means() {
    let schema = Schema::builder(2).field("year", FieldType::Int).tenant("year").build().unwrap();
    let read = |filter: Option<Filter>| CompiledFilter::of_read(filter.as_ref(), None, &schema, &fields());
    let year = || Filter::eq("year", 3i64);
    let other = || Filter::eq("text", "x");
    for refused in [
        None,
        Some(other()),
        Some(Filter::Or(vec![year(), other()])),
        Some(Filter::Not(Box::new(year()))),
        Some(Filter::Exists("year".into())),
    ] {
        let message = read(refused).unwrap_err().to_string();
        assert!(message.starts_with("filter: the collection keeps tenants apart by `year`"), "{message}");
    }
    for sound in [
        year(),
        Filter::In("year".into(), vec![3i64.into()]),
        Filter::And(vec![other(), Filter::And(vec![year()])]),
        Filter::And(vec![other(), Filter::AllTenants]),
        Filter::AllTenants,
    ] {
        assert!(read(Some(sound)).unwrap().is_some());
    }
    let apart = CompiledFilter::of_read(None, None, &Schema::new(2).unwrap(), &fields());
    assert!(apart.unwrap().is_none());
}

/// Whoever was granted the rows of two tenants, each by itself, had to name one of them in every read, which not every client can.
#[test]
fn a_handle_on_rows_of_named_tenants_says_whose_rows_it_means() {
    let schema = Schema::builder(2).field("year", FieldType::Int).tenant("year").build().unwrap();
    let read = |rows: Filter| {
        let rows = RowFilter::new(rows).unwrap();
        CompiledFilter::of_read(None, Some(&rows), &schema, &fields())
    };
    let (one, other) = (Filter::eq("year", 3i64), Filter::eq("year", 4i64));
    let narrowed = Filter::And(vec![other.clone(), Filter::eq("text", "x")]);
    let both = Filter::Or(vec![one.clone(), narrowed]);
    for sound in [one.clone(), both.clone(), Filter::And(vec![Filter::eq("text", "y"), both])] {
        assert!(read(sound).unwrap().is_some());
    }
    let either = Filter::Or(vec![one, Filter::eq("text", "x")]);
    for refused in [either, Filter::Or(Vec::new()), Filter::Not(Box::new(other))] {
        assert!(matches!(read(refused), Err(Error::Invalid { .. })));
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let mut deep = Filter::eq("year", 1i64);
    for _ in 0..FILTER_DEPTH_MAX {
        deep = Filter::Not(Box::new(deep));
    }
    assert!(error(deep).contains("FILTER_DEPTH_MAX"));
    let wide = Filter::In("year".into(), (0..FILTER_TERMS_MAX as i64).map(Value::Int).collect());
    assert!(error(wide).contains("FILTER_TERMS_MAX"));
}

/// Ranges of one field that an `and` joins are found by one condition, whatever stands between them; those of an `or` are not.
#[test]
fn ranges_that_must_all_hold_are_one() {
    let leaves = |text: &str| {
        let filter = CompiledFilter::new(&Filter::parse(text).unwrap(), &fields()).unwrap();
        match filter.root {
            Node::And(nodes) | Node::Or(nodes) => nodes
                .iter()
                .map(|node| match node {
                    Node::Leaf(field, test) => (*field, Arc::clone(test)),
                    _ => panic!("a condition: {node:?}"),
                })
                .collect::<Vec<_>>(),
            Node::Leaf(field, test) => vec![(field, test)],
            node => panic!("conditions: {node:?}"),
        }
    };
    let years = || Arc::new(Test::IntRange(Bound::Included(2_000), Bound::Excluded(2_010)));
    assert_eq!(leaves("year >= 2000 and year < 2010"), [(0, years())]);
    let three = leaves("year >= 2000 and score > 0.5 and year < 2010 and score > 0.1");
    assert_eq!(
        three,
        [(0, years()), (2, Arc::new(Test::FloatRange(Bound::Excluded(0.5), Bound::Unbounded)))]
    );
    assert_eq!(leaves("year >= 2000 and year = 2003").len(), 2);
    // Nor did a thousand values of which one is to be met cost what a list of them does.
    let alternatives =
        leaves("year = 3 or score > 0.5 or year = 1 or text = 'x' or year in (2, 3) or text = 'w'");
    let above = Test::FloatRange(Bound::Excluded(0.5), Bound::Unbounded);
    let years = Test::IntIn(vec![1, 2, 3, 3]);
    let list =
        |texts: &[&str]| -> Vec<Box<[u8]>> { texts.iter().map(|text| text.as_bytes().into()).collect() };
    let texts = Test::TextIn(list(&["w", "x"]));
    assert_eq!(alternatives, [(2, Arc::new(above)), (0, Arc::new(years)), (1, Arc::new(texts))]);
    assert_eq!(leaves("draft = true or draft = false"), [(3, Arc::new(Test::Bool { accepts: [true; 2] }))]);
    let tags = leaves("tags contains 'b' or tags contains any ('c', 'a')");
    assert_eq!(tags, [(5, Arc::new(Test::ListAny(list(&["a", "b", "c"]))))]);
    let scores = leaves("score = 0.5 or score = -0.0 or score = -1.5");
    assert_eq!(scores, [(2, Arc::new(Test::FloatIn(vec![-1.5, 0.0, 0.5])))]);
    assert_eq!(leaves("year >= 2000 or year < 2010").len(), 2);
}
