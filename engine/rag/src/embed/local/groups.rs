//! Sharing a pass among threads.

/// Fewest tokens that are worth a task of their own: below, products are shared instead.
const TASK_TOKENS_MIN: usize = 48;
/// Most tokens of one task: their states stay in the cache, and tasks end together.
pub(super) const TASK_TOKENS_MAX: usize = 512;

/// Texts of these lengths in groups of nearly equal work, a multiple of the threads where there is enough: the longest
/// first, each to the group that has least.
pub(super) fn groups(lengths: &[usize], threads: usize) -> Vec<Vec<usize>> {
    let total: usize = lengths.iter().sum();
    let share = total.div_ceil(threads).clamp(TASK_TOKENS_MIN, TASK_TOKENS_MAX);
    let wanted = total.div_ceil(share);
    let count = if wanted > threads { wanted.next_multiple_of(threads) } else { wanted };
    let count = count.min(lengths.len());
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(lengths[*index]));
    let mut groups = vec![Vec::new(); count];
    let mut least: std::collections::BinaryHeap<_> =
        (0..count).map(|group| std::cmp::Reverse((0, group))).collect();
    for index in order {
        if let Some(mut top) = least.peek_mut() {
            let std::cmp::Reverse((work, group)) = *top;
            groups[group].push(index);
            *top = std::cmp::Reverse((work + lengths[index], group));
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn groups_are_even_and_hold_every_text_once() {
        for threads in [1, 2, 16] {
            for lengths in [vec![], vec![5], vec![256; 9], (1..200).collect::<Vec<_>>()] {
                let groups = groups(&lengths, threads);
                let mut all: Vec<usize> = groups.concat();
                all.sort();
                assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
                let work = |group: &Vec<usize>| group.iter().map(|index| lengths[*index]).sum::<usize>();
                let most = groups.iter().map(work).max().unwrap_or(0);
                let least = groups.iter().map(work).min().unwrap_or(0);
                let longest = lengths.iter().max().copied().unwrap_or(0);
                assert!(most - least <= longest, "{threads} threads, {lengths:?}: {least} to {most}");
                assert!(groups.iter().all(|group| !group.is_empty()));
            }
        }
        assert_eq!(groups(&[64; 32], 2).len(), 4);
        assert_eq!(groups(&[16], 2).len(), 1);
    }
}
