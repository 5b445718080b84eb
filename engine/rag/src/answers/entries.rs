//! Values by an exact key and a near vector, bounded in number, bytes and time.
//!
//! ```text
//! partitions: partition -> numbers of its entries          by_use: number of the last use -> entry
//! ```
//! An entry's number is that of its last use, and a use gives it a new one; so the first number is of the entry that was used the longest ago.
//!
//! Invariant: each entry's number stands in the list of its partition and in no other; no list is empty; `bytes` is the sum over all entries.
//!
//! **Cost.** A look-up compares the vector with each entry of one partition; all else is logarithmic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::AnswerCacheOptions;
use super::key::Partition;

struct Entry<V> {
    partition: Arc<Partition>,
    question: Vec<f32>,
    value: V,
    bytes: usize,
    kept_at: Instant,
}

/// The values. The time is told by who calls.
pub(super) struct Entries<V> {
    options: AnswerCacheOptions,
    by_use: BTreeMap<u64, Entry<V>>,
    partitions: HashMap<Arc<Partition>, Vec<u64>>,
    bytes: usize,
    uses: u64,
}

impl<V: Clone> Entries<V> {
    pub(super) fn new(options: AnswerCacheOptions) -> Entries<V> {
        Entries { options, by_use: BTreeMap::new(), partitions: HashMap::new(), bytes: 0, uses: 0 }
    }

    /// The value of the nearest question of a partition, if it is near enough and not too old.
    pub(super) fn get(&mut self, partition: &Partition, question: &[f32], now: Instant) -> Option<V> {
        self.drop_old(partition, now);
        let numbers = self.partitions.get(partition)?;
        let near = numbers.iter().filter_map(|number| {
            let cosine = cosine(&self.by_use.get(number)?.question, question)?;
            Some((*number, cosine))
        });
        let (nearest, cosine) = near.max_by(|one, other| one.1.total_cmp(&other.1))?;
        if cosine < self.options.similarity_min {
            return None;
        }
        let entry = self.take(nearest)?;
        let value = entry.value.clone();
        self.add(entry);
        Some(value)
    }

    /// Adds a value, which takes so many bytes beside its key. One that is larger than all may be together is not kept.
    pub(super) fn put(
        &mut self,
        (partition, question): (Partition, Vec<f32>),
        (value, bytes): (V, usize),
        now: Instant,
    ) {
        let bytes = bytes + partition.bytes() + size_of_val(question.as_slice()) + size_of::<Entry<V>>();
        if bytes > self.options.bytes_max || self.options.entries_max == 0 {
            return;
        }
        let known = self.partitions.get_key_value(&partition).map(|(known, _)| Arc::clone(known));
        let partition = known.unwrap_or_else(|| Arc::new(partition));
        self.add(Entry { partition, question, value, bytes, kept_at: now });
        while self.by_use.len() > self.options.entries_max || self.bytes > self.options.bytes_max {
            let Some(oldest) = self.by_use.keys().next().copied() else { break };
            self.take(oldest);
        }
    }

    /// Drops what is too old of a partition.
    fn drop_old(&mut self, partition: &Partition, now: Instant) {
        let Some(numbers) = self.partitions.get(partition) else { return };
        let is_old = |number: &u64| {
            let entry = self.by_use.get(number);
            entry.is_none_or(|entry| now.saturating_duration_since(entry.kept_at) >= self.options.lifetime)
        };
        let old: Vec<u64> = numbers.iter().copied().filter(|number| is_old(number)).collect();
        for number in old {
            self.take(number);
        }
    }

    /// Adds an entry as the last one that was used.
    fn add(&mut self, entry: Entry<V>) {
        self.uses += 1;
        self.bytes += entry.bytes;
        self.partitions.entry(Arc::clone(&entry.partition)).or_default().push(self.uses);
        self.by_use.insert(self.uses, entry);
    }

    fn take(&mut self, number: u64) -> Option<Entry<V>> {
        let entry = self.by_use.remove(&number)?;
        self.bytes -= entry.bytes;
        let partition: &Partition = &entry.partition;
        if let Some(numbers) = self.partitions.get_mut(partition) {
            numbers.retain(|other| *other != number);
            if numbers.is_empty() {
                self.partitions.remove(partition);
            }
        }
        Some(entry)
    }

    /// Fails unless the invariants hold.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let sum: usize = self.by_use.values().map(|entry| entry.bytes).sum();
        assert_eq!(self.bytes, sum);
        assert!(self.bytes <= self.options.bytes_max && self.by_use.len() <= self.options.entries_max);
        let listed: usize = self.partitions.values().map(Vec::len).sum();
        assert_eq!(listed, self.by_use.len());
        for (partition, numbers) in &self.partitions {
            assert!(!numbers.is_empty());
            assert!(numbers.iter().all(|number| self.by_use[number].partition == *partition));
        }
    }
}

/// Of two vectors of the same length, none of which is zero.
pub(super) fn cosine(one: &[f32], other: &[f32]) -> Option<f64> {
    if one.len() != other.len() {
        return None;
    }
    let dot = |one: &[f32], other: &[f32]| {
        one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
    };
    let cosine = dot(one, other) / (dot(one, one) * dot(other, other)).sqrt();
    cosine.is_finite().then_some(cosine)
}
