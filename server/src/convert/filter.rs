//! Filters.

use ragstone::{Collection, Filter, Range};
use ragstone_proto::v1;
use tonic::Status;

use super::value::value_in;
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX, check_count};
use crate::status;

/// A filter for the rows of a collection.
pub(crate) fn filter_in(wire: Option<v1::Filter>, rows: &Collection) -> Result<Option<Filter>, Status> {
    wire.map(|wire| filter_at(wire, "filter", 1, rows)).transpose()
}

/// A filter; `path` names it in the request.
pub(super) fn filter_at(
    wire: v1::Filter,
    path: &str,
    depth: usize,
    rows: &Collection,
) -> Result<Filter, Status> {
    use v1::filter::Condition;
    if depth > FILTER_DEPTH_MAX {
        return Err(status::beyond_limit(path, "FILTER_DEPTH_MAX", FILTER_DEPTH_MAX as u64, depth as u64));
    }
    let unset = || status::invalid(path, "no condition is set; set one of eq, in, range, and, or, not");
    let terms = |count: usize| check_count(path, count, ("FILTER_TERMS_MAX", FILTER_TERMS_MAX));
    let many = |filters: Vec<v1::Filter>, name: &str| -> Result<Vec<Filter>, Status> {
        terms(filters.len())?;
        filters
            .into_iter()
            .enumerate()
            .map(|(index, filter)| filter_at(filter, &format!("{path}.{name}[{index}]"), depth + 1, rows))
            .collect()
    };
    Ok(match wire.condition.ok_or_else(unset)? {
        Condition::Eq(eq) => Filter::Eq(eq.field, value_in(eq.value, &format!("{path}.eq.value"))?),
        Condition::In(set) => {
            terms(set.values.len())?;
            let values = set.values.into_iter().enumerate();
            let values =
                values.map(|(index, value)| value_in(Some(value), &format!("{path}.in.values[{index}]")));
            Filter::In(set.field, values.collect::<Result<_, _>>()?)
        }
        Condition::Range(range) => {
            let bound = |value: Option<v1::Value>, name: &str| {
                value.map(|value| value_in(Some(value), &format!("{path}.range.{name}"))).transpose()
            };
            let bounds = Range {
                gt: bound(range.gt, "gt")?,
                gte: bound(range.gte, "gte")?,
                lt: bound(range.lt, "lt")?,
                lte: bound(range.lte, "lte")?,
            };
            Filter::Range(range.field, bounds)
        }
        // Numbers have the types of the fields that they stand beside.
        Condition::Text(text) => Filter::parse_for(&text, rows.schema().fields())
            .map_err(|error| status::filter_syntax(&format!("{path}.text"), &error))?,
        Condition::And(and) => Filter::And(many(and.filters, "and")?),
        Condition::Or(or) => Filter::Or(many(or.filters, "or")?),
        Condition::Not(not) => {
            let path = format!("{path}.not");
            let inner = not.filter.ok_or_else(|| status::invalid(&path, "no filter is set"))?;
            Filter::Not(Box::new(filter_at(*inner, &path, depth + 1, rows)?))
        }
    })
}
