//! Lists of any kind as ranges of one array.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_schema::DataType;

use super::{Read, wrong};

/// Lists, whose items lie in one array.
pub(super) struct Lists {
    pub(super) items: ArrayRef,
    /// Of each list that is there, where its items are.
    ranges: Vec<Option<Range<usize>>>,
}

impl Lists {
    /// The lists of an array. Only what they refer to is in `items`: a slice of a large array is as cheap as it is small.
    pub(super) fn of(array: &ArrayRef) -> Read<Self> {
        match array.data_type() {
            DataType::List(_) => Ok(Self::variable::<i32>(array)),
            DataType::LargeList(_) => Ok(Self::variable::<i64>(array)),
            DataType::FixedSizeList(..) => {
                let lists = array.as_fixed_size_list();
                let length = usize::try_from(lists.value_length()).unwrap_or(0);
                let range = |at: usize| lists.is_valid(at).then(|| at * length..(at + 1) * length);
                Ok(Self { items: lists.values().clone(), ranges: (0..lists.len()).map(range).collect() })
            }
            other => wrong(0, format!("a value of type {other} is no list")),
        }
    }

    fn variable<O: OffsetSizeTrait>(array: &ArrayRef) -> Self {
        let lists = array.as_list::<O>();
        let offsets = lists.value_offsets();
        let (start, end) = match (offsets.first(), offsets.last()) {
            (Some(start), Some(end)) => (start.as_usize(), end.as_usize()),
            _ => (0, 0),
        };
        let range = |at: usize| {
            lists.is_valid(at).then(|| offsets[at].as_usize() - start..offsets[at + 1].as_usize() - start)
        };
        let ranges = (0..lists.len()).map(range).collect();
        Self { items: lists.values().slice(start, end - start), ranges }
    }

    /// The lists that are there, with their places.
    pub(super) fn each(&self) -> impl Iterator<Item = (usize, Range<usize>)> {
        self.ranges.iter().enumerate().filter_map(|(at, range)| Some((at, range.clone()?)))
    }

    /// The list at a place.
    pub(super) fn at(&self, at: usize) -> Option<Range<usize>> {
        self.ranges.get(at).cloned().flatten()
    }

    /// Whether an item of a list is not there.
    pub(super) fn lacks(items: &dyn Array, range: &Range<usize>) -> Option<usize> {
        if items.null_count() == 0 {
            return None;
        }
        range.clone().position(|item| items.is_null(item))
    }
}

/// The length of the first list; of lists of lists, that of the first inner one.
pub(crate) fn first_length(array: &ArrayRef) -> Option<usize> {
    let lists = Lists::of(array).ok()?;
    let is_nested = matches!(
        lists.items.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    );
    match is_nested {
        true => lists
            .each()
            .find(|(_, range)| !range.is_empty())
            .and_then(|(_, range)| first_length(&lists.items.slice(range.start, range.len()))),
        false => lists.each().next().map(|(_, range)| range.len()),
    }
}
