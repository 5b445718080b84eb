//! A filter against the fields of a collection: checked once, then run over each segment.
//!
//! Compiling resolves names to field numbers, checks each value's type against its field's, and bounds depth and
//! size. What it gives cannot fail any more. Running it over a segment makes one bitmap per leaf and combines them by
//! words; the count is exact, which is what plans are made from.

use std::ops::Bound;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::condition::{Test, in_test, range_test};
use super::{FieldId, FieldTable, FieldType, Filter, Range, Value};
use crate::error::{Error, Result};
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX, check_limit};

/// A filter that fits its collection.
#[derive(Debug)]
pub(crate) struct CompiledFilter {
    root: Node,
}

#[derive(Debug)]
enum Node {
    Leaf(FieldId, Arc<Test>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// Where a filter finds the values of a segment.
pub(crate) trait FieldSource {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The rows that have the field and whose value passes, as a set of [`rows`](Self::rows) bits.
    fn select(&self, field: FieldId, test: &Arc<Test>) -> Arc<FixedBitSet>;
}

impl CompiledFilter {
    /// Checks a filter against the fields.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::FieldType`], [`Error::Invalid`] or [`Error::Limit`], with the path of the
    /// condition: `filter.and[1].year`.
    pub(crate) fn new(filter: &Filter, fields: &FieldTable) -> Result<Self> {
        let mut compiler = Compiler { fields, terms: 0 };
        Ok(Self { root: compiler.node(filter, "filter", 1)? })
    }

    /// All of some filters, each within the limits by itself.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub(crate) fn all(filters: &[&Filter], fields: &FieldTable) -> Result<Self> {
        let root = |filter: &&Filter| Ok(Self::new(filter, fields)?.root);
        Ok(Self { root: Node::And(filters.iter().map(root).collect::<Result<_>>()?) })
    }

    /// The rows that pass.
    pub(crate) fn run(&self, source: &dyn FieldSource) -> Arc<FixedBitSet> {
        self.root.run(source)
    }
}

impl Node {
    fn run(&self, source: &dyn FieldSource) -> Arc<FixedBitSet> {
        let rows = source.rows();
        let combined = |nodes: &[Node], combine: fn(&mut FixedBitSet, &FixedBitSet)| {
            let (first, rest) = nodes.split_first()?;
            let mut out = first.run(source);
            for node in rest {
                combine(Arc::make_mut(&mut out), &node.run(source));
            }
            Some(out)
        };
        match self {
            Node::Leaf(field, test) => source.select(*field, test),
            Node::And(nodes) => combined(nodes, FixedBitSet::intersect_with).unwrap_or_else(|| {
                let mut all = FixedBitSet::with_capacity(rows);
                all.insert_range(..);
                Arc::new(all)
            }),
            Node::Or(nodes) => combined(nodes, FixedBitSet::union_with)
                .unwrap_or_else(|| Arc::new(FixedBitSet::with_capacity(rows))),
            Node::Not(node) => {
                let mut out = node.run(source);
                Arc::make_mut(&mut out).toggle_range(..);
                out
            }
        }
    }
}

/// Walks over the tree with its path.
struct Compiler<'a> {
    fields: &'a FieldTable,
    terms: usize,
}

impl Compiler<'_> {
    fn node(&mut self, filter: &Filter, path: &str, depth: usize) -> Result<Node> {
        check_limit(path, "FILTER_DEPTH_MAX", FILTER_DEPTH_MAX, depth)?;
        self.count(1)?;
        match filter {
            Filter::Eq(name, value) => self.values(name, std::slice::from_ref(value), path, false),
            Filter::In(name, values) => self.values(name, values, path, true),
            Filter::Range(name, range) => self.range(name, range, path),
            Filter::And(filters) => Ok(Node::And(self.nodes(filters, &format!("{path}.and"), depth)?)),
            Filter::Or(filters) => Ok(Node::Or(self.nodes(filters, &format!("{path}.or"), depth)?)),
            Filter::Not(filter) => {
                Ok(Node::Not(Box::new(self.node(filter, &format!("{path}.not"), depth + 1)?)))
            }
        }
    }

    fn nodes(&mut self, filters: &[Filter], path: &str, depth: usize) -> Result<Vec<Node>> {
        filters
            .iter()
            .enumerate()
            .map(|(index, filter)| self.node(filter, &format!("{path}[{index}]"), depth + 1))
            .collect()
    }

    fn count(&mut self, terms: usize) -> Result<()> {
        self.terms += terms;
        check_limit("filter", "FILTER_TERMS_MAX", FILTER_TERMS_MAX, self.terms)
    }

    fn field(&self, name: &str, path: &str) -> Result<(FieldId, FieldType, String)> {
        let path = format!("{path}.{name}");
        match self.fields.find(name) {
            Some((field, field_type)) => Ok((field, field_type, path)),
            None => Err(Error::UnknownField { field: path }),
        }
    }

    fn values(&mut self, name: &str, values: &[Value], path: &str, is_list: bool) -> Result<Node> {
        let (field, expected, path) = self.field(name, path)?;
        self.count(values.len())?;
        for (index, value) in values.iter().enumerate() {
            let path = || if is_list { format!("{path}[{index}]") } else { path.clone() };
            check_value(value, expected, path)?;
        }
        Ok(Node::Leaf(field, Arc::new(in_test(values, expected))))
    }

    fn range(&mut self, name: &str, range: &Range, path: &str) -> Result<Node> {
        let (field, expected, path) = self.field(name, path)?;
        let bounds = [("gt", &range.gt), ("gte", &range.gte), ("lt", &range.lt), ("lte", &range.lte)];
        let given: Vec<_> =
            bounds.iter().filter_map(|(kind, bound)| Some((kind, (*bound).as_ref()?))).collect();
        if given.is_empty() {
            return Err(Error::invalid(path, "a range has at least one bound"));
        }
        self.count(given.len())?;
        for (kind, value) in given {
            check_value(value, expected, || format!("{path}.{kind}"))?;
        }
        // Of two lower or two upper bounds both hold: two leaves.
        let mut leaves = Vec::new();
        for (low, high) in [
            (bound(&range.gt, &None), bound(&range.lt, &None)),
            (bound(&None, &range.gte), bound(&None, &range.lte)),
        ] {
            if matches!((&low, &high), (Bound::Unbounded, Bound::Unbounded)) {
                continue;
            }
            match range_test(low, high, expected) {
                Some(test) => leaves.push(Node::Leaf(field, Arc::new(test))),
                None => {
                    return Err(Error::invalid(
                        path,
                        "a range is over ints, floats or strings; this field is bool",
                    ));
                }
            }
        }
        Ok(Node::And(leaves))
    }
}

fn bound<'a>(excluded: &'a Option<Value>, included: &'a Option<Value>) -> Bound<&'a Value> {
    match (excluded, included) {
        (Some(value), _) => Bound::Excluded(value),
        (None, Some(value)) => Bound::Included(value),
        (None, None) => Bound::Unbounded,
    }
}

fn check_value(value: &Value, expected: FieldType, path: impl Fn() -> String) -> Result<()> {
    let actual = value.field_type();
    if actual != expected {
        return Err(Error::FieldType { field: path(), expected, actual });
    }
    match value {
        Value::Float(number) if !number.is_finite() => {
            Err(Error::invalid(path(), format!("{number} is not a finite number")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> FieldTable {
        let mut fields = FieldTable::default();
        fields.add("year", FieldType::Int);
        fields.add("text", FieldType::String);
        fields.add("score", FieldType::Float);
        fields.add("draft", FieldType::Bool);
        fields
    }

    fn error(filter: Filter) -> String {
        CompiledFilter::new(&filter, &fields()).unwrap_err().to_string()
    }

    #[test]
    fn errors_name_the_path() {
        let nested = Filter::And(vec![Filter::eq("draft", true), Filter::eq("year", "x")]);
        assert_eq!(error(nested), "filter.and[1].year: the field is int, the value is string");
        let unknown = Filter::Not(Box::new(Filter::Or(vec![Filter::eq("nope", 1i64)])));
        assert_eq!(error(unknown), "filter.not.or[0].nope: the collection has no such payload field");
        let list = Filter::In("year".into(), vec![Value::Int(1), Value::Bool(true)]);
        assert_eq!(error(list), "filter.year[1]: the field is int, the value is bool");
        assert!(error(Filter::Range("year".into(), Range::default())).contains("at least one bound"));
        let bool_range = Range { gt: Some(Value::Bool(true)), ..Range::default() };
        assert!(error(Filter::Range("draft".into(), bool_range)).contains("this field is bool"));
        assert!(error(Filter::eq("score", f64::NAN)).contains("not a finite number"));
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let mut deep = Filter::eq("year", 1i64);
        for _ in 0..FILTER_DEPTH_MAX {
            deep = Filter::Not(Box::new(deep));
        }
        assert!(error(deep).contains("FILTER_DEPTH_MAX"));
        let wide = Filter::In("year".into(), (0..FILTER_TERMS_MAX as i64).map(Value::Int).collect());
        assert!(error(wide).contains("FILTER_TERMS_MAX"));
    }
}
