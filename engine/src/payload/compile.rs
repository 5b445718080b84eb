//! A filter against the fields of a collection: checked once, then run over each segment.
//!
//! Compiling resolves names to field numbers, checks each value's type against its field's, and bounds depth and
//! size. What it gives cannot fail any more. Running it over a segment makes one bitmap per leaf and combines them by
//! words; the count is exact, which is what plans are made from. Few rows are listed instead (`few.rs`), and circles of many may be asked of rows
//! one by one (`screened.rs`).

mod few;
mod joined;
mod screened;

use std::ops::Bound;
use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::condition::{Test, contains_test, in_test, range_test};
use super::{FieldId, FieldTable, FieldType, Filter, GeoPoint, Range, Screen, Value, ValueRef};
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::limits::{
    FILTER_DEPTH_MAX, FILTER_TERMS_MAX, FILTER_TEXT_BYTES_MAX, QUERY_TERMS_MAX, check_limit,
};
use crate::schema::Schema;
use crate::scope::RowFilter;
use crate::text::{Analysis, Analyzer, QueryTerms};

pub(crate) use screened::Screened;

/// A filter that fits its collection.
#[derive(Debug)]
pub(crate) struct CompiledFilter {
    root: Node,
}

#[derive(Debug)]
enum Node {
    Leaf(FieldId, Arc<Test>),
    /// Every term of a text occurs in a field with a lexical index.
    Text(FieldId, Analyzer, QueryTerms),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
}

/// Where a filter finds the values of a segment.
pub(crate) trait FieldSource {
    /// How many rows there are.
    fn rows(&self) -> usize;

    /// The rows that have the field and whose value passes, as a set of [`rows`](Self::rows) bits. What goes through rows looks at the
    /// watch now and then; a set that it ended is of no use.
    fn select(&self, field: FieldId, test: &Arc<Test>, watch: &Watch) -> Arc<FixedBitSet>;

    /// At most how many rows [`list`](Self::list) gives, if that is known without going through them. What has to be put into an order for
    /// it, here and for the list, looks at the watch.
    fn count(&self, _: FieldId, _: &Test, _: &Watch) -> Option<usize> {
        None
    }

    /// The rows of [`select`](Self::select) as a list in ascending order, at the cost of its length; `None` if there may be more
    /// than `max`, or that is not known.
    fn list(&self, _: FieldId, _: &Test, _max: usize, _: &Watch) -> Option<Vec<u32>> {
        None
    }

    /// What lets through all rows of [`select`](Self::select) and few others, if the condition is not asked for so often that the set is worth
    /// making, and about so many rows pass at least. What it reads is put into an order as for [`count`](Self::count).
    fn screen(&self, _: (FieldId, &Test), _least: usize, _: &Watch) -> Option<Screen<'_>> {
        None
    }

    /// The value of a row's field, if it has one.
    fn value_of(&self, _row: u32, _: FieldId) -> Option<ValueRef<'_>> {
        None
    }

    /// The rows in whose field, one with a lexical index, every term of a text occurs, likewise; the terms are what the analyser makes of it.
    fn select_text(&self, field: FieldId, analyzer: Analyzer, terms: &QueryTerms) -> Arc<FixedBitSet>;

    /// Those of some rows, in ascending order, that [`select_text`](Self::select_text) gives.
    fn among_text(
        &self,
        field: FieldId,
        analyzer: Analyzer,
        terms: &QueryTerms,
        mut rows: Vec<u32>,
    ) -> Vec<u32> {
        let having = self.select_text(field, analyzer, terms);
        rows.retain(|row| having.contains(*row as usize));
        rows
    }
}

impl CompiledFilter {
    /// Checks a filter against the fields.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::FieldType`], [`Error::Invalid`] or [`Error::Limit`], with the path of the
    /// condition: `filter.and[1].year`.
    pub(crate) fn new(filter: &Filter, fields: &FieldTable) -> Result<Self> {
        let mut compiler = Compiler { fields, terms: 0, text_bytes: 0, passes_over_absent: false };
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

    /// What passes, of the rows that a handle shows. A field that no row has fails its conditions, as it does in a row that lacks it; where
    /// there is no telling (the field is of another type), no row is shown.
    pub(crate) fn shown(filter: Option<Self>, rows: &RowFilter, fields: &FieldTable) -> Self {
        let root = Self::root_of(rows, fields).unwrap_or_else(|_| Node::Or(Vec::new()));
        match filter {
            Some(filter) => Self { root: Node::And(vec![filter.root, root]) },
            None => Self { root },
        }
    }

    /// Whether there is telling which rows a handle shows.
    pub(crate) fn fits(rows: &RowFilter, fields: &FieldTable) -> bool {
        Self::root_of(rows, fields).is_ok()
    }

    fn root_of(rows: &RowFilter, fields: &FieldTable) -> Result<Node> {
        let mut compiler = Compiler { fields, terms: 0, text_bytes: 0, passes_over_absent: true };
        compiler.node(rows.filter(), "filter", 1)
    }

    /// Checks the filter of a read, and restricts it to the rows that are shown: of a collection with a tenant key, it or that restriction has to say
    /// whose rows are meant.
    ///
    /// # Errors
    /// As [`new`](Self::new); [`Error::Invalid`] if it does not say that.
    pub(crate) fn of_read(
        filter: Option<&Filter>,
        rows: Option<&RowFilter>,
        schema: &Schema,
        fields: &FieldTable,
    ) -> Result<Option<Self>> {
        if let Some(tenant) = &schema.tenant
            && !filter.is_some_and(|filter| names_tenant(filter, tenant) || is_of_all(filter))
            && !rows.is_some_and(|rows| is_of_named(rows.filter(), tenant))
        {
            let reason = format!(
                "the collection keeps tenants apart by `{tenant}`: a read needs a condition that it equals a value, \
                 by itself or within an `and`, or says that it means all tenants"
            );
            return Err(Error::invalid("filter", reason));
        }
        let filter = filter.map(|filter| Self::new(filter, fields)).transpose()?;
        Ok(match rows {
            Some(rows) => Some(Self::shown(filter, rows, fields)),
            None => filter,
        })
    }

    /// The rows that pass. The watch is looked at before each condition, and while rows are gone through for one; after an interruption
    /// the set is of no use.
    pub(crate) fn run(&self, source: &dyn FieldSource, watch: &Watch) -> Arc<FixedBitSet> {
        self.root.run(source, watch)
    }
}

/// Whether a filter is a condition on a field that is not there.
fn names_absent(filter: &Filter, fields: &FieldTable) -> bool {
    match filter {
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::AllTenants => false,
        condition => {
            let mut names = Vec::new();
            condition.fields(&mut names);
            names.iter().any(|name| fields.find(name).is_none())
        }
    }
}

/// Whether a filter lets pass rows of tenants alone that it names.
fn names_tenant(filter: &Filter, tenant: &str) -> bool {
    match filter {
        Filter::Eq(field, _) | Filter::In(field, _) => field == tenant,
        Filter::And(filters) => filters.iter().any(|filter| names_tenant(filter, tenant)),
        _ => false,
    }
}

/// The same of what a handle shows, which may be of several tenants, each named by a way of its own.
fn is_of_named(filter: &Filter, tenant: &str) -> bool {
    match filter {
        Filter::Or(ways) => !ways.is_empty() && ways.iter().all(|way| is_of_named(way, tenant)),
        Filter::And(filters) => filters.iter().any(|filter| is_of_named(filter, tenant)),
        filter => names_tenant(filter, tenant),
    }
}

/// Whether a filter says somewhere that it means the rows of all tenants.
fn is_of_all(filter: &Filter) -> bool {
    match filter {
        Filter::AllTenants => true,
        Filter::And(filters) | Filter::Or(filters) => filters.iter().any(is_of_all),
        Filter::Not(filter) => is_of_all(filter),
        _ => false,
    }
}

impl Node {
    fn run(&self, source: &dyn FieldSource, watch: &Watch) -> Arc<FixedBitSet> {
        let rows = source.rows();
        let combined = |nodes: &[Node], combine: fn(&mut FixedBitSet, &FixedBitSet)| {
            let (first, rest) = nodes.split_first()?;
            let mut out = first.run(source, watch);
            for node in rest {
                combine(Arc::make_mut(&mut out), &node.run(source, watch));
            }
            Some(out)
        };
        match self {
            Node::Leaf(..) | Node::Text(..) if watch.poll() => Arc::new(FixedBitSet::with_capacity(rows)),
            Node::Leaf(field, test) => source.select(*field, test, watch),
            Node::Text(field, analyzer, terms) => source.select_text(*field, *analyzer, terms),
            Node::And(nodes) => combined(nodes, FixedBitSet::intersect_with).unwrap_or_else(|| {
                let mut all = FixedBitSet::with_capacity(rows);
                all.insert_range(..);
                Arc::new(all)
            }),
            Node::Or(nodes) => combined(nodes, FixedBitSet::union_with)
                .unwrap_or_else(|| Arc::new(FixedBitSet::with_capacity(rows))),
            Node::Not(node) => {
                let mut out = node.run(source, watch);
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
    /// Of the texts that are matched, so far.
    text_bytes: usize,
    /// Whether a condition on a field that is not there fails, rather than being an error.
    passes_over_absent: bool,
}

impl Compiler<'_> {
    fn node(&mut self, filter: &Filter, path: &str, depth: usize) -> Result<Node> {
        check_limit(path, "FILTER_DEPTH_MAX", FILTER_DEPTH_MAX, depth)?;
        self.count(1)?;
        if self.passes_over_absent && names_absent(filter, self.fields) {
            return Ok(Node::Or(Vec::new()));
        }
        match filter {
            Filter::Eq(name, value) => self.values(name, std::slice::from_ref(value), path, false),
            Filter::In(name, values) => self.values(name, values, path, true),
            Filter::Range(name, range) => self.range(name, range, path),
            Filter::Prefix(name, prefix) => {
                let test = Test::TextPrefix(prefix.as_bytes().into());
                self.of_type(name, FieldType::String, path, test)
            }
            Filter::Contains(name, values) => {
                self.count(values.len())?;
                self.of_type(name, FieldType::Strings, path, contains_test(values))
            }
            Filter::Exists(name) => Ok(Node::Leaf(self.field(name, path)?.0, Arc::new(Test::Exists))),
            Filter::GeoRadius(name, center, metres) => self.radius(name, (*center, *metres), path),
            Filter::Match(name, text) => self.text(name, text, path),
            Filter::AllTenants => Ok(Node::And(Vec::new())),
            Filter::And(filters) => {
                Ok(Node::And(joined::ranges(self.nodes(filters, &format!("{path}.and"), depth)?)))
            }
            Filter::Or(filters) => Ok(joined::values(self.nodes(filters, &format!("{path}.or"), depth)?)),
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
        match in_test(values, expected) {
            Some(test) => Ok(Node::Leaf(field, Arc::new(test))),
            None => {
                let reason = format!(
                    "whole values are asked for of bools, ints, floats, strings and timestamps; this field is {expected}"
                );
                Err(Error::invalid(path, reason))
            }
        }
    }

    /// A condition on fields of one type.
    fn of_type(&self, name: &str, wanted: FieldType, path: &str, test: Test) -> Result<Node> {
        let (field, actual, path) = self.field(name, path)?;
        if actual != wanted {
            let reason = format!("the condition is on fields of type {wanted}; this field is {actual}");
            return Err(Error::invalid(path, reason));
        }
        Ok(Node::Leaf(field, Arc::new(test)))
    }

    fn radius(&self, name: &str, (center, metres): (GeoPoint, f64), path: &str) -> Result<Node> {
        center.check(|| format!("{path}.{name}.center"))?;
        if !metres.is_finite() || metres < 0.0 {
            let reason = format!("a radius is a number of metres from zero on, not {metres}");
            return Err(Error::invalid(format!("{path}.{name}.metres"), reason));
        }
        self.of_type(name, FieldType::Geo, path, Test::Within(center, metres))
    }

    fn text(&mut self, name: &str, text: &str, path: &str) -> Result<Node> {
        let (field, _, path) = self.field(name, path)?;
        let Some(analyzer) = self.fields.text(field) else {
            return Err(Error::invalid(path, "the field has no lexical index, which `match` needs"));
        };
        // It is analysed once, and its terms are looked up in every segment, as are those of all other texts of the filter.
        self.text_bytes += text.len();
        check_limit(&path, "FILTER_TEXT_BYTES_MAX", FILTER_TEXT_BYTES_MAX, self.text_bytes)?;
        let terms = Analysis::new(analyzer).query(text);
        check_limit(&path, "QUERY_TERMS_MAX", QUERY_TERMS_MAX, terms.terms.len())?;
        self.count(terms.terms.len())?;
        Ok(Node::Text(field, analyzer, terms))
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
        let bounds = [
            (bound(&range.gt, Bound::Excluded), bound(&range.lt, Bound::Excluded)),
            (bound(&range.gte, Bound::Included), bound(&range.lte, Bound::Included)),
        ];
        let [excluding, including] = bounds.map(|(low, high)| range_test(low, high, expected));
        match excluding.zip(including).and_then(|(excluding, including)| excluding.and(&including)) {
            Some(test) => Ok(Node::Leaf(field, Arc::new(test))),
            None => Err(Error::invalid(
                path,
                format!("a range is over ints, floats, strings or timestamps; this field is {expected}"),
            )),
        }
    }
}

fn bound<'a>(value: &'a Option<Value>, kind: fn(&'a Value) -> Bound<&'a Value>) -> Bound<&'a Value> {
    value.as_ref().map_or(Bound::Unbounded, kind)
}

fn check_value(value: &Value, expected: FieldType, path: impl Fn() -> String) -> Result<()> {
    let actual = value.field_type();
    if actual != expected {
        return Err(Error::FieldType { field: path(), expected, actual });
    }
    value.check(path)
}

#[cfg(test)]
mod tests;
