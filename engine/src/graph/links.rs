//! Lists of links that many read while one changes them.
//!
//! All lists of a layer are records of one width in chunks that never move (the layout of `RowArena`):
//! finding one is arithmetic. A word is an `AtomicU32`; a link is stored as its node plus one, so that fresh
//! zeroed memory is an empty list, with the top bit marking tree edges. Readers take no lock: they read words
//! until the first zero. A reader beside a writer sees a mixture of the old and the new list, each word of
//! which is a link that was valid when it was stored; it may see a link twice or miss one that moves, which a
//! walk tolerates. Tree edges stand in front and do not move, so those it never
//! misses, but beside a repair, which takes the dead ones out and moves the rest up.
//!
//! Writers hold the list's lock (`Stripes`). Words are stored with release and loaded with acquire ordering:
//! who sees a link sees the record it leads to.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use ragstone_kernels::sync::{AtomicU32, Mutex, MutexGuard, OnceLock, zeroed_words};

// Under loom small, so that its tests come to a second chunk.
const FIRST_RECORDS_LOG2: u32 = if cfg!(ragstone_loom) { 1 } else { 10 };
const FIRST_RECORDS: usize = 1 << FIRST_RECORDS_LOG2;
const CHUNKS: usize = if cfg!(ragstone_loom) { 3 } else { 21 };
/// Locks of [`Stripes`].
const STRIPES: usize = if cfg!(ragstone_loom) { 4 } else { 1024 };

/// Marks a tree edge in a stored word.
const TREE: u32 = 1 << 31;

/// A link as its list holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) node: u32,
    /// Whether pruning must keep it.
    pub(super) tree: bool,
}

impl Link {
    fn decode(word: u32) -> Option<Link> {
        (word != 0).then(|| Link { node: (word & !TREE) - 1, tree: word & TREE != 0 })
    }

    fn encode(self) -> u32 {
        (self.node + 1) | if self.tree { TREE } else { 0 }
    }
}

/// Records of `width` words, zero until written.
#[derive(Debug)]
pub(super) struct LinkArena {
    width: usize,
    chunks: [OnceLock<Box<[AtomicU32]>>; CHUNKS],
}

impl LinkArena {
    pub(super) fn new(width: usize) -> Self {
        Self { width, chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// A record; empty where no record near was ever made.
    #[inline]
    pub(super) fn get(&self, index: usize) -> &[AtomicU32] {
        let (chunk, offset) = place(index);
        match self.chunks.get(chunk).and_then(OnceLock::get) {
            Some(words) => &words[offset * self.width..][..self.width],
            None => &[],
        }
    }

    /// A record, with the memory for it.
    pub(super) fn make(&self, index: usize) -> &[AtomicU32] {
        let (chunk, offset) = place(index);
        let words = self.chunks[chunk].get_or_init(|| zeroed_words((FIRST_RECORDS << chunk) * self.width));
        &words[offset * self.width..][..self.width]
    }
}

#[inline]
fn place(index: usize) -> (usize, usize) {
    let shifted = index + FIRST_RECORDS;
    let chunk = (shifted.ilog2() - FIRST_RECORDS_LOG2) as usize;
    (chunk, shifted - (FIRST_RECORDS << chunk))
}

/// The links of a list, in order.
#[inline]
pub(super) fn links(list: &[AtomicU32]) -> impl Iterator<Item = Link> + Clone + '_ {
    list.iter().map_while(|word| Link::decode(word.load(Ordering::Acquire)))
}

/// The nodes of a list, in order.
#[inline]
pub(super) fn nodes(list: &[AtomicU32]) -> impl Iterator<Item = u32> + '_ {
    list.iter()
        .map(|word| word.load(Ordering::Acquire))
        .take_while(|word| *word != 0)
        .map(|word| (word & !TREE) - 1)
}

/// Replaces a list. `new` has its tree edges in front; the caller holds the list's lock, or nobody knows the
/// list yet.
pub(super) fn rewrite(list: &[AtomicU32], new: &[Link]) {
    debug_assert!(new.len() <= list.len());
    debug_assert!(new.is_sorted_by_key(|link| !link.tree), "tree edges stand in front");
    for (word, link) in list.iter().zip(new) {
        word.store(link.encode(), Ordering::Release);
    }
    for word in &list[new.len()..] {
        word.store(0, Ordering::Release);
    }
}

/// Adds a link to a list that has room and does not have the node; the caller holds the list's lock.
pub(super) fn append(list: &[AtomicU32], link: Link) {
    let length = links(list).count();
    debug_assert!(length < list.len());
    if link.tree {
        // The first other link makes room at the end of the tree edges: it stands in both places for a moment
        // rather than in none.
        let edges = links(list).take_while(|link| link.tree).count();
        list[length].store(list[edges].load(Ordering::Relaxed), Ordering::Release);
        list[edges].store(link.encode(), Ordering::Release);
    } else {
        list[length].store(link.encode(), Ordering::Release);
    }
}

/// Locks for the writers of lists: far fewer than lists, far more than threads.
#[derive(Debug)]
pub(super) struct Stripes {
    locks: Box<[Mutex<()>]>,
}

impl Stripes {
    pub(super) fn new() -> Self {
        Self { locks: (0..STRIPES).map(|_| Mutex::new(())).collect() }
    }

    /// Excludes other writers of a list. Never lock a second list while holding one: two nodes may share a
    /// lock.
    pub(super) fn lock(&self, layer: usize, node: u32) -> MutexGuard<'_, ()> {
        let hash = (node as usize).wrapping_add(layer * 331) % self.locks.len();
        // A list is valid after every single store, so a writer that panicked has left one that is.
        self.locks[hash].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
