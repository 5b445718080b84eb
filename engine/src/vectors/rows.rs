//! Exact rows: appended in memory while a segment grows, read from immutable bytes once it is sealed.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ragstone_kernels::{RowArena, unpack_f16};

use super::codes::{Codec, CodesRef, GrowingCodes, SealedCodes};
use super::sketch::{SealedSketches, SketchesRef};
use super::{SLOTS_MAX, Slot};
use crate::schema::ElementType;

/// Immutable bytes that several owners share: a memory map or a buffer.
pub(crate) type SharedBytes = Arc<dyn AsRef<[u8]> + Send + Sync>;

/// The exact vectors of a segment, by slot.
pub(crate) trait Rows: Send + Sync {
    /// Components of a row.
    fn dimension(&self) -> usize;

    /// How many rows there are. Growing rows only become more; a slot below `len` stays what it is.
    fn len(&self) -> usize;

    /// A row. Panics if `slot` is not below [`len`](Self::len): slots come from the segment itself, which
    /// bounds what it reads from disk.
    fn row(&self, slot: Slot) -> Cow<'_, [f32]>;

    /// Finds many rows with one virtual call; `out` is as long as `slots`. Panics as [`row`](Self::row) does, and where the rows
    /// are [`halves`](Self::halves).
    fn gather<'a>(&'a self, slots: &[Slot], out: &mut [&'a [f32]]);

    /// The rows as half floats, if they are stored so.
    fn halves(&self) -> Option<HalfRows<'_>> {
        None
    }

    /// The squared lengths of many rows; `out` is as long as `slots`. Panics as [`row`](Self::row) does.
    fn squared_lengths(&self, slots: &[Slot], out: &mut [f32]);

    /// How long the rows are. For builders: growing rows lock for it.
    fn lengths(&self) -> Lengths;

    /// The length of the longest row; waits for nobody.
    fn greatest_length(&self) -> f32;

    /// The codes of the rows; empty where the encoding has none.
    fn codes(&self) -> CodesRef<'_>;

    /// The sketches of the rows, where they have some.
    fn sketches(&self) -> Option<SketchesRef<'_>> {
        None
    }
}

/// What is known of the squared lengths of some rows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Lengths {
    count: usize,
    sum: f64,
    least: f32,
    greatest: f32,
}

impl Lengths {
    const NONE: Self = Self { count: 0, sum: 0.0, least: f32::INFINITY, greatest: 0.0 };

    fn with(self, squared: f32) -> Self {
        Self {
            count: self.count + 1,
            sum: self.sum + f64::from(squared),
            least: self.least.min(squared),
            greatest: self.greatest.max(squared),
        }
    }

    /// The mean of all squared lengths; zero without rows.
    pub(crate) fn mean_squared(self) -> f32 {
        (self.sum / self.count.max(1) as f64) as f32
    }

    /// Whether all rows are of one length, but for what half floats round.
    pub(crate) fn are_equal(self) -> bool {
        self.greatest <= self.least * 1.01
    }
}

/// Exact rows of half floats, one after the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HalfRows<'a> {
    bytes: &'a [u8],
    row_bytes: usize,
}

impl<'a> HalfRows<'a> {
    /// The bytes of a row. Panics if `slot` is no row's.
    #[inline]
    pub(crate) fn row(&self, slot: Slot) -> &'a [u8] {
        &self.bytes[slot.index() * self.row_bytes..][..self.row_bytes]
    }
}

fn squared_length(row: &[f32]) -> f32 {
    let length = ragstone_kernels::norm(row);
    length * length
}

/// Rows in memory, appended while others read.
///
/// Writers that come at once take turns; readers never wait. A row that [`push`](Self::push) returned a slot
/// for can be read by whoever learns of the slot.
#[derive(Debug)]
pub(crate) struct GrowingRows {
    arena: RowArena<f32>,
    /// Of each row, appended before the row: who sees a row finds its length.
    squared_lengths: RowArena<f32>,
    /// Likewise of each row.
    codes: Option<GrowingCodes>,
    /// Held while a row is appended, so that all arenas number it alike.
    lengths: Mutex<Lengths>,
    /// The greatest squared length, for searches, which take no lock.
    greatest_squared: AtomicU32,
}

impl GrowingRows {
    /// No rows, of `dimension` components each, to be encoded by `codec`, which needs no training.
    pub(crate) fn new(dimension: usize, codec: Option<Arc<dyn Codec>>) -> Self {
        Self {
            arena: RowArena::new(dimension),
            squared_lengths: RowArena::new(1),
            codes: codec.map(|codec| GrowingCodes::new(codec, Vec::new())),
            lengths: Mutex::new(Lengths::NONE),
            greatest_squared: AtomicU32::new(0),
        }
    }

    /// Appends a row of the right dimension. Panics beyond [`SLOTS_MAX`], which segments are sealed long
    /// before.
    pub(crate) fn push(&self, row: &[f32]) -> Slot {
        self.append(row, true)
    }

    /// The same in the place of a row that is never compared, so that its length says nothing about the others.
    pub(crate) fn push_absent(&self, zeros: &[f32]) -> Slot {
        self.append(zeros, false)
    }

    fn append(&self, row: &[f32], counts: bool) -> Slot {
        assert!(row.len() == self.arena.width(), "{} components, not {}", row.len(), self.arena.width());
        let squared = squared_length(row);
        let mut lengths = self.lengths.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(self.arena.len() < SLOTS_MAX, "a segment holds {SLOTS_MAX} rows at most");
        if counts {
            *lengths = lengths.with(squared);
            self.greatest_squared.store(lengths.greatest.to_bits(), Ordering::Relaxed);
        }
        self.squared_lengths.push(&[squared]);
        if let Some(codes) = &self.codes {
            codes.push(row);
        }
        Slot(self.arena.push(row) as u32)
    }

    /// Bytes of memory that the rows take.
    pub(crate) fn bytes(&self) -> usize {
        let codes = self.codes.as_ref().map_or(0, GrowingCodes::bytes);
        self.arena.bytes() + self.squared_lengths.bytes() + codes
    }
}

impl Rows for GrowingRows {
    fn dimension(&self) -> usize {
        self.arena.width()
    }

    fn len(&self) -> usize {
        self.arena.len()
    }

    #[inline]
    fn row(&self, slot: Slot) -> Cow<'_, [f32]> {
        Cow::Borrowed(self.arena.row(slot.index()))
    }

    fn gather<'a>(&'a self, slots: &[Slot], out: &mut [&'a [f32]]) {
        for (slot, row) in slots.iter().zip(out) {
            *row = self.arena.row(slot.index());
        }
    }

    fn squared_lengths(&self, slots: &[Slot], out: &mut [f32]) {
        for (slot, squared) in slots.iter().zip(out) {
            *squared = self.squared_lengths.row(slot.index())[0];
        }
    }

    fn lengths(&self) -> Lengths {
        *self.lengths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn greatest_length(&self) -> f32 {
        f32::from_bits(self.greatest_squared.load(Ordering::Relaxed)).sqrt()
    }

    fn codes(&self) -> CodesRef<'_> {
        self.codes.as_ref().map_or(CodesRef::NONE, CodesRef::Growing)
    }
}

/// Why bytes are not rows.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum RowsError {
    /// The range does not lie within the bytes.
    #[error("rows at bytes {start}..{end} of {len}")]
    Range { start: usize, end: usize, len: usize },
    /// The range is not a whole number of rows.
    #[error("{len} bytes are no whole number of rows of {row_bytes} bytes")]
    Length { len: usize, row_bytes: usize },
    /// The first row does not lie at a multiple of four bytes in memory.
    #[error("rows at byte {start} are not aligned to 4 bytes in memory")]
    Alignment { start: usize },
    /// More rows than a segment can have.
    #[error("{rows} rows are beyond the limit {SLOTS_MAX}")]
    Count { rows: usize },
}

/// Rows in immutable bytes.
///
/// # Bytes
/// ```text
/// row * rows        row = dimension little-endian IEEE 754 binary32 or binary16 values; no gaps, no header
/// ```
/// The first row lies at a multiple of four bytes in memory; 64 keeps rows of whole cache lines on cache
/// lines.
#[derive(Clone)]
pub(crate) struct SealedRows {
    bytes: SharedBytes,
    range: Range<usize>,
    dimension: usize,
    element: ElementType,
    len: usize,
    codes: RowCodes,
    sketches: Option<SealedSketches>,
    /// Made when first asked for: only building a graph under the inner product does.
    squared_lengths: Arc<OnceLock<Vec<f32>>>,
}

/// Where the codes of sealed rows are.
#[derive(Clone)]
enum RowCodes {
    None,
    /// Beside the rows.
    Sealed(SealedCodes),
    /// In memory, while a graph is built on them.
    Made(Arc<GrowingCodes>),
}

impl SealedRows {
    /// Rows of `dimension` components of this type in `bytes[range]`.
    pub(crate) fn new(
        bytes: SharedBytes,
        range: Range<usize>,
        (dimension, element): (usize, ElementType),
    ) -> Result<Self, RowsError> {
        let all = (*bytes).as_ref();
        let outside = RowsError::Range { start: range.start, end: range.end, len: all.len() };
        let part = all.get(range.clone()).ok_or(outside)?;
        let row_bytes = dimension * element.size_bytes();
        if row_bytes == 0 || part.len() % row_bytes != 0 {
            return Err(RowsError::Length { len: part.len(), row_bytes });
        }
        // Halves are read byte by byte.
        if element == ElementType::F32 && bytemuck::try_cast_slice::<u8, f32>(part).is_err() {
            return Err(RowsError::Alignment { start: range.start });
        }
        let len = part.len() / row_bytes;
        if len > SLOTS_MAX {
            return Err(RowsError::Count { rows: len });
        }
        let (codes, sketches) = (RowCodes::None, None);
        Ok(Self { bytes, range, dimension, element, len, codes, sketches, squared_lengths: Arc::default() })
    }

    /// The rows with their codes.
    pub(crate) fn with_codes(self, codes: SealedCodes) -> Self {
        Self { codes: RowCodes::Sealed(codes), ..self }
    }

    /// The rows with their sketches.
    pub(crate) fn with_sketches(self, sketches: SealedSketches) -> Self {
        Self { sketches: Some(sketches), ..self }
    }

    /// The rows with codes made now, in memory, by every thread of the current rayon pool; `codec` needs no training.
    pub(crate) fn encoded(self, codec: Option<Arc<dyn Codec>>) -> Self {
        let codes = codec.map(|codec| Arc::new(GrowingCodes::of(codec, Vec::new(), &self)));
        Self { codes: codes.map_or(RowCodes::None, RowCodes::Made), ..self }
    }

    /// All components, row after row, of rows that are not halves.
    #[inline]
    fn components(&self) -> &[f32] {
        debug_assert_eq!(self.element, ElementType::F32, "half floats are not cast");
        bytemuck::cast_slice(&(*self.bytes).as_ref()[self.range.clone()])
    }

    fn all_squared_lengths(&self) -> &[f32] {
        let slots = || (0..self.len as u32).map(Slot);
        self.squared_lengths.get_or_init(|| slots().map(|slot| squared_length(&self.row(slot))).collect())
    }
}

impl std::fmt::Debug for SealedRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedRows")
            .field("range", &self.range)
            .field("dimension", &self.dimension)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Rows for SealedRows {
    fn dimension(&self) -> usize {
        self.dimension
    }

    fn len(&self) -> usize {
        self.len
    }

    #[inline]
    fn row(&self, slot: Slot) -> Cow<'_, [f32]> {
        match self.halves() {
            None => Cow::Borrowed(&self.components()[slot.index() * self.dimension..][..self.dimension]),
            Some(halves) => {
                let mut row = vec![0.0; self.dimension];
                unpack_f16(halves.row(slot), &mut row);
                Cow::Owned(row)
            }
        }
    }

    fn gather<'a>(&'a self, slots: &[Slot], out: &mut [&'a [f32]]) {
        let components = self.components();
        for (slot, row) in slots.iter().zip(out) {
            *row = &components[slot.index() * self.dimension..][..self.dimension];
        }
    }

    fn halves(&self) -> Option<HalfRows<'_>> {
        let bytes = (*self.bytes).as_ref();
        match self.element {
            ElementType::F32 => None,
            ElementType::F16 => {
                Some(HalfRows { bytes: &bytes[self.range.clone()], row_bytes: self.dimension * 2 })
            }
        }
    }

    fn squared_lengths(&self, slots: &[Slot], out: &mut [f32]) {
        let all = self.all_squared_lengths();
        for (slot, squared) in slots.iter().zip(out) {
            *squared = all[slot.index()];
        }
    }

    fn lengths(&self) -> Lengths {
        self.all_squared_lengths().iter().fold(Lengths::NONE, |lengths, squared| lengths.with(*squared))
    }

    fn greatest_length(&self) -> f32 {
        self.lengths().greatest.sqrt()
    }

    fn codes(&self) -> CodesRef<'_> {
        match &self.codes {
            RowCodes::None => CodesRef::NONE,
            RowCodes::Sealed(codes) => codes.view(),
            RowCodes::Made(codes) => CodesRef::Growing(codes),
        }
    }

    fn sketches(&self) -> Option<SketchesRef<'_>> {
        self.sketches.as_ref().map(SealedSketches::view)
    }
}
