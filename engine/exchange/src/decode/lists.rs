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

/// The length of the first list that is not empty; of lists of lists, that of the first inner one that is not.
pub(crate) fn first_length(array: &ArrayRef) -> Option<usize> {
    let lists = Lists::of(array).ok()?;
    let is_nested = matches!(
        lists.items.data_type(),
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..)
    );
    match is_nested {
        true => {
            lists.each().find_map(|(_, range)| first_length(&lists.items.slice(range.start, range.len())))
        }
        false => lists.each().map(|(_, range)| range.len()).find(|length| *length > 0),
    }
}

/// Bytes of what an array refers to, about: a slice of a large one, which keeps all of that, has few.
pub(crate) fn size_bytes(array: &ArrayRef) -> usize {
    if let Ok(lists) = Lists::of(array) {
        return array.len() * size_of::<u64>() + size_bytes(&lists.items);
    }
    if let Some(parts) = array.as_struct_opt() {
        return parts.columns().iter().map(size_bytes).sum();
    }
    if let Some(texts) = array.as_string_view_opt() {
        return size_of_val(&**texts.views()) + texts.total_buffer_bytes_used();
    }
    array.to_data().get_slice_memory_size().unwrap_or_else(|_| array.get_array_memory_size())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Float32Type;
    use arrow_array::{FixedSizeListArray, ListArray, StringArray, StringViewArray, StructArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    #[test]
    fn a_slice_has_the_bytes_that_it_refers_to() {
        let row = |at: usize| Some(vec![Some(at as f32); 100]);
        let lists: ArrayRef =
            Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>((0..1_000).map(row)));
        let fixed: ArrayRef =
            Arc::new(FixedSizeListArray::from_iter_primitive::<Float32Type, _, _>((0..1_000).map(row), 100));
        let text = || (0..1_000).map(|_| "x".repeat(400));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(text()));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(text()));
        let field = Arc::new(Field::new("values", lists.data_type().clone(), true));
        let parts: ArrayRef = Arc::new(StructArray::from(vec![(field, lists.clone())]));
        for array in [lists, fixed, texts, views, parts] {
            let (all, one) = (size_bytes(&array), size_bytes(&array.slice(500, 1)));
            assert!((400_000..420_000).contains(&all), "{all} of {}", array.data_type());
            assert!((400..500).contains(&one), "{one} of {}", array.data_type());
        }
    }

    /// A column of many vectors whose first one was empty was taken for one without values, and left out.
    #[test]
    fn an_empty_list_says_no_length() {
        let vectors = [Some(vec![]), Some(vec![Some(1.0), Some(2.0)])];
        let vectors: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(vectors));
        let item = Arc::new(Field::new("item", vectors.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([0, 1, 1]);
        let lists: ArrayRef = Arc::new(ListArray::new(item, offsets, vectors.clone(), None));
        assert_eq!((first_length(&vectors), first_length(&lists)), (Some(2), Some(2)));
        assert_eq!(first_length(&lists.slice(0, 2)), None);
    }
}
