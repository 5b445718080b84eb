//! Values of every type, filters of every kind, and what the documentation of [`Filter`] says of them, naively.

use ragstone::{FieldType, Filter, GeoPoint, Json, Point, Range, Value};

use super::Random;

/// `title` is searched by word.
pub(super) const FIELDS: [(&str, FieldType); 9] = [
    ("title", FieldType::String),
    ("year", FieldType::Int),
    ("topic", FieldType::String),
    ("weight", FieldType::Float),
    ("draft", FieldType::Bool),
    ("at", FieldType::Timestamp),
    ("tags", FieldType::Strings),
    ("place", FieldType::Geo),
    ("extra", FieldType::Json),
];
const TITLES: [&str; 5] = ["green tea", "tea", "Green hills", "", "hills and green, green tea"];
const TAGS: [&str; 6] = ["", "a", "ab", "b", "ü", "long enough to lie elsewhere"];

/// A value of each field.
pub(super) fn values(random: &mut Random) -> [(&'static str, Value); 9] {
    let tags = (0..random.below(4)).map(|_| random.pick(&TAGS).to_owned()).collect();
    let extra = Json::new(random.pick(&["null", "[1, {}]", "{\"a\": \"b\"}"])).unwrap();
    [
        ("title", random.pick(&TITLES).into()),
        ("year", Value::Int(random.below(20) as i64)),
        ("topic", random.pick(&["tea", "sun", "rain", "snow"]).into()),
        ("weight", Value::Float(random.below(8) as f64 / 2.0)),
        ("draft", Value::Bool(random.below(2) == 0)),
        ("at", Value::Timestamp(random.below(30) as i64 - 15)),
        ("tags", Value::Strings(tags)),
        ("place", place(random).into()),
        ("extra", extra.into()),
    ]
}

/// Poles, the meridian where degrees jump, and much in between.
fn place(random: &mut Random) -> GeoPoint {
    let (lat, lon) = (random.below(37) as f64 * 5.0 - 90.0, random.below(73) as f64 * 5.0 - 180.0);
    GeoPoint::new(lat, lon)
}

/// A filter of at most so many levels and one.
pub(super) fn filter(random: &mut Random, depth: u64) -> Filter {
    match random.below(if depth == 0 { 10 } else { 13 }) {
        0 => Filter::eq("topic", random.pick(&["tea", "sun", "moon"])),
        1 => {
            let years = (0..random.below(4)).map(|_| Value::Int(random.below(20) as i64)).collect();
            Filter::In("year".into(), years)
        }
        2 => {
            let (low, high) = (Value::Float(1.0), Value::Float(random.below(8) as f64 / 2.0));
            Filter::Range("weight".into(), Range { gte: Some(low), lt: Some(high), ..Range::default() })
        }
        3 => Filter::eq("draft", random.below(2) == 0),
        4 => {
            let bound = Some(Value::Timestamp(random.below(30) as i64 - 15));
            Filter::Range("at".into(), Range { lt: bound, ..Range::default() })
        }
        5 => Filter::Prefix("topic".into(), random.pick(&["", "s", "sn", "x"]).into()),
        6 => {
            let tags = (0..random.below(3)).map(|_| random.pick(&TAGS).to_owned()).collect();
            Filter::Contains("tags".into(), tags)
        }
        7 => Filter::Exists(random.pick(&FIELDS).0.into()),
        8 => Filter::GeoRadius("place".into(), place(random), random.below(1 << 24) as f64),
        9 => Filter::Match("title".into(), random.pick(&["tea", "GREEN", "hills green", "sun tea"]).into()),
        10 => Filter::And((0..random.below(3)).map(|_| filter(random, depth - 1)).collect()),
        11 => Filter::Or((0..random.below(3)).map(|_| filter(random, depth - 1)).collect()),
        _ => Filter::Not(Box::new(filter(random, depth - 1))),
    }
}

/// Whether a point passes.
pub(super) fn passes(filter: &Filter, point: &Point) -> bool {
    let value = |field: &str| point.payload.get(field);
    match filter {
        Filter::Eq(field, wanted) => value(field) == Some(wanted),
        Filter::In(field, values) => value(field).is_some_and(|value| values.contains(value)),
        Filter::Range(field, range) => match (value(field), &range.gte, &range.lt) {
            (Some(Value::Float(value)), Some(Value::Float(low)), Some(Value::Float(high))) => {
                value >= low && value < high
            }
            (Some(Value::Timestamp(value)), None, Some(Value::Timestamp(high))) => value < high,
            _ => false,
        },
        Filter::Prefix(field, prefix) => {
            value(field).and_then(Value::as_str).is_some_and(|text| text.starts_with(prefix))
        }
        Filter::Contains(field, wanted) => {
            let held = value(field).and_then(Value::as_strings).unwrap_or_default();
            held.iter().any(|text| wanted.contains(text))
        }
        Filter::Exists(field) => value(field).is_some(),
        Filter::GeoRadius(field, center, metres) => {
            value(field).and_then(Value::as_geo).is_some_and(|place| distance_m(place, *center) <= *metres)
        }
        Filter::Match(field, text) => {
            let words = |text: &str| -> Vec<String> {
                text.to_lowercase().split([' ', ',']).map(str::to_owned).collect()
            };
            let held = value(field).and_then(Value::as_str).map(words).unwrap_or_default();
            words(text).iter().all(|word| held.contains(word))
        }
        Filter::And(filters) => filters.iter().all(|filter| passes(filter, point)),
        Filter::Or(filters) => filters.iter().any(|filter| passes(filter, point)),
        Filter::Not(filter) => !passes(filter, point),
        Filter::AllTenants => true,
    }
}

/// By the angle between two directions, another way than the engine's. Places of the grid are no nearer to a radius than
/// rounding can tell.
fn distance_m(a: GeoPoint, b: GeoPoint) -> f64 {
    let direction = |place: GeoPoint| {
        let (lat, lon) = (place.lat.to_radians(), place.lon.to_radians());
        [lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()]
    };
    let (a, b) = (direction(a), direction(b));
    let cross = [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let sine = cross.iter().map(|part| part * part).sum::<f64>().sqrt();
    let cosine: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
    6_371_008.8 * sine.atan2(cosine)
}
