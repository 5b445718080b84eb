//! Which nodes a walk among admitted ones may come to: told by a set of them, or by a screen.
//!
//! The walk is compiled for each, as it looks a node up for every link that it reads, twenty for each distance.

use fixedbitset::FixedBitSet;
use ragstone_kernels::KernelBits;

use crate::payload::Screen;

const WORD_BITS: usize = usize::BITS as usize;
/// Nodes from a place on that are asked until one is admitted: where one in fifty is, two in a hundred tries end without.
const TRIED_MAX: usize = 192;

/// See the module's text.
pub(super) trait Admits {
    /// Whether what is looked up is worth asking for before, as it lies in more memory than the processor's cache has.
    const IS_FAR: bool;

    fn admits(&self, node: u32) -> bool;

    /// Asks for what [`admits`](Self::admits) reads.
    fn prefetch(&self, node: u32);

    /// Nodes there are, admitted or not.
    fn nodes(&self) -> usize;

    /// How many are admitted, or about so many.
    fn count(&self) -> usize;

    /// The first admitted one from a place on, unless it is far from there.
    fn next(&self, from: usize) -> Option<usize>;
}

/// Those of a set.
pub(super) struct InSet<'a> {
    words: &'a [usize],
    nodes: usize,
}

impl<'a> InSet<'a> {
    pub(super) fn new(set: &'a FixedBitSet) -> Self {
        Self { words: set.as_slice(), nodes: set.len() }
    }
}

impl Admits for InSet<'_> {
    const IS_FAR: bool = false;

    #[inline]
    fn admits(&self, node: u32) -> bool {
        is_one(self.words, node)
    }

    #[inline]
    fn prefetch(&self, _: u32) {}

    fn nodes(&self) -> usize {
        self.nodes
    }

    fn count(&self) -> usize {
        KernelBits::new().count_ones(self.words)
    }

    fn next(&self, from: usize) -> Option<usize> {
        let first = from / WORD_BITS;
        let masked = self.words.get(first)? & (usize::MAX << (from % WORD_BITS));
        std::iter::once(masked)
            .chain(self.words[first + 1..].iter().copied())
            .enumerate()
            .find(|(_, word)| *word != 0)
            .map(|(at, word)| (first + at) * WORD_BITS + word.trailing_zeros() as usize)
    }
}

/// Those that a screen lets through, of a set if there is one.
pub(super) struct Through<'a> {
    screen: &'a Screen<'a>,
    set: Option<InSet<'a>>,
}

impl<'a> Through<'a> {
    pub(super) fn new(screen: &'a Screen<'a>, set: Option<&'a FixedBitSet>) -> Self {
        Self { screen, set: set.map(InSet::new) }
    }
}

impl Admits for Through<'_> {
    const IS_FAR: bool = true;

    #[inline]
    fn admits(&self, node: u32) -> bool {
        // Without a branch on what either says.
        self.screen.admits(node) & self.set.as_ref().is_none_or(|set| set.admits(node))
    }

    #[inline]
    fn prefetch(&self, node: u32) {
        self.screen.prefetch(node);
    }

    fn nodes(&self) -> usize {
        self.screen.rows()
    }

    fn count(&self) -> usize {
        // Of a set it is not known without asking for each: at most so many.
        self.set.as_ref().map_or(usize::MAX, InSet::count).min(self.screen.count())
    }

    fn next(&self, from: usize) -> Option<usize> {
        (from..self.nodes()).take(TRIED_MAX).find(|node| self.admits(*node as u32))
    }
}

#[inline]
fn is_one(words: &[usize], bit: u32) -> bool {
    words.get(bit as usize / WORD_BITS).is_some_and(|word| word >> (bit as usize % WORD_BITS) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_one_is_found_across_words() {
        let mut bits = FixedBitSet::with_capacity(300);
        bits.extend([0, 63, 64, 200]);
        let found: Vec<_> = [0, 1, 63, 64, 65, 200, 201, 299].map(|from| InSet::new(&bits).next(from)).into();
        assert_eq!(found, [Some(0), Some(63), Some(63), Some(64), Some(200), Some(200), None, None]);
    }

    #[test]
    fn what_a_screen_lets_through_of_a_set_is_admitted() {
        let tiles: Vec<u16> = (0..5_000).map(|row| row / 20 % 10).collect();
        let screen = Screen::of(&tiles, [3, 7]);
        let mut set = FixedBitSet::with_capacity(5_000);
        set.extend((0..4_000).step_by(3));
        for set in [None, Some(&set)] {
            let is_admitted = |node: usize| {
                [3, 7].contains(&(node / 20 % 10)) && set.is_none_or(|set| set.contains(node)) && node < 5_000
            };
            let through = Through::new(&screen, set);
            assert!((0..6_000).all(|node| through.admits(node as u32) == is_admitted(node)));
            for from in [0, 59, 60, 78, 79, 80, 3_790, 3_850, 4_999, 5_000, 9_000] {
                assert_eq!(through.next(from), (from..5_000).find(|node| is_admitted(*node)), "{from}");
            }
            let count = (0..5_000).filter(|node| is_admitted(*node)).count();
            assert!((count..=1_334).contains(&through.count()));
            assert_eq!(through.nodes(), 5_000);
        }
        // It is not looked for as long as that takes.
        let tiles: Vec<u16> = (0..5_000).map(|row| u16::from(row == 4_000)).collect();
        let screen = Screen::of(&tiles, [1]);
        assert_eq!([0, 3_900].map(|from| Through::new(&screen, None).next(from)), [None, Some(4_000)]);
    }
}
