//! A test of rows one by one in place of a set of them.
//!
//! **Problem.** A search by vector looks at some thousand rows of a million, and to set a bit for each of half a million that pass takes a
//! third of its time. **Idea.** Every row has a number that says roughly what its value is, its *tile* (`places/tiles.rs`), and a condition a
//! table of the tiles that it may be met in. So a *screen* refuses no row that passes and lets a few through that do not: those in tiles that
//! are met in part. A second table says in which it is met for certain: of the dozens of rows that a walk would return, only those of other
//! tiles are asked by their values (`search/screened.rs`).
//!
//! **Cost.** The table takes some microseconds; a row two reads that depend on each other, of which the first is rarely in the processor's
//! cache: hence [`prefetch`](Screen::prefetch).

use std::ops::Range;

use fixedbitset::FixedBitSet;

/// As many tiles as two bytes tell apart.
pub(super) const TILES: usize = 1 << u16::BITS;
const WORD_BITS: usize = usize::BITS as usize;

/// A bit for each tile.
type Bits = [usize; TILES / WORD_BITS];

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Screen<'a> {
    /// Of each row.
    tiles: &'a [u16],
    wanted: Box<Bits>,
    /// All of whose rows pass.
    certain: Box<Bits>,
    /// Rows that are let through wherever their tiles say they are.
    moved: Option<&'a FixedBitSet>,
    count: usize,
    failing: usize,
}

impl<'a> Screen<'a> {
    /// Lets no row through.
    pub(super) fn new(tiles: &'a [u16]) -> Self {
        let none = || Box::new([0; TILES / WORD_BITS]);
        Self { tiles, wanted: none(), certain: none(), moved: None, count: 0, failing: 0 }
    }

    /// Lets the rows of some tiles through, about so many, of which about so many do not pass.
    pub(super) fn want(&mut self, tiles: Range<usize>, (count, failing): (usize, usize)) {
        set(&mut self.wanted, tiles);
        self.count += count;
        self.failing += failing;
    }

    /// Says of some tiles that are wanted that all of their rows pass.
    pub(super) fn mark_certain(&mut self, tiles: Range<usize>) {
        set(&mut self.certain, tiles);
    }

    /// Lets so many rows through besides, whose values may be others than their tiles say; how many of them pass is not known.
    pub(crate) fn and_moved(self, rows: &'a FixedBitSet, count: usize) -> Self {
        Self { moved: Some(rows), count: self.count + count, failing: self.failing + count, ..self }
    }

    /// Of the first rows alone, as far as that tells their share of all.
    pub(crate) fn of_first(self, rows: usize) -> Self {
        let Some(tiles) = self.tiles.get(..rows) else { return self };
        let share = rows as f64 / self.tiles.len().max(1) as f64;
        let [count, failing] = [self.count, self.failing].map(|count| (count as f64 * share).ceil() as usize);
        Self { tiles, count, failing, ..self }
    }

    /// Whether a row is let through.
    #[inline]
    pub(crate) fn admits(&self, row: u32) -> bool {
        self.tiles.get(row as usize).is_some_and(|tile| is_set(&self.wanted, *tile) | self.is_moved(row))
    }

    /// Whether a row that is let through passes whatever its value is.
    pub(crate) fn is_certain(&self, row: u32) -> bool {
        self.tiles.get(row as usize).is_some_and(|tile| is_set(&self.certain, *tile) && !self.is_moved(row))
    }

    #[inline]
    fn is_moved(&self, row: u32) -> bool {
        self.moved.is_some_and(|moved| moved.contains(row as usize))
    }

    /// Asks for what [`admits`](Self::admits) reads.
    #[inline]
    pub(crate) fn prefetch(&self, row: u32) {
        if let Some(tile) = self.tiles.get(row as usize) {
            ragstone_kernels::prefetch(std::slice::from_ref(tile));
        }
    }

    /// Rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.tiles.len()
    }

    /// About how many it lets through.
    pub(crate) fn count(&self) -> usize {
        self.count.min(self.rows())
    }

    /// About what share of these does not pass.
    pub(crate) fn failing_share(&self) -> f64 {
        self.failing.min(self.count) as f64 / self.count.max(1) as f64
    }

    /// One with these tiles.
    #[cfg(test)]
    pub(crate) fn of(tiles: &'a [u16], wanted: impl IntoIterator<Item = u16>) -> Self {
        let mut screen = Self::new(tiles);
        for tile in wanted {
            let count = tiles.iter().filter(|of_row| **of_row == tile).count();
            screen.want(usize::from(tile)..usize::from(tile) + 1, (count, 0));
        }
        screen
    }
}

/// Sets the bits of some tiles.
fn set(bits: &mut Bits, tiles: Range<usize>) {
    if tiles.is_empty() {
        return;
    }
    let first = tiles.start / WORD_BITS;
    let words = &mut bits[first..tiles.end.div_ceil(WORD_BITS)];
    for (word, at) in words.iter_mut().zip(first..) {
        let before = at * WORD_BITS;
        let (low, high) = (tiles.start.saturating_sub(before), (tiles.end - before).min(WORD_BITS));
        *word |= usize::MAX >> (WORD_BITS - (high - low)) << low;
    }
}

#[inline]
fn is_set(bits: &Bits, tile: u16) -> bool {
    let tile = usize::from(tile);
    bits[tile / WORD_BITS] >> (tile % WORD_BITS) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn of_the_first_rows_a_share_is_let_through() {
        let tiles: Vec<u16> = (0..1_000).map(|row| row % 10).collect();
        let moved: FixedBitSet = [11, 99, 100, 500].into_iter().collect();
        let screen = Screen::of(&tiles, [3]).and_moved(&moved, 4).of_first(100);
        let through: Vec<u32> = (0..1_100).filter(|row| screen.admits(*row)).collect();
        assert_eq!(through, [3, 11, 13, 23, 33, 43, 53, 63, 73, 83, 93, 99]);
        assert_eq!((screen.rows(), screen.count()), (100, 11));
        assert_eq!(Screen::of(&tiles, [3]).of_first(1_001).count(), 100, "there are no more");
        assert_eq!(Screen::of(&tiles, [3]).of_first(0).count(), 0);
    }

    proptest! {
        /// Against their definition, tile by tile.
        #[test]
        fn what_is_wanted_is_let_through(
            ranges in prop::collection::vec((0..TILES, 0_usize..300), 0..9),
            moved in prop::option::of(prop::collection::vec(0..TILES, 0..20)),
        ) {
            // A row of each tile.
            let tiles: Vec<u16> = (0..=u16::MAX).collect();
            let ranges: Vec<_> = ranges.into_iter().map(|(from, count)| from..(from + count).min(TILES)).collect();
            let moved: Option<FixedBitSet> = moved.map(|rows| rows.into_iter().collect());
            let mut screen = Screen::new(&tiles);
            ranges.iter().for_each(|range| screen.want(range.clone(), (range.len(), 0)));
            ranges.iter().step_by(2).for_each(|range| screen.mark_certain(range.clone()));
            if let Some(moved) = &moved {
                screen = screen.and_moved(moved, moved.count_ones(..));
            }
            let is_wanted = |row: usize| {
                ranges.iter().any(|range| range.contains(&row)) || moved.as_ref().is_some_and(|rows| rows.contains(row))
            };
            for row in 0..TILES {
                screen.prefetch(row as u32);
                prop_assert_eq!(screen.admits(row as u32), is_wanted(row), "{}", row);
                let is_moved = moved.as_ref().is_some_and(|rows| rows.contains(row));
                let is_certain = !is_moved && ranges.iter().step_by(2).any(|range| range.contains(&row));
                prop_assert_eq!(screen.is_certain(row as u32), is_certain, "{}", row);
            }
            for row in [TILES as u32, u32::MAX] {
                prop_assert!(!screen.admits(row) && !screen.is_certain(row));
            }
            prop_assert!(screen.count() >= (0..TILES).filter(|row| is_wanted(*row)).count());
        }
    }
}
