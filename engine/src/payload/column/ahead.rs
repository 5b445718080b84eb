//! Asking for the values of rows before they are read.
//!
//! **Problem.** A value of a row is in two buffers or three, whose lines of memory are rarely in the processor's cache, and each tells where the next
//! is read: what ten hits have in nine fields is a hundred waits, one after another. **Idea.** Of all hits and fields it is asked for what lies
//! at places that are computed, and then for what the ends among that lead to; so the waits are for many at a time.

use std::ops::Range;

use super::{Column, Values, pair_of_ends, within};

/// Bytes of a value that are asked for: of longer ones the processor sees by itself that they are read in order.
const BYTES_MAX: usize = 512;

impl Column {
    /// Asks for the value of a row, or for what says where it is.
    pub(crate) fn prefetch(&self, file: &[u8], row: usize) {
        let Some((batch, row)) = self.batch_of(row) else { return };
        let (buffer, place, length) = match &batch.values {
            Values::Bits(bits) => (bits, row / 8, 1),
            Values::Words(words) => (words, row * 8, 8),
            Values::Pairs(pairs) => (pairs, row * 16, 16),
            Values::Texts { ends, .. } | Values::Lists { lists: ends, .. } => (ends, row * 4, 8),
        };
        ask(file, within(&batch.present, row / 8, 1));
        ask(file, within(buffer, place, length));
    }

    /// Soon after [`prefetch`](Self::prefetch): asks for what lies where that says, if it does not lie there itself.
    pub(crate) fn prefetch_rest(&self, file: &[u8], row: usize) {
        let Some((batch, row)) = self.batch_of(row) else { return };
        let span = |ends: &Range<usize>| pair_of_ends(file.get(within(ends, row * 4, 8)?)?);
        match &batch.values {
            Values::Bits(_) | Values::Words(_) | Values::Pairs(_) => {}
            Values::Texts { ends, bytes } => {
                let text = span(ends).and_then(|(start, end)| within(bytes, start, end - start));
                ask(file, text);
            }
            Values::Lists { lists, ends, .. } => {
                // A list has an end for each text, and one before.
                let texts =
                    span(lists).and_then(|(start, end)| within(ends, start * 4, (end - start + 1) * 4));
                ask(file, texts);
            }
        }
    }
}

fn ask(file: &[u8], range: Option<Range<usize>>) {
    let range = range.map(|range| range.start..range.end.min(range.start + BYTES_MAX));
    if let Some(bytes) = range.and_then(|range| file.get(range)) {
        ragstone_kernels::prefetch(bytes);
    }
}
