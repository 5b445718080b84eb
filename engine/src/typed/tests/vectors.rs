//! Named vectors of every kind on their way in and out, where a type has a place for them, and where it has none.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use crate::payload::{Payload, Value};
use crate::{
    Db, DenseOptions, MultiOptions, Point, PointId, Schema, ScrollRequest, SearchRequest, SparseVector,
    Vector,
};

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Any {
    id: u64,
    vector: Option<Vec<f32>>,
    vectors: BTreeMap<String, Vector>,
    year: u16,
}

/// The same as a type of each kind.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Typed {
    id: u64,
    vectors: Option<Named>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
struct Named {
    image: [f32; 2],
    words: Option<SparseVector>,
    #[serde(default)]
    late: Vec<(f32, f32)>,
}

fn numbers(max: usize) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(-1e3_f32..1e3, 0..max)
}

fn vector() -> impl Strategy<Value = Vector> {
    let indices = prop::collection::btree_set(any::<u32>(), 0..9);
    prop_oneof![
        prop::collection::vec(-1e3_f32..1e3, 1..9).prop_map(Vector::Dense),
        prop::collection::vec(numbers(4), 1..4).prop_map(Vector::Multi),
        indices.prop_map(|indices| {
            let values = indices.iter().map(|index| *index as f32 / 3.0).collect();
            Vector::Sparse(SparseVector { indices: indices.into_iter().collect(), values })
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        id in any::<u64>(),
        vector in prop::option::of(numbers(5)),
        vectors in prop::collection::btree_map(".{1,5}", vector(), 0..4),
        year in any::<u16>(),
    ) {
        let row = Any { id, vector, vectors, year };
        let point = Point::from_row(&row).unwrap();
        prop_assert_eq!(&point.vectors, &row.vectors);
        prop_assert_eq!(point.payload.len(), 1);
        prop_assert_eq!(&point.to_row::<Any>().unwrap(), &row);
        let json = serde_json::to_string(&row).unwrap();
        prop_assert_eq!(serde_json::from_str::<Any>(&json).unwrap(), row);
    }
}

fn words(entries: &[(u32, f32)]) -> SparseVector {
    let (indices, values) = entries.iter().copied().unzip();
    SparseVector { indices, values }
}

/// With a default vector and one of each kind; each third row lacks the default one, and each fourth all others.
fn point(id: u64) -> Point {
    let mut point = Point::new(id, [1.0, id as f32]).with("year", 2024);
    if id.is_multiple_of(3) {
        point.vector = None;
    }
    if id.is_multiple_of(4) {
        return point;
    }
    point
        .with_vector("image", [id as f32, 1.0])
        .with_vector("words", words(&[(3, 0.5), (u32::MAX, id as f32)]))
        .with_vector("late", vec![vec![0.0, 1.0], vec![1.0, id as f32]])
}

fn collection(db: &Db) -> crate::Collection {
    let schema = Schema::builder(2).metric(crate::Metric::Dot);
    let schema = schema.vector("image", DenseOptions::new(2).metric(crate::Metric::Dot)).sparse("words");
    let late = MultiOptions::new(2).metric(crate::Metric::Dot);
    db.create_collection("c", schema.multi("late", late).build().unwrap()).unwrap()
}

fn check(rows: &crate::Collection) {
    let ids: Vec<PointId> = (0..12).map(PointId::Num).collect();
    let all = rows.get_rows::<Any>(&ids).unwrap();
    let view = rows.view();
    let walked: Vec<Any> = view.iter().typed().map(|row| row.unwrap()).collect();
    for (id, row) in (0..).zip(&walked) {
        assert_eq!(Point::from_row(row).unwrap(), point(id));
        assert_eq!(all[id as usize].as_ref(), Some(row));
    }
    assert_eq!(walked.len(), 12);
    let found = rows.search_rows::<Any>(&SearchRequest::new([1.0, 0.0], 1).of("image")).unwrap();
    assert_eq!(found.hits[0].row, walked[11]);
    let typed: Vec<Typed> =
        view.rows(&ScrollRequest::default()).unwrap().typed().map(|row| row.unwrap()).collect();
    assert_eq!(typed[4], Typed { id: 4, vectors: None });
    let vectors = Some(Named {
        image: [7.0, 1.0],
        words: Some(words(&[(3, 0.5), (u32::MAX, 7.0)])),
        late: vec![(0.0, 1.0), (1.0, 7.0)],
    });
    assert_eq!(typed[7], Typed { id: 7, vectors });
}

#[test]
fn a_collection_gives_back_the_vectors_that_it_took() {
    let db = Db::in_memory().unwrap();
    let rows = collection(&db);
    rows.upsert_rows((0..12).map(|id| point(id).to_row::<Any>().unwrap())).unwrap();
    check(&rows);
    db.flush().unwrap();
    check(&rows);
    let hit = rows.search(&SearchRequest::new([1.0, 0.0], 1).of("image")).unwrap().hits.remove(0);
    let error = hit.to_row::<Any>().unwrap_err().to_string();
    assert_eq!(error, "row `11` does not fit the type: vectors: the row has no such field");
}

/// A type with a map in it does not tell its fields: it gets what it has places for, and its payload has no vectors in it.
#[test]
fn maps_get_the_vectors_that_they_have_places_for() {
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct Open {
        id: u64,
        #[serde(flatten)]
        rest: Payload,
    }
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct DefaultOnly {
        vector: Option<[f32; 2]>,
        #[serde(flatten)]
        open: Open,
    }
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct All {
        vector: Option<[f32; 2]>,
        #[serde(default)]
        vectors: BTreeMap<String, Vector>,
        #[serde(flatten)]
        open: Open,
    }
    #[derive(Debug, Deserialize, PartialEq, Serialize)]
    struct NamedOnly {
        #[serde(default)]
        vectors: BTreeMap<String, Vector>,
        #[serde(flatten)]
        open: Open,
    }
    let db = Db::in_memory().unwrap();
    let rows = collection(&db);
    rows.upsert((0..12).map(point).collect()).unwrap();
    for id in 0..12 {
        let expected = point(id);
        let ids = [PointId::Num(id)];
        let open = || Open { id, rest: expected.payload.clone() };
        let vector = expected.vector.clone().map(|vector| [vector[0], vector[1]]);
        let vectors = expected.vectors.clone();
        assert_eq!(rows.get_rows::<Open>(&ids).unwrap(), [Some(open())]);
        assert_eq!(rows.get_rows(&ids).unwrap(), [Some(DefaultOnly { vector, open: open() })]);
        assert_eq!(
            rows.get_rows(&ids).unwrap(),
            [Some(NamedOnly { vectors: vectors.clone(), open: open() })]
        );
        let all = All { vector, vectors, open: open() };
        assert_eq!(Point::from_row(&all).unwrap(), expected);
        assert_eq!(rows.get_rows(&ids).unwrap(), [Some(all)]);
        let map = rows.get_rows::<BTreeMap<String, Value>>(&ids).unwrap().remove(0).unwrap();
        assert_eq!(map.keys().collect::<Vec<_>>(), ["id", "year"]);
        let json = rows.get_rows::<BTreeMap<String, serde_json::Value>>(&ids).unwrap().remove(0).unwrap();
        assert_eq!(json.contains_key("vectors"), !expected.vectors.is_empty());
    }
    let json = rows.get_rows::<BTreeMap<String, serde_json::Value>>(&[5.into()]).unwrap().remove(0).unwrap();
    let named = serde_json::json!({
        "image": [5.0, 1.0],
        "late": [[0.0, 1.0], [1.0, 5.0]],
        "words": {"indices": [3, u32::MAX], "values": [0.5, 5.0]},
    });
    assert_eq!(json["vectors"], named);
}

#[test]
fn what_is_no_vector_is_refused_by_name() {
    #[derive(Serialize)]
    struct Row<V> {
        id: u64,
        vectors: V,
    }
    fn refusal<V: Serialize>(vectors: V) -> String {
        Point::from_row(&Row { id: 1, vectors }).unwrap_err().to_string()
    }
    let named = |json: serde_json::Value| refusal(serde_json::json!({ "a": json }));
    let vector = "a vector is a list of numbers, a list of such lists, or `indices` and `values`; this is";
    let cases = [
        (refusal([1.0, 2.0]), "vectors: named vectors are a struct or a map".to_owned()),
        (refusal("text"), format!("vectors: {vector} a string")),
        (
            named(serde_json::json!([])),
            format!("vectors.a: {vector} an empty list, which is left out as `None`"),
        ),
        (named("text".into()), format!("vectors.a: {vector} a string")),
        (named(serde_json::json!(["b"])), format!("vectors.a: {vector} a list of something else")),
        (named(serde_json::json!([1, [2]])), format!("vectors.a: {vector} a list of numbers and lists")),
        (named(serde_json::json!([[[2]]])), format!("vectors.a: {vector} a list of something else")),
        (named(serde_json::json!({"indices": [1]})), format!("vectors.a: {vector} a map without them")),
        (named(serde_json::json!({"b": [1]})), format!("vectors.a: {vector} a map with other fields")),
        (
            named(serde_json::json!({"indices": [-1], "values": [1]})),
            "vectors.a.indices: indices are a list of integers up to 2^32 - 1".into(),
        ),
        (
            named(serde_json::json!({"indices": [1], "values": [[1]]})),
            "vectors.a.values: values are a list of numbers".into(),
        ),
        (
            named(serde_json::json!({"indices": [1], "values": "b"})),
            format!("vectors.a.values: {vector} a string"),
        ),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    assert_eq!(Point::from_row(&Row { id: 1, vectors: () }).unwrap(), Point::without_vector(1));
    let db = Db::in_memory().unwrap();
    let rows = collection(&db);
    let wrong = BTreeMap::from([("words", [1.0])]);
    let error = rows.upsert_rows([Row { id: 1, vectors: wrong }]).unwrap_err().to_string();
    assert_eq!(error, "points[0].vectors.words: the vector is sparse, this is dense");
}

#[test]
fn what_does_not_fit_a_type_is_refused_by_name() {
    let read = |point: Point| point.to_row::<Typed>().unwrap_err().to_string();
    let row = || Point::without_vector(4).with_vector("image", [1.0, 0.0]);
    assert!(row().with_vector("other", [1.0]).to_row::<Typed>().is_ok());
    let cases = [
        (
            Point::without_vector(4).with_vector("late", vec![vec![1.0, 0.0]]),
            "image: the row has no such field",
        ),
        (row().with_vector("image", [1.0; 3]), "image: invalid length 3, expected 2 elements in sequence"),
        (
            row().with_vector("words", [1.0]),
            "words: invalid type: sequence, expected a sparse vector: `indices` and `values`",
        ),
        (row().with_vector("late", words(&[])), "late: invalid type: map, expected a sequence"),
    ];
    for (point, expected) in cases {
        assert_eq!(read(point), format!("row `4` does not fit the type: vectors.{expected}"));
    }
    for wrong in ["[1, [2]]", "[\"a\"]", "{\"indices\": [1]}", "{\"indices\": [-1], \"values\": [1]}", "3"] {
        assert!(serde_json::from_str::<Vector>(wrong).is_err(), "{wrong}");
    }
}
