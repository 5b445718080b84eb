//! Writes that are queued for the log and not applied yet, as far as others rest on them.
//!
//! **Problem.** A precondition is about the rows as they are after every write before it, also those that only wait for the
//! disk. The view does not show these yet. To wait for them would let a writer starve while others write the same row, or
//! make those wait for it.
//!
//! **Idea.** Each queued write leaves here what it will do to which ids. The view and these effects together give the etag
//! that a row will have, without waiting for anything.
//!
//! **A full disk** may refuse what is queued. It then refuses all that is queued at that moment; so whoever counted on a
//! refused write is refused as well, unless it was queued later. Therefore [`submit_unless_refused`](crate::wal::Log::submit_unless_refused) takes no
//! record if anything was refused since the effects were looked at; and of effects that were queued before a refusal nobody knows whether they come, but
//! the log does, so who asks for them waits until they were applied or given up, which takes no disk.
//!
//! **Cost.** An id is copied for each change, and forgotten when it is applied.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;

use super::row_sizes;
use super::state::{ViewState, lock};
use crate::batch::{Change, PreparedBatch};
use crate::error::{Error, Result};
use crate::point::{PointId, Precondition};
use crate::segment::Expiring;

/// What a change will do to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    /// Until then.
    Upserted {
        expires_at: i64,
    },
    /// If it is there; perhaps until then.
    Updated {
        expires_at: Option<i64>,
    },
    Deleted,
}

/// A write that was queued.
#[derive(Debug)]
pub(super) struct QueuedWrite {
    seq: u64,
    /// What the log had refused before it.
    refusals: u64,
    /// Rows that expire by then are not there for it.
    time_us: i64,
    /// The most that it makes of one row, or adds to it, in bytes.
    growth: usize,
    effects: Vec<(PointId, Effect)>,
}

/// A row that will be there.
#[derive(Clone, Copy, Debug)]
struct Row {
    etag: u64,
    expires_at: i64,
}

impl QueuedWrite {
    pub(super) fn new(seq: u64, refusals: u64, time_us: i64, batch: &PreparedBatch) -> Self {
        let effect = |change: &Change| match change {
            Change::Upsert(row) | Change::Rewrite(row) => Effect::Upserted { expires_at: row.expires_at },
            Change::Update(changes) => Effect::Updated { expires_at: changes.expires_at },
            Change::Delete(_) => Effect::Deleted,
        };
        let effects = batch.changes.iter().map(|change| (change.id().clone(), effect(change))).collect();
        Self { seq, refusals, time_us, growth: row_sizes::growth(batch), effects }
    }
}

/// Why an etag is not known.
#[derive(Debug)]
pub(super) enum Unknown {
    /// This write was applied or refused, and soon it is known which.
    Undecided(u64),
    Failed(Error),
}

impl From<Error> for Unknown {
    fn from(error: Error) -> Self {
        Unknown::Failed(error)
    }
}

#[derive(Debug, Default)]
struct State {
    /// Oldest first.
    writes: VecDeque<QueuedWrite>,
    /// The last that the view shows.
    applied: u64,
    /// Writes after these are kept until somebody has looked at them.
    kept_after: Vec<u64>,
}

/// The queued writes. Held for moments, under any lock but that of the log.
#[derive(Debug, Default)]
pub(super) struct Queued(Mutex<State>);

/// Keeps what is queued after a write, whether it is applied or not.
pub(super) struct KeptSince<'a> {
    queued: &'a Queued,
    seq: u64,
}

impl KeptSince<'_> {
    /// Whether a write after one that is no older is about one of these rows.
    pub(super) fn is_about(&self, ids: &HashSet<&PointId>, after: u64) -> bool {
        let state = lock(&self.queued.0);
        let since = state.writes.iter().filter(|write| write.seq > after.max(self.seq));
        since.flat_map(|write| &write.effects).any(|(id, _)| ids.contains(id))
    }
}

impl Drop for KeptSince<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.queued.0);
        if let Some(at) = state.kept_after.iter().position(|seq| *seq == self.seq) {
            state.kept_after.swap_remove(at);
        }
        state.shorten();
    }
}

impl State {
    fn shorten(&mut self) {
        let end = self.kept_after.iter().copied().min().map_or(self.applied, |kept| kept.min(self.applied));
        while self.writes.front().is_some_and(|write| write.seq <= end) {
            self.writes.pop_front();
        }
    }
}

impl Queued {
    pub(super) fn push(&self, write: QueuedWrite) {
        lock(&self.0).writes.push_back(write);
    }

    /// Forgets the writes up to one that the view shows.
    pub(super) fn forget(&self, applied: u64) {
        let mut state = lock(&self.0);
        state.applied = applied;
        state.shorten();
    }

    /// From now on keeps what is queued after a write that was applied, also once that is applied itself.
    pub(super) fn keep_after(&self, seq: u64) -> KeptSince<'_> {
        lock(&self.0).kept_after.push(seq);
        KeptSince { queued: self, seq }
    }

    /// The most that they all add to one row.
    pub(super) fn growth(&self) -> usize {
        lock(&self.0).writes.iter().map(|write| write.growth).sum()
    }

    /// The etags that rows will have at a moment; `None` of one that will not be there. `view` is called after the effects were
    /// taken, so that what was applied meanwhile is in one of them. Who holds `submit` has them for as long.
    pub(super) fn etags<'a, V: AsRef<ViewState>>(
        &self,
        ids: impl Iterator<Item = &'a PointId>,
        (refusals, now): (u64, i64),
        view: impl FnOnce() -> V,
    ) -> Result<HashMap<&'a PointId, Option<u64>>, Unknown> {
        let mut rows: HashMap<&PointId, Option<Row>> = ids.map(|id| (id, None)).collect();
        let effects = self.effects_on(&rows);
        let view = view();
        let view = view.as_ref();
        for (id, row) in &mut rows {
            *row = view.locate_sound(id)?.map(|(segment, slot)| {
                let segment = &view.segments[segment];
                Row { etag: segment.version(slot), expires_at: segment.expires_at(slot) }
            });
        }
        for (id, effect, write) in effects.into_iter().filter(|(.., write)| write.seq > view.seq) {
            if write.refusals != refusals {
                return Err(Unknown::Undecided(write.seq));
            }
            let etag = write.seq;
            // What the same write made is there until its end.
            let before = rows[id].filter(|row| row.etag == etag || row.expires_at > write.time_us);
            let row = match effect {
                Effect::Upserted { expires_at } => Some(Row { etag, expires_at }),
                Effect::Updated { expires_at } => {
                    before.map(|before| Row { etag, expires_at: expires_at.unwrap_or(before.expires_at) })
                }
                Effect::Deleted => None,
            };
            rows.insert(id, row);
        }
        let etag = |row: Option<Row>| row.filter(|row| row.expires_at > now).map(|row| row.etag);
        Ok(rows.into_iter().map(|(id, row)| (id, etag(row))).collect())
    }

    /// What queued writes do to some rows, in order.
    fn effects_on<'a>(
        &self,
        rows: &HashMap<&'a PointId, Option<Row>>,
    ) -> Vec<(&'a PointId, Effect, Queueing)> {
        let state = lock(&self.0);
        let of_write = |write: &QueuedWrite| {
            let queueing = Queueing { seq: write.seq, refusals: write.refusals, time_us: write.time_us };
            let known = |(id, effect): &(PointId, Effect)| {
                rows.get_key_value(id).map(|(id, _)| (*id, *effect, queueing))
            };
            write.effects.iter().filter_map(known).collect::<Vec<_>>()
        };
        state.writes.iter().flat_map(of_write).collect()
    }
}

/// When a write was queued: its number, what was refused before it, and the time.
#[derive(Clone, Copy, Debug)]
struct Queueing {
    seq: u64,
    refusals: u64,
    time_us: i64,
}

/// Fails with the first condition that does not hold.
pub(super) fn check(conditions: &[Precondition], etags: &HashMap<&PointId, Option<u64>>) -> Result<()> {
    for (index, Precondition { id, expect }) in conditions.iter().enumerate() {
        let actual = etags.get(id).copied().flatten();
        if !expect.is_met_by(actual) {
            let field = format!("preconditions[{index}]");
            return Err(Error::Precondition { field, id: id.clone(), expected: *expect, actual });
        }
    }
    Ok(())
}
