//! Which operations of a batch would be refused, against writing them one by one.

use proptest::prelude::*;

use super::*;
use crate::Collection;

fn collection(db: &Db, strict: bool) -> Collection {
    let schema = Schema::builder(2).field("year", crate::FieldType::Int).strict(strict).build().unwrap();
    db.create_collection("rows", schema).unwrap()
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0..3_i64).prop_map(Value::from),
        Just(Value::from("text")),
        Just(Value::from(true)),
        Just(Value::Float(f64::NAN)),
    ]
}

/// Names of few fields, one of which is declared, and one that no field may have.
fn field() -> impl Strategy<Value = String> {
    prop_oneof![Just("year"), Just("a"), Just("b"), Just("c"), Just("")].prop_map(str::to_owned)
}

fn op() -> impl Strategy<Value = Op> {
    let id = || prop_oneof![(0..4_u64).prop_map(PointId::from), Just(PointId::from(""))];
    let fields = || prop::collection::btree_map(field(), value(), 0..4);
    let upsert = (id(), prop::collection::vec(0..2_u8, 1..4), fields()).prop_map(|(id, vector, payload)| {
        let vector: Vec<f32> = vector.into_iter().map(f32::from).collect();
        Op::Upsert(Point { payload, ..Point::new(id, vector) })
    });
    let update = (id(), fields(), prop::collection::vec(field(), 0..2))
        .prop_map(|(id, set, unset)| Op::Update(Update { set, unset, ..Update::new(id) }));
    prop_oneof![4 => upsert, 2 => update, 1 => id().prop_map(Op::Delete)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn what_is_refused_is_what_is_refused_one_by_one(
        before in prop::collection::vec(op(), 0..3),
        ops in prop::collection::vec(op(), 0..12),
        strict: bool,
    ) {
        let options = || DbOptions { background: false, ..DbOptions::default() };
        let (db, other) = (Db::in_memory_with(options()).unwrap(), Db::in_memory_with(options()).unwrap());
        let (rows, one_by_one) = (collection(&db, strict), collection(&other, strict));
        for op in before {
            let written = rows.write(Batch::of(vec![op.clone()])).is_ok();
            prop_assert_eq!(one_by_one.write(Batch::of(vec![op])).is_ok(), written);
        }
        let refused = rows.refused(&Batch::of(ops.clone()));
        let mut expected = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            if let Err(error) = one_by_one.write(Batch::of(vec![op.clone()])) {
                expected.push((index, error.to_string().replace("points[0]", &format!("points[{index}]"))));
            }
        }
        let told: Vec<_> = refused.iter().map(|(index, error)| (*index, error.to_string())).collect();
        prop_assert_eq!(&told, &expected);

        // What is left is written, and comes to the same.
        let left = ops.into_iter().enumerate().filter(|(index, _)| refused.iter().all(|(other, _)| other != index));
        rows.write(Batch::of(left.map(|(_, op)| op).collect())).unwrap();
        let all = |rows: &Collection| {
            rows.view().iter().map(|point| point.map(|point| Point { etag: None, ..point })).collect::<Result<Vec<_>>>()
        };
        prop_assert_eq!(all(&rows).unwrap(), all(&one_by_one).unwrap());
    }
}
