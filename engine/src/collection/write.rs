//! A write on its way: checked, numbered and queued for the log, durable, applied.
//!
//! What depends on other writes (which fields there are, whether [preconditions](crate::Precondition) hold) is decided under
//! `submit`, in the order of the log and before it. What is logged has no conditions, so whoever reads it back decides nothing.

use std::sync::{Arc, Condvar, MutexGuard, PoisonError};
use std::time::Duration;

use super::WriteReceipt;
use super::queued::{self, QueuedWrite, Unknown};
use super::requests::Known;
use super::restricted::Restricted;
use super::row_sizes::{self, Counted};
use super::state::{CollectionCore, Submit, lock};
use crate::batch::{Change, PreparedBatch};
use crate::db::Store;
use crate::error::{Error, Result};
use crate::interrupt::{Token, check_wanted};
use crate::limits::{BATCH_BYTES_MAX, check_limit};
use crate::payload::FieldTable;
use crate::point::{Batch, Precondition};
use crate::scope::RowFilter;
use crate::validate;
use crate::wal::{Record, Ticket};

/// How often a write that waits while writes are held looks whether it is wanted still.
const HELD_LOOK: Duration = Duration::from_millis(20);

/// A write that is queued for the log.
#[derive(Debug)]
pub(super) struct Submitted {
    seq: u64,
    ticket: Ticket,
    time_us: i64,
}

/// What became of a batch that wanted to be queued.
pub(super) enum Outcome {
    Queued(Submitted),
    /// Its request was done before, with this receipt.
    Repeated(WriteReceipt),
    /// It changes nothing.
    Nothing,
}

/// Where a write stands among those of its collection, and of the database.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) seq: u64,
    pub(crate) position: u64,
}

impl CollectionCore {
    /// Checks, logs and applies a batch; until it is queued it may be that it is not wanted any more. Of a handle that does not show all rows, it is first
    /// made one of those that it may write.
    pub(crate) fn write_wanted(
        self: &Arc<Self>,
        store: &Store,
        mut batch: Batch,
        (token, rows): (Token<'_>, Option<&RowFilter>),
    ) -> Result<WriteReceipt> {
        check_wanted(token)?;
        store.log.check()?;
        // What a write replaces is looked up in every segment.
        self.view.load().check()?;
        let conditions = std::mem::take(&mut batch.preconditions);
        validate::preconditions(&conditions)?;
        let mut prepared = validate::prepare(batch, &self.schema)?;
        if !prepared.changes.is_empty() && !self.is_repeated(&prepared, rows) {
            store.wait_for_room(self, token)?;
        }
        let submitted = match rows {
            Some(_) => None,
            None => self.submit(store, &prepared, &conditions, token)?,
        };
        let outcome = match (submitted, rows) {
            (Some(outcome), _) => outcome,
            (None, None) => {
                let mut counted = Counted(prepared);
                let outcome = self.submit_resolved(store, &mut counted, &conditions, token)?;
                prepared = counted.0;
                outcome
            }
            (None, Some(rows)) => {
                let mut restricted = Restricted::new(rows, prepared, &conditions);
                let outcome = self.submit_resolved(store, &mut restricted, &conditions, token)?;
                prepared = restricted.finish();
                outcome
            }
        };
        match outcome {
            Outcome::Queued(submitted) => self.finish(store, submitted, prepared),
            Outcome::Repeated(receipt) => Ok(WriteReceipt { repeated: true, ..receipt }),
            Outcome::Nothing => Ok(WriteReceipt { missing: prepared.passed_over, ..self.unchanged(store) }),
        }
    }

    /// A write that somebody always wants.
    #[cfg(test)]
    pub(crate) fn write(self: &Arc<Self>, store: &Store, batch: Batch) -> Result<WriteReceipt> {
        self.write_wanted(store, batch, (None, None))
    }

    /// The receipt of a write that is none.
    pub(super) fn unchanged(&self, store: &Store) -> WriteReceipt {
        let position = store.log.mark().position;
        WriteReceipt { seq: self.view().seq, position, ..WriteReceipt::default() }
    }

    /// Logs and applies a batch without changes, which only lists fields; strict or not, they are new ones.
    pub(super) fn write_fields(
        self: &Arc<Self>,
        store: &Store,
        batch: PreparedBatch,
        token: Token<'_>,
    ) -> Result<WriteReceipt> {
        store.wait_for_room(self, token)?;
        let mut body = batch.encode();
        let mut submit = self.lock_submit(store, token)?;
        validate::resolve_fields(&batch, &mut submit.fields, false)?;
        let submitted = self.queue(store, &mut submit, (&batch, &mut body), None)?;
        drop(submit);
        match submitted {
            Some(submitted) => self.finish(store, submitted, batch),
            None => unreachable!("it rests on nothing"),
        }
    }

    /// Waits until a queued batch is durable, and applies it.
    pub(super) fn finish(
        self: &Arc<Self>,
        store: &Store,
        Submitted { seq, ticket, time_us }: Submitted,
        prepared: PreparedBatch,
    ) -> Result<WriteReceipt> {
        let place = Place { seq, position: ticket.0 };
        if let Err(error) = store.log.wait(ticket) {
            if error.is_full() {
                // Its number stands for nothing, and comes in its turn.
                if let Some(id) = &prepared.request_id {
                    self.requests.forget(id, seq);
                }
                self.apply_in_turn(store, place, PreparedBatch::default())?;
            } else {
                // Nobody waits for it to be applied: they look at the log.
                drop(lock(&self.apply));
                self.applied.notify_all();
            }
            return Err(error);
        }
        let receipt = self.apply_in_turn(store, place, PreparedBatch { time_us, ..prepared })?;
        store.after_write(self)?;
        Ok(receipt)
    }

    /// Gives a batch its number and queues it for the log, if its request was not done before, and its conditions hold after all
    /// that were queued before. `None` if it may take a row over its limit, which only the rows can tell.
    fn submit(
        &self,
        store: &Store,
        prepared: &PreparedBatch,
        conditions: &[Precondition],
        token: Token<'_>,
    ) -> Result<Option<Outcome>> {
        let mut body = prepared.encode();
        check_limit("points", "BATCH_BYTES_MAX", BATCH_BYTES_MAX, body.len())?;
        let updates = prepared.changes.iter().any(|change| matches!(change, Change::Update(_)));
        let growth = updates.then(|| row_sizes::growth(prepared));
        loop {
            let mut submit = self.lock_submit(store, token)?;
            let refusals = store.log.refusals();
            match self.decide(&submit, refusals, prepared, conditions) {
                Ok(None) if prepared.changes.is_empty() => return Ok(Some(Outcome::Nothing)),
                Ok(None) if growth.is_some_and(|growth| self.may_outgrow(growth)) => return Ok(None),
                Ok(None) => {}
                Ok(Some(receipt)) => return Ok(Some(Outcome::Repeated(receipt))),
                Err(Unknown::Failed(error)) => return Err(error),
                Err(Unknown::Undecided(seq)) => {
                    drop(submit);
                    self.wait_applied(store, seq)?;
                    continue;
                }
            }
            validate::resolve_fields(prepared, &mut submit.fields, self.schema.strict)?;
            let rests_on = (!conditions.is_empty()).then_some(refusals);
            if let Some(submitted) = self.queue(store, &mut submit, (prepared, &mut body), rests_on)? {
                return Ok(Some(Outcome::Queued(submitted)));
            }
        }
    }

    /// What is known of the request of a batch, if it is one, by a write that would get the number `next`.
    pub(super) fn known(&self, batch: &PreparedBatch, next: u64) -> Option<Known> {
        self.requests.find(batch.request_id.as_deref()?, next)
    }

    /// Whether a batch may be queued; if its request was done before, the receipt.
    pub(super) fn decide(
        &self,
        submit: &Submit,
        refusals: u64,
        prepared: &PreparedBatch,
        conditions: &[Precondition],
    ) -> Result<Option<WriteReceipt>, Unknown> {
        match self.known(prepared, submit.next_seq) {
            Some(Known::Done(receipt)) => return Ok(Some(receipt)),
            Some(Known::Queued(seq)) => return Err(Unknown::Undecided(seq)),
            None => {}
        }
        let ids = conditions.iter().map(|condition| &condition.id);
        let etags = self.queued.etags(ids, (refusals, submit.time_us), || self.view())?;
        queued::check(conditions, &etags)?;
        Ok(None)
    }

    /// The turn to queue writes; by its time rows are there for them, or not. Who waits while writes are held does so for as long as the
    /// write is wanted.
    pub(super) fn lock_submit(&self, store: &Store, token: Token<'_>) -> Result<MutexGuard<'_, Submit>> {
        let mut submit = lock(&self.submit);
        while submit.is_held && !self.is_deleted() {
            check_wanted(token)?;
            submit = match token {
                None => self.released.wait(submit).unwrap_or_else(PoisonError::into_inner),
                // Nobody wakes a waiter whose token is cancelled: it looks by itself.
                Some(_) => {
                    let waited = self.released.wait_timeout(submit, HELD_LOOK);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        self.forget_refused(store, &mut submit)?;
        // Whatever the clock does, the times of writes never go back.
        submit.time_us = submit.time_us.max(self.clock.now_us());
        match self.is_deleted() {
            true => Err(self.gone()),
            false => Ok(submit),
        }
    }

    /// Takes back the fields that writes brought which a full disk refused: a field that never came may be of any type, and searched
    /// by word with any analyser. Whose they were is known once all that was queued is applied or given up. Until the log says so, another type is
    /// still refused to writers that come meanwhile.
    fn forget_refused(&self, store: &Store, submit: &mut Submit) -> Result<()> {
        let refusals = store.log.refusals();
        if submit.refusals != refusals {
            self.wait_applied(store, submit.next_seq - 1)?;
            submit.fields = FieldTable::clone(&self.view().fields);
            submit.refusals = refusals;
        }
        Ok(())
    }

    /// Gives a batch its number and queues it for the log. `None` if it rests on what was queued when so much was refused, and
    /// more was refused since.
    pub(super) fn queue(
        &self,
        store: &Store,
        submit: &mut Submit,
        (prepared, body): (&PreparedBatch, &mut [u8]),
        rests_on: Option<u64>,
    ) -> Result<Option<Submitted>> {
        let seq = submit.next_seq;
        let refusals = rests_on.unwrap_or_else(|| store.log.refusals());
        PreparedBatch::set_time(body, submit.time_us);
        let record = Record { log_id: self.id, seq, body };
        let ticket = match rests_on {
            None => store.log.submit(record)?,
            Some(refusals) => match store.log.submit_unless_refused(record, refusals)? {
                Some(ticket) => ticket,
                None => return Ok(None),
            },
        };
        submit.next_seq += 1;
        self.queued.push(QueuedWrite::new(seq, refusals, submit.time_us, prepared));
        if let Some(id) = &prepared.request_id {
            self.requests.queue(id, seq);
        }
        Ok(Some(Submitted { seq, ticket, time_us: submit.time_us }))
    }

    /// Returns once a queued write was applied, or given up.
    pub(super) fn wait_applied(&self, store: &Store, seq: u64) -> Result<()> {
        let mut apply = self.apply.lock().map_err(|_| panicked())?;
        while apply.seq < seq {
            // Whoever finds the log poisoned applies nothing, and wakes who waits for it.
            store.log.check()?;
            apply = self.applied.wait(apply).map_err(|_| panicked())?;
        }
        Ok(())
    }

    /// Applies a durable batch after the one before it.
    fn apply_in_turn(&self, store: &Store, place: Place, batch: PreparedBatch) -> Result<WriteReceipt> {
        /// Wakes the writers after this one. If applying panics, they find the lock poisoned, and so must the log be:
        /// it would go on storing writes that can no more be applied.
        struct Wake<'a>(&'a Condvar, &'a Store);
        impl Drop for Wake<'_> {
            fn drop(&mut self) {
                if std::thread::panicking() {
                    self.1.poison("applying an earlier write panicked");
                }
                self.0.notify_all();
            }
        }
        let _wake = Wake(&self.applied, store);
        let mut apply = self.apply.lock().map_err(|_| panicked())?;
        while apply.seq + 1 < place.seq {
            // A write is durable only together with all before it, so those are on their way here.
            apply = self.applied.wait(apply).map_err(|_| panicked())?;
        }
        let receipt = self.apply_batch(&mut apply, store, place, batch);
        self.queued.forget(place.seq);
        Ok(receipt)
    }

    /// Applies a record of the log that is being replayed; one that the segments have already changes nothing.
    ///
    /// The error is what is wrong with the record.
    pub(crate) fn replay(&self, store: &Store, record: &Record<'_>, position: u64) -> Result<(), String> {
        let mut apply = lock(&self.apply);
        if record.seq <= apply.seq {
            return Ok(());
        }
        if record.seq != apply.seq + 1 {
            return Err(format!("write {} follows write {}: some are missing", record.seq, apply.seq));
        }
        let batch = PreparedBatch::decode(record.body, &self.schema)
            .map_err(|error| format!("byte {} of the record: {}", error.offset, error.reason))?;
        let mut submit = lock(&self.submit);
        validate::resolve_fields(&batch, &mut submit.fields, false).map_err(|error| error.to_string())?;
        submit.next_seq = record.seq + 1;
        submit.time_us = submit.time_us.max(batch.time_us);
        drop(submit);
        self.apply_batch(&mut apply, store, Place { seq: record.seq, position }, batch);
        Ok(())
    }
}

fn panicked() -> Error {
    Error::Poisoned { cause: "applying an earlier write panicked".into() }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use std::sync::atomic::Ordering;

    use super::*;
    use crate::db::DbOptions;
    use crate::dir::memory::MemoryDir;
    use crate::point::Point;
    use crate::schema::Schema;

    fn prepared(dimension: usize) -> PreparedBatch {
        let batch = Batch::new().upsert(Point::new(1, vec![1.0; dimension]));
        validate::prepare(batch, &Schema::new(dimension).unwrap()).unwrap()
    }

    fn opened(dir: &MemoryDir) -> (Store, Arc<CollectionCore>) {
        let options = DbOptions { background: false, ..DbOptions::default() };
        let store = Store::open(Arc::new(dir.clone()), options).unwrap();
        let core = store.create_collection("c", Schema::new(2).unwrap(), None).unwrap();
        (store, core)
    }

    #[test]
    fn after_a_panic_nothing_is_logged_that_cannot_be_applied() {
        let dir = MemoryDir::new();
        let (store, core) = opened(&dir);
        // A vector that no check would let through panics where it is stored.
        catch_unwind(AssertUnwindSafe(|| {
            core.apply_in_turn(&store, Place { seq: 1, position: 1 }, prepared(3))
        }))
        .unwrap_err();
        let calls = dir.calls();
        let batch = Batch::new().upsert(Point::new(1, [1.0, 0.0]));
        assert!(matches!(core.write(&store, batch), Err(Error::Poisoned { .. })));
        assert_eq!(dir.calls(), calls, "nothing was written");
    }

    #[test]
    fn a_write_that_comes_after_the_deletion_leaves_no_memory_counted() {
        let (store, core) = opened(&MemoryDir::new());
        store.delete_collection("c", None).unwrap();
        core.apply_in_turn(&store, Place { seq: 1, position: 1 }, prepared(2)).unwrap();
        assert!(store.growing_bytes.load(Ordering::Relaxed) > 0);
        drop(core);
        assert_eq!(store.growing_bytes.load(Ordering::Relaxed), 0);
    }
}
