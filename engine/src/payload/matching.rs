//! Whether one row passes a filter, by the values that it has or is going to have.
//!
//! Compiled filters (`compile.rs`) are run over the rows of a segment. A row that is about to be written is in none; it is asked here, by the
//! same tests.

use std::ops::Bound;

use super::condition::{Test, contains_test, in_test, range_test};
use super::{FieldType, Filter, Payload, Range, Value};

impl Filter {
    /// Whether a row with these values passes; `None` where that cannot be said of a value: it is of another type than the filter asks for, or
    /// the condition needs an index.
    pub(crate) fn passes(&self, payload: &Payload) -> Option<bool> {
        match self {
            Filter::Eq(name, value) => tested(payload, name, value.field_type(), || {
                in_test(std::slice::from_ref(value), value.field_type())
            }),
            Filter::In(name, values) => match values.first() {
                None => Some(false),
                Some(first) if values.iter().any(|value| value.field_type() != first.field_type()) => None,
                Some(first) => {
                    tested(payload, name, first.field_type(), || in_test(values, first.field_type()))
                }
            },
            Filter::Range(name, range) => in_range(payload, name, range),
            Filter::Prefix(name, prefix) => {
                tested(payload, name, FieldType::String, || Some(Test::TextPrefix(prefix.as_bytes().into())))
            }
            Filter::Contains(name, values) => {
                tested(payload, name, FieldType::Strings, || Some(contains_test(values)))
            }
            Filter::Exists(name) => Some(payload.contains_key(name)),
            Filter::GeoRadius(name, center, metres) => {
                tested(payload, name, FieldType::Geo, || Some(Test::Within(*center, *metres)))
            }
            Filter::Match(..) => None,
            Filter::And(filters) => {
                filters.iter().try_fold(true, |all, filter| Some(filter.passes(payload)? && all))
            }
            Filter::Or(filters) => {
                filters.iter().try_fold(false, |any, filter| Some(filter.passes(payload)? || any))
            }
            Filter::Not(filter) => filter.passes(payload).map(|passes| !passes),
            Filter::AllTenants => Some(true),
        }
    }

    /// The names of the fields that it asks for.
    pub(crate) fn fields(&self, names: &mut Vec<String>) {
        match self {
            Filter::Eq(name, _)
            | Filter::In(name, _)
            | Filter::Range(name, _)
            | Filter::Prefix(name, _)
            | Filter::Contains(name, _)
            | Filter::Exists(name)
            | Filter::GeoRadius(name, ..)
            | Filter::Match(name, _) => names.push(name.clone()),
            Filter::And(filters) | Filter::Or(filters) => {
                filters.iter().for_each(|filter| filter.fields(names));
            }
            Filter::Not(filter) => filter.fields(names),
            Filter::AllTenants => {}
        }
    }
}

fn in_range(payload: &Payload, name: &str, range: &Range) -> Option<bool> {
    let Range { gt, gte, lt, lte } = range;
    let mut given = [gt, gte, lt, lte].into_iter().flatten();
    let first = given.next()?;
    if given.any(|bound| bound.field_type() != first.field_type()) {
        return None;
    }
    let field_type = first.field_type();
    let bound =
        |value: &Option<Value>, kind: fn(Value) -> Bound<Value>| value.clone().map_or(Bound::Unbounded, kind);
    let excluding = (bound(gt, Bound::Excluded), bound(lt, Bound::Excluded));
    let including = (bound(gte, Bound::Included), bound(lte, Bound::Included));
    tested(payload, name, first.field_type(), || {
        let [excluding, including] =
            [&excluding, &including].map(|(low, high)| range_test(low.as_ref(), high.as_ref(), field_type));
        excluding?.and(&including?)
    })
}

/// Whether the value of a field passes; a row that lacks the field does not.
fn tested(
    payload: &Payload,
    name: &str,
    wanted: FieldType,
    test: impl FnOnce() -> Option<Test>,
) -> Option<bool> {
    match payload.get(name) {
        None => Some(false),
        Some(value) if value.field_type() != wanted => None,
        Some(value) => test().map(|test| test.passes(value.as_ref())),
    }
}
