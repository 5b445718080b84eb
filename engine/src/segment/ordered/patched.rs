//! Rows that were updated, in the order of a field.
//!
//! **Problem.** The order of a sealed column is of the values that its segment was written with. An updated row stands elsewhere by now, came to
//! have the field, or has it no more; and one such row should not make every page sort all of the segment.
//!
//! **Idea.** The order is walked without the rows that have a patch, whatever that is about, and the first of those are merged in. Where many of
//! them match, all are put in order once, and stay so for as long as the patches are what they are: until another update of a row of the segment.
//! Where few do, these few are sorted for the call.
//!
//! **Cost.** Some operations on words for the set of the others; then the steps along both orders, or sorting at most one in [`KEPT_ONE_IN`] of the
//! patched rows, which are a quarter of the segment at most (`merge_policy.rs`). Putting all of them in order is sorting them, once after an update, and
//! four bytes for each, field and direction.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fixedbitset::FixedBitSet;

use super::{OrderRequest, Row};
use crate::interrupt::POLL_DISTANCES;
use crate::payload::{FieldId, Passing};
use crate::segment::SegmentView;

/// All patched rows are put in order where one in so many of them matches.
const KEPT_ONE_IN: usize = 4;

/// Slots in the order of a field, by that and whether it descends.
type Orders = BTreeMap<(FieldId, bool), Arc<[u32]>>;

/// The patched rows of a segment, in the orders that somebody asked for.
#[derive(Debug, Default)]
pub(in crate::segment) struct PatchedOrders(Mutex<Orders>);

impl PatchedOrders {
    /// The rows in an order; `make` makes it, or gives it up. Of two that ask at once each may make it.
    fn get(&self, of: (FieldId, bool), make: impl FnOnce() -> Option<Arc<[u32]>>) -> Option<Arc<[u32]>> {
        let known = self.lock().get(&of).cloned();
        if known.is_some() {
            return known;
        }
        // Not under the lock: nobody waits for what another sorts.
        let made = make()?;
        self.lock().insert(of, made.clone());
        Some(made)
    }

    /// Readers of one view share it, and nothing lasts under its lock.
    fn lock(&self) -> MutexGuard<'_, Orders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SegmentView {
    /// The first rows of a segment with patches, and whether those without one were found through an order that is kept. After an
    /// interruption there are none.
    pub(super) fn with_patched(
        &self,
        request: &OrderRequest<'_>,
        matching: &FixedBitSet,
    ) -> (Vec<u32>, bool) {
        let mut others = FixedBitSet::clone(matching);
        others.difference_with(self.patches.slots());
        let others = Passing::Many(Arc::new(others));
        let (others, by_order) = self.unpatched(&OrderRequest { passing: &others, ..*request });
        let patched = self.first_patched(request, matching);
        if request.watch.interrupted().is_some() {
            return (Vec::new(), by_order);
        }
        let slots = others.into_iter().chain(patched);
        let mut rows: Vec<Row<'_>> = slots.map(|slot| (self.value(slot, request.field), slot)).collect();
        // Two lists in order, which this merges.
        rows.sort_by(|a, b| self.by_value_and_id(request.descending, a, b));
        rows.truncate(request.limit);
        (rows.into_iter().map(|(_, slot)| slot).collect(), by_order)
    }

    /// The first of those that have a patch.
    fn first_patched(&self, request: &OrderRequest<'_>, matching: &FixedBitSet) -> Vec<u32> {
        let patched = self.patches.slots();
        if patched.intersection_count(matching) * KEPT_ONE_IN < self.patches.count() {
            let few = Passing::Few(patched.intersection(matching).map(|slot| slot as u32).collect());
            return self.sorted(&OrderRequest { passing: &few, ..*request });
        }
        let of = (request.field, request.descending);
        let Some(order) = self.patches.orders().get(of, || self.all_patched(request)) else {
            return Vec::new();
        };
        let is_before = |slot: &u32| !self.is_behind(request, &(self.value(*slot, request.field), *slot));
        let first = order.partition_point(is_before);
        let goes_on = |(number, _): &(usize, &u32)| {
            !(*number as u64).is_multiple_of(POLL_DISTANCES) || !request.watch.poll()
        };
        let behind = order[first..].iter().enumerate().take_while(goes_on).map(|(_, slot)| *slot);
        behind.filter(|slot| matching.contains(*slot as usize)).take(request.limit).collect()
    }

    /// All of these, those that are dead by now too; `None` after an interruption.
    fn all_patched(&self, request: &OrderRequest<'_>) -> Option<Arc<[u32]>> {
        let all = Passing::Few(self.patches.slots().ones().map(|slot| slot as u32).collect());
        let order = self.sorted(&OrderRequest { passing: &all, after: None, limit: usize::MAX, ..*request });
        request.watch.interrupted().is_none().then(|| order.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::segment::{Patch, Patches};

    #[test]
    fn an_order_is_kept_for_as_long_as_the_patches_are_what_they_are() {
        let patch = || Arc::new(Patch { version: 1, expires_at: None, values: Vec::new() });
        let patches = Patches::default().with(vec![(3, patch()), (5, patch())]);
        let ask = |patches: &Patches, of: (FieldId, bool), made: Option<&[u32]>| -> Option<Vec<u32>> {
            let order = patches.orders().get(of, || made.map(Arc::from));
            order.map(|order| order.to_vec())
        };
        assert_eq!(ask(&patches, (7, false), None), None);
        assert_eq!(
            ask(&patches, (7, false), Some(&[5, 3])),
            Some(vec![5, 3]),
            "what was given up is not kept"
        );
        assert_eq!(ask(&patches, (7, false), Some(&[9])), Some(vec![5, 3]));
        assert_eq!(
            ask(&patches.clone(), (7, false), None),
            Some(vec![5, 3]),
            "another view of the same state"
        );
        assert_eq!(ask(&patches, (7, true), Some(&[3, 5])), Some(vec![3, 5]));
        assert_eq!(ask(&patches, (8, false), None), None);
        let next = patches.with(vec![(5, patch())]);
        assert_eq!(ask(&next, (7, false), Some(&[3, 5])), Some(vec![3, 5]));
        assert_eq!(ask(&patches, (7, false), None), Some(vec![5, 3]), "whoever shows the state before");
    }
}
