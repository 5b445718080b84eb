//! Deleting by a filter: the rows that match are found, and their ids logged (`resolving.rs`).
//!
//! **Cost.** The filter once for each batch of rows that match.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::read::Walk;
use super::resolving::Resolving;
use super::state::{CollectionCore, ViewState};
use super::write::Outcome;
use super::{ScrollRequest, WriteReceipt};
use crate::batch::{Change, PreparedBatch};
use crate::clock::NEVER;
use crate::db::Store;
use crate::error::Result;
use crate::interrupt::{Token, check_wanted};
use crate::limits::BATCH_OPS_MAX;
use crate::payload::Filter;
use crate::scope::RowFilter;
use crate::threads::Work;

/// The deletion of the first rows that match, as many as a batch takes.
struct Part<'a> {
    store: &'a Store,
    request: ScrollRequest,
    /// Which rows are shown, if not all.
    rows: Option<&'a Arc<RowFilter>>,
    batch: PreparedBatch,
    /// Whether there are more behind it.
    has_more: bool,
}

impl CollectionCore {
    /// Deletes what matches, in the order of the ids.
    pub(crate) fn delete_where(
        self: &Arc<Self>,
        store: &Store,
        filter: &Filter,
        (token, rows): (Token<'_>, Option<&Arc<RowFilter>>),
    ) -> Result<WriteReceipt> {
        store.log.check()?;
        let position = store.log.mark().position;
        let mut total = WriteReceipt { seq: self.view().seq, position, ..WriteReceipt::default() };
        let mut request = ScrollRequest { filter: Some(filter.clone()), ..ScrollRequest::default() };
        loop {
            check_wanted(token)?;
            store.wait_for_room(self, token)?;
            let mut part = Part { store, request, rows, batch: PreparedBatch::default(), has_more: false };
            let Outcome::Queued(submitted) = self.submit_resolved(store, &mut part, &[], token)? else {
                return Ok(total);
            };
            let Part { request: asked, batch, has_more, .. } = part;
            let after = batch.changes.last().map(|change| change.id().clone().into());
            request = ScrollRequest { after, ..asked };
            let receipt = self.finish(store, submitted, batch)?;
            total = WriteReceipt { deleted: total.deleted + receipt.deleted, ..receipt };
            if !has_more {
                return Ok(total);
            }
        }
    }
}

impl Resolving for Part<'_> {
    fn resolve(&mut self, view: &Arc<ViewState>, now: i64) -> Result<Option<i64>> {
        let view = match self.rows {
            Some(rows) => view.at(now).restricted(rows),
            None => view.at(now),
        };
        let mut walk = Walk::new(&view, &self.request, BATCH_OPS_MAX)?;
        let found: Vec<_> = std::iter::from_fn(|| walk.next()).take(BATCH_OPS_MAX).collect();
        // What is deleted is deleted for good: by bytes that are what was written.
        let segments: BTreeSet<usize> = found.iter().map(|found| found.segment).collect();
        let unverified = segments.into_iter().filter_map(|segment| view.segments[segment].as_sealed());
        for sealed in unverified.filter(|sealed| !sealed.is_verified()) {
            self.store.pools.run(Work::Flush, || sealed.verify_once(Some(&*self.store.dir)))??;
        }
        self.batch.changes = found.into_iter().map(|found| Change::Delete(found.id)).collect();
        self.has_more = walk.next().is_some();
        // What expires before it is queued is not there for it.
        Ok((!self.batch.changes.is_empty()).then_some(NEVER))
    }

    fn batch(&self) -> &PreparedBatch {
        &self.batch
    }
}
