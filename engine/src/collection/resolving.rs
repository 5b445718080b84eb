//! Queueing writes that are made of the rows that there are.
//!
//! **Problem.** The log carries what a write leaves, and for some writes (deleting by a filter) that
//! depends on rows, which are known only once they are applied. So does whether updates take large rows over their limit. Between looking at them and queueing the write another may
//! change one of them.
//!
//! **Idea.** Look at the view that has every write queued before the call, without a lock. Then, under `submit`, see
//! whether a write queued since is about a row that it rests on; if so, look again. A call that is unlucky a few times keeps others from
//! queueing while it waits for what is queued, looks, and queues its own.
//!
//! **Cost.** What is looked for, once, and a look at what was written meanwhile. Only who loses every time holds up other writers of
//! the collection, as long as the disk takes for one frame.

use std::collections::HashSet;
use std::sync::Arc;

use super::queued::Unknown;
use super::requests::Known;
use super::row_sizes;
use super::state::{CollectionCore, ViewState, lock};
use super::write::Outcome;
use crate::batch::{Change, PreparedBatch};
use crate::db::Store;
use crate::error::Result;
use crate::interrupt::Token;
use crate::limits::{BATCH_BYTES_MAX, check_limit};
use crate::point::{PointId, Precondition};
use crate::validate;

/// How often rows are looked at without holding anybody up.
const ATTEMPTS: usize = 4;

/// A batch that is made of rows.
pub(super) trait Resolving {
    /// Makes it of the rows that a view has and that do not expire by a moment. Called again after other writes, it begins anew. Says
    /// until when the batch is right if nobody writes; `None` if there is nothing to write.
    fn resolve(&mut self, view: &Arc<ViewState>, now: i64) -> Result<Option<i64>>;

    /// What was made last.
    fn batch(&self) -> &PreparedBatch;

    /// The rows that it was made by: after a write about one of them it is made anew.
    fn rests_on(&self) -> HashSet<&PointId> {
        self.batch().changes.iter().map(Change::id).collect()
    }
}

impl CollectionCore {
    /// Makes a batch and queues it, if its request was not done before, and its conditions hold.
    pub(super) fn submit_resolved(
        &self,
        store: &Store,
        resolving: &mut dyn Resolving,
        conditions: &[Precondition],
        token: Token<'_>,
    ) -> Result<Outcome> {
        for attempt in 0.. {
            let held = if attempt < ATTEMPTS { None } else { Some(self.lock_submit(store, token)?) };
            let next_seq =
                held.as_ref().map_or_else(|| lock(&self.submit).next_seq, |submit| submit.next_seq);
            self.wait_applied(store, next_seq - 1)?;
            // Kept before the view is taken, so that whatever it lacks is kept.
            let since = self.queued.keep_after(next_seq - 1);
            let view = self.view();
            let now =
                held.as_ref().map_or_else(|| self.clock.now_us().max(view.time_us), |submit| submit.time_us);
            let (until, mut body) = match resolved(resolving, &view, now) {
                Ok(Some(resolved)) => resolved,
                Ok(None) => return Ok(Outcome::Nothing),
                // What the rows are by now is of no account to a request that was done.
                Err(error) => match self.known(resolving.batch(), next_seq) {
                    Some(Known::Done(receipt)) => return Ok(Outcome::Repeated(receipt)),
                    Some(Known::Queued(seq)) => {
                        drop(held);
                        self.wait_applied(store, seq)?;
                        continue;
                    }
                    None => return Err(error),
                },
            };
            let batch = resolving.batch();
            let sizes = row_sizes::check(batch, &view, now);
            let mut submit = held.map_or_else(|| self.lock_submit(store, token), Ok)?;
            // What had expired when it was looked at has for this write.
            submit.time_us = submit.time_us.max(now);
            let refusals = store.log.refusals();
            let decided = self.decide(&submit, refusals, batch, conditions);
            let is_outdated = || submit.time_us >= until || since.is_about(&resolving.rests_on(), view.seq);
            match decided {
                Ok(Some(receipt)) => return Ok(Outcome::Repeated(receipt)),
                Err(Unknown::Undecided(seq)) => {
                    drop(submit);
                    self.wait_applied(store, seq)?;
                    continue;
                }
                // Nor is it told how a condition failed by a row that may have been hidden since.
                Ok(None) | Err(Unknown::Failed(_)) if is_outdated() => continue,
                Err(Unknown::Failed(error)) => return Err(error),
                Ok(None) => {}
            }
            sizes?;
            validate::resolve_fields(batch, &mut submit.fields, self.schema.strict)?;
            let rests_on = (!conditions.is_empty()).then_some(refusals);
            if let Some(submitted) = self.queue(store, &mut submit, (batch, &mut body), rests_on)? {
                return Ok(Outcome::Queued(submitted));
            }
        }
        unreachable!("who holds up all others comes to an end")
    }
}

/// Makes a batch of the rows of a view; until when it is right, and the body of its record.
fn resolved(
    resolving: &mut dyn Resolving,
    view: &Arc<ViewState>,
    now: i64,
) -> Result<Option<(i64, Vec<u8>)>> {
    let Some(until) = resolving.resolve(view, now)? else { return Ok(None) };
    let body = resolving.batch().encode();
    check_limit("points", "BATCH_BYTES_MAX", BATCH_BYTES_MAX, body.len())?;
    Ok(Some((until, body)))
}
