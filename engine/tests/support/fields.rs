//! Fields of every type and their values: few enough for conditions to be met, the ends of what a type holds among them, with a tenant of
//! whom there are many.

use std::cmp::Ordering;

use ragstone::{Analyzer, FieldType, GeoPoint, Json, Payload, SchemaBuilder, Update, Value};

use super::Random;

/// `title` is searched by word, and `tenant` or `customer` may be the tenant key.
pub(crate) const FIELDS: [(&str, FieldType); 11] = [
    ("title", FieldType::String),
    ("year", FieldType::Int),
    ("topic", FieldType::String),
    ("weight", FieldType::Float),
    ("draft", FieldType::Bool),
    ("at", FieldType::Timestamp),
    ("tags", FieldType::Strings),
    ("place", FieldType::Geo),
    ("extra", FieldType::Json),
    (TENANT, FieldType::String),
    (CUSTOMER, FieldType::Int),
];
/// Those whose values have an order.
pub(crate) const ORDERED: [&str; 8] = ["title", "year", "topic", "weight", "at", "draft", TENANT, CUSTOMER];
pub(crate) const TENANT: &str = "tenant";
pub(crate) const CUSTOMER: &str = "customer";
pub(crate) const WORDS: [&str; 6] = ["tea", "sun", "rain", "snow", "moon", "hill"];
pub(super) const TAGS: [&str; 6] = ["", "a", "ab", "b", "ü", "long enough to lie elsewhere"];

/// The fields of a collection, one of which may be the tenant key.
pub(crate) fn declare(schema: SchemaBuilder, tenant: Option<&str>) -> SchemaBuilder {
    let schema = FIELDS.iter().fold(schema, |schema, (name, kind)| schema.field(*name, *kind));
    let schema = schema.text("title", Analyzer::Standard);
    match tenant {
        Some(field) => schema.tenant(field),
        None => schema,
    }
}

/// A value of a field.
pub(super) fn value(random: &mut Random, field: &str) -> Value {
    match field {
        "title" => text(random).into(),
        "year" if random.is_one_in(10) => Value::Int(random.pick(&[i64::MIN, i64::MAX])),
        "year" => Value::Int(random.below(20) as i64 - 10),
        "topic" => random.pick(&["tea", "sun", "rain", "snow", ""]).into(),
        "weight" if random.is_one_in(10) => {
            let least = f64::from_bits(1);
            Value::Float(random.pick(&[f64::MAX, f64::MIN, f64::MIN_POSITIVE, least, -least]))
        }
        // Both zeros, too.
        "weight" => Value::Float((random.below(9) as f64 - 4.0) / 2.0 * random.pick(&[1.0, -1.0])),
        "draft" => Value::Bool(random.is_one_in(2)),
        "at" if random.is_one_in(10) => Value::Timestamp(random.pick(&[i64::MIN, i64::MAX])),
        "at" => Value::Timestamp(random.below(50) as i64 - 25),
        "tags" => Value::Strings((0..random.below(4)).map(|_| random.pick(&TAGS).to_owned()).collect()),
        "place" => place(random).into(),
        "extra" => Json::new(random.pick(&["null", "[1, {}]", "{\"a\": \"b\"}"])).unwrap().into(),
        CUSTOMER if random.is_one_in(2) => Value::Int(i64::MIN),
        CUSTOMER => Value::Int(random.below(40) as i64 - 20),
        // Some have so few rows that these are a list, and one has many.
        _ if random.is_one_in(2) => "large".into(),
        _ => format!("t{}", random.below(40)).into(),
    }
}

/// A few words, some of them again and again; perhaps none.
fn text(random: &mut Random) -> String {
    let words: Vec<&str> = (0..random.below(6)).map(|_| random.pick(&WORDS)).collect();
    words.join(random.pick(&[" ", ", "]))
}

/// The words of a text.
pub(crate) fn words_of(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ',']).filter(|word| !word.is_empty())
}

/// Poles, the meridian where degrees jump, and much in between.
pub(super) fn place(random: &mut Random) -> GeoPoint {
    let (lat, lon) = (random.below(37) as f64 * 5.0 - 90.0, random.below(73) as f64 * 5.0 - 180.0);
    GeoPoint::new(lat, lon)
}

/// The fields of a row: any may be missing, but a tenant key.
pub(crate) fn payload(random: &mut Random, tenant: Option<&str>) -> Payload {
    let mut payload = Payload::new();
    for (name, _) in FIELDS {
        if tenant == Some(name) || !random.is_one_in(4) {
            payload.insert(name.to_owned(), value(random, name));
        }
    }
    payload
}

/// Changes some fields, takes others away.
pub(crate) fn update(random: &mut Random, tenant: Option<&str>) -> Update {
    let mut update = Update { set: payload(random, tenant), ..Update::new(random.id()) };
    // A row whose words change is written anew; most are not.
    let keeps_words = !random.is_one_in(3);
    for field in FIELDS.map(|(name, _)| name).into_iter().chain(["nobody has it"]) {
        let is_kept = tenant == Some(field) || (keeps_words && field == "title");
        match random.below(3) {
            0 => drop(update.set.remove(field)),
            _ if is_kept => drop(update.set.remove(field)),
            1 if !update.set.contains_key(field) => update = update.unset(field),
            _ => {}
        }
    }
    update
}

/// The order of values of one type.
pub(crate) fn by_value(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        (Value::Float(a), Value::Float(b)) => a.partial_cmp(b).unwrap(),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => panic!("a field has one type, and this one an order"),
    }
}
