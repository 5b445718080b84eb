//! What the threads of the writer do: operation `number` of a thread is a pure function of the seed, and of what was under way
//! when processes were killed.
//!
//! Few ids are written over and over: most rows of a segment are soon dead, and merges have work all the time.
//!
//! **Requests.** Some writes have the id of a request. One that nobody was told of when the process was killed is sent again by the
//! next one, at once, and is done then, whatever became of it before. One that was answered is sent again some time later, also by
//! another process, and must not be done twice.

use std::collections::BTreeSet;

use ragstone::{Analyzer, Batch, Clock, DbOptions, EncodingKind, Metric, Result, Schema};

use super::rows::{DIMENSION, Random, Row, State};

/// Collections that all threads write to.
pub(super) const SHARED: u64 = 2;
/// Collections that each thread makes and removes.
const OWN: u64 = 2;
/// Rows of a thread in a collection.
const IDS: u64 = 120;
/// Kinds of operations, as often as they are to be.
const KINDS: u64 = 200;
/// Those from this one on are writes.
const FIRST_WRITE: u64 = 41;
/// A request is sent again within so many operations of its thread.
const REPEATED_WITHIN: u64 = 40;

/// What becomes of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Upsert,
    /// If it is there.
    Update,
    Delete,
}

/// What a write asks for before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Nothing,
    /// That its first rows are as they are: there or not, by their etags or without.
    Holds,
    /// That one of them is as it is not. So nothing comes of it.
    Fails,
}

/// A write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// The operation that it is, or was at first.
    pub(super) number: u64,
    pub(super) collection: String,
    pub(super) changes: Vec<(u64, Change)>,
    pub(super) condition: Condition,
    /// Whether it has the id of a request.
    pub(super) is_request: bool,
}

impl Write {
    /// Its batch, but for the conditions.
    pub(super) fn batch(&self, thread: u64) -> Batch {
        let batch = self.changes.iter().fold(Batch::new(), |batch, &(index, change)| {
            let row = Row { thread, index };
            match change {
                Change::Upsert => batch.upsert(row.point(State::written(self.number))),
                Change::Update => batch.update(row.update(self.number)),
                Change::Delete => batch.delete(row.id()),
            }
        });
        match self.is_request {
            true => batch.request(format!("request {thread} {}", self.number)),
            false => batch,
        }
    }
}

/// What a thread does in one go.
#[derive(Clone, Debug)]
pub(super) enum Operation {
    Write(Write),
    /// A request that nobody was told of, once more.
    Again(Write),
    /// A request that was answered, once more.
    Repeat(Write),
    /// Deletes the thread's rows that operations before this one wrote.
    DeleteOlder {
        collection: String,
        before: u64,
    },
    Create(String),
    Remove(String),
    /// Has another collection, with the same rows, take the place of one of the thread's own.
    Replace(String),
    Flush,
    Compact,
    /// Takes a snapshot, named by [`snapshot_name`].
    Snapshot,
    /// Archives the log.
    Archive,
    /// Deletes the older snapshots of the thread.
    Thin,
    /// Removes what no snapshot needs.
    Collect,
}

/// What a seed stands for.
#[derive(Clone, Debug, Default)]
pub(super) struct Workload {
    pub(super) seed: u64,
    /// Threads and numbers of the operations that were under way when a process was killed.
    pub(super) unanswered: BTreeSet<(u64, u64)>,
}

impl Workload {
    /// That of a seed, before anything was killed.
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Those of the operations under way that decide what is done from these numbers on.
    pub(super) fn unanswered_near(&self, next: &[u64]) -> Vec<(u64, u64)> {
        let is_near = |(thread, number): &&(u64, u64)| {
            next.get(*thread as usize).is_some_and(|next| number + REPEATED_WITHIN + 1 >= *next)
        };
        self.unanswered.iter().filter(is_near).copied().collect()
    }

    /// Operation `number` of a thread, if the collections that exist are these.
    pub(super) fn operation(&self, thread: u64, number: u64, exists: impl Fn(&str) -> bool) -> Operation {
        let before = number.saturating_sub(1);
        if self.unanswered.contains(&(thread, before))
            && let Some(write) = self.request(thread, before)
        {
            return Operation::Again(write);
        }
        let (mut random, own, kind) = self.begin(thread, number);
        match kind {
            0..6 => Operation::Flush,
            6..8 => Operation::Compact,
            8..11 if exists(&own) => Operation::Remove(own),
            11..16 if exists(&own) => Operation::Replace(own),
            16..19 => Operation::Snapshot,
            19..21 => Operation::Archive,
            21 => Operation::Thin,
            22 => Operation::Collect,
            23..29 => {
                let (collection, age) = (shared_name(random.below(SHARED)), random.below(80));
                Operation::DeleteOlder { collection, before: number.saturating_sub(age) }
            }
            29..FIRST_WRITE => match self.answered_request(thread, number, &mut random) {
                Some(write) => Operation::Repeat(write),
                None => Operation::Flush,
            },
            _ if is_own(kind) && !exists(&own) => Operation::Create(own),
            _ => {
                let shared = shared_name(random.below(SHARED));
                let collection = if is_own(kind) { own } else { shared };
                Operation::Write(write(number, collection, !is_own(kind), &mut random))
            }
        }
    }

    /// What decides about an operation: what comes next, a collection of the thread's own, and the kind, below [`KINDS`].
    fn begin(&self, thread: u64, number: u64) -> (Random, String, u64) {
        let mut random = Random(self.seed ^ (number << 8 | thread).wrapping_mul(0xD1B5_4A32_D192_ED03));
        let own = own_name(thread, random.below(OWN));
        let kind = random.below(KINDS);
        (random, own, kind)
    }

    /// The request that an operation was, if it was one. All of them are in collections that are always there.
    fn request(&self, thread: u64, number: u64) -> Option<Write> {
        let (mut random, _, kind) = self.begin(thread, number);
        // Behind one that nobody was told of, there may be that once more.
        let is_again = number > 0 && self.unanswered.contains(&(thread, number - 1));
        if is_again || kind < FIRST_WRITE || is_own(kind) {
            return None;
        }
        let shared = shared_name(random.below(SHARED));
        Some(write(number, shared, true, &mut random)).filter(|write| write.is_request)
    }

    /// A request that was answered before an operation.
    fn answered_request(&self, thread: u64, number: u64, random: &mut Random) -> Option<Write> {
        let first = number.saturating_sub(REPEATED_WITHIN).max(1);
        let start = first + random.below(number - first);
        let numbers = (start..number).chain(first..start);
        let answered = numbers.filter(|earlier| !self.unanswered.contains(&(thread, *earlier)));
        answered.filter_map(|earlier| self.request(thread, earlier)).next()
    }
}

/// Whether a write of this kind is to a collection of the thread's own.
fn is_own(kind: u64) -> bool {
    kind.is_multiple_of(3)
}

/// One row, some, or many at once; now and then the same one twice, and now and then most of them deleted.
fn write(number: u64, collection: String, is_shared: bool, random: &mut Random) -> Write {
    let count = [1, 1, 4, 12, 40][random.below(5) as usize];
    let deletes_in_ten = if random.below(8) == 0 { 8 } else { 2 };
    let mut change = || match random.below(10) {
        kind if kind < deletes_in_ten => Change::Delete,
        8 | 9 => Change::Update,
        _ => Change::Upsert,
    };
    let kinds: Vec<Change> = (0..count).map(|_| change()).collect();
    let changes = kinds.into_iter().map(|kind| (random.below(IDS), kind)).collect();
    let condition = match random.below(10) {
        0 => Condition::Fails,
        1 | 2 => Condition::Holds,
        _ => Condition::Nothing,
    };
    let is_request = is_shared && condition != Condition::Fails && random.below(2) == 0;
    Write { number, collection, changes, condition, is_request }
}

/// A collection that all threads write to.
pub(super) fn shared_name(index: u64) -> String {
    format!("shared-{index}")
}

/// The snapshot that an operation takes.
pub(super) fn snapshot_name(thread: u64, number: u64) -> String {
    format!("s-{thread}-{number:010}")
}

fn own_name(thread: u64, index: u64) -> String {
    format!("own-{thread}-{index}")
}

/// A schema; the encoding goes with the name.
pub(super) fn schema(name: &str) -> Result<Schema> {
    let encoding = match name.as_bytes().last() {
        Some(b'0') => EncodingKind::Int4,
        _ => EncodingKind::Int8,
    };
    let schema = Schema::builder(DIMENSION).metric(Metric::L2).encoding(encoding);
    // Declared, so that there is something to delete by in a collection without rows.
    let schema = schema.field("thread", ragstone::FieldType::Int).field("version", ragstone::FieldType::Int);
    schema.text("remark", Analyzer::Standard).build()
}

/// Segments and log files so small that sealing, merging and cutting never rest; and all of the log is kept until it is
/// archived. The clock stands still as long as the database is open: what is to be there does not depend on how the threads take turns.
pub(super) fn options(clock: i64) -> DbOptions {
    let mut options = DbOptions::default();
    options.seal_rows = 150;
    options.log_file_bytes = 16 << 10;
    options.keep_log_bytes = Some(1 << 30);
    options.clock = Clock::new(move || clock);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sent_again_and_those_that_nobody_was_told_of_at_once() {
        let mut workload = Workload::new(3);
        let operations = |workload: &Workload| -> Vec<Operation> {
            (1..600).map(|number| workload.operation(1, number, |_| true)).collect()
        };
        let before = operations(&workload);
        let is_request =
            |operation: &Operation| matches!(operation, Operation::Write(write) if write.is_request);
        let requests: Vec<u64> =
            (1..600).filter(|number| is_request(&before[*number as usize - 1])).collect();
        let repeated: Vec<&Write> = before
            .iter()
            .filter_map(|operation| match operation {
                Operation::Repeat(write) => Some(write),
                _ => None,
            })
            .collect();
        assert!(requests.len() > 100 && repeated.len() > 20, "{} {}", requests.len(), repeated.len());
        for write in &repeated {
            assert!(matches!(&before[write.number as usize - 1], Operation::Write(first) if first == *write));
        }
        // Any of those that are repeated may be the one under way.
        let killed = repeated[5].number;
        workload.unanswered.insert((1, killed));
        for (number, operation) in (1..).zip(operations(&workload)) {
            match operation {
                Operation::Again(write) => assert_eq!((write.number, number), (killed, killed + 1)),
                Operation::Repeat(write) => assert_ne!(write.number, killed),
                _ => assert_ne!(number, killed + 1),
            }
        }
        assert_eq!(workload.unanswered_near(&[0, killed + 1]), [(1, killed)]);
        assert_eq!(workload.unanswered_near(&[0, killed + 100]), []);
    }
}
