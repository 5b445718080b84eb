//! How often each value of a field occurs among the rows that pass a filter.
//!
//! Segments give their values in order (`segment/counted.rs`), so they are merged value by value, and only the most frequent
//! ones are kept: a field of a million values takes no more memory than one of ten.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;

use super::resolve::kinds;
use crate::collection::ViewState;
use crate::error::{Error, Result};
use crate::interrupt::Watch;
use crate::limits::{FACET_BYTES_MAX, FACET_VALUES_MAX, check_limit};
use crate::payload::{CompiledFilter, FieldType, Filter, Passing, Value, ValueRef};
use crate::segment::{Counted, SegmentView};

/// The values of a field: [`View::facet`](crate::View::facet).
#[derive(Clone, Debug, PartialEq)]
pub struct Facet {
    /// The most frequent values; of equally frequent ones the least first.
    pub counts: Vec<FacetCount>,
    /// How many different values there are, listed or not.
    pub values: u64,
    /// Rows that have the field; of a list also those whose list is empty.
    pub rows: u64,
}

/// A value and how many rows have it.
#[derive(Clone, Debug, PartialEq)]
pub struct FacetCount {
    /// The value.
    pub value: Value,
    /// The rows that have it.
    pub count: u64,
}

/// A value on its way into the answer: by its count, and of equal counts the earlier, which is the lesser, value.
type Kept<'a> = Reverse<(u64, Reverse<u64>, ByNumber<'a>)>;

/// A value that takes no part in comparisons.
struct ByNumber<'a>(ValueRef<'a>);

impl PartialEq for ByNumber<'_> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByNumber<'_> {}

impl PartialOrd for ByNumber<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByNumber<'_> {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

/// Counts the values of a field.
pub(crate) fn facet(
    view: &ViewState,
    name: &str,
    filter: Option<&Filter>,
    limit: usize,
    watch: &Watch,
) -> Result<Facet> {
    view.check()?;
    if limit == 0 {
        return Err(Error::invalid("limit", "a facet lists at least one value"));
    }
    check_limit("limit", "FACET_VALUES_MAX", FACET_VALUES_MAX, limit)?;
    let (field, field_type) = kinds(view, "field", name)?;
    let filter = view.compiled(filter)?;
    let passing = view.passing(filter.as_ref(), watch)?;
    let lists = view.segments.iter().zip(&passing);
    let lists = lists.flat_map(|(segment, passing)| segment.counted(field, passing, watch));
    let mut counted: Vec<Peekable<Counted<'_>>> = lists.map(Iterator::peekable).collect();
    let mut kept: BinaryHeap<Kept<'_>> = BinaryHeap::new();
    let (mut values, mut rows) = (0, 0);
    while let Some((value, count)) = least(&mut counted) {
        kept.push(Reverse((count, Reverse(values), ByNumber(value))));
        if kept.len() > limit {
            kept.pop();
        }
        values += 1;
        rows += count;
    }
    watch.check()?;
    if field_type == FieldType::Strings {
        // A row is counted with each of its strings.
        let has_one = CompiledFilter::new(&Filter::Exists(name.to_owned()), &view.fields)?;
        let having = |(segment, passing): (&SegmentView, &Passing)| match passing {
            // The set of those with the field is kept; in a growing segment it would be made by going through all rows.
            Passing::Many(rows) if segment.as_sealed().is_some() => {
                segment.matching(Some(&has_one), watch).intersection_count(rows) as u64
            }
            _ => passing.iter().filter(|row| segment.value(*row, field).is_some()).count() as u64,
        };
        rows = view.segments.iter().zip(&passing).map(having).sum();
        watch.went_on()?;
    }
    check_bytes(kept.iter().map(|Reverse((_, _, value))| value.0))?;
    let listed = kept.into_sorted_vec().into_iter();
    let counts =
        listed.map(|Reverse((count, _, value))| FacetCount { value: value.0.to_value(), count }).collect();
    Ok(Facet { counts, values, rows })
}

/// The least value that some lists come to next, and how often it occurs in all of them.
fn least<'a>(counted: &mut [Peekable<Counted<'a>>]) -> Option<(ValueRef<'a>, u64)> {
    let next = counted.iter_mut().filter_map(|list| Some(list.peek()?.0));
    let value = next.min_by(|a, b| a.order(*b))?;
    let mut total = 0;
    for list in counted {
        total += list.next_if(|(next, _)| next.order(value).is_eq()).map_or(0, |(_, count)| count);
    }
    Some((value, total))
}

/// Refuses values that would be too much in memory together. Until they are listed they lie where they are, and each may be a whole text.
fn check_bytes<'a>(values: impl Iterator<Item = ValueRef<'a>>) -> Result<()> {
    let bytes: usize = values.map(ValueRef::size_bytes).sum();
    check_limit("limit", "FACET_BYTES_MAX", FACET_BYTES_MAX, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_are_whole_texts_are_not_all_listed() {
        let text = vec![b'x'; 1 << 20];
        let of = |count: usize| check_bytes(std::iter::repeat_n(ValueRef::Text(&text), count));
        assert!(of(FACET_BYTES_MAX >> 20).is_ok());
        let error = of((FACET_BYTES_MAX >> 20) + 1).unwrap_err().to_string();
        assert_eq!(error, "limit: 68157440 is beyond the limit FACET_BYTES_MAX = 67108864");
    }
}
