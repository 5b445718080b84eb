//! Finding rows of a growing segment by id, and walking them in the order of their ids.
//!
//! **Problem.** A view must find ids as of its own moment while a writer adds more, without locks and without a copy
//! of the index for each batch.
//!
//! **Idea.** As in a log-structured merge tree: the slots of each batch, sorted by id, are an immutable run; runs of
//! like size are merged, so that there are O(log n) of them. A view holds the list of runs. A run is four bytes a
//! row; the ids themselves stay in the rows.
//!
//! **Invariants.** Within a run no id appears twice (the newest slot wins); of several runs with an id the largest slot
//! is the newest row. Whether that row is alive is the business of the view's dead rows.
//!
//! **Cost.** Adding n rows one by one costs O(n log n) comparisons in all; finding costs O(log² n).

use std::sync::Arc;

use super::append::AppendVec;
use super::growing::GrowingRow;
use crate::point::PointId;

/// Sorted runs, largest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdRuns {
    runs: Vec<Arc<[u32]>>,
}

impl IdRuns {
    /// These runs and the slots of one more batch, in which no id appears twice.
    pub(crate) fn with(&self, rows: &AppendVec<GrowingRow>, mut slots: Vec<u32>) -> Self {
        slots.sort_unstable_by(|a, b| id(rows, *a).cmp(&id(rows, *b)));
        let mut runs = self.runs.clone();
        let mut run = slots;
        while let Some(last) = runs.pop_if(|last| last.len() <= 2 * run.len()) {
            run = merge(rows, &last, &run);
        }
        if !run.is_empty() {
            runs.push(run.into());
        }
        Self { runs }
    }

    /// The newest slot of an id.
    pub(crate) fn find(&self, rows: &AppendVec<GrowingRow>, wanted: &PointId) -> Option<u32> {
        let in_run = |run: &Arc<[u32]>| {
            run.binary_search_by(|slot| id(rows, *slot).cmp(&Some(wanted))).ok().map(|at| run[at])
        };
        self.runs.iter().filter_map(in_run).max()
    }

    /// Each run's slots with ids greater than `after`.
    pub(crate) fn after<'a>(
        &'a self,
        rows: &'a AppendVec<GrowingRow>,
        after: Option<&PointId>,
    ) -> impl Iterator<Item = &'a [u32]> {
        self.runs.iter().map(move |run| {
            let start = match after {
                None => 0,
                Some(after) => run.partition_point(|slot| id(rows, *slot) <= Some(after)),
            };
            &run[start..]
        })
    }
}

fn id(rows: &AppendVec<GrowingRow>, slot: u32) -> Option<&PointId> {
    rows.get(slot).map(|row| &row.id)
}

/// One run of two; where both have an id, the larger slot stays.
fn merge(rows: &AppendVec<GrowingRow>, a: &[u32], b: &[u32]) -> Vec<u32> {
    let mut out = Vec::with_capacity(a.len() + b.len());
    let (mut i, mut j) = (0, 0);
    while i < a.len() && j < b.len() {
        let (left, right) = (a[i], b[j]);
        let order = id(rows, left).cmp(&id(rows, right));
        out.push(match order {
            std::cmp::Ordering::Less => left,
            std::cmp::Ordering::Greater => right,
            std::cmp::Ordering::Equal => left.max(right),
        });
        i += usize::from(order.is_le());
        j += usize::from(order.is_ge());
    }
    out.extend_from_slice(&a[i..]);
    out.extend_from_slice(&b[j..]);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_finds_what_an_ordered_map_finds() {
        let rows = AppendVec::new();
        let mut runs = IdRuns::default();
        let mut model = BTreeMap::new();
        let mut state = 1u64;
        for batch in 0..200 {
            let mut slots = Vec::new();
            for _ in 0..batch % 7 + 1 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                let id = if state & 8 == 0 {
                    PointId::Num(state >> 58)
                } else {
                    PointId::Str(format!("{}", state >> 58))
                };
                if slots.iter().any(|slot| rows.get(*slot).is_some_and(|row: &GrowingRow| row.id == id)) {
                    continue;
                }
                let slot = rows.push(GrowingRow::new(id.clone(), Vec::new()));
                slots.push(slot);
                model.insert(id, slot);
            }
            let before = runs.clone();
            runs = runs.with(&rows, slots.clone());
            // The runs before are untouched.
            assert!(slots.iter().all(|slot| before.find(&rows, &rows.get(*slot).unwrap().id) != Some(*slot)));
            assert!(runs.runs.len() < 14);
        }
        assert!(model.iter().all(|(id, slot)| runs.find(&rows, id) == Some(*slot)));
        assert_eq!(runs.find(&rows, &PointId::Num(u64::MAX)), None);
        let after = PointId::Str("3".into());
        let mut slots: Vec<u32> = runs.after(&rows, Some(&after)).flatten().copied().collect();
        slots.retain(|slot| model.values().any(|newest| newest == slot));
        let mut expected: Vec<u32> =
            model.iter().filter(|(id, _)| **id > after).map(|(_, slot)| *slot).collect();
        slots.sort_unstable();
        expected.sort_unstable();
        assert_eq!(slots, expected);
    }
}
