//! Values by an exact key and a question, bounded in number, bytes and time.
//!
//! ```text
//! partitions: partition -> numbers of its entries          by_use: number of the last use -> entry
//! ```
//! An entry's number is that of its last use, and a use gives it a new one; so the first number is of the entry that was used the longest ago.
//!
//! Invariant: each entry's number stands in the list of its partition and in no other; no list is empty; no question is twice in a partition; `bytes` is the
//! sum over all entries.
//!
//! **Cost.** A look-up compares the question with each entry of one partition, and what is added looks at the age of all, so that nothing that is too old stays
//! in memory while others come; all else is logarithmic.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Instant;

use super::AnswerCacheOptions;
use super::key::Partition;
use super::question::Question;

struct Entry<V> {
    partition: Arc<Partition>,
    question: Question,
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

    /// The value of the same question of a partition, or of the nearest one that is near enough; none that is too old.
    pub(super) fn get(&mut self, partition: &Partition, question: &Question, now: Instant) -> Option<V> {
        let numbers = self.partitions.get(partition)?.clone();
        self.drop_old(&numbers, now);
        let entry = self.take(self.found(partition, question)?)?;
        let value = entry.value.clone();
        self.add(entry);
        Some(value)
    }

    /// Adds a value, which takes so many bytes beside its key, in place of that of the same question. One that is larger than all may be together is not
    /// kept.
    pub(super) fn put(
        &mut self,
        (partition, question): (Partition, Question),
        (value, bytes): (V, usize),
        now: Instant,
    ) {
        let numbers: Vec<u64> = self.by_use.keys().copied().collect();
        self.drop_old(&numbers, now);
        let bytes = bytes + partition.bytes() + question.bytes() + size_of::<Entry<V>>();
        if bytes > self.options.bytes_max || self.options.entries_max == 0 {
            return;
        }
        let known = self.partitions.get_key_value(&partition).map(|(known, _)| Arc::clone(known));
        let partition = known.unwrap_or_else(|| Arc::new(partition));
        if let Some(same) = self.same(&partition, &question) {
            self.take(same);
        }
        self.add(Entry { partition, question, value, bytes, kept_at: now });
        while self.by_use.len() > self.options.entries_max || self.bytes > self.options.bytes_max {
            let Some(oldest) = self.by_use.keys().next().copied() else { break };
            self.take(oldest);
        }
    }

    /// The entry of the same question.
    fn same(&self, partition: &Partition, question: &Question) -> Option<u64> {
        let is_same = |number: &&u64| {
            let entry = self.by_use.get(*number);
            entry.is_some_and(|entry| entry.question.is_same(question))
        };
        self.partitions.get(partition)?.iter().find(is_same).copied()
    }

    /// The entry that answers a question.
    fn found(&self, partition: &Partition, question: &Question) -> Option<u64> {
        let same = self.same(partition, question);
        if same.is_some() || !self.options.is_by_meaning() {
            return same;
        }
        let near = self.partitions.get(partition)?.iter().filter_map(|number| {
            let nearness = self.by_use.get(number)?.question.nearness(question)?;
            Some((*number, nearness))
        });
        let (nearest, nearness) = near.max_by(|one, other| one.1.total_cmp(&other.1))?;
        (nearness >= self.options.similarity_min).then_some(nearest)
    }

    /// Drops what is too old of some entries.
    fn drop_old(&mut self, numbers: &[u64], now: Instant) {
        for number in numbers {
            let age = self.by_use.get(number).map(|entry| now.saturating_duration_since(entry.kept_at));
            if age.is_some_and(|age| age >= self.options.lifetime) {
                self.take(*number);
            }
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
            for number in numbers {
                assert_eq!(self.same(partition, &self.by_use[number].question), Some(*number));
            }
        }
    }
}
