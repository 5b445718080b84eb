//! What must be in the store: the effect of what was acknowledged, and of each thread the one operation whose outcome
//! nobody was told.

use std::collections::{BTreeMap, BTreeSet};

use super::THREADS;
use super::copies::{Copies, Span};
use super::rows::State;
use super::workload::{Change, Condition, Operation, SHARED, Workload, Write, shared_name, snapshot_name};

/// A row that was written at least once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// That of a deleted row stays: nothing may be found by its vector.
    pub(super) state: State,
    /// Whether it was not deleted since. It may have expired.
    pub(super) is_live: bool,
    /// Its etag, once somebody was told or read it.
    pub(super) etag: Option<u64>,
}

impl Written {
    /// Whether a row of this index is there at a moment.
    pub(super) fn is_there(&self, index: u64, clock: i64) -> bool {
        self.is_live && self.state.is_there(index, clock)
    }
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

/// What a thread was told of its operation.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// The number of its write.
    pub(super) seq: Option<u64>,
    /// Rows that it deleted.
    pub(super) deleted: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) workload: Workload,
    pub(super) threads: Vec<Thread>,
    /// The archive beside the database.
    pub(super) copies: Copies,
    pub(super) acknowledged: u64,
    /// The time, by which rows expire. It counts operations, and stands still until [`Model::go_on`].
    pub(super) clock: i64,
}

impl Model {
    /// Of a database in which the shared collections were just made.
    pub(super) fn new(workload: Workload) -> Self {
        let shared: Rows = (0..SHARED).map(|index| (shared_name(index), BTreeMap::new())).collect();
        let thread = Thread { rows: shared, under_way: None, submitted: None, next: 1 };
        let threads = vec![thread; THREADS as usize];
        Self { workload, threads, copies: Copies::default(), acknowledged: 0, clock: 0 }
    }

    /// Time goes by. What was under way is settled.
    pub(super) fn go_on(&mut self) {
        let next = self.next().into_iter().max().unwrap_or_default();
        self.clock = self.clock.max(next as i64);
    }

    /// A thread said that it submits an operation.
    pub(super) fn submit(&mut self, thread: usize, number: u64) {
        let (operation, clock) = (self.operation(thread, number), self.clock);
        let Some(state) = self.threads.get_mut(thread) else { return };
        let mut rows = state.rows.clone();
        apply(&mut rows, &operation, clock);
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
            Span { rows: state.rows.clone(), first, end: state.next, clock: self.clock }
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

    /// A thread said that its operation was acknowledged. The error is what is wrong with the answer.
    pub(super) fn acknowledge(&mut self, thread: usize, number: u64, answer: Answer) -> Result<(), String> {
        let (operation, clock) = (self.operation(thread, number), self.clock);
        let Some(state) = self.threads.get_mut(thread) else { return Ok(()) };
        if state.submitted != Some(number) {
            return Ok(());
        }
        let Some(mut rows) = state.under_way.take() else { return Ok(()) };
        let mut told = Ok(());
        if let Operation::DeleteOlder { collection, before } = &operation {
            let rows = &state.rows[collection];
            let expected =
                rows.iter().filter(|(index, row)| is_older(**index, row, *before, clock)).count() as u64;
            if answer.deleted != expected {
                told = Err(format!("{} rows of {expected} were deleted by a filter", answer.deleted));
            }
        }
        if let Some(write) = written(&operation) {
            // Rows of a collection that took another's place have etags that nobody was told: only those written are told now.
            for (index, _) in &write.changes {
                let row = rows.get_mut(&write.collection).and_then(|rows| rows.get_mut(index));
                if let Some(row) = row.filter(|row| row.etag.is_none()) {
                    row.etag = answer.seq;
                }
            }
        }
        (state.rows, state.submitted) = (rows, None);
        self.acknowledged += 1;
        let next = self.next();
        match operation {
            Operation::Snapshot => self.copies.taken(&snapshot_name(thread as u64, number), &next),
            Operation::Archive => self.copies.archived(thread, &next),
            Operation::Thin => self.copies.deleted(thread),
            _ => {}
        }
        told
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
        for (thread, state) in self.threads.iter().enumerate() {
            if let Some(number) = state.submitted.filter(|_| state.under_way.is_some()) {
                self.workload.unanswered.insert((thread as u64, number));
            }
        }
    }

    /// How many rows must be there.
    pub(super) fn live_rows(&self) -> u64 {
        let rows = self.threads.iter().flat_map(|state| state.rows.values()).flat_map(BTreeMap::iter);
        rows.filter(|(index, row)| row.is_there(**index, self.clock)).count() as u64
    }

    /// The collections that must or may be there.
    pub(super) fn collections(&self) -> BTreeSet<String> {
        let outcomes = self.threads.iter().flat_map(|state| [Some(&state.rows), state.under_way.as_ref()]);
        outcomes.flatten().flat_map(|rows| rows.keys().cloned()).collect()
    }
}

/// The write that an operation does.
fn written(operation: &Operation) -> Option<&Write> {
    match operation {
        Operation::Write(write) | Operation::Again(write) => {
            Some(write).filter(|write| write.condition != Condition::Fails)
        }
        _ => None,
    }
}

/// Whether a deletion of what was written before some operation is about a row.
fn is_older(index: u64, row: &Written, before: u64, clock: i64) -> bool {
    row.is_there(index, clock) && row.state.version < before
}

/// What an operation does, at a moment, to the rows of its thread.
pub(super) fn apply(rows: &mut Rows, operation: &Operation, clock: i64) {
    match operation {
        Operation::Write(_) | Operation::Again(_) => {
            let Some(write) = written(operation) else { return };
            let Some(rows) = rows.get_mut(&write.collection) else { return };
            // What has expired is gone for it; what it makes is there until its end.
            let is_there = |index: &u64, row: &Written| row.is_there(*index, clock);
            let gone: BTreeSet<u64> =
                rows.iter().filter(|(index, row)| !is_there(index, row)).map(|(index, _)| *index).collect();
            let mut made = BTreeSet::new();
            for &(index, change) in &write.changes {
                let mut row = rows.get(&index).copied().unwrap_or_default();
                let was_there = row.is_live && (made.contains(&index) || !gone.contains(&index));
                match change {
                    Change::Upsert => {
                        row = Written { state: State::written(write.number), is_live: true, etag: None };
                    }
                    Change::Update if was_there => {
                        (row.state, row.etag) = (row.state.updated(write.number), None);
                    }
                    Change::Update => continue,
                    Change::Delete => row.is_live = false,
                }
                made.insert(index);
                rows.insert(index, row);
            }
        }
        Operation::DeleteOlder { collection, before } => {
            let rows = rows.get_mut(collection).into_iter().flatten();
            for (index, row) in rows {
                row.is_live &= !is_older(*index, row, *before, clock);
            }
        }
        Operation::Create(name) => drop(rows.insert(name.clone(), BTreeMap::new())),
        Operation::Remove(name) => drop(rows.remove(name)),
        // They are there as before, under etags that nobody was told.
        Operation::Replace(name) => {
            let rows = rows.get_mut(name).into_iter().flat_map(BTreeMap::values_mut);
            rows.for_each(|row| row.etag = None);
        }
        Operation::Repeat(_)
        | Operation::Flush
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

    /// Acknowledges as a store does that numbers its writes.
    fn acknowledge(model: &mut Model, thread: usize, number: u64) {
        let deleted = match model.operation(thread, number) {
            Operation::DeleteOlder { collection, before } => {
                let rows = model.threads[thread].rows[&collection].iter();
                rows.filter(|(index, row)| is_older(**index, row, before, model.clock)).count() as u64
            }
            _ => 0,
        };
        model.acknowledge(thread, number, Answer { seq: Some(number), deleted }).unwrap();
    }

    #[test]
    fn only_what_was_acknowledged_must_be_there() {
        let mut model = Model::new(Workload::new(1));
        for number in 1..200 {
            let before = model.threads[0].rows.clone();
            model.submit(0, number);
            assert_eq!(model.threads[0].rows, before);
            let after = model.threads[0].under_way.clone().unwrap();
            acknowledge(&mut model, 0, number);
            assert_eq!(live(&model.threads[0].rows, 0), live(&after, 0));
            // Said twice, or by another, it means nothing.
            model.acknowledge(0, number, Answer::default()).unwrap();
            model.acknowledge(1, number, Answer::default()).unwrap();
        }
        assert_eq!(model.acknowledged, 199);
        assert!(model.collections().len() > SHARED as usize);
        // The others may have been replaced since.
        let shared = model.threads[0].rows.iter().filter(|(name, _)| name.starts_with("shared"));
        for row in shared.flat_map(|(_, rows)| rows.values()).filter(|row| row.is_live) {
            let State { version, note, remark, lease } = row.state;
            assert_eq!(row.etag, [version, note, remark, lease].into_iter().max(), "the last write's");
        }
        let deleting = (1..).find(|number| matches!(model.operation(0, *number), Operation::DeleteOlder { before, .. } if before > 0));
        model.submit(0, deleting.unwrap());
        let wrong = Answer { seq: Some(1), deleted: 1_000 };
        assert!(model.acknowledge(0, deleting.unwrap(), wrong).unwrap_err().contains("by a filter"));
    }

    #[test]
    fn what_has_expired_is_gone_for_writes_and_what_a_write_makes_is_not() {
        let name = shared_name(0);
        let write = |number, changes: &[(u64, Change)]| {
            let (collection, changes) = (shared_name(0), changes.to_vec());
            Operation::Write(Write {
                number,
                collection,
                changes,
                condition: Condition::Nothing,
                is_request: false,
            })
        };
        // A row that expires, and an update that has it live on.
        let (number, index) = (1..500)
            .flat_map(|number| (0..100).map(move |index| (number, index)))
            .find(|(number, index)| State::written(*number).expires_at(*index).is_some_and(|at| at > 0))
            .unwrap();
        let at = State::written(number).expires_at(index).unwrap();
        let lease = (number + 1..).find(|n| {
            let state = State::written(number).updated(*n);
            state.lease > 0 && state.expires_at(index).is_none()
        });
        let lease = lease.unwrap();
        let mut rows = Rows::from([(name.clone(), BTreeMap::new())]);
        apply(&mut rows, &write(number, &[(index, Change::Upsert)]), 0);
        assert_eq!((live(&rows, at - 1)[&name].len(), live(&rows, at)[&name].len()), (1, 0));
        let mut late = rows.clone();
        apply(&mut late, &write(lease, &[(index, Change::Update)]), at);
        assert_eq!(live(&late, at)[&name].len(), 0, "it was gone");
        apply(&mut rows, &write(lease, &[(index, Change::Update)]), at - 1);
        assert_eq!(live(&rows, at)[&name].len(), 1);
        let mut both = Rows::from([(name.clone(), BTreeMap::new())]);
        let changes = [(index, Change::Upsert), (index, Change::Update)];
        apply(&mut both, &write(lease, &changes), i64::MAX - 1);
        assert_eq!(live(&both, i64::MAX - 1)[&name].len(), 1, "what a batch makes it may change");
        apply(&mut both, &Operation::DeleteOlder { collection: name.clone(), before: lease }, 0);
        assert_eq!(live(&both, 0)[&name].len(), 1);
        apply(&mut both, &Operation::DeleteOlder { collection: name.clone(), before: lease + 1 }, 0);
        assert_eq!(live(&both, 0)[&name].len(), 0);
    }

    #[test]
    fn a_copy_has_what_was_acknowledged_before_it_and_nothing_submitted_after() {
        let mut model = Model::new(Workload::new(2));
        let mut after = vec![live(&model.threads[1].rows, 0)];
        for number in 1..50 {
            model.submit(1, number);
            acknowledge(&mut model, 1, number);
            after.push(live(&model.threads[1].rows, 0));
        }
        model.submit(1, 50);
        let taking = (1..).find(|&number| matches!(model.operation(0, number), Operation::Snapshot)).unwrap();
        let name = snapshot_name(0, taking);
        model.submit(0, taking);
        acknowledge(&mut model, 1, 50);
        after.push(live(&model.threads[1].rows, 0));
        model.submit(1, 51);
        acknowledge(&mut model, 0, taking);
        acknowledge(&mut model, 1, 51);
        after.push(live(&model.threads[1].rows, 0));
        model.submit(1, 52);
        acknowledge(&mut model, 1, 52);
        let span = &model.copies.snapshots[&name].spans[1];
        assert_eq!(span.states(&model.workload, 1, 0), &after[49..=51]);
        model.give_way(0, taking);
        assert!(model.copies.snapshots.contains_key(&name), "it was answered already");
    }

    #[test]
    fn what_was_under_way_is_sent_again_by_the_next_process() {
        let mut model = Model::new(Workload::new(4));
        let is_request =
            |operation: &Operation| matches!(operation, Operation::Write(write) if write.is_request);
        let number = (1..).find(|number| is_request(&model.operation(2, *number))).unwrap();
        for number in 1..number {
            model.submit(2, number);
            acknowledge(&mut model, 2, number);
        }
        model.submit(2, number);
        model.stop();
        for came_through in [false, true] {
            let mut model = model.clone();
            let state = &mut model.threads[2];
            let through = state.under_way.take().unwrap();
            if came_through {
                state.rows = through.clone();
            }
            model.go_on();
            assert!(
                matches!(model.operation(2, number + 1), Operation::Again(write) if write.number == number)
            );
            model.clock = 0;
            model.submit(2, number + 1);
            acknowledge(&mut model, 2, number + 1);
            assert_eq!(live(&model.threads[2].rows, 0), live(&through, 0), "done once");
        }
    }
}
