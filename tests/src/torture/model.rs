//! What must be in the store: the effect of what was acknowledged, and of each thread the one operation whose outcome
//! nobody was told.

use std::collections::{BTreeMap, BTreeSet};

use super::THREADS;
use super::workload::{Operation, SHARED, Workload, shared_name};

/// A row that was written at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Written {
    /// The operation that wrote it last.
    pub(super) version: u64,
    pub(super) is_live: bool,
}

/// A thread's rows of each collection, by their index. A collection of its own is there if it has an entry.
pub(super) type Rows = BTreeMap<String, BTreeMap<u64, Written>>;

/// One thread.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    /// What was acknowledged.
    pub(super) rows: Rows,
    /// What there is instead if the operation under way came through.
    pub(super) under_way: Option<Rows>,
    submitted: Option<u64>,
    pub(super) next: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Model {
    workload: Workload,
    pub(super) threads: Vec<Thread>,
    pub(super) acknowledged: u64,
}

impl Model {
    /// Of a database in which the shared collections were just made.
    pub(super) fn new(workload: Workload) -> Self {
        let shared: Rows = (0..SHARED).map(|index| (shared_name(index), BTreeMap::new())).collect();
        let thread = Thread { rows: shared, under_way: None, submitted: None, next: 1 };
        Self { workload, threads: vec![thread; THREADS as usize], acknowledged: 0 }
    }

    /// A thread said that it submits an operation.
    pub(super) fn submit(&mut self, thread: usize, number: u64) {
        let operation = self.operation(thread, number);
        let Some(state) = self.threads.get_mut(thread) else { return };
        let mut rows = state.rows.clone();
        apply(&mut rows, number, &operation);
        (state.submitted, state.under_way, state.next) = (Some(number), Some(rows), number + 1);
    }

    /// What an operation is, by the collections that must be there.
    pub(super) fn operation(&self, thread: usize, number: u64) -> Operation {
        let rows = self.threads.get(thread).map(|state| &state.rows);
        let exists = |name: &str| rows.is_some_and(|rows| rows.contains_key(name));
        self.workload.operation(thread as u64, number, exists)
    }

    /// A thread said that its operation was acknowledged.
    pub(super) fn acknowledge(&mut self, thread: usize, number: u64) {
        let Some(state) = self.threads.get_mut(thread) else { return };
        if state.submitted == Some(number)
            && let Some(rows) = state.under_way.take()
        {
            (state.rows, state.submitted) = (rows, None);
            self.acknowledged += 1;
        }
    }

    /// How many rows must be there.
    pub(super) fn live_rows(&self) -> u64 {
        let rows = self.threads.iter().flat_map(|state| state.rows.values()).flat_map(BTreeMap::values);
        rows.filter(|row| row.is_live).count() as u64
    }

    /// The collections that must or may be there.
    pub(super) fn collections(&self) -> BTreeSet<String> {
        let outcomes = self.threads.iter().flat_map(|state| [Some(&state.rows), state.under_way.as_ref()]);
        outcomes.flatten().flat_map(|rows| rows.keys().cloned()).collect()
    }
}

fn apply(rows: &mut Rows, number: u64, operation: &Operation) {
    match operation {
        Operation::Write { collection, changes } => {
            let Some(rows) = rows.get_mut(collection) else { return };
            for &(index, is_live) in changes {
                // A deleted row keeps its last version: nothing may be found by that vector.
                let version = if is_live { number } else { rows.get(&index).map_or(0, |row| row.version) };
                rows.insert(index, Written { version, is_live });
            }
        }
        Operation::Create(name) => drop(rows.insert(name.clone(), BTreeMap::new())),
        Operation::Remove(name) => drop(rows.remove(name)),
        Operation::Flush | Operation::Compact => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_acknowledged_must_be_there() {
        let mut model = Model::new(Workload { seed: 1 });
        for number in 1..200 {
            let before = model.threads[0].rows.clone();
            model.submit(0, number);
            assert_eq!(model.threads[0].rows, before);
            let after = model.threads[0].under_way.clone();
            model.acknowledge(0, number);
            assert_eq!(Some(&model.threads[0].rows), after.as_ref());
            // Said twice, or by another, it means nothing.
            model.acknowledge(0, number);
            model.acknowledge(1, number);
        }
        assert_eq!(model.acknowledged, 199);
        assert!(model.collections().len() > SHARED as usize);
    }
}
