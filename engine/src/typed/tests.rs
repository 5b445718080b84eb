//! Every shape of a value on its way in and out, and what is refused.

mod vectors;

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::payload::{FieldType, GeoPoint, Json, Value};
use crate::{Db, Schema};

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Draft,
    Final,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Meters(f32);

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Everything {
    id: PointId,
    vector: Option<Vec<f32>>,
    flag: bool,
    small: i8,
    large: u64,
    signed: i64,
    single: f32,
    double: f64,
    letter: char,
    text: String,
    kind: Kind,
    height: Meters,
    maybe: Option<i32>,
    #[serde(default)]
    nothing: (),
    #[serde(skip)]
    skipped: u8,
    #[serde(rename = "other")]
    renamed: Option<String>,
    value: Value,
    tags: Vec<String>,
    place: Option<GeoPoint>,
    nested: Option<Deep>,
    pairs: Vec<(u8, bool)>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Deep {
    a: BTreeMap<String, Vec<i64>>,
    b: Option<Box<Deep>>,
    kind: Shape,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum Shape {
    Dot,
    Circle(f32),
    Box { width: u8 },
}

fn place() -> impl Strategy<Value = GeoPoint> {
    (-90.0..90.0, -180.0..180.0).prop_map(|(lat, lon)| GeoPoint { lat, lon })
}

fn deep() -> impl Strategy<Value = Deep> {
    let kind = prop_oneof![
        Just(Shape::Dot),
        (0_f32..9.0).prop_map(Shape::Circle),
        any::<u8>().prop_map(|width| Shape::Box { width })
    ];
    let a = prop::collection::btree_map(".{0,3}", prop::collection::vec(any::<i64>(), 0..3), 0..3);
    (a, kind).prop_map(|(a, kind)| {
        let b = Some(Box::new(Deep { a: a.clone(), b: None, kind: kind.clone() }));
        Deep { a, b, kind }
    })
}

fn everything() -> impl Strategy<Value = Everything> {
    let id = prop_oneof![any::<u64>().prop_map(PointId::Num), ".{1,9}".prop_map(PointId::Str)];
    let value = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e9..1e9).prop_map(Value::Float),
        ".{0,9}".prop_map(Value::String),
        prop::collection::vec(".{0,3}", 0..4).prop_map(Value::Strings),
        place().prop_map(Value::Geo),
        Just(Value::Json(Json::new("[1,{\"a\":null}]").unwrap())),
    ];
    let numbers = (any::<i8>(), 0..=i64::MAX as u64, any::<i64>(), -1e9_f32..1e9, -1e9..1e9);
    let vector = prop::option::of(prop::collection::vec(-1e3_f32..1e3, 0..9));
    let optional = (prop::option::of(any::<i32>()), prop::option::of(".{0,9}"), any::<bool>());
    let lists = (prop::collection::vec(".{0,3}", 0..4), prop::collection::vec(any::<(u8, bool)>(), 1..4));
    let nested = (lists, prop::option::of(place()), prop::option::of(deep()));
    (id, vector, numbers, any::<char>(), ".{0,9}", optional, value, nested).prop_map(
        |(
            id,
            vector,
            (small, large, signed, single, double),
            letter,
            text,
            (maybe, renamed, flag),
            value,
            ((tags, pairs), place, nested),
        )| {
            let kind = if flag { Kind::Draft } else { Kind::Final };
            let (height, nothing) = (Meters(single), ());
            Everything {
                id,
                vector,
                flag,
                small,
                large,
                signed,
                single,
                double,
                letter,
                text,
                kind,
                height,
                maybe,
                nothing,
                skipped: 0,
                renamed,
                value,
                tags,
                place,
                nested,
                pairs,
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read(row in everything()) {
        let point = Point::from_row(&row).unwrap();
        prop_assert_eq!(point.vector.as_deref(), row.vector.as_deref());
        prop_assert_eq!(&point.payload["text"], &Value::String(row.text.clone()));
        prop_assert_eq!(point.payload.contains_key("maybe"), row.maybe.is_some());
        prop_assert!(!point.payload.contains_key("skipped") && !point.payload.contains_key("nothing"));
        prop_assert_eq!(point.to_row::<Everything>().unwrap(), row);
    }
}

#[test]
fn declared_types_say_what_integers_and_anything_in_json_are() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(2).field("at", FieldType::Timestamp).field("extra", FieldType::Json);
    let rows = db.create_collection("rows", schema.build().unwrap()).unwrap();
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Row {
        id: u64,
        at: i64,
        extra: Vec<String>,
    }
    let row = Row { id: 1, at: -5, extra: vec!["a".into()] };
    rows.upsert_rows([&row]).unwrap();
    let point = rows.get(&[1.into()]).unwrap().remove(0).unwrap();
    assert_eq!(point.payload["at"], Value::Timestamp(-5));
    assert_eq!(point.payload["extra"], Value::Json(Json::new("[\"a\"]").unwrap()));
    assert_eq!(rows.get_rows::<Row>(&[1.into()]).unwrap(), [Some(row)]);
}

#[derive(Debug, Deserialize, PartialEq, Serialize)]
struct Nested {
    id: u32,
    vector: [f64; 2],
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

#[test]
fn flattened_fields_and_maps_are_fields() {
    let rest = BTreeMap::from([("a".to_owned(), Value::Int(1)), ("b".to_owned(), "x".into())]);
    let row = Nested { id: 7, vector: [0.5, 2.0], rest: rest.clone() };
    let point = Point::from_row(&row).unwrap();
    assert_eq!(point, Point { payload: rest, ..Point::new(7, [0.5, 2.0]) });
    assert_eq!(point.to_row::<Nested>().unwrap(), row);
    let map = BTreeMap::from([("id", 3), ("year", 2024)]);
    let point = Point::from_row(&map).unwrap();
    assert_eq!(point, Point::without_vector(3).with("year", 2024));
    assert_eq!(point.to_row::<BTreeMap<String, i64>>().unwrap()["year"], 2024);
    assert_eq!(point.to_row::<Option<BTreeMap<String, i64>>>().unwrap().unwrap()["id"], 3);
}

#[test]
fn ids_and_values_are_plain_in_other_formats_too() {
    let ids: Vec<PointId> = vec![7.into(), "a".into(), u64::MAX.into()];
    let json = serde_json::to_string(&ids).unwrap();
    assert_eq!(json, r#"[7,"a",18446744073709551615]"#);
    assert_eq!(serde_json::from_str::<Vec<PointId>>(&json).unwrap(), ids);
    let list = Value::Strings(vec!["c".into()]);
    let (place, nested) = (GeoPoint::new(1.5, -2.0).into(), Json::new("[1,{}]").unwrap().into());
    let values = vec![Value::Bool(true), Value::Int(-3), Value::Float(0.5), "b".into(), list, place, nested];
    let json = serde_json::to_string(&values).unwrap();
    assert_eq!(json, r#"[true,-3,0.5,"b",["c"],{"lat":1.5,"lon":-2.0},[1,{}]]"#);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&json).unwrap(), values);
    for wrong in ["-1", "1.5", "null", "[]"] {
        assert!(serde_json::from_str::<PointId>(wrong).is_err(), "{wrong}");
    }
    for wrong in ["9223372036854775808", "null"] {
        assert!(serde_json::from_str::<Value>(wrong).is_err(), "{wrong}");
    }
}

#[derive(Serialize)]
struct Holding<I, V, F> {
    id: I,
    vector: V,
    field: F,
}

fn refusal<I: Serialize, V: Serialize, F: Serialize>(id: I, vector: V, field: F) -> String {
    Point::from_row(&Holding { id, vector, field }).unwrap_err().to_string()
}

#[test]
fn what_has_no_place_in_a_row_is_refused_by_name() {
    struct Bytes;
    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(b"x")
        }
    }
    #[derive(Serialize)]
    struct Empty;
    let none: Option<Vec<f32>> = None;
    let deep = (0..127).fold(serde_json::json!([]), |inner, _| serde_json::json!([inner]));
    let value = "a payload field is a bool, an int, a float, a string or what JSON holds; this is";
    let cases = [
        (refusal(-1, &none, 0), "id: an id is an unsigned integer or a string".to_owned()),
        (refusal(None::<u8>, &none, 0), "id: an id is an unsigned integer or a string".into()),
        (refusal(1, "text", 0), "vector: a vector is a list of numbers".into()),
        (refusal(1, ["a"], 0), "vector: a vector is a list of numbers".into()),
        (refusal(1, [[1.0]], 0), "vector: a vector is a list of numbers".into()),
        (refusal(1, &none, Bytes), format!("field: {value} bytes")),
        (refusal(1, &none, Empty), format!("field: {value} a struct without fields")),
        (
            refusal(1, &none, u64::MAX),
            "field: 18446744073709551615 is beyond the largest int, 2^63 - 1".into(),
        ),
        (refusal(1, &none, [0.5, f64::NAN]), "field: NaN is not a finite number".into()),
        (
            refusal(1, &none, BTreeMap::from([("a", Some((1, f32::INFINITY)))])),
            "field: inf is not a finite number".into(),
        ),
        (refusal(1, &none, deep), "field: json: 128 is beyond the limit JSON_DEPTH_MAX = 127".into()),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let infinite = values::fitted(Value::Float(f64::INFINITY), FieldType::Json);
    assert!(matches!(infinite, Value::Float(_)), "{infinite:?}");
    let no_id = Point::from_row(&BTreeMap::from([("a", 1)])).unwrap_err().to_string();
    assert_eq!(no_id, "id: a row has a field of this name");
    assert_eq!(
        Point::from_row(&3).unwrap_err().to_string(),
        "row: a row is a struct or a map; this is a number"
    );
    assert_eq!(
        Point::from_row(&[3]).unwrap_err().to_string(),
        "row: a row is a struct or a map; this is a tuple"
    );
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "only whether it can be read is looked at")]
struct Strict {
    id: u64,
    vector: [f32; 2],
    kind: Kind,
    #[serde(default)]
    size: u8,
}

#[test]
fn what_does_not_fit_a_type_is_refused_by_row_and_name() {
    let point = || Point::new(4, [1.0, 0.0]).with("kind", "draft");
    assert!(point().with("id", "its own").with("vector", 1.5).to_row::<Strict>().is_ok());
    let cases = [
        (point().with("kind", "new"), "kind: unknown variant `new`, expected `draft` or `final`"),
        (point().with("kind", 1), "kind: invalid type: integer `1`, expected the name of a variant"),
        (point().with("size", 256), "size: invalid value: integer `256`, expected u8"),
        (Point::new(4, [1.0, 0.0]), "kind: the row has no such field"),
        (Point::without_vector(4).with("kind", "draft"), "vector: the row has no such field"),
        (
            Point::new(4, [1.0]).with("kind", "draft"),
            "vector: invalid length 1, expected an array of length 2",
        ),
        (
            Point::new(4, [1.0; 3]).with("kind", "draft"),
            "vector: invalid length 3, expected 2 elements in sequence",
        ),
    ];
    for (point, expected) in cases {
        let error = point.to_row::<Strict>().unwrap_err();
        assert_eq!(error.to_string(), format!("row `4` does not fit the type: {expected}"));
    }
    let named = Point { id: "x".into(), ..point() }.to_row::<Strict>().unwrap_err().to_string();
    assert_eq!(named, "row `x` does not fit the type: id: invalid type: string \"x\", expected u64");
    assert!(point().to_row::<u32>().unwrap_err().to_string().contains("row: invalid type: map"));
}

/// A type with a map in it does not tell its fields, so it was given the vector, which no payload value can hold: a row of
/// its own could not be read back.
#[test]
fn a_type_without_a_vector_reads_rows_that_have_one() {
    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Open {
        id: u64,
        #[serde(flatten)]
        rest: Payload,
    }
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "what is read of it is the error")]
    struct Typed {
        year: u8,
        #[serde(flatten)]
        rest: Payload,
    }
    let db = Db::in_memory().unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    notes.upsert(vec![Point::new(7, [1.0, 0.0]).with("year", 2024).with("title", "Tea")]).unwrap();
    let rest = Payload::from([("year".to_owned(), 2024.into()), ("title".to_owned(), "Tea".into())]);
    let expected = Open { id: 7, rest };
    assert_eq!(notes.get_rows::<Open>(&[7.into()]).unwrap(), [Some(expected.clone())]);
    let found = notes.search_rows::<Open>(&SearchRequest::new([1.0, 0.0], 1)).unwrap();
    assert_eq!(found.hits[0].row, expected);
    let view = notes.view();
    let rows: Vec<Open> = view.iter().typed().map(|row| row.unwrap()).collect();
    assert_eq!(rows, [expected]);
    let map = &notes.get_rows::<BTreeMap<String, Value>>(&[7.into()]).unwrap()[0];
    assert_eq!(map.as_ref().unwrap().len(), 3);
    // Who has a place for it gets it.
    let json = notes.get_rows::<BTreeMap<String, serde_json::Value>>(&[7.into()]).unwrap().remove(0).unwrap();
    assert_eq!(json["vector"], serde_json::json!([1.0, 0.0]));
    // What else is wrong is said, and not that there is a vector.
    let wrong = notes.get_rows::<Typed>(&[7.into()]).unwrap_err().to_string();
    assert!(wrong.contains("2024") && wrong.contains("u8"), "{wrong}");
    let nested = notes.get_rows::<Nested>(&[7.into()]).unwrap().remove(0).unwrap();
    assert_eq!(nested.vector, [1.0, 0.0]);
    notes
        .upsert(vec![Point::new(7, [1.0, 0.0]).with("year", 2024), Point::new(u64::MAX, [1.0, 0.0])])
        .unwrap();
    let wrong = notes.get_rows::<Nested>(&[u64::MAX.into()]).unwrap_err().to_string();
    assert!(wrong.contains("u32") && !wrong.contains("no such field"), "{wrong}");
}

#[test]
fn a_collection_gives_back_the_rows_that_it_took() {
    #[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
    struct Note {
        id: String,
        vector: [f32; 2],
        year: i64,
    }
    #[derive(Debug, Deserialize, PartialEq)]
    struct Title {
        id: String,
        year: f64,
    }
    let note = |id: &str, vector, year| Note { id: id.into(), vector, year };
    let notes = [note("a", [1.0, 0.0], 2024), note("b", [0.0, 1.0], 2025)];
    let db = Db::in_memory().unwrap();
    let stored = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    assert_eq!(stored.upsert_rows(&notes).unwrap().upserted, 2);
    let request = SearchRequest { with_payload: false, ..SearchRequest::new([1.0, 0.1], 2) };
    let found = stored.search_rows::<Note>(&request).unwrap();
    assert_eq!(found.hits.iter().map(|hit| hit.row.clone()).collect::<Vec<_>>(), notes);
    let plain = stored.search(&SearchRequest::new([1.0, 0.1], 2)).unwrap();
    assert_eq!(plain.hits[0].score, found.hits[0].score);
    assert_eq!(plain.hits[1].to_row::<Title>().unwrap(), Title { id: "b".into(), year: 2025.0 });
    assert!(plain.hits[1].to_row::<Note>().is_err(), "a hit has no vector");
    assert_eq!(stored.get_rows::<Note>(&["b".into(), "c".into()]).unwrap(), [Some(notes[1].clone()), None]);
    let view = stored.view();
    let all: Vec<Note> = view.rows(&Default::default()).unwrap().typed().collect::<Result<_>>().unwrap();
    assert_eq!(all, notes);

    let error = stored.upsert_rows([("id", 1), ("id", -1)].map(|pair| BTreeMap::from([pair]))).unwrap_err();
    assert_eq!(error.to_string(), "points[1].id: an id is an unsigned integer or a string");
    assert_eq!(stored.info().points, 2, "nothing of it is written");
    let error = stored.upsert_rows([BTreeMap::from([("id", "c"), ("year", "soon")])]).unwrap_err();
    assert_eq!(error.to_string(), "points[0].payload.year: the field is int, the value is string");
}
