//! Finding the rows of a tenant in a growing segment.
//!
//! **Problem.** A read of one tenant is to cost what its rows cost. Once they are sealed they lie together, and the index of their
//! column lists them; in memory they lie as they came, among those of all others.
//!
//! **Idea.** As for ids (`ids.rs`), but by hashes: of each row of a batch the hash of its tenant and its slot are one number, and these
//! numbers are kept in order (`sorted_runs.rs`). What is found by a hash is compared with the value that the row has.
//!
//! **Invariants.** The slots of a run are all greater than those of the runs before it. So the rows of a tenant come in order.
//!
//! **Cost.** Eight bytes a row, which each of O(log n) merges writes anew in some two nanoseconds; a bisection of each run to find a
//! tenant, without a look at a row; nothing in a collection without a tenant key. That is why other fields have none of it: each would
//! cost every write as much, whether anybody asks for it or not, and beside a tenant's condition theirs are asked of its rows alone.

use std::hash::{BuildHasher, RandomState};

use super::GrowingRow;
use super::sorted_runs::SortedRuns;
use crate::payload::{FieldId, Test, ValueRef};

/// The tenant key of a segment in memory.
#[derive(Debug)]
pub(super) struct TenantKey {
    field: FieldId,
    /// Of its own, as whoever names tenants could name some that collide.
    seed: RandomState,
}

/// The hash of a row's tenant, and below it the slot.
pub(super) type Entry = u64;

impl TenantKey {
    pub(super) fn new(field: FieldId) -> Self {
        Self { field, seed: RandomState::new() }
    }

    /// What stands for a row; `None` of one without a tenant, which nobody finds by it.
    pub(super) fn entry(&self, row: &GrowingRow, slot: u32) -> Option<Entry> {
        Some(u64::from(self.hash(row.value(self.field)?)?) << 32 | u64::from(slot))
    }

    /// The hashes of the tenants that a condition names; `None` if it is on another field, or names none.
    pub(super) fn hashes(&self, field: FieldId, test: &Test) -> Option<Vec<u32>> {
        if field != self.field {
            return None;
        }
        let mut hashes: Vec<u32> = match test {
            Test::IntIn(values) => {
                values.iter().filter_map(|value| self.hash(ValueRef::Int(*value))).collect()
            }
            Test::TextIn(texts) => texts.iter().filter_map(|text| self.hash(ValueRef::Text(text))).collect(),
            _ => return None,
        };
        hashes.sort_unstable();
        hashes.dedup();
        Some(hashes)
    }

    fn hash(&self, value: ValueRef<'_>) -> Option<u32> {
        let hash = match value {
            ValueRef::Int(number) => self.seed.hash_one(number),
            ValueRef::Text(text) => self.seed.hash_one(text),
            _ => return None,
        };
        Some((hash >> 32) as u32)
    }
}

/// The rows of a view by their tenants.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantRuns(SortedRuns<Entry>);

impl TenantRuns {
    /// These rows and those of one more batch.
    pub(super) fn with(&self, entries: Vec<Entry>) -> Self {
        Self(self.0.with(entries))
    }

    /// How many rows have one of these hashes.
    pub(super) fn count(&self, hashes: &[u32]) -> usize {
        self.parts(hashes).map(<[Entry]>::len).sum()
    }

    /// The rows that have one of these hashes, in ascending order, if there are no more than `max`.
    pub(super) fn list(&self, hashes: &[u32], max: usize) -> Option<Vec<u32>> {
        let mut slots = Vec::new();
        for part in self.parts(hashes) {
            if slots.len() + part.len() > max {
                return None;
            }
            slots.extend(part.iter().map(|entry| *entry as u32));
        }
        if hashes.len() > 1 {
            slots.sort_unstable();
        }
        Some(slots)
    }

    /// The parts of the runs that have these hashes.
    fn parts(&self, hashes: &[u32]) -> impl Iterator<Item = &[Entry]> {
        let part = |hash: u64, run: &[Entry]| {
            let start = run.partition_point(|entry| entry >> 32 < hash);
            start..start + run[start..].partition_point(|entry| entry >> 32 == hash)
        };
        let of_hash = move |hash: &u32| {
            let hash = u64::from(*hash);
            self.0.iter().map(move |run| &run[part(hash, run)])
        };
        hashes.iter().flat_map(of_hash)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::payload::Value;
    use crate::point::PointId;
    use crate::random::SplitMix64;
    use crate::segment::Segment;
    use crate::{Db, Filter, Point, Schema};

    #[test]
    fn it_finds_what_a_map_finds_and_views_keep_theirs() {
        let key = TenantKey::new(3);
        let (mut runs, mut model) = (TenantRuns::default(), BTreeMap::<i64, Vec<u32>>::new());
        let (mut random, mut slot) = (SplitMix64(5), 0);
        for batch in 0..400 {
            let before = (runs.clone(), model.clone());
            let mut entries = Vec::new();
            for _ in 0..batch % 7 {
                let tenant = (random.next() % 30) as i64;
                let row = GrowingRow::new(PointId::Num(0), vec![(3, Value::Int(tenant))]);
                entries.extend(key.entry(&row, slot));
                model.entry(tenant).or_default().push(slot);
                slot += 1;
            }
            runs = runs.with(entries);
            assert!(runs.0.iter().len() < 12);
            for (runs, model) in [&before, &(runs.clone(), model.clone())] {
                for tenants in [vec![4], vec![7, 29, 7], vec![], vec![31]] {
                    let hashes = key.hashes(3, &Test::IntIn(tenants.clone())).unwrap();
                    let own = |tenant: &i64| model.get(tenant).cloned().unwrap_or_default();
                    let mut expected: Vec<u32> = tenants.iter().flat_map(own).collect();
                    expected.sort_unstable();
                    expected.dedup();
                    assert_eq!(runs.count(&hashes), expected.len());
                    assert_eq!(runs.list(&hashes, expected.len()).as_ref(), Some(&expected));
                    if let Some(fewer) = expected.len().checked_sub(1) {
                        assert_eq!(runs.list(&hashes, fewer), None);
                    }
                }
            }
        }
        assert_eq!(key.hashes(4, &Test::IntIn(vec![4])), None);
        assert_eq!(key.hashes(3, &Test::Exists), None);
    }

    #[test]
    fn a_tenant_does_not_find_the_rows_of_one_with_the_same_hash() {
        let db = Db::in_memory().unwrap();
        let schema = Schema::builder(2).tenant("tenant").build().unwrap();
        let collection = db.create_collection("c", schema).unwrap();
        let point = |id: u64, tenant: &str| Point::new(id, [1.0, 0.0]).with("tenant", tenant);
        collection.upsert((0..100).map(|id| point(id, "other")).collect()).unwrap();
        let view = collection.view();
        let Segment::Growing(segment) = &view.state.segments[0].segment else {
            unreachable!("it is not sealed")
        };
        let key = segment.tenant.as_ref().unwrap();
        // Half of all seeds have two of the first 77,000 names collide.
        let mut known = BTreeMap::new();
        let pair = (0_u32..).find_map(|number| {
            let hash = key.hash(ValueRef::Text(format!("t{number}").as_bytes()));
            known.insert(hash, number).map(|before| [before, number].map(|number| format!("t{number}")))
        });
        let [a, b] = pair.unwrap();
        collection.upsert(vec![point(100, &a), point(101, &b), point(102, &b)]).unwrap();
        let count = |names: &[&String]| {
            let names = names.iter().map(|name| Value::String((*name).clone())).collect();
            collection.count(Some(&Filter::In("tenant".into(), names))).unwrap()
        };
        assert_eq!([count(&[&a]), count(&[&b]), count(&[&a, &b])], [1, 2, 3]);
    }
}
