//! Fields that a collection gets after it was made.

use ragstone::{Db, Error, FieldType, Filter, Point, Schema};

#[test]
fn a_field_is_there_from_then_on_whatever_was_stored_before() {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(directory.path()).unwrap();
    let schema = Schema::builder(2).field("a", FieldType::Int).strict(true).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.upsert(vec![Point::new(1, [1.0, 0.0]).with("a", 1i64)]).unwrap();
    db.flush().unwrap();
    let with_b = |id: u64| Point::new(id, [0.0, 1.0]).with("b", "x");
    assert!(matches!(collection.upsert(vec![with_b(2)]), Err(Error::UnknownField { .. })));
    let receipt = collection.add_field("b", FieldType::String).unwrap();
    assert_eq!((receipt.seq, receipt.upserted, receipt.deleted), (2, 0, 0));
    assert_eq!(collection.schema().fields()["b"], FieldType::String);
    collection.upsert(vec![with_b(2)]).unwrap();
    let of_b = || Filter::eq("b", "x");
    // From the log, then from the manifest.
    drop((collection, db));
    for flush in [false, true, false] {
        let db = Db::open(directory.path()).unwrap();
        let collection = db.collection("c").unwrap();
        assert_eq!(collection.schema().fields()["b"], FieldType::String);
        assert_eq!(collection.view().count(Some(&of_b())).unwrap(), 1);
        assert_eq!(collection.view().count(None).unwrap(), 2);
        if flush {
            db.flush().unwrap();
        }
    }
}

#[test]
fn what_cannot_be_added_is_named() {
    let db = Db::in_memory().unwrap();
    let schema = Schema::builder(2).field("a", FieldType::Int).build().unwrap();
    let collection = db.create_collection("c", schema).unwrap();
    collection.add_field("a", FieldType::Int).unwrap();
    let message = |name: &str, field_type| collection.add_field(name, field_type).unwrap_err().to_string();
    assert_eq!(message("a", FieldType::Bool), "name: the field is int, the value is bool");
    assert!(message("", FieldType::Bool).starts_with("name: a field's name is not empty"));
    for n in 1..256 {
        collection.add_field(&format!("f{n}"), FieldType::Bool).unwrap();
    }
    assert!(message("one-more", FieldType::Bool).starts_with("name: 257 is beyond the limit FIELDS_MAX"));
}
