//! Deleting by a filter.
//!
//! **Problem.** The log carries ids, and which rows match is known only of rows that are applied. Between finding them and
//! queueing their deletion another write may change one so that it matches no more; such a row must stay.
//!
//! **Idea.** Find the rows in the view that has every write queued before the call, without a lock. Then, under `submit`, see
//! whether a write queued since is about one of them; if so, find them anew. A call that is unlucky a few times keeps others from queueing
//! while it waits for what is queued, finds the rows, and queues their deletion.
//!
//! **Cost.** The filter once, and a look at what was written meanwhile. Only who loses every time holds up other writers of
//! the collection, as long as the disk takes for one frame.

use std::collections::HashSet;
use std::sync::Arc;

use super::read::Walk;
use super::state::{CollectionCore, ViewState, lock};
use super::write::Submitted;
use super::{ScrollRequest, WriteReceipt};
use crate::batch::{Change, PreparedBatch};
use crate::db::Store;
use crate::error::Result;
use crate::limits::BATCH_OPS_MAX;
use crate::payload::Filter;
use crate::point::PointId;

/// How often rows are found without holding anybody up.
const ATTEMPTS: usize = 4;

/// A part of the rows that match.
struct Part {
    batch: PreparedBatch,
    /// Whether there are more behind it.
    has_more: bool,
}

impl CollectionCore {
    /// Deletes what matches, in the order of the ids.
    pub(crate) fn delete_where(self: &Arc<Self>, store: &Store, filter: &Filter) -> Result<WriteReceipt> {
        store.log.check()?;
        let position = store.log.mark().position;
        let mut total = WriteReceipt { seq: self.view().seq, position, ..WriteReceipt::default() };
        let mut request = ScrollRequest { filter: Some(filter.clone()), ..ScrollRequest::default() };
        loop {
            store.wait_for_room(self)?;
            let Some((submitted, part)) = self.submit_part(store, &request)? else { return Ok(total) };
            let has_more = part.has_more;
            request.after = part.batch.changes.last().map(|change| change.id().clone().into());
            let receipt = self.finish(store, submitted, part.batch)?;
            total = WriteReceipt { deleted: total.deleted + receipt.deleted, ..receipt };
            if !has_more {
                return Ok(total);
            }
        }
    }

    /// Queues the deletion of the first rows that match; `None` if there are none.
    fn submit_part(&self, store: &Store, request: &ScrollRequest) -> Result<Option<(Submitted, Part)>> {
        for _ in 0..ATTEMPTS {
            let queued = lock(&self.submit).next_seq - 1;
            self.wait_applied(store, queued)?;
            // Kept before the view is taken, so that whatever it lacks is kept.
            let since = self.queued.keep_after(queued);
            let view = self.view();
            let Some(part) = part_of(&view.current(), request)? else { return Ok(None) };
            let mut body = part.batch.encode();
            let mut submit = self.lock_submit()?;
            let ids: HashSet<&PointId> = part.batch.changes.iter().map(Change::id).collect();
            if !since.is_about(&ids, view.seq) {
                let queued = self.queue(store, &mut submit, (&part.batch, &mut body), None)?;
                if let Some(submitted) = queued {
                    return Ok(Some((submitted, part)));
                }
            }
        }
        let mut submit = self.lock_submit()?;
        self.wait_applied(store, submit.next_seq - 1)?;
        let Some(part) = part_of(&self.view().current(), request)? else { return Ok(None) };
        let mut body = part.batch.encode();
        let submitted = self.queue(store, &mut submit, (&part.batch, &mut body), None)?;
        Ok(submitted.map(|submitted| (submitted, part)))
    }
}

/// The first rows of a view that match, as many as a batch takes.
fn part_of(view: &ViewState, request: &ScrollRequest) -> Result<Option<Part>> {
    let mut walk = Walk::new(view, request, BATCH_OPS_MAX)?;
    let found = std::iter::from_fn(|| walk.next()).take(BATCH_OPS_MAX);
    let changes: Vec<Change> = found.map(|found| Change::Delete(found.id)).collect();
    if changes.is_empty() {
        return Ok(None);
    }
    let batch = PreparedBatch { changes, ..PreparedBatch::default() };
    Ok(Some(Part { batch, has_more: walk.next().is_some() }))
}
