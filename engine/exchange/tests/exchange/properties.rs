//! Any rows, through both formats.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use ragstone::{
    DenseOptions, ElementType, FieldType, GeoPoint, Json, Metric, MultiOptions, Point, PointId, Schema,
    SparseVector, Value, Vector,
};

use crate::support::{ENDINGS, collection, export, import, rows};

fn schema() -> Schema {
    let dense = |dimension| DenseOptions::new(dimension).metric(Metric::L2);
    Schema::builder(3)
        .metric(Metric::Dot)
        .vector("half", dense(2).element(ElementType::F16))
        .sparse("sparse")
        .multi("multi", MultiOptions::new(2).metric(Metric::Dot))
        .build()
        .unwrap()
}

fn number() -> impl Strategy<Value = f32> {
    -60_000.0..60_000.0_f32
}

fn value() -> impl Strategy<Value = (String, Value)> {
    let field = |name: FieldType| name.to_string();
    prop_oneof![
        any::<bool>().prop_map(move |value| (field(FieldType::Bool), value.into())),
        any::<i64>().prop_map(move |value| (field(FieldType::Int), value.into())),
        any::<f64>()
            .prop_filter("finite", |value| value.is_finite())
            .prop_map(move |v| (field(FieldType::Float), v.into())),
        any::<String>().prop_map(move |value| (field(FieldType::String), value.into())),
        any::<i64>().prop_map(move |value| (field(FieldType::Timestamp), Value::Timestamp(value))),
        vec(any::<String>(), 0..4).prop_map(move |value| (field(FieldType::Strings), value.into())),
        (-90.0..90.0, -180.0..180.0)
            .prop_map(move |(lat, lon)| (field(FieldType::Geo), GeoPoint { lat, lon }.into())),
        vec(any::<String>(), 0..3).prop_map(move |texts| {
            let texts: Vec<String> = texts
                .iter()
                .map(|text| format!("{text:?}").replace("\\u{", "{").replace("\\'", "'").replace("\\0", "0"))
                .collect();
            let json =
                Json::new(format!("[{}]", texts.join(", "))).unwrap_or_else(|_| Json::new("7").unwrap());
            (field(FieldType::Json), json.into())
        }),
    ]
}

fn point() -> impl Strategy<Value = Point> {
    let id = prop_oneof![any::<u64>().prop_map(PointId::from), ".{1,20}".prop_map(PointId::from)];
    let sparse = btree_map(any::<u32>(), number(), 1..5).prop_map(|entries| {
        Vector::Sparse(SparseVector {
            indices: entries.keys().copied().collect(),
            values: entries.into_values().collect(),
        })
    });
    let vectors = (
        proptest::option::of(vec(number(), 3)),
        proptest::option::of(vec(number(), 2)),
        proptest::option::of(sparse),
        proptest::option::of(vec(vec(number(), 2), 1..4)),
    );
    // Far from now, so that it does not matter when that is.
    let expires_at = proptest::option::of(i64::MAX / 2..i64::MAX);
    (id, vectors, vec(value(), 0..6), expires_at).prop_map(
        |(id, (default, half, sparse, multi), values, expires_at)| {
            let mut point = Point { vector: default, expires_at, ..Point::without_vector(id) };
            let half = half.map(Vector::Dense).map(|vector| ("half", vector));
            let sparse = sparse.map(|vector| ("sparse", vector));
            let multi = multi.map(Vector::Multi).map(|vector| ("multi", vector));
            let vectors = [half, sparse, multi].into_iter().flatten();
            point.vectors = vectors.map(|(name, vector)| (name.to_owned(), vector)).collect();
            point.payload = values.into_iter().collect();
            point
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn rows_come_back(points in vec(point(), 0..40)) {
        let (db, folder) = (ragstone::Db::in_memory().unwrap(), tempfile::tempdir().unwrap());
        let from = collection(&db, "from", schema(), points);
        for ending in ENDINGS {
            let path = folder.path().join("any").with_extension(ending);
            export(&from, &path);
            import(&db, ending, &path, &Default::default()).unwrap();
            let to = db.collection(ending).unwrap();
            prop_assert_eq!(to.schema(), from.schema());
            prop_assert_eq!(rows(&to), rows(&from));
        }
    }
}
