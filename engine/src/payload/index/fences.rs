//! Some values of the order, close together, to search it by.
//!
//! **Problem.** The values themselves lie in the column's file, in the order of the rows: each step of a binary search is two or
//! three reads from anywhere, twenty steps for a million values. **Idea.** Every [`EVERY`]th value is kept beside the order, so
//! that all steps but the last three are in a small part of them; as an index of keys over blocks does in any table of sorted strings.

use std::ops::Range;

use super::super::{Column, FieldType, ValueRef};
use super::{SIGN, order_key};

/// Values from a fence to the next.
const EVERY: usize = 8;
/// Fewer are searched as they are.
const VALUES_MIN: usize = 16 * EVERY;

/// Every [`EVERY`]th value of an order.
#[derive(Debug, Default)]
pub(super) struct Fences {
    /// Of values that have a key.
    keys: Vec<u64>,
    /// Texts, one after the other, and where each ends.
    texts: Vec<u8>,
    ends: Vec<u32>,
}

impl Fences {
    /// Of an order of `runs` values, of each of which `row_of` gives a row.
    pub(super) fn new(column: &Column, file: &[u8], runs: usize, row_of: impl Fn(usize) -> u32) -> Self {
        let mut fences = Self::default();
        if runs < VALUES_MIN {
            return fences;
        }
        for run in (0..runs).step_by(EVERY) {
            // The order was made of the same values a moment ago.
            match column.get(file, row_of(run) as usize) {
                Some(ValueRef::Text(text)) => fences.texts.extend_from_slice(text),
                Some(value) => fences.keys.push(order_key(value)),
                None => return Self::default(),
            }
            let Ok(end) = u32::try_from(fences.texts.len()) else { return Self::default() };
            fences.ends.push(end);
        }
        fences
    }

    /// The runs between which the first is whose value is not before something, the one after them included; all of `within` that
    /// is not ruled out.
    pub(super) fn narrow(
        &self,
        field_type: FieldType,
        within: Range<usize>,
        is_before: &dyn Fn(ValueRef<'_>) -> bool,
    ) -> Range<usize> {
        let (mut low, mut high) = (0, self.ends.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if is_before(self.value(field_type, middle)) { low = middle + 1 } else { high = middle }
        }
        // The fence before is before it, this one is not.
        let start = low.checked_sub(1).map_or(0, |fence| fence * EVERY + 1).clamp(within.start, within.end);
        let end = if low < self.ends.len() { low * EVERY } else { within.end };
        start..end.clamp(start, within.end)
    }

    fn value(&self, field_type: FieldType, fence: usize) -> ValueRef<'_> {
        if field_type == FieldType::String {
            let start = fence.checked_sub(1).map_or(0, |before| self.ends[before]);
            return ValueRef::Text(&self.texts[start as usize..self.ends[fence] as usize]);
        }
        let key = self.keys[fence];
        match field_type {
            FieldType::Float => {
                ValueRef::Float(f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN }))
            }
            FieldType::Timestamp => ValueRef::Timestamp((key ^ SIGN).cast_signed()),
            _ => ValueRef::Int((key ^ SIGN).cast_signed()),
        }
    }
}
