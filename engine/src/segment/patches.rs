//! What updates changed of rows that their segments hold.
//!
//! **Problem.** An update changes a few fields of a row. Sealed segments never change, nor do rows of a growing one, which
//! others read; and a new row in the place of the old one would cost its vectors and their links.
//!
//! **Idea.** The row stays where it is, and a *patch* says what is different: values, fields that it has no more, the version. A
//! patch is about all updates since the segment took the row, so the newest is all that counts. The patches of one write, in
//! the order of their slots, are an immutable run; runs of like size are merged, so that there are O(log n) of them. A view
//! holds the list of runs, so it shows patches as of its moment, without locks. A bit for each row says whether there is one.
//!
//! Merges and seals write patched rows as they are by then, and the patches end with the segment.
//!
//! **Cost.** A row without a patch costs a look at a bit; a patched one a binary search in each run. A condition of a filter is tested on
//! each patch of its field; to an order of the field, or the counts of its values, patched rows come from a list of their own.

use std::sync::Arc;

use fixedbitset::FixedBitSet;

use super::expiry::{Expiry, ExpiryRuns};
use super::ordered::PatchedOrders;
use crate::clock::NEVER;
use crate::payload::{FieldId, Value, ValueRef};

/// What is different in a row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Patch {
    /// The write that last changed the row.
    pub(crate) version: u64,
    /// When the row expires, if updates changed that.
    pub(crate) expires_at: Option<i64>,
    /// Sorted by field; `None` where the row has the field no more.
    pub(crate) values: Vec<(FieldId, Option<Value>)>,
}

impl Patch {
    /// What it says of a field; `None` if that is as the segment has it.
    pub(crate) fn value(&self, field: FieldId) -> Option<Option<ValueRef<'_>>> {
        let at = self.values.binary_search_by_key(&field, |(field, _)| *field).ok()?;
        Some(self.values[at].1.as_ref().map(Value::as_ref))
    }

    /// Says of a field what it is from now on.
    pub(crate) fn set(&mut self, field: FieldId, value: Option<Value>) {
        match self.values.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(at) => self.values[at].1 = value,
            Err(at) => self.values.insert(at, (field, value)),
        }
    }

    /// Roughly what it takes in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        let of_value = |(_, value): &(FieldId, Option<Value>)| {
            size_of::<(FieldId, Option<Value>)>() + value.as_ref().map_or(0, Value::size_bytes)
        };
        size_of::<Self>() + size_of::<(u32, Arc<Self>)>() + self.values.iter().map(of_value).sum::<usize>()
    }
}

/// A patch and the slot that it is about.
pub(crate) type SlotPatch = (u32, Arc<Patch>);

/// So many expiries are kept without looking which of them count.
const EXPIRIES_MIN: usize = 1_024;

/// Patches in the order of their slots.
type Run = Arc<[SlotPatch]>;

/// The patches of a segment, as of one view.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patches {
    /// Largest first, so that the newest of a slot is in the last run that has one.
    runs: Vec<Run>,
    /// The slots that have one; may be shorter than the segment.
    patched: Arc<FixedBitSet>,
    /// How many those are.
    count: usize,
    /// Roughly their bytes, with those that newer ones took the place of.
    bytes: usize,
    /// Those of the largest that there ever was.
    largest: usize,
    /// How many there ever were.
    made: u64,
    /// The fields that some patch is about, ascending.
    fields: Vec<FieldId>,
    /// When rows expire by their patches, also by those that newer ones took the place of.
    expiring: ExpiryRuns,
    /// Their rows in the orders that somebody asked for; of these patches alone, and of all clones of them.
    orders: Arc<PatchedOrders>,
}

impl Patches {
    /// These patches and some more, which are each about a slot of its own.
    pub(crate) fn with(&self, mut patches: Vec<SlotPatch>) -> Self {
        if patches.is_empty() {
            return self.clone();
        }
        patches.sort_unstable_by_key(|(slot, _)| *slot);
        let mut next = self.clone();
        next.orders = Arc::default();
        let patched = Arc::make_mut(&mut next.patched);
        for (slot, patch) in &patches {
            patched.grow(*slot as usize + 1);
            next.count += usize::from(!patched.put(*slot as usize));
            let bytes = patch.size_bytes();
            next.bytes += bytes;
            next.largest = next.largest.max(bytes);
        }
        next.made += patches.len() as u64;
        for (field, _) in patches.iter().flat_map(|(_, patch)| &patch.values) {
            if let Err(at) = next.fields.binary_search(field) {
                next.fields.insert(at, *field);
            }
        }
        next.expiring = next.expiring.with(patches.iter().filter_map(expiry_of).collect());
        let mut run = patches;
        while let Some(last) = next.runs.pop_if(|last| last.len() <= 2 * run.len()) {
            next.bytes -= bytes_of(&last) + bytes_of(&run);
            run = merge(&last, run);
            next.bytes += bytes_of(&run);
        }
        next.runs.push(run.into());
        if next.expiring.len() > EXPIRIES_MIN + 4 * next.count {
            let newest = next.iter().filter_map(|(slot, patch)| expiry_of(&(slot, patch.clone()))).collect();
            next.expiring = ExpiryRuns::default().with(newest);
        }
        next
    }

    /// When rows expire by their patches; newer patches may say otherwise.
    pub(crate) fn expiring(&self) -> &ExpiryRuns {
        &self.expiring
    }

    /// Their rows in the order of fields.
    pub(super) fn orders(&self) -> &PatchedOrders {
        &self.orders
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether some patch is about a field.
    pub(crate) fn is_about(&self, field: FieldId) -> bool {
        self.fields.binary_search(&field).is_ok()
    }

    /// The rows that have one, among the first of a segment.
    pub(crate) fn slots(&self) -> &FixedBitSet {
        &self.patched
    }

    /// Patched rows.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Roughly what they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// No patch takes more.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }

    /// Tells states of the patches of one segment apart: more patches, a greater number.
    pub(crate) fn made(&self) -> u64 {
        self.made
    }

    /// The patch of a row.
    pub(crate) fn get(&self, slot: u32) -> Option<&Arc<Patch>> {
        if !self.patched.contains(slot as usize) {
            return None;
        }
        let in_run = |run: &'_ Run| run.binary_search_by_key(&slot, |(slot, _)| *slot).ok();
        self.runs.iter().rev().find_map(|run| Some(&run[in_run(run)?].1))
    }

    /// Each patched row with its patch, in the order of the slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arc<Patch>)> {
        self.patched.ones().filter_map(|slot| Some((slot as u32, self.get(slot as u32)?)))
    }

    /// What the patches say of a field, older before newer: of several with one slot the last counts.
    pub(crate) fn values(&self, field: FieldId) -> impl Iterator<Item = (u32, Option<ValueRef<'_>>)> {
        self.runs
            .iter()
            .flat_map(|run| run.iter())
            .filter_map(move |(slot, patch)| Some((*slot, patch.value(field)?)))
    }
}

/// When a row expires by its patch, if it does.
fn expiry_of((slot, patch): &SlotPatch) -> Option<Expiry> {
    Some((patch.expires_at.filter(|at| *at != NEVER)?, *slot))
}

fn bytes_of(run: &[SlotPatch]) -> usize {
    run.iter().map(|(_, patch)| patch.size_bytes()).sum()
}

/// One run of two; where both have a slot, the newer patch stays.
fn merge(older: &[SlotPatch], newer: Vec<SlotPatch>) -> Vec<SlotPatch> {
    let mut out = Vec::with_capacity(older.len() + newer.len());
    let mut older = older.iter().peekable();
    for entry in newer {
        while let Some(before) = older.next_if(|(slot, _)| *slot < entry.0) {
            out.push(before.clone());
        }
        older.next_if(|(slot, _)| *slot == entry.0);
        out.push(entry);
    }
    out.extend(older.cloned());
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_newest_patch_of_a_row_counts_and_views_keep_theirs() {
        let (mut patches, mut model) = (Patches::default(), BTreeMap::new());
        let mut state = 1u64;
        for version in 1..300u64 {
            let before = (patches.clone(), model.clone());
            let mut run = BTreeMap::new();
            for _ in 0..=version % 5 {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
                let values = vec![((state >> 60) as FieldId, Some(Value::Int(version as i64)))];
                run.insert((state >> 56) as u32, Arc::new(Patch { version, expires_at: None, values }));
            }
            model.extend(run.clone());
            patches = patches.with(run.into_iter().collect());
            for (patches, model) in [&before, &(patches.clone(), model.clone())] {
                assert_eq!(patches.count(), model.len());
                assert!((0..256).all(|slot| patches.get(slot) == model.get(&slot)));
                assert!(patches.iter().eq(model.iter().map(|(slot, patch)| (*slot, patch))));
            }
            assert!(patches.runs.len() < 12);
            let bytes: usize = patches.runs.iter().map(|run| bytes_of(run)).sum();
            assert_eq!(patches.size_bytes(), bytes);
            assert!(model.values().all(|patch| patch.size_bytes() <= patches.largest()));
            let newest: BTreeMap<u32, Option<ValueRef<'_>>> = patches.values(3).collect();
            for (slot, patch) in &model {
                // An older patch of the row may have spoken of the field; cumulative ones would repeat it.
                let told = patch.value(3);
                assert!(told.is_none() || told == newest.get(slot).copied(), "{slot}");
            }
        }
    }

    #[test]
    fn a_patch_says_of_each_field_what_was_said_last() {
        let mut patch = Patch { version: 1, expires_at: None, values: Vec::new() };
        for (field, value) in [(5, Some(1)), (2, None), (9, Some(3)), (5, None), (2, Some(4))] {
            patch.set(field, value.map(Value::Int));
        }
        assert_eq!(patch.values, [(2, Some(Value::Int(4))), (5, None), (9, Some(Value::Int(3)))]);
        assert_eq!(patch.value(5), Some(None));
        assert_eq!(patch.value(7), None);
    }
}
