//! What must be in the store: the effect of what was acknowledged, and of each thread the one operation whose outcome
//! nobody was told.

use std::collections::{BTreeMap, BTreeSet};

use super::THREADS;
use super::copies::{Copies, Span};
use super::workload::{Change, Operation, SHARED, State, Workload, shared_name, snapshot_name};

/// A row that was written at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// That of a deleted row stays: nothing may be found by its vector.
    pub(super) state: State,
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
    pub(super) workload: Workload,
    pub(super) threads: Vec<Thread>,
    /// The archive beside the database.
    pub(super) copies: Copies,
    pub(super) acknowledged: u64,
}

impl Model {
    /// Of a database in which the shared collections were just made.
    pub(super) fn new(workload: Workload) -> Self {
        let shared: Rows = (0..SHARED).map(|index| (shared_name(index), BTreeMap::new())).collect();
        let thread = Thread { rows: shared, under_way: None, submitted: None, next: 1 };
        let threads = vec![thread; THREADS as usize];
        Self { workload, threads, copies: Copies::default(), acknowledged: 0 }
    }

    /// A thread said that it submits an operation.
    pub(super) fn submit(&mut self, thread: usize, number: u64) {
        let operation = self.operation(thread, number);
        let Some(state) = self.threads.get_mut(thread) else { return };
        let mut rows = state.rows.clone();
        apply(&mut rows, number, &operation);
        (state.submitted, state.under_way, state.next) = (Some(number), Some(rows), number + 1);
        match operation {
            Operation::Snapshot => self.copies.begin(snapshot_name(thread as u64, number), self.spans()),
            Operation::Archive => self.copies.begin_archiving(thread, self.spans()),
            _ => {}
        }
    }

    /// What a copy may hold that is begun now and was not answered yet.
    fn spans(&self) -> Vec<Span> {
        let span = |state: &Thread| {
            let under_way = state.submitted.filter(|_| state.under_way.is_some());
            let first = under_way.unwrap_or(state.next);
            Span { rows: state.rows.clone(), first, end: state.next }
        };
        self.threads.iter().map(span).collect()
    }

    fn next(&self) -> Vec<u64> {
        self.threads.iter().map(|state| state.next).collect()
    }

    /// What an operation is, by the collections that must be there.
    pub(super) fn operation(&self, thread: usize, number: u64) -> Operation {
        let rows = self.threads.get(thread).map(|state| &state.rows);
        let exists = |name: &str| rows.is_some_and(|rows| rows.contains_key(name));
        self.workload.operation(thread as u64, number, exists)
    }

    /// A thread said that its operation was acknowledged.
    pub(super) fn acknowledge(&mut self, thread: usize, number: u64) {
        let operation = self.operation(thread, number);
        let Some(state) = self.threads.get_mut(thread) else { return };
        if state.submitted != Some(number) {
            return;
        }
        if let Some(rows) = state.under_way.take() {
            (state.rows, state.submitted) = (rows, None);
            self.acknowledged += 1;
            let next = self.next();
            match operation {
                Operation::Snapshot => self.copies.taken(&snapshot_name(thread as u64, number), &next),
                Operation::Archive => self.copies.archived(thread, &next),
                Operation::Thin => self.copies.deleted(thread),
                _ => {}
            }
        }
    }

    /// A thread said that its operation gave way to somebody else, and did nothing.
    pub(super) fn give_way(&mut self, thread: usize, number: u64) {
        if self.threads.get(thread).is_some_and(|state| state.submitted == Some(number)) {
            self.copies.give_way(&snapshot_name(thread as u64, number));
        }
    }

    /// The process was killed.
    pub(super) fn stop(&mut self) {
        let next = self.next();
        self.copies.stop(&next);
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

/// What an operation does to the rows of its thread.
pub(super) fn apply(rows: &mut Rows, number: u64, operation: &Operation) {
    match operation {
        Operation::Write { collection, changes } => {
            let Some(rows) = rows.get_mut(collection) else { return };
            for &(index, change) in changes {
                let Written { state, is_live } = rows.get(&index).copied().unwrap_or_default();
                let written = match change {
                    Change::Upsert => Written { state: State::written(number), is_live: true },
                    Change::Update if is_live => Written { state: state.updated(number), is_live },
                    Change::Update => continue,
                    Change::Delete => Written { state, is_live: false },
                };
                rows.insert(index, written);
            }
        }
        Operation::Create(name) => drop(rows.insert(name.clone(), BTreeMap::new())),
        Operation::Remove(name) => drop(rows.remove(name)),
        Operation::Flush
        | Operation::Compact
        | Operation::Snapshot
        | Operation::Archive
        | Operation::Thin
        | Operation::Collect => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::live;
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

    #[test]
    fn a_copy_has_what_was_acknowledged_before_it_and_nothing_submitted_after() {
        let mut model = Model::new(Workload { seed: 2 });
        let mut after = vec![live(&model.threads[1].rows)];
        for number in 1..50 {
            model.submit(1, number);
            model.acknowledge(1, number);
            after.push(live(&model.threads[1].rows));
        }
        model.submit(1, 50);
        let taking = (1..).find(|&number| matches!(model.operation(0, number), Operation::Snapshot)).unwrap();
        let name = snapshot_name(0, taking);
        model.submit(0, taking);
        model.acknowledge(1, 50);
        after.push(live(&model.threads[1].rows));
        model.submit(1, 51);
        model.acknowledge(0, taking);
        model.acknowledge(1, 51);
        after.push(live(&model.threads[1].rows));
        model.submit(1, 52);
        model.acknowledge(1, 52);
        let span = &model.copies.snapshots[&name].spans[1];
        assert_eq!(span.states(model.workload, 1), &after[49..=51]);
        model.give_way(0, taking);
        assert!(model.copies.snapshots.contains_key(&name), "it was answered already");
    }
}
