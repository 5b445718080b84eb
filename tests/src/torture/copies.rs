//! What must be in the archive, and what a copy that comes out of it must hold.
//!
//! A copy is a database as it was at one moment between the call that took it and the answer. Of each thread it has
//! everything that was acknowledged before the call, perhaps some of the operations that were submitted before the answer,
//! in their order, and nothing else: a [`Span`] of states for each.

use std::collections::{BTreeMap, BTreeSet};

use super::compare::{Live, live};
use super::model::{Rows, apply};
use super::workload::Workload;

/// Fewer answers than these are left to chance.
const ANSWERS_JUDGED: u64 = 20;

/// The states of one thread that a copy may have.
#[derive(Clone, Debug)]
pub(super) struct Span {
    /// What was acknowledged when the copy was begun.
    pub(super) rows: Rows,
    /// The first operation that was not.
    pub(super) first: u64,
    /// The one behind the last that was submitted before the copy was done.
    pub(super) end: u64,
    /// The time of all of them.
    pub(super) clock: i64,
}

impl Span {
    /// Each of them, oldest first, without what has expired by now.
    pub(super) fn states(&self, workload: &Workload, thread: u64, now: i64) -> Vec<Live> {
        let (mut rows, mut states) = (self.rows.clone(), vec![live(&self.rows, now)]);
        for number in self.first..self.end {
            let operation = workload.operation(thread, number, |name| rows.contains_key(name));
            apply(&mut rows, &operation, self.clock);
            states.push(live(&rows, now));
        }
        states
    }
}

/// Where a snapshot is between its first file and its end.
///
/// ```text
/// Begun -> Taken -> Deleting -> gone
/// Begun -> gone                    it gave way, or was killed before its manifest
/// Deleting -> Taken                killed before the manifest was removed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Begun,
    Taken,
    Deleting,
}

/// A snapshot.
#[derive(Clone, Debug)]
pub(super) struct Copy {
    pub(super) stage: Stage,
    pub(super) spans: Vec<Span>,
    /// When it was begun and when it was done, in numbers of what was heard.
    begun: u64,
    done: u64,
}

/// The log that was archived last.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    /// The last write in it.
    pub(super) position: u64,
    pub(super) spans: Vec<Span>,
    begun: u64,
}

/// How calls for a snapshot were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) taken: u64,
    /// Those that gave way to a collection.
    pub(super) gave_way: u64,
}

impl Answers {
    pub(super) fn add(&mut self, other: Self) {
        self.taken += other.taken;
        self.gave_way += other.gave_way;
    }

    /// Whether most gave way, and not by chance: then little was tried, and that nothing is wrong says little.
    pub(super) fn are_mostly_refusals(self) -> bool {
        self.gave_way > self.taken && self.gave_way + self.taken >= ANSWERS_JUDGED
    }
}

/// The archive.
#[derive(Clone, Debug, Default)]
pub(super) struct Copies {
    pub(super) snapshots: BTreeMap<String, Copy>,
    /// Threads that archive the log, with what they were told by it so far.
    archiving: BTreeMap<usize, Moment>,
    pub(super) moment: Option<Moment>,
    pub(super) answers: Answers,
    now: u64,
}

impl Copies {
    /// A snapshot is about to be taken.
    pub(super) fn begin(&mut self, name: String, spans: Vec<Span>) {
        self.now += 1;
        let copy = Copy { stage: Stage::Begun, spans, begun: self.now, done: u64::MAX };
        self.snapshots.insert(name, copy);
    }

    /// A snapshot was acknowledged; these numbers are the next of each thread.
    pub(super) fn taken(&mut self, name: &str, next: &[u64]) {
        self.now += 1;
        if let Some(copy) = self.snapshots.get_mut(name) {
            (copy.stage, copy.done) = (Stage::Taken, self.now);
            close(&mut copy.spans, next);
            self.answers.taken += 1;
        }
    }

    /// Whoever took this snapshot, if one was being taken, gave way.
    pub(super) fn give_way(&mut self, name: &str) {
        if self.snapshots.remove(name).is_some() {
            self.answers.gave_way += 1;
        }
    }

    /// A snapshot is about to be deleted.
    pub(super) fn delete(&mut self, name: &str) {
        if let Some(copy) = self.snapshots.get_mut(name) {
            copy.stage = Stage::Deleting;
        }
    }

    /// A thread is done with deleting its own: those that it began to delete are gone.
    pub(super) fn deleted(&mut self, thread: usize) {
        let own = format!("s-{thread}-");
        self.snapshots.retain(|name, copy| copy.stage != Stage::Deleting || !name.starts_with(&own));
    }

    /// The log is about to be archived.
    pub(super) fn begin_archiving(&mut self, thread: usize, spans: Vec<Span>) {
        self.now += 1;
        self.archiving.insert(thread, Moment { position: 0, spans, begun: self.now });
    }

    /// The position up to which the log is archived.
    pub(super) fn reach(&mut self, thread: usize, position: u64) {
        if let Some(moment) = self.archiving.get_mut(&thread) {
            moment.position = position;
        }
    }

    /// That was acknowledged.
    pub(super) fn archived(&mut self, thread: usize, next: &[u64]) {
        if let Some(mut moment) = self.archiving.remove(&thread) {
            close(&mut moment.spans, next);
            self.moment = Some(moment);
        }
    }

    /// The process was killed. What it was at may be done or not.
    pub(super) fn stop(&mut self, next: &[u64]) {
        self.archiving.clear();
        for copy in self.snapshots.values_mut().filter(|copy| copy.stage == Stage::Begun) {
            close(&mut copy.spans, next);
        }
    }

    /// Compares the names with those of an archive at which nobody works, and settles what became of what was under way.
    /// Those that were acknowledged and are missing, those that nobody made, and those that were under way and are there.
    pub(super) fn settle(&mut self, listed: &BTreeSet<String>) -> Settled {
        let mut settled = Settled::default();
        settled.phantom.extend(listed.iter().filter(|name| !self.snapshots.contains_key(*name)).cloned());
        self.now += 1;
        self.snapshots.retain(|name, copy| {
            match (copy.stage, listed.contains(name)) {
                (Stage::Taken, true) => return true,
                (Stage::Taken, false) => settled.lost.push((name.clone(), copy.clone())),
                (Stage::Begun, true) => copy.done = self.now,
                (Stage::Deleting, true) => {}
                (Stage::Begun | Stage::Deleting, false) => return false,
            }
            let is_there = copy.stage != Stage::Taken;
            if is_there {
                copy.stage = Stage::Taken;
                settled.unanswered.push(name.clone());
            }
            is_there
        });
        settled
    }

    /// The snapshot that was begun last.
    pub(super) fn newest(&self) -> Option<&String> {
        self.snapshots.iter().max_by_key(|(_, copy)| copy.begun).map(|(name, _)| name)
    }

    /// Whether some snapshot leads to the archived moment: it was done before that was begun.
    pub(super) fn leads_to_moment(&self) -> bool {
        let begun = self.moment.as_ref().map_or(0, |moment| moment.begun);
        self.snapshots.values().any(|copy| copy.done < begun)
    }
}

/// What [`Copies::settle`] found.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) lost: Vec<(String, Copy)>,
    pub(super) phantom: Vec<String>,
    pub(super) unanswered: Vec<String>,
}

fn close(spans: &mut [Span], next: &[u64]) {
    spans.iter_mut().zip(next).for_each(|(span, next)| span.end = *next);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn what_was_under_way_may_be_there_and_what_was_answered_must() {
        let mut copies = Copies::default();
        for name in ["s-0-1", "s-0-2", "s-0-3", "s-0-4", "s-0-5"] {
            copies.begin(name.into(), Vec::new());
        }
        ["s-0-1", "s-0-2", "s-0-3"].iter().for_each(|name| copies.taken(name, &[]));
        copies.delete("s-0-2");
        copies.delete("s-0-3");
        copies.stop(&[]);
        let settled = copies.settle(&names(&["s-0-2", "s-0-4", "s-9-9"]));
        assert_eq!(settled.lost.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["s-0-1"]);
        assert_eq!(settled.phantom, ["s-9-9"]);
        assert_eq!(settled.unanswered, ["s-0-2", "s-0-4"]);
        assert_eq!(copies.newest().unwrap(), "s-0-4");
        // From now on they must stay.
        assert_eq!(copies.settle(&names(&["s-0-4"])).lost.len(), 1);
    }

    #[test]
    fn what_gave_way_is_counted() {
        let mut copies = Copies::default();
        for number in 0..ANSWERS_JUDGED {
            assert!(!copies.answers.are_mostly_refusals(), "{:?}", copies.answers);
            let name = format!("s-0-{number}");
            copies.begin(name.clone(), Vec::new());
            if number < 9 {
                copies.taken(&name, &[])
            } else {
                copies.give_way(&name)
            }
            copies.give_way("a collection is no snapshot");
        }
        assert_eq!(copies.answers, Answers { taken: 9, gave_way: 11 });
        assert!(copies.answers.are_mostly_refusals());
        copies.answers.add(Answers { taken: 2, gave_way: 0 });
        assert!(!copies.answers.are_mostly_refusals());
        assert_eq!(copies.snapshots.len(), 9);
    }

    #[test]
    fn a_snapshot_leads_to_what_was_archived_after_it() {
        let mut copies = Copies::default();
        copies.begin("s-0-1".into(), Vec::new());
        copies.begin_archiving(1, Vec::new());
        copies.taken("s-0-1", &[]);
        copies.archived(1, &[]);
        assert!(!copies.leads_to_moment());
        copies.begin_archiving(1, Vec::new());
        copies.archived(1, &[]);
        assert!(copies.leads_to_moment());
        copies.delete("s-0-1");
        copies.deleted(1);
        assert!(copies.leads_to_moment(), "it is another thread's");
        copies.deleted(0);
        assert!(!copies.leads_to_moment());
    }
}
