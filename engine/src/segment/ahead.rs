//! Asking for what is going to be read of rows: a value, or fields of hits (`payload/column/ahead.rs`). What a growing segment has lies in its rows.

use super::{Segment, SegmentView};
use crate::payload::{Column, FieldId};

/// Hits whose fields are asked for at once: not so many that some are gone from the processor's cache before they are read.
pub(crate) const HITS_AHEAD: usize = 16;

impl SegmentView {
    /// Asks for a value of a row.
    pub(crate) fn prefetch_value(&self, slot: u32, field: FieldId) {
        self.each_column(Some(&[field]), |column, file| column.prefetch(file, slot as usize));
    }

    /// Asks for the number of the write that last changed a row.
    pub(crate) fn prefetch_version(&self, slot: u32) {
        if let Segment::Sealed(segment) = &self.segment {
            segment.prefetch_version(slot);
        }
    }

    /// Asks for the fields of a row, all of them or the wanted ones; soon after it [`prefetch_rest`](Self::prefetch_rest), then
    /// [`payload`](Self::payload).
    pub(crate) fn prefetch_payload(&self, slot: u32, wanted: Option<&[FieldId]>) {
        self.each_column(wanted, |column, file| column.prefetch(file, slot as usize));
    }

    /// Asks for what lies where that says.
    pub(crate) fn prefetch_rest(&self, slot: u32, wanted: Option<&[FieldId]>) {
        self.each_column(wanted, |column, file| column.prefetch_rest(file, slot as usize));
    }

    fn each_column(&self, wanted: Option<&[FieldId]>, each: impl Fn(&Column, &[u8])) {
        let Segment::Sealed(segment) = &self.segment else { return };
        let (columns, file) = (&segment.columns.columns, segment.bytes());
        match wanted {
            Some(fields) => {
                fields.iter().filter_map(|field| columns.get(field)).for_each(|column| each(column, file));
            }
            None => columns.values().for_each(|column| each(column, file)),
        }
    }
}
