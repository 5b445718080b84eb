//! How many rows of a batch are decoded at once.
//!
//! Views and dictionaries have a text once for all rows that share it, and as rows each has its own: a batch of megabytes may be gigabytes
//! of rows. One row may be that, too, as a list of one text many times: it is refused before it is written out.

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use ragstone::limits::PAYLOAD_BYTES_MAX;

use super::lists::Lists;
use super::{Read, wrong};

/// Rows, at most.
const ROWS_AT_ONCE: usize = 1_024;
/// Bytes of their texts, about, unless one row has more.
const BYTES_AT_ONCE: usize = 8 << 20;

/// How many rows of a batch, from one of them on, are decoded at once.
pub(crate) fn rows_at_once(batch: &RecordBatch, from: usize) -> usize {
    within(batch, from, BYTES_AT_ONCE)
}

fn within(batch: &RecordBatch, from: usize, bytes_max: usize) -> usize {
    let mut rows = ROWS_AT_ONCE.min(batch.num_rows() - from);
    let bytes = |rows: usize| {
        batch.columns().iter().map(|column| shared_bytes(&column.slice(from, rows))).sum::<usize>()
    };
    while rows > 1 && bytes(rows) > bytes_max {
        rows /= 2;
    }
    rows
}

/// Refuses the texts of a single row that no row may have. Of several, [`rows_at_once`] has seen to it.
pub(super) fn check(array: &ArrayRef) -> Read<()> {
    if array.len() != 1 {
        return Ok(());
    }
    match shared_bytes(array) {
        bytes if bytes > PAYLOAD_BYTES_MAX => wrong(
            0,
            format!("its texts are {bytes} bytes, beyond the limit PAYLOAD_BYTES_MAX of {PAYLOAD_BYTES_MAX}"),
        ),
        _ => Ok(()),
    }
}

/// Bytes of texts that rows may share, once each row has its own.
fn shared_bytes(array: &ArrayRef) -> usize {
    match array.data_type() {
        DataType::Utf8View => array.as_string_view().total_bytes_len(),
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let values = dictionary.values();
            if values.is_empty() {
                return 0;
            }
            // Where nothing is, a key may be any.
            let keys = dictionary.normalized_keys().into_iter().enumerate();
            keys.filter(|(row, _)| array.is_valid(*row)).map(|(_, at)| text_bytes(values, at)).sum()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _)
            if matches!(item.data_type(), DataType::Utf8View | DataType::Dictionary(..)) =>
        {
            Lists::of(array).map_or(0, |lists| shared_bytes(&lists.items))
        }
        _ => 0,
    }
}

fn text_bytes(values: &ArrayRef, at: usize) -> usize {
    match values.data_type() {
        DataType::Utf8 => values.as_string::<i32>().value(at).len(),
        DataType::LargeUtf8 => values.as_string::<i64>().value(at).len(),
        DataType::Utf8View => values.as_string_view().value(at).len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{DictionaryArray, ListArray, StringArray, StringViewArray};
    use arrow_buffer::OffsetBuffer;
    use arrow_schema::Field;

    use super::*;

    /// A thousand rows of one long text were decoded at once, whatever that took.
    #[test]
    fn rows_that_share_a_text_are_counted_with_it() {
        let text = "x".repeat(1_000);
        let texts = || std::iter::repeat_n(text.as_str(), 100);
        let views: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts()));
        let dictionary: DictionaryArray<Int32Type> = texts().collect();
        let dictionary: ArrayRef = Arc::new(dictionary);
        let list = |items: &ArrayRef| -> ArrayRef {
            let item = Arc::new(Field::new("item", items.data_type().clone(), true));
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([1; 100]), items.clone(), None))
        };
        for shared in [views.clone(), dictionary.clone(), list(&views), list(&dictionary)] {
            let kind = shared.data_type().clone();
            let batch = RecordBatch::try_from_iter([("shared", shared)]).unwrap();
            // 100 rows have 100,000 bytes, 50 have 50,000, and so on.
            for (from, bytes_max, expected) in
                [(0, 100_000, 100), (0, 99_999, 50), (0, 7_000, 6), (0, 1, 1), (97, 2_000, 1), (99, 1, 1)]
            {
                assert_eq!(within(&batch, from, bytes_max), expected, "{kind} {from} {bytes_max}");
            }
        }
        // What each row has by itself is as large in the batch.
        let own: ArrayRef = Arc::new(StringArray::from_iter_values(texts()));
        let none: ArrayRef = Arc::new(DictionaryArray::<Int32Type>::from_iter([None::<&str>; 2_000]));
        let one = std::iter::once(Some(text.as_str())).chain(std::iter::repeat_n(None, 99));
        let one: DictionaryArray<Int32Type> = one.collect();
        let one: ArrayRef = Arc::new(one);
        let batch = RecordBatch::try_from_iter([("one", one)]).unwrap();
        assert_eq!(within(&batch, 0, 1_000), 100);
        let batch = RecordBatch::try_from_iter([("own", own)]).unwrap();
        assert_eq!(within(&batch, 0, 1), 100);
        let batch = RecordBatch::try_from_iter([("none", none)]).unwrap();
        assert_eq!((within(&batch, 0, 1), rows_at_once(&batch, 1_500)), (ROWS_AT_ONCE, 500));
    }

    /// A row with a list of one text, ten thousand times, was gigabytes, and beyond two of them the end of the program.
    #[test]
    fn a_row_alone_with_more_than_any_has_is_refused() {
        let text = "x".repeat(1 << 20);
        let row = |items: usize| -> ArrayRef {
            let items: DictionaryArray<Int32Type> = std::iter::repeat_n(text.as_str(), items).collect();
            let item = Arc::new(Field::new("item", items.data_type().clone(), true));
            Arc::new(ListArray::new(item, OffsetBuffer::from_lengths([items.len()]), Arc::new(items), None))
        };
        let most = PAYLOAD_BYTES_MAX >> 20;
        check(&row(most)).unwrap();
        let wrong = check(&row(most + 1)).unwrap_err();
        assert!(wrong.reason.contains("PAYLOAD_BYTES_MAX of 33554432"), "{}", wrong.reason);
    }
}
