//! Filters of every kind, and what the documentation of [`Filter`] says of them, naively.

use std::cmp::Ordering;

use ragstone::{Filter, GeoPoint, Point, Range, Value};

use super::fields::{TAGS, place, value};
use super::{FIELDS, ORDERED, Random, TENANT, WORDS, by_value, words_of};

/// The filter of a read, perhaps none; of a collection with a tenant key it says whose rows are meant.
pub(crate) fn of_read(random: &mut Random, tenant: Option<&str>) -> Option<Filter> {
    match tenant {
        None if random.is_one_in(3) => None,
        Some(key) if random.is_one_in(3) => Some(whose(random, key)),
        _ => Some(of_rows(random, tenant)),
    }
}

/// The same, and never none.
pub(crate) fn of_rows(random: &mut Random, tenant: Option<&str>) -> Filter {
    let mut filters = vec![filter(random, 2)];
    let Some(key) = tenant else { return filters.remove(0) };
    let at = random.below(2) as usize;
    filters.insert(at, whose(random, key));
    Filter::And(filters)
}

pub(super) fn whose(random: &mut Random, key: &str) -> Filter {
    match random.below(6) {
        0 => Filter::AllTenants,
        1 => in_some(random, key),
        _ => Filter::Eq(key.into(), value(random, key)),
    }
}

/// A filter of at most so many levels and one.
pub(super) fn filter(random: &mut Random, depth: u64) -> Filter {
    match random.below(if depth == 0 { 10 } else { 16 }) {
        0 | 1 => {
            let field = random.pick(&ORDERED);
            Filter::Eq(field.into(), value(random, field))
        }
        2 => {
            let field = random.pick(&ORDERED);
            in_some(random, field)
        }
        3 | 4 => range(random),
        5 => Filter::Prefix(random.pick(&["topic", "title", TENANT]).into(), prefix(random)),
        6 => {
            let tags = (0..random.below(3)).map(|_| random.pick(&TAGS).to_owned()).collect();
            Filter::Contains("tags".into(), tags)
        }
        7 => Filter::Exists(random.pick(&FIELDS).0.into()),
        8 => Filter::GeoRadius("place".into(), place(random), random.below(1 << 24) as f64),
        9 => {
            // Of no words, too.
            let words: Vec<&str> = (0..random.below(3)).map(|_| random.pick(&WORDS)).collect();
            let text = words.join(" ");
            Filter::Match("title".into(), if random.is_one_in(2) { text } else { text.to_uppercase() })
        }
        10..=12 => Filter::And(some(random, depth)),
        13 | 14 => Filter::Or(some(random, depth)),
        _ => Filter::Not(Box::new(filter(random, depth - 1))),
    }
}

fn some(random: &mut Random, depth: u64) -> Vec<Filter> {
    (0..random.below(4)).map(|_| filter(random, depth - 1)).collect()
}

fn in_some(random: &mut Random, field: &str) -> Filter {
    Filter::In(field.into(), (0..random.below(4)).map(|_| value(random, field)).collect())
}

/// One bound or several, whether they leave something or not.
fn range(random: &mut Random) -> Filter {
    let field = random.pick(&ORDERED.map(|field| if field == "draft" { "at" } else { field }));
    let mut range = Range { gte: Some(value(random, field)), ..Range::default() };
    if random.is_one_in(2) {
        range.lt = Some(value(random, field));
    }
    match random.below(5) {
        0 => std::mem::swap(&mut range.gt, &mut range.gte),
        1 => std::mem::swap(&mut range.lte, &mut range.gte),
        2 => range.lte = Some(value(random, field)),
        3 => range.gt = Some(value(random, field)),
        _ => {}
    }
    Filter::Range(field.into(), range)
}

fn prefix(random: &mut Random) -> String {
    random.pick(&["", "s", "sn", "x", "t1", "large", "tea ", "rain, s", "hill"]).into()
}

/// Whether a point passes.
pub(crate) fn passes(filter: &Filter, point: &Point) -> bool {
    let value = |field: &str| point.payload.get(field);
    match filter {
        Filter::Eq(field, wanted) => value(field) == Some(wanted),
        Filter::In(field, values) => value(field).is_some_and(|value| values.contains(value)),
        Filter::Range(field, range) => value(field).is_some_and(|value| lies_in(value, range)),
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
            let held: Vec<&str> =
                value(field).and_then(Value::as_str).map(words_of).into_iter().flatten().collect();
            let wanted = text.to_lowercase();
            let mut wanted = words_of(&wanted).peekable();
            wanted.peek().is_some() && wanted.all(|word| held.contains(&word))
        }
        Filter::And(filters) => filters.iter().all(|filter| passes(filter, point)),
        Filter::Or(filters) => filters.iter().any(|filter| passes(filter, point)),
        Filter::Not(filter) => !passes(filter, point),
        Filter::AllTenants => true,
    }
}

fn lies_in(value: &Value, range: &Range) -> bool {
    let order = |bound: &Value| by_value(value, bound);
    range.gt.as_ref().is_none_or(|bound| order(bound) == Ordering::Greater)
        && range.gte.as_ref().is_none_or(|bound| order(bound) != Ordering::Less)
        && range.lt.as_ref().is_none_or(|bound| order(bound) == Ordering::Less)
        && range.lte.as_ref().is_none_or(|bound| order(bound) != Ordering::Greater)
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
