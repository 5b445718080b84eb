//! Sorting what its caller may give up.
//!
//! **Problem.** The columns of a segment of fifty million rows take seconds to sort, and whoever asked for it may have left by then. **Idea.** Items are
//! divided at their middle, as often as it takes to get pieces that are sorted in some milliseconds, and between two of them the watch is
//! looked at.
//!
//! **Cost.** That of sorting, and dividing: two or three comparisons an item for each halving, none up to [`PIECE`] items.

use std::cmp::Ordering;

use crate::interrupt::Watch;

/// Items, or rows, that are done with between two looks at the watch: some 20 ms.
pub(super) const PIECE: usize = 1 << 18;

/// Sorts items; whether it came to the end, which the watch may have prevented. Then they are in any order.
pub(super) fn sort<T: Ord>(items: &mut [T], watch: &Watch) -> bool {
    sort_by(items, watch, &T::cmp)
}

/// The same in an order.
pub(super) fn sort_by<T>(items: &mut [T], watch: &Watch, order: &impl Fn(&T, &T) -> Ordering) -> bool {
    in_pieces(items, PIECE, watch, order)
}

fn in_pieces<T>(items: &mut [T], piece: usize, watch: &Watch, order: &impl Fn(&T, &T) -> Ordering) -> bool {
    if items.len() <= piece {
        items.sort_unstable_by(order);
        return true;
    }
    if watch.poll() {
        return false;
    }
    let middle = items.len() / 2;
    items.select_nth_unstable_by(middle, order);
    let (low, high) = items.split_at_mut(middle);
    in_pieces(low, piece, watch, order) && in_pieces(high, piece, watch, order)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interrupt::cancelled_at;
    use crate::random::SplitMix64;

    #[test]
    fn pieces_together_are_in_order_unless_the_watch_ends_it() {
        let mut random = SplitMix64(7);
        // With many that are equal.
        let items: Vec<usize> = (0..1_000).map(|_| random.below(300)).collect();
        let mut sorted = items.clone();
        sorted.sort_unstable();
        for piece in [1, 2, 10, 333, 999, 1_000, 5_000] {
            let mut found = items.clone();
            assert!(in_pieces(&mut found, piece, &Watch::default(), &usize::cmp));
            assert_eq!(found, sorted, "{piece}");
        }
        let polls = (1..).take_while(|poll| {
            let (mut found, token) = (items.clone(), cancelled_at(*poll));
            let is_whole = in_pieces(&mut found, 100, &Watch::new(None, Some(&token)), &usize::cmp);
            let is_sorted = found == sorted;
            // None is lost.
            found.sort_unstable();
            assert_eq!(found, sorted);
            assert!(is_sorted || !is_whole);
            !is_whole
        });
        assert_eq!(polls.count(), 15, "a look for each division into sixteen pieces");
        assert!(sort(&mut [3, 1, 2], &cancelled()), "what is short comes to its end");
    }

    fn cancelled() -> Watch {
        let token = crate::CancelToken::new();
        token.cancel();
        Watch::new(None, Some(&token))
    }
}
