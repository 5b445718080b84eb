//! The filter tree.

use super::{GeoPoint, Value};

/// A condition on payload fields. A row that lacks a field fails every condition on it, and so passes its negation.
///
/// Values and bounds are of the field's type; a field that the collection does not have is an error, not an empty result.
/// A tree has at most [`FILTER_DEPTH_MAX`](crate::limits::FILTER_DEPTH_MAX) levels and
/// [`FILTER_TERMS_MAX`](crate::limits::FILTER_TERMS_MAX) nodes and values, the terms of its texts among these.
///
/// ```
/// use ragstone::{Filter, Range};
///
/// // Recent, in one of two languages, and no draft.
/// let recent = Range { gte: Some(2024.into()), ..Range::default() };
/// let filter = Filter::And(vec![
///     Filter::Range("year".into(), recent),
///     Filter::In("language".into(), vec!["en".into(), "de".into()]),
///     Filter::Not(Box::new(Filter::eq("draft", true))),
/// ]);
/// # let _ = filter;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// The field, a bool, int, float, string or timestamp, has exactly this value.
    Eq(String, Value),
    /// The field, of one of the same types, has one of these values; of none, nothing passes.
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
    /// Every term of this text occurs in the field, a string with a lexical index. A text without terms, empty or of nothing but
    /// spaces and marks, matches nothing. It has at most [`QUERY_TERMS_MAX`](crate::limits::QUERY_TERMS_MAX) different ones, and all such texts of
    /// a filter together [`FILTER_TEXT_BYTES_MAX`](crate::limits::FILTER_TEXT_BYTES_MAX) bytes.
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

    /// A list that holds `text`.
    pub fn contains(field: impl Into<String>, text: impl Into<String>) -> Self {
        Filter::Contains(field.into(), vec![text.into()])
    }

    /// The field has one of these values; of none, nothing passes.
    pub fn any_of<V: Into<Value>>(field: impl Into<String>, values: impl IntoIterator<Item = V>) -> Self {
        Filter::In(field.into(), values.into_iter().map(Into::into).collect())
    }

    /// Both conditions hold.
    ///
    /// ```
    /// use ragstone::Filter;
    ///
    /// let filter = Filter::any_of("language", ["en", "de"]).and(Filter::eq("draft", true).not()).and(Filter::eq("year", 2024));
    /// assert_eq!(filter, Filter::parse(r#"language in ("en", "de") and not draft = true and year = 2024"#)?);
    /// # Ok::<(), ragstone::ParseError>(())
    /// ```
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
    #[expect(clippy::should_implement_trait, reason = "reads as the word of a filter beside `and` and `or`")]
    pub fn not(self) -> Self {
        Filter::Not(Box::new(self))
    }

    /// Whether it asks for nothing, so that every row passes.
    pub(crate) fn passes_all(&self) -> bool {
        match self {
            Filter::AllTenants => true,
            Filter::And(filters) => filters.iter().all(Filter::passes_all),
            _ => false,
        }
    }

    /// Whether it asks for words anywhere.
    pub(crate) fn has_words(&self) -> bool {
        match self {
            Filter::Match(..) => true,
            Filter::And(filters) | Filter::Or(filters) => filters.iter().any(Filter::has_words),
            Filter::Not(filter) => filter.has_words(),
            _ => false,
        }
    }
}

/// The bounds of a [`Filter::Range`]; at least one is set, and all are of the field's type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Range {
    /// Greater than.
    pub gt: Option<Value>,
    /// Greater than or equal.
    pub gte: Option<Value>,
    /// Less than.
    pub lt: Option<Value>,
    /// Less than or equal.
    pub lte: Option<Value>,
}
