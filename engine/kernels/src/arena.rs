//! Rows that are appended while others read them.
//!
//! A growing segment hands out `&[T]` of its rows to searches while a writer appends. A `Vec` would move its
//! rows when it grows, and a lock would stop the searches. So rows live in chunks that are allocated once and
//! never move, each twice as large as the one before: 22 chunks reach 2^32 rows, and finding a row's chunk is
//! one count of leading zeros. A chunk is a memory map of its own: it begins on a page (so rows of whole
//! cache lines keep to cache lines), costs nothing before its rows are written, and from two megabytes on
//! asks for huge pages, as random rows would miss the TLB else.
//!
//! Invariant: rows below `len` are initialised and never written again. `len` is stored (release) after the
//! row's last byte and loaded (acquire) before a row is handed out.

use std::marker::PhantomData;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use bytemuck::Pod;
use memmap2::{MmapMut, MmapRaw};

use crate::sync::{AtomicUsize, Mutex, OnceLock, RaceWitness};

/// Rows of the first chunk, a power of two. Under loom small, so that its tests come to a second chunk.
const FIRST_ROWS: usize = 1 << FIRST_ROWS_LOG2;
const FIRST_ROWS_LOG2: u32 = if cfg!(ragstone_loom) { 1 } else { 10 };
/// Chunks together hold `FIRST_ROWS * (2^CHUNKS - 1)` rows.
const CHUNKS: usize = if cfg!(ragstone_loom) { 3 } else { 22 };
#[cfg(target_os = "linux")]
const HUGE_PAGE_BYTES: usize = 2 << 20;

/// Append-only rows of `width` elements each: one writer at a time, any number of readers, none of which
/// waits.
pub struct RowArena<T> {
    width: usize,
    len: AtomicUsize,
    /// Held while a row is written: the type promises one writer at a time, so it sees to it itself.
    writer: Mutex<()>,
    chunks: [OnceLock<Chunk>; CHUNKS],
    elements: PhantomData<T>,
}

/// Memory of rows, and who tells the checker of their accesses.
struct Chunk {
    memory: MmapRaw,
    rows: RaceWitness,
}

impl<T: Pod> RowArena<T> {
    /// Rows that an arena can hold.
    pub const ROWS_MAX: usize = FIRST_ROWS * ((1 << CHUNKS) - 1);

    /// An empty arena for rows of `width` elements; allocates nothing yet.
    pub fn new(width: usize) -> Self {
        Self {
            width,
            len: AtomicUsize::new(0),
            writer: Mutex::new(()),
            chunks: std::array::from_fn(|_| OnceLock::new()),
            elements: PhantomData,
        }
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are; never shrinks.
    #[inline]
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the rows that there are.
    pub fn bytes(&self) -> usize {
        self.len() * self.width * size_of::<T>()
    }

    /// Appends a row and returns its number. Writers that come at once take turns.
    ///
    /// # Panics
    /// If the row is not `width` long, or there are [`ROWS_MAX`](Self::ROWS_MAX) already.
    pub fn push(&self, row: &[T]) -> usize {
        assert!(row.len() == self.width, "a row of {} elements for width {}", row.len(), self.width);
        // A writer that panicked has not moved `len`: what it left is beyond it, and the next one writes over
        // it.
        let _turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let index = self.len.load(Ordering::Relaxed);
        assert!(index < Self::ROWS_MAX, "the arena is full with {index} rows");
        let (chunk, offset) = place(index);
        let Chunk { memory, rows } = self.chunks[chunk].get_or_init(|| self.allocate(chunk));
        let from = offset * self.width;
        assert!((from + self.width) * size_of::<T>() <= memory.len(), "row {index} lies within its chunk");
        rows.write(offset);
        // SAFETY: the range lies within the chunk, which is aligned to a page. It belongs to row `index >=
        // len`: no reader has a reference to it, `writer` keeps other writers away, and `row` cannot overlap
        // memory that was never lent.
        unsafe {
            let to = memory.as_mut_ptr().cast::<T>().add(from);
            std::ptr::copy_nonoverlapping(row.as_ptr(), to, self.width);
        }
        self.len.store(index + 1, Ordering::Release);
        index
    }

    /// A row by its number.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, index: usize) -> &[T] {
        let len = self.len();
        assert!(index < len, "row {index} of {len}");
        let (chunk, offset) = place(index);
        let Some(Chunk { memory, rows }) = self.chunks[chunk].get() else {
            unreachable!("row {index} is below the length, so its chunk is allocated")
        };
        debug_assert!((offset + 1) * self.width * size_of::<T>() <= memory.len());
        rows.read(offset);
        // SAFETY: `push` has checked that the row lies within its chunk, which is aligned to a page and lives
        // as long as `self`. `index < len` was read with acquire ordering, so the row was written before and
        // is never written again. Every bit pattern is a `T`.
        unsafe {
            std::slice::from_raw_parts(memory.as_ptr().cast::<T>().add(offset * self.width), self.width)
        }
    }

    /// Fresh memory for a chunk; no page of it is there before it is written.
    fn allocate(&self, chunk: usize) -> Chunk {
        let bytes = ((FIRST_ROWS << chunk) * self.width * size_of::<T>()).max(1);
        let map = match MmapMut::map_anon(bytes) {
            Ok(map) => map,
            // As any allocation: without memory there is no way on.
            Err(error) => panic!("cannot allocate {bytes} bytes for rows: {error}"),
        };
        #[cfg(target_os = "linux")]
        if bytes >= HUGE_PAGE_BYTES {
            // A wish: a kernel without huge pages refuses it, and all works on small ones.
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Chunk { memory: MmapRaw::from(map), rows: RaceWitness::new(FIRST_ROWS << chunk) }
    }
}

impl<T> std::fmt::Debug for RowArena<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RowArena").field("width", &self.width).field("len", &self.len).finish_non_exhaustive()
    }
}

/// The chunk of a row and its place there.
#[inline]
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_ROWS;
    let chunk = (shifted.ilog2() - FIRST_ROWS_LOG2) as usize;
    (chunk, shifted - (FIRST_ROWS << chunk))
}

#[cfg(all(test, ragstone_loom))]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;

    #[test]
    fn places_are_dense_and_within_their_chunk() {
        let mut expected = (0, 0);
        for index in 0..10 * FIRST_ROWS {
            assert_eq!(place(index), expected);
            expected.1 += 1;
            if expected.1 == FIRST_ROWS << expected.0 {
                expected = (expected.0 + 1, 0);
            }
        }
        assert_eq!(place(RowArena::<u8>::ROWS_MAX - 1).0, CHUNKS - 1);
    }

    #[test]
    fn readers_see_whole_rows_while_a_writer_appends() {
        const ROWS: u64 = 20_000;
        let arena = RowArena::<u64>::new(7);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut finished = false;
                    while !finished {
                        finished = done.load(Ordering::Acquire);
                        let len = arena.len();
                        for index in (0..len).rev().take(64).chain((0..len).step_by(997)) {
                            assert!(arena.row(index).iter().all(|x| *x == index as u64 * 3));
                        }
                    }
                    assert_eq!(arena.len() as u64, ROWS);
                });
            }
            for index in 0..ROWS {
                assert_eq!(arena.push(&[index * 3; 7]) as u64, index);
            }
            done.store(true, Ordering::Release);
        });
    }

    #[test]
    fn writers_that_come_at_once_take_turns() {
        let arena = RowArena::<u32>::new(2);
        std::thread::scope(|scope| {
            for writer in 0..4_u32 {
                let arena = &arena;
                scope.spawn(move || {
                    for i in 0..2_000 {
                        arena.push(&[writer, i]);
                    }
                });
            }
        });
        let mut next = [0; 4];
        for index in 0..arena.len() {
            let row = arena.row(index);
            assert_eq!(next[row[0] as usize], row[1]);
            next[row[0] as usize] += 1;
        }
        assert_eq!(next, [2_000; 4]);
    }

    #[test]
    #[should_panic(expected = "row 1 of 1")]
    fn a_row_that_is_not_there_is_refused() {
        let arena = RowArena::<f32>::new(3);
        arena.push(&[1.0, 2.0, 3.0]);
        arena.row(1);
    }
}
