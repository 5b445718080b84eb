//! A vector that one writer appends to while others read.
//!
//! Elements lie in chunks that never move; chunk `c` holds `2^(c + 8)` of them, so 24 chunks hold every slot that a
//! segment can have, and an empty vector allocates nothing. An element is written once and then only read, so a
//! reader needs no lock: only the knowledge, from the view, of how many there are.

use std::sync::atomic::Ordering;

use ragstone_kernels::sync::{AtomicU32, OnceLock};

// Under loom small, so that its tests come to a second chunk.
const FIRST_CHUNK_BITS: u32 = if cfg!(ragstone_loom) { 1 } else { 8 };
const CHUNKS: usize = if cfg!(ragstone_loom) { 3 } else { 24 };

/// Append-only elements with stable places.
pub(crate) struct AppendVec<T> {
    chunks: [OnceLock<Box<[OnceLock<T>]>>; CHUNKS],
    len: AtomicU32,
}

impl<T> AppendVec<T> {
    pub(crate) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()), len: AtomicU32::new(0) }
    }

    /// Chunk and place of an index.
    fn place(index: u32) -> (usize, usize) {
        let shifted = u64::from(index) + (1 << FIRST_CHUNK_BITS);
        let bits = shifted.ilog2();
        ((bits - FIRST_CHUNK_BITS) as usize, (shifted - (1 << bits)) as usize)
    }

    /// Appends an element and returns its index. Several writers may append at once.
    pub(crate) fn push(&self, value: T) -> u32 {
        let index = self.len.fetch_add(1, Ordering::Relaxed);
        let (chunk, place) = Self::place(index);
        let elements = self.chunks[chunk].get_or_init(|| {
            let capacity = 1usize << (chunk as u32 + FIRST_CHUNK_BITS);
            std::iter::repeat_with(OnceLock::new).take(capacity).collect()
        });
        // The index was given to this call alone, so the place is empty.
        let _ = elements[place].set(value);
        index
    }

    /// The element at an index, once it was pushed.
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let (chunk, place) = Self::place(index);
        self.chunks.get(chunk)?.get()?.get(place)?.get()
    }
}

#[cfg(all(test, ragstone_loom))]
mod interleavings;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_stay_at_their_index() {
        let vec = AppendVec::new();
        for i in 0..3000u32 {
            assert_eq!(vec.push(i * 2), i);
        }
        assert!((0..3000).all(|i| vec.get(i) == Some(&(i * 2))));
        assert_eq!(vec.get(3000), None);
        assert_eq!(vec.get(u32::MAX), None);
    }

    #[test]
    fn writers_at_once_lose_nothing() {
        let vec = AppendVec::new();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let vec = &vec;
                scope.spawn(move || (0..1000).for_each(|i| assert!(vec.push(thread * 1000 + i) < 4000)));
            }
        });
        let mut all: Vec<u32> = (0..4000).map(|i| *vec.get(i).unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..4000).collect::<Vec<_>>());
    }
}
