//! The filter tree.

use ragstone_proto::v1;

use crate::point::{GeoPoint, Value};

/// A condition on payload fields: at most 32 levels and 10,000 nodes and values. A row that lacks a field fails every
/// condition on it, and so passes its negation; a field that the collection does not have, or a value of another type than
/// the field's, is an error.
///
/// ```
/// use ragstone_client::{Filter, Range};
///
/// let filter = Filter::eq("lang", "en")
///     .and(Filter::range("year", Range::new().gte(2020).lt(2026)))
///     .and(Filter::any_of("kind", ["paper", "book"]).not());
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Filter {
    /// The field has exactly this value.
    Eq(String, Value),
    /// The field has one of these values; of none, nothing passes.
    In(String, Vec<Value>),
    /// The field, an int, float, string or timestamp, lies in a range.
    Range(String, Range),
    /// The field, a string, starts with this.
    Prefix(String, String),
    /// The field, a list of strings, holds at least one of these; of none, nothing passes.
    Contains(String, Vec<String>),
    /// The field has a value, whatever its type.
    Exists(String),
    /// The field, a place, lies within so many metres of another.
    GeoRadius(String, GeoPoint, f64),
    /// Every term of this text occurs in the field, a string with a lexical index. A text without terms matches nothing.
    /// It has at most 1,024 different ones, which count as values of the filter; all texts of a filter have 1 MiB together.
    Match(String, String),
    /// Every condition holds; of none, everything passes.
    And(Vec<Filter>),
    /// At least one condition holds; of none, nothing passes.
    Or(Vec<Filter>),
    /// The condition does not hold.
    Not(Box<Filter>),
    /// Everything passes, of whatever tenant: says that a read of a collection with a tenant key is meant to go over all of
    /// them.
    AllTenants,
}

impl Filter {
    /// `field = value`.
    pub fn eq(field: impl Into<String>, value: impl Into<Value>) -> Self {
        Filter::Eq(field.into(), value.into())
    }

    /// The field has one of the values.
    pub fn any_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Filter::In(field.into(), values.into_iter().map(Into::into).collect())
    }

    /// The field lies in the range.
    pub fn range(field: impl Into<String>, range: Range) -> Self {
        Filter::Range(field.into(), range)
    }

    /// Both conditions hold.
    #[must_use]
    pub fn and(self, other: Filter) -> Self {
        match self {
            Filter::And(mut filters) => {
                filters.push(other);
                Filter::And(filters)
            }
            first => Filter::And(vec![first, other]),
        }
    }

    /// At least one of the two conditions holds.
    #[must_use]
    pub fn or(self, other: Filter) -> Self {
        match self {
            Filter::Or(mut filters) => {
                filters.push(other);
                Filter::Or(filters)
            }
            first => Filter::Or(vec![first, other]),
        }
    }

    /// The condition does not hold.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads as the field's word beside `and` and `or`")]
    pub fn not(self) -> Self {
        Filter::Not(Box::new(self))
    }

    pub(crate) fn into_wire(self) -> v1::Filter {
        use v1::filter::Condition;
        let many = |filters: Vec<Filter>| filters.into_iter().map(Filter::into_wire).collect();
        let condition = match self {
            Filter::Eq(field, value) => {
                Condition::Eq(v1::filter::Eq { field, value: Some(value.into_wire()) })
            }
            Filter::In(field, values) => Condition::In(v1::filter::In {
                field,
                values: values.into_iter().map(Value::into_wire).collect(),
            }),
            Filter::Range(field, range) => Condition::Range(v1::filter::Range {
                field,
                gt: range.gt.map(Value::into_wire),
                gte: range.gte.map(Value::into_wire),
                lt: range.lt.map(Value::into_wire),
                lte: range.lte.map(Value::into_wire),
            }),
            Filter::Prefix(field, prefix) => Condition::Prefix(v1::filter::Prefix { field, prefix }),
            Filter::Contains(field, values) => Condition::Contains(v1::filter::Contains { field, values }),
            Filter::Exists(field) => Condition::Exists(v1::filter::Exists { field }),
            Filter::GeoRadius(field, GeoPoint { lat, lon }, metres) => {
                let center = Some(v1::GeoPoint { lat, lon });
                Condition::GeoRadius(v1::filter::GeoRadius { field, center, metres })
            }
            Filter::Match(field, text) => Condition::Match(v1::filter::Match { field, text }),
            Filter::AllTenants => Condition::AllTenants(v1::filter::AllTenants {}),
            Filter::And(filters) => Condition::And(v1::filter::And { filters: many(filters) }),
            Filter::Or(filters) => Condition::Or(v1::filter::Or { filters: many(filters) }),
            Filter::Not(filter) => {
                Condition::Not(Box::new(v1::filter::Not { filter: Some(Box::new(filter.into_wire())) }))
            }
        };
        v1::Filter { condition: Some(condition) }
    }
}

/// The bounds of a [`Filter::Range`]: at least one is set, and all are of the field's type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    gt: Option<Value>,
    gte: Option<Value>,
    lt: Option<Value>,
    lte: Option<Value>,
}

impl Range {
    /// No bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Greater than.
    #[must_use]
    pub fn gt(mut self, bound: impl Into<Value>) -> Self {
        self.gt = Some(bound.into());
        self
    }

    /// Greater than or equal.
    #[must_use]
    pub fn gte(mut self, bound: impl Into<Value>) -> Self {
        self.gte = Some(bound.into());
        self
    }

    /// Less than.
    #[must_use]
    pub fn lt(mut self, bound: impl Into<Value>) -> Self {
        self.lt = Some(bound.into());
        self
    }

    /// Less than or equal.
    #[must_use]
    pub fn lte(mut self, bound: impl Into<Value>) -> Self {
        self.lte = Some(bound.into());
        self
    }
}
