//! Codes of rows, by slot: appended in memory while a segment grows, read from immutable bytes once it is sealed.
//!
//! A code is a row's components in fewer bits, padded to whole cache lines, and apart from it some *factors*: the few
//! floats that turn a product of codes into a distance. They lie in arrays of their own so that codes stay on cache
//! lines. What a codec learned from the rows are its *parameters*, the same for a segment.

use std::ops::Range;
use std::sync::Arc;

use ragstone_kernels::{FindRow, RowArena, prefetch};
use rayon::prelude::*;

use super::rows::{Rows, RowsError, SharedBytes};
use super::{BLOCK, Slot};

/// Rows encoded at a time by a thread.
const ENCODED: usize = 256;

/// What a code takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CodeLayout {
    /// Bytes of a code, whole cache lines.
    pub(crate) bytes: usize,
    /// Floats beside it.
    pub(crate) factors: usize,
}

/// Bytes of a code of `bytes` with its padding.
pub(super) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(64)
}

/// Makes codes of rows. Deterministic: the same row and parameters give the same code on every processor.
pub(crate) trait Codec: Send + Sync + std::fmt::Debug {
    fn layout(&self) -> CodeLayout;

    /// Learns parameters from a sample of the rows to be encoded, at least one.
    fn train(&self, sample: &Sample<'_>) -> Vec<f32>;

    /// Writes the code and the factors of a row. `code` is zeroed, both have the lengths of the layout.
    fn encode(&self, row: &[f32], parameters: &[f32], code: &mut [u8], factors: &mut [f32]);
}

/// Rows to learn from.
pub(crate) type Sample<'a> = [&'a [f32]];

/// Codes in memory, appended while others read. A row's factors follow its code: it is found once for both.
#[derive(Debug)]
pub(crate) struct GrowingCodes {
    codec: Arc<dyn Codec>,
    parameters: Vec<f32>,
    layout: CodeLayout,
    records: RowArena<u8>,
}

impl GrowingCodes {
    /// No codes yet, to be made with these parameters.
    pub(crate) fn new(codec: Arc<dyn Codec>, parameters: Vec<f32>) -> Self {
        let layout = codec.layout();
        let record_bytes = padded(layout.bytes + layout.factors * size_of::<f32>());
        Self { codec, parameters, layout, records: RowArena::new(record_bytes) }
    }

    /// The codes of rows that are all there, made by every thread of the current rayon pool.
    pub(crate) fn of(codec: Arc<dyn Codec>, parameters: Vec<f32>, rows: &dyn Rows) -> Self {
        let made = Self::new(codec, parameters);
        let width = made.records.width();
        let at_once = ENCODED * rayon::current_num_threads();
        for start in (0..rows.len()).step_by(at_once) {
            let slots: Vec<usize> = (start..(start + at_once).min(rows.len())).collect();
            let encoded: Vec<Vec<u8>> = slots
                .par_chunks(ENCODED)
                .map(|slots| {
                    let mut records = vec![0; slots.len() * width];
                    for (slot, record) in slots.iter().zip(records.chunks_exact_mut(width)) {
                        made.encode(&rows.row(Slot(*slot as u32)), record);
                    }
                    records
                })
                .collect();
            for record in encoded.iter().flat_map(|records| records.chunks_exact(width)) {
                made.records.push(record);
            }
        }
        made
    }

    fn encode(&self, row: &[f32], record: &mut [u8]) {
        let (code, rest) = record.split_at_mut(self.layout.bytes);
        let mut factors = vec![0.0; self.layout.factors];
        self.codec.encode(row, &self.parameters, code, &mut factors);
        rest[..factors.len() * size_of::<f32>()].copy_from_slice(bytemuck::cast_slice(&factors));
    }

    /// Appends the code of a row; the caller sees to one thread at a time.
    pub(super) fn push(&self, row: &[f32]) {
        let mut record = vec![0; self.records.width()];
        self.encode(row, &mut record);
        self.records.push(&record);
    }

    /// The code of a row and behind it its factors. Panics if `slot` is no row's.
    #[inline]
    fn record(&self, slot: Slot) -> &[u8] {
        self.records.row(slot.index())
    }

    /// The code of a row. Panics if `slot` is no row's.
    #[inline]
    pub(crate) fn code(&self, slot: Slot) -> &[u8] {
        &self.record(slot)[..self.layout.bytes]
    }

    /// The factors of a row. Panics if `slot` is no row's.
    #[inline]
    pub(crate) fn factors(&self, slot: Slot) -> &[f32] {
        self.split(self.record(slot)).1
    }

    /// Code and factors of a record.
    #[inline]
    fn split<'a>(&self, record: &'a [u8]) -> (&'a [u8], &'a [f32]) {
        let (code, rest) = record.split_at(self.layout.bytes);
        // Records are whole cache lines from the start of a page on, and so are codes.
        (code, bytemuck::cast_slice(&rest[..self.layout.factors * size_of::<f32>()]))
    }

    /// What the codec learned.
    pub(crate) fn parameters(&self) -> &[f32] {
        &self.parameters
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.records.bytes()
    }
}

/// Codes in immutable bytes.
///
/// # Bytes
/// ```text
/// codes      = code * rows       code = as its encoding says, padded to a multiple of 64 bytes
/// factors    = f32 * factors * rows
/// parameters = f32 *
/// ```
#[derive(Clone)]
pub(crate) struct SealedCodes {
    bytes: SharedBytes,
    codes: Range<usize>,
    factors: Range<usize>,
    parameters: Vec<f32>,
    layout: CodeLayout,
}

impl SealedCodes {
    /// The codes of `rows` rows in the given ranges.
    pub(crate) fn new(
        bytes: SharedBytes,
        [codes, factors, parameters]: [Range<usize>; 3],
        layout: CodeLayout,
        rows: usize,
    ) -> Result<Self, RowsError> {
        let all = (*bytes).as_ref();
        let part = |range: &Range<usize>| {
            all.get(range.clone()).ok_or(RowsError::Range {
                start: range.start,
                end: range.end,
                len: all.len(),
            })
        };
        let length = |bytes: &[u8], row_bytes: usize| match bytes.len() == rows * row_bytes {
            true => Ok(()),
            false => Err(RowsError::Length { len: bytes.len(), row_bytes }),
        };
        length(part(&codes)?, layout.bytes)?;
        length(part(&factors)?, layout.factors * size_of::<f32>())?;
        let floats = |range: &Range<usize>| {
            bytemuck::try_cast_slice::<u8, f32>(part(range)?)
                .map_err(|_| RowsError::Alignment { start: range.start })
        };
        floats(&factors)?;
        let parameters = floats(&parameters)?.to_vec();
        Ok(Self { bytes, codes, factors, parameters, layout })
    }

    pub(super) fn view(&self) -> CodesRef<'_> {
        let all = (*self.bytes).as_ref();
        CodesRef::Packed(PackedCodes {
            codes: &all[self.codes.clone()],
            factors: bytemuck::cast_slice(&all[self.factors.clone()]),
            parameters: &self.parameters,
            layout: self.layout,
        })
    }
}

/// The codes of a segment, wherever they lie.
#[derive(Clone, Copy)]
pub(crate) enum CodesRef<'a> {
    Growing(&'a GrowingCodes),
    Packed(PackedCodes<'a>),
}

/// Codes of a sealed segment.
#[derive(Clone, Copy)]
pub(crate) struct PackedCodes<'a> {
    codes: &'a [u8],
    factors: &'a [f32],
    parameters: &'a [f32],
    layout: CodeLayout,
}

/// One of the two places where codes lie, so that a loop over rows need not ask which.
pub(super) trait CodesAt<'a>: Copy {
    /// The code of a row. Panics if `slot` is no row's.
    fn code(self, slot: Slot) -> &'a [u8];
    /// Its factors. Panics likewise.
    fn factors(self, slot: Slot) -> &'a [f32];
    /// Asks for both.
    fn prefetch(self, slot: Slot);

    /// The codes of `slots`, by their places; whoever finds one asks for one of `ahead`, of which this takes off as many as
    /// there are slots.
    #[inline(always)]
    fn finder<'b>(self, slots: &'b [Slot], ahead: &mut &'b [Slot]) -> Finder<'b, Self> {
        let (now, later) = ahead.split_at(ahead.len().min(slots.len()));
        *ahead = later;
        Finder { codes: self, slots, ahead: now }
    }
}

/// See [`CodesAt::finder`].
pub(super) struct Finder<'b, C> {
    codes: C,
    slots: &'b [Slot],
    ahead: &'b [Slot],
}

impl<'a, C: CodesAt<'a>> FindRow<'a> for Finder<'_, C> {
    #[inline(always)]
    fn find(&self, place: usize) -> &'a [u8] {
        if let Some(slot) = self.ahead.get(place) {
            self.codes.prefetch(*slot);
        }
        self.codes.code(self.slots[place])
    }
}

impl<'a> CodesAt<'a> for &'a GrowingCodes {
    #[inline(always)]
    fn code(self, slot: Slot) -> &'a [u8] {
        GrowingCodes::code(self, slot)
    }

    #[inline(always)]
    fn factors(self, slot: Slot) -> &'a [f32] {
        GrowingCodes::factors(self, slot)
    }

    #[inline(always)]
    fn prefetch(self, slot: Slot) {
        prefetch(self.record(slot));
    }
}

impl<'a> CodesAt<'a> for PackedCodes<'a> {
    #[inline(always)]
    fn code(self, slot: Slot) -> &'a [u8] {
        &self.codes[slot.index() * self.layout.bytes..][..self.layout.bytes]
    }

    #[inline(always)]
    fn factors(self, slot: Slot) -> &'a [f32] {
        &self.factors[slot.index() * self.layout.factors..][..self.layout.factors]
    }

    #[inline(always)]
    fn prefetch(self, slot: Slot) {
        prefetch(self.code(slot));
        prefetch(&self.factors(slot)[..1]);
    }
}

/// Distances that are no numbers are infinite: of rows and queries near the end of what a float can hold, or of damaged
/// factors, some are.
#[inline(always)]
pub(super) fn number_or_infinite(distances: &mut [f32]) {
    for distance in distances {
        *distance = if distance.is_nan() { f32::INFINITY } else { *distance };
    }
}

impl CodesRef<'_> {
    /// The codes of rows that have none.
    pub(super) const NONE: Self = CodesRef::Packed(PackedCodes {
        codes: &[],
        factors: &[],
        parameters: &[],
        layout: CodeLayout { bytes: 0, factors: 0 },
    });
}

impl<'a> CodesRef<'a> {
    /// What the codec learned.
    pub(crate) fn parameters(self) -> &'a [f32] {
        match self {
            CodesRef::Growing(codes) => &codes.parameters,
            CodesRef::Packed(codes) => codes.parameters,
        }
    }

    pub(crate) fn layout(self) -> CodeLayout {
        match self {
            CodesRef::Growing(codes) => codes.layout,
            CodesRef::Packed(codes) => codes.layout,
        }
    }

    /// Finds the codes and factors of many rows; both are as long as `slots`. Panics if a slot is no row's.
    #[inline]
    fn gather(self, slots: &[Slot], codes: &mut [&'a [u8]], factors: &mut [&'a [f32]]) {
        match self {
            CodesRef::Growing(growing) => {
                for ((slot, code), factors) in slots.iter().zip(codes).zip(factors) {
                    (*code, *factors) = growing.split(growing.record(*slot));
                }
            }
            CodesRef::Packed(packed) => {
                for ((slot, code), factors) in slots.iter().zip(codes).zip(factors) {
                    (*code, *factors) = (packed.code(*slot), packed.factors(*slot));
                }
            }
        }
    }

    /// Asks for the codes and factors of rows that will be wanted soon.
    #[inline]
    pub(crate) fn prefetch(self, slots: &[Slot]) {
        match self {
            CodesRef::Growing(codes) => slots.iter().for_each(|slot| CodesAt::prefetch(codes, *slot)),
            CodesRef::Packed(codes) => slots.iter().for_each(|slot| codes.prefetch(*slot)),
        }
    }

    /// Calls `score` with the codes and factors of blocks of rows, and the place for their distances.
    #[inline(always)]
    pub(crate) fn in_blocks(
        self,
        slots: &[Slot],
        out: &mut [f32],
        mut score: impl FnMut(&[&[u8]], &[&[f32]], &mut [f32]),
    ) {
        let mut codes: [&[u8]; BLOCK] = [&[]; BLOCK];
        let mut factors: [&[f32]; BLOCK] = [&[]; BLOCK];
        for (slots, out) in slots.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
            let (codes, factors) = (&mut codes[..slots.len()], &mut factors[..slots.len()]);
            self.gather(slots, codes, factors);
            score(codes, factors, out);
            number_or_infinite(out);
        }
    }
}
