//! What was said before a question, as far as there is room.
//!
//! Turns are taken whole, newest first, and end with the first that does not fit: a history with holes would mislead. Passages come before old turns: at
//! first a quarter of the room ([`SHARE_PERCENT`]) is for turns, and what passages leave of the rest, afterwards.
//!
//! Pure: costs and a room in, a number of turns out.

/// Of the room for passages and turns, how much of a hundred turns may take before passages are chosen.
pub(crate) const SHARE_PERCENT: usize = 25;

/// How many of the last turns fit, and what they take. `costs` are those of the turns, oldest first.
pub(crate) fn fitting(costs: &[usize], room: usize) -> (usize, usize) {
    let mut used = 0;
    let fits = costs.iter().rev().take_while(|cost| {
        let next = used + **cost;
        let fits = next <= room;
        used = if fits { next } else { used };
        fits
    });
    (fits.count(), used)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_turns_that_fit_are_taken() {
        for (costs, room, expected) in [
            (vec![], 10, (0, 0)),
            (vec![5, 5, 5], 10, (2, 10)),
            (vec![5, 5, 5], 9, (1, 5)),
            (vec![5, 5, 5], 100, (3, 15)),
            // What is older than one that does not fit is left out, though it would.
            (vec![1, 20, 5], 10, (1, 5)),
            (vec![1, 20], 10, (0, 0)),
            (vec![0, 0], 0, (2, 0)),
        ] {
            assert_eq!(fitting(&costs, room), expected, "{costs:?}, {room}");
        }
    }
}
