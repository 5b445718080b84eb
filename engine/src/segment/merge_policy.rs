//! Which sealed segments to rewrite as one: a pure function of their sizes.
//!
//! **Problem.** A search looks into every segment, so there should be few; dead rows cost distances and space, so there
//! should be few of them; and each rewrite builds a graph anew, so a row should be rewritten rarely.
//!
//! **Idea.** Tiers of sizes, each four times the one below. When a tier holds four segments, they become one of the
//! next tier: a row is rewritten once a tier, log4(n) times in all. A segment with more than 30 % dead is rewritten
//! alone, and one with nothing alive is dropped.

/// What the policy knows of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentSize {
    pub(crate) rows: usize,
    pub(crate) live: usize,
}

/// Segments of a tier that become one.
const FAN_IN: usize = 4;
/// Below this all segments are of the lowest tier.
const LOWEST_TIER_ROWS: usize = 4_096;
/// A merge makes no segment larger than this: its graph is built in one go.
const MERGED_ROWS_MAX: usize = 1_000_000;
/// Dead rows in a hundred beyond which a segment is rewritten.
const DEAD_PERCENT_MAX: usize = 30;

/// The positions of the segments to rewrite as one, or `None` if nothing needs it. Called again after each rewrite,
/// it comes to an end.
pub(crate) fn choose(sizes: &[SegmentSize]) -> Option<Vec<usize>> {
    if let Some(empty) = sizes.iter().position(|size| size.live == 0) {
        return Some(vec![empty]);
    }
    if let Some(decayed) = sizes.iter().position(|size| is_decayed(*size)) {
        return Some(vec![decayed]);
    }
    let mut by_live: Vec<usize> = (0..sizes.len()).collect();
    by_live.sort_by_key(|&index| sizes[index].live);
    by_live.chunk_by(|&a, &b| tier(sizes[a].live) == tier(sizes[b].live)).find_map(|of_tier| {
        let chosen = of_tier.get(..FAN_IN)?;
        let merged: usize = chosen.iter().map(|&index| sizes[index].live).sum();
        (merged <= MERGED_ROWS_MAX).then(|| {
            let mut chosen = chosen.to_vec();
            chosen.sort_unstable();
            chosen
        })
    })
}

/// Whether so many rows are dead that the segment is rewritten alone.
pub(crate) fn is_decayed(size: SegmentSize) -> bool {
    size.live == 0 || (size.rows - size.live) * 100 > size.rows * DEAD_PERCENT_MAX
}

fn tier(live: usize) -> u32 {
    (live / LOWEST_TIER_ROWS).checked_ilog(FAN_IN).map_or(0, |tier| tier + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_live(rows: &[usize]) -> Vec<SegmentSize> {
        rows.iter().map(|&rows| SegmentSize { rows, live: rows }).collect()
    }

    #[test]
    fn table() {
        let size = |rows, live| SegmentSize { rows, live };
        let cases: &[(Vec<SegmentSize>, Option<Vec<usize>>)] = &[
            (vec![], None),
            (all_live(&[100, 100, 100]), None),
            (all_live(&[100, 4_000, 1, 90]), Some(vec![0, 1, 2, 3])),
            (all_live(&[60_000, 100, 200, 300, 7]), Some(vec![1, 2, 3, 4])),
            (all_live(&[60_000, 61_000, 62_000]), None),
            (all_live(&[60_000, 61_000, 62_000, 63_000]), Some(vec![0, 1, 2, 3])),
            (all_live(&[300_000, 300_000, 300_000, 300_000]), None),
            (vec![size(1_000, 1_000), size(1_000, 0)], Some(vec![1])),
            (vec![size(1_000, 701), size(1_000, 699)], Some(vec![1])),
            (vec![size(1_000, 700)], None),
            (vec![size(2_000_000, 1_000_000)], Some(vec![0])),
        ];
        for (sizes, expected) in cases {
            assert_eq!(choose(sizes), *expected, "{sizes:?}");
        }
    }

    #[test]
    fn repeated_it_ends_with_few_segments_and_few_rewrites() {
        let (mut sizes, mut rewritten) = (Vec::new(), 0);
        for _ in 0..1_000 {
            sizes.extend(all_live(&[1_000]));
            while let Some(chosen) = choose(&sizes) {
                let live: usize = chosen.iter().map(|&index| sizes[index].live).sum();
                let mut position = 0;
                sizes.retain(|_| (!chosen.contains(&position), position += 1).0);
                sizes.extend(all_live(&[live]));
                rewritten += live;
            }
        }
        assert!(sizes.len() < 20, "{sizes:?}");
        assert!(rewritten < 7 * 1_000_000, "{rewritten}");
    }
}
