//! Which sealed segments to rewrite as one: a pure function of their sizes.
//!
//! **Problem.** A search looks into every segment, so there should be few; dead rows cost distances and space, so there
//! should be few of them; and each rewrite reads, links and writes all of its rows, so a row should be rewritten rarely.
//!
//! **Idea.** One large segment and a small tail. When the rest has grown to a quarter of the largest segment, all become
//! one; meanwhile four of a size become one, in tiers four times as large as the one below. A segment with more than 30 %
//! dead is rewritten alone, so is one a quarter of which is patched, and one with nothing alive is dropped. A segment beyond half of the largest size is full, and
//! its collection goes on with another.
//!
//! While nobody writes, a tail is merged however small it is, if the rows earned it: each row that is sealed earns
//! [`EARNED`] rewrites, of itself or another, and each row that is rewritten spends one. So what idle times invite cannot
//! wear out a disk: in a million rows, sealed by 65,536, a row is rewritten three times by what is due, and never more
//! than [`EARNED`] times by all of it but for the tiers of very small segments.

use crate::limits::UNMERGED_SEGMENTS_MAX;

/// What the policy knows of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSize {
    pub(crate) rows: usize,
    pub(crate) live: usize,
    /// Rows that updates changed fields of.
    pub(crate) patched: usize,
    /// What these patches take in memory.
    pub(crate) patch_bytes: usize,
}

/// How much is to be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aim {
    /// What is due while rows are written.
    Due,
    /// All that rows have earned, while none are written.
    Settled {
        /// Rows that may be rewritten.
        earned: usize,
    },
    /// As few segments as there can be.
    Fewest,
}

/// Rewrites that a sealed row earns.
pub(crate) const EARNED: usize = 6;
/// The rest is merged with the largest when it has one in so many of its rows.
const TAIL_ONE_IN: usize = 4;
/// Segments of a tier that become one.
const FAN_IN: usize = 4;
/// Below this all segments are of the lowest tier.
const LOWEST_TIER_ROWS: usize = 4_096;
/// A merge makes no segment larger than this: its graph is linked in one go, in about 600 bytes of memory a row.
const MERGED_ROWS_MAX: usize = 2_000_000;
/// A segment is rewritten when one in so many of its rows is patched,
const PATCHED_ONE_IN: usize = 4;
/// but not below so many, which cost nothing: while a small segment is rewritten, as many are patched again.
const PATCHED_MIN: usize = 1_024;
/// or when its patches take so much memory. Writers wait at twice as much.
const PATCH_BYTES_MAX: usize = 256 << 20;
/// Dead rows in a hundred beyond which a segment is rewritten.
const DEAD_PERCENT_MAX: usize = 30;

/// The positions of the segments to rewrite as one, or `None` if nothing needs it. Called again after each rewrite,
/// it comes to an end.
pub(crate) fn choose(sizes: &[SegmentSize], aim: Aim) -> Option<Vec<usize>> {
    if let Some(empty) = sizes.iter().position(|size| size.live == 0) {
        return Some(vec![empty]);
    }
    if let Some(decayed) = sizes.iter().position(|size| is_decayed(*size)) {
        return Some(vec![decayed]);
    }
    // Whoever waits for less of them waits for what comes.
    if is_behind_with_patches(sizes.iter().map(|size| size.patch_bytes).sum()) {
        return (0..sizes.len()).max_by_key(|&index| sizes[index].patch_bytes).map(|most| vec![most]);
    }
    let group = group(sizes);
    let live: usize = group.iter().map(|&index| sizes[index].live).sum();
    let tail = group.get(1..).filter(|tail| !tail.is_empty())?;
    let largest = sizes[group[0]].live;
    let all = match aim {
        Aim::Due => (live - largest) * TAIL_ONE_IN >= largest,
        Aim::Settled { earned } => live <= earned,
        Aim::Fewest => true,
    };
    let mut chosen = if all { group } else { of_one_tier(sizes, tail)? };
    chosen.sort_unstable();
    Some(chosen)
}

/// The segments that are not full, largest first, without as many of the largest as would make one of all too large.
fn group(sizes: &[SegmentSize]) -> Vec<usize> {
    let mut open: Vec<usize> =
        (0..sizes.len()).filter(|&index| sizes[index].live * 2 < MERGED_ROWS_MAX).collect();
    open.sort_by_key(|&index| std::cmp::Reverse(sizes[index].live));
    let mut live: usize = open.iter().map(|&index| sizes[index].live).sum();
    let mut first = 0;
    while live > MERGED_ROWS_MAX {
        live -= sizes[open[first]].live;
        first += 1;
    }
    open.split_off(first)
}

/// Segments of the tail, largest first, that are alike enough to become one.
fn of_one_tier(sizes: &[SegmentSize], tail: &[usize]) -> Option<Vec<usize>> {
    let mut tiers = tail.chunk_by(|&a, &b| tier(sizes[a].live) == tier(sizes[b].live)).rev();
    tiers.find_map(|of_tier| Some(of_tier.get(..FAN_IN)?.to_vec()))
}

/// Whether so many rows are dead or patched that the segment is rewritten alone.
pub(crate) fn is_decayed(size: SegmentSize) -> bool {
    let is_patched = size.patched >= PATCHED_MIN.max(size.rows / PATCHED_ONE_IN);
    let is_patched = is_patched || size.patch_bytes > PATCH_BYTES_MAX;
    is_patched || deaths_left(size) == 0
}

/// How many more rows have to die before a segment has so many dead that it is rewritten alone; 0 if it has.
pub(crate) fn deaths_left(size: SegmentSize) -> usize {
    let borne = size.rows * DEAD_PERCENT_MAX / 100;
    (borne + 1).saturating_sub(size.rows - size.live).min(size.live)
}

/// Whether patches take so much memory that who writes more is to wait for them to be folded.
pub(crate) fn is_behind_with_patches(patch_bytes: usize) -> bool {
    patch_bytes > 2 * PATCH_BYTES_MAX
}

/// Whether so many segments that are not full are to be merged that who writes more is to wait for it. Never where nothing is
/// due.
pub(crate) fn is_behind(sizes: &[SegmentSize]) -> bool {
    let open = sizes.iter().filter(|size| size.live * 2 < MERGED_ROWS_MAX).count();
    open >= UNMERGED_SEGMENTS_MAX && choose(sizes, Aim::Due).is_some()
}

fn tier(live: usize) -> u32 {
    (live / LOWEST_TIER_ROWS).checked_ilog(FAN_IN).map_or(0, |tier| tier + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(rows: usize, live: usize) -> SegmentSize {
        SegmentSize { rows, live, patched: 0, patch_bytes: 0 }
    }

    fn with_patches(patch_bytes: usize) -> SegmentSize {
        SegmentSize { patch_bytes, ..size(MERGED_ROWS_MAX, MERGED_ROWS_MAX) }
    }

    fn all_live(rows: &[usize]) -> Vec<SegmentSize> {
        rows.iter().map(|&rows| size(rows, rows)).collect()
    }

    #[test]
    fn table() {
        let due: &[(Vec<SegmentSize>, Option<Vec<usize>>)] = &[
            (vec![], None),
            (all_live(&[100]), None),
            (all_live(&[100, 24]), None),
            (all_live(&[100, 25]), Some(vec![0, 1])),
            (all_live(&[100, 4_000, 1, 90]), None),
            (all_live(&[100, 40_000, 1, 90]), None),
            (all_live(&[60_000, 100, 200, 300, 7]), Some(vec![1, 2, 3, 4])),
            (all_live(&[9_000, 60_000, 100]), None),
            (all_live(&[9_000, 60_000, 6_100]), Some(vec![0, 1, 2])),
            (all_live(&[1_200_000, 300_000]), None),
            (all_live(&[1_200_000, 300_000, 80_000]), Some(vec![1, 2])),
            (all_live(&[900_000, 800_000, 700_000]), Some(vec![1, 2])),
            (vec![size(1_000, 1_000), size(1_000, 0)], Some(vec![1])),
            (vec![size(1_000, 701), size(1_000, 699)], Some(vec![1])),
            (vec![size(1_000, 700)], None),
            (vec![size(4_000_000, 2_000_000)], Some(vec![0])),
            (vec![SegmentSize { patched: 999, ..size(1_000, 900) }], None),
            (vec![SegmentSize { patched: 1_999, ..size(8_000, 7_000) }], None),
            (vec![SegmentSize { patched: 2_000, ..size(8_000, 7_000) }], Some(vec![0])),
            (vec![SegmentSize { patch_bytes: PATCH_BYTES_MAX + 1, ..size(1_000, 900) }], Some(vec![0])),
            // None of them has too many, all together have.
            (vec![with_patches(PATCH_BYTES_MAX), with_patches(PATCH_BYTES_MAX)], None),
            (
                vec![with_patches(1), with_patches(PATCH_BYTES_MAX), with_patches(PATCH_BYTES_MAX)],
                Some(vec![2]),
            ),
        ];
        for (sizes, expected) in due {
            assert_eq!(choose(sizes, Aim::Due), *expected, "{sizes:?}");
        }
        let unequal = all_live(&[60_000, 100]);
        assert_eq!(choose(&unequal, Aim::Settled { earned: 60_099 }), None);
        assert_eq!(choose(&unequal, Aim::Settled { earned: 60_100 }), Some(vec![0, 1]));
        assert_eq!(choose(&unequal, Aim::Fewest), Some(vec![0, 1]));
        assert_eq!(choose(&all_live(&[60_000]), Aim::Fewest), None);
        assert_eq!(choose(&all_live(&[1_000_000, 60_000, 1_000_000]), Aim::Fewest), None);
    }

    #[test]
    fn a_segment_is_due_by_the_death_that_is_counted_on() {
        for (rows, live) in (1..200).flat_map(|rows| (0..=rows).map(move |live| (rows, live))) {
            let left = deaths_left(size(rows, live));
            assert!(left <= live);
            assert!(is_decayed(size(rows, live - left)), "{rows} {live}");
            assert!(left == 0 || !is_decayed(size(rows, live - left + 1)), "{rows} {live}");
        }
        assert_eq!([deaths_left(size(1_000, 1_000)), deaths_left(size(1_000, 700))], [301, 1]);
        assert_eq!([deaths_left(size(1, 1)), deaths_left(size(0, 0))], [1, 0]);
    }

    #[test]
    fn behind_is_who_has_many_segments_that_can_become_fewer() {
        assert!(!is_behind(&all_live(&[100; UNMERGED_SEGMENTS_MAX - 1])));
        assert!(is_behind(&all_live(&[100; UNMERGED_SEGMENTS_MAX])));
        let full = [MERGED_ROWS_MAX / 2; 3 * UNMERGED_SEGMENTS_MAX];
        assert!(!is_behind(&all_live(&full)), "full segments stay as they are");
    }

    /// Seals so many segments of so many rows each, merging in between, and resting after every tenth; the segments and
    /// how often a row was rewritten.
    fn load(seals: usize, rows: usize) -> (Vec<SegmentSize>, f64) {
        let (mut sizes, mut rewritten, mut sealed) = (Vec::new(), 0, 0);
        for seal in 1..=seals {
            sizes.extend(all_live(&[rows]));
            sealed += rows;
            let aim = |rewritten: usize| match seal % 10 {
                0 => Aim::Settled { earned: (EARNED * sealed).saturating_sub(rewritten) },
                _ => Aim::Due,
            };
            while let Some(chosen) = choose(&sizes, aim(rewritten)) {
                let live: usize = chosen.iter().map(|&index| sizes[index].live).sum();
                let mut position = 0;
                sizes.retain(|_| (!chosen.contains(&position), position += 1).0);
                sizes.extend(all_live(&[live]));
                rewritten += live;
            }
        }
        (sizes, rewritten as f64 / sealed as f64)
    }

    #[test]
    fn loading_ends_with_few_segments_and_few_rewrites() {
        for (seals, rows, rewrites_max) in [(1_000, 1_000, 8.0), (100, 20_000, 6.0), (30, 65_536, 6.0)] {
            let (sizes, rewrites) = load(seals, rows);
            assert!(sizes.len() <= 8 && rewrites <= rewrites_max, "{rows}: {rewrites} {sizes:?}");
        }
    }
}
