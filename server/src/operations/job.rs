//! A job at work: where it says how far it is, and what becomes of its panics.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use ragstone::CancelToken;
use ragstone_rag::progress::Progress;
use tokio::sync::watch;
use tonic::Status;

use super::{Operation, Operations, now_us};
use crate::status;

/// Where a job says how far it is. Whoever watches the operation gets the newest, never a queue.
pub(crate) struct Report {
    operation: watch::Sender<Operation>,
    operations: Operations,
}

impl Report {
    pub(super) fn new(operation: watch::Sender<Operation>, operations: Operations) -> Self {
        Self { operation, operations }
    }

    /// Whether the job is to end because the server does, so that what it has done is to stay.
    pub(crate) fn is_stopping(&self) -> bool {
        self.operations.is_stopping() && !self.operation.borrow().cancel_requested
    }

    fn change(&self, change: impl FnOnce(&mut super::record::Progress)) {
        self.operation.send_modify(|operation| {
            change(&mut operation.progress);
            operation.updated_us = now_us();
        });
    }

    /// So much of all there is to do is done; whether to go on, by the token.
    pub(crate) fn at(&self, done: u64, total: Option<u64>, cancel: &CancelToken) -> ControlFlow<()> {
        self.change(|progress| (progress.done, progress.total) = (done, total));
        if cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl Progress for Report {
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str) {
        self.change(|progress| {
            *progress =
                super::record::Progress { stage: what.to_owned(), done: 0, total, unit: unit.to_owned() };
        });
    }

    fn advance(&self, amount: u64) {
        self.change(|progress| {
            progress.done += amount;
            // What came meanwhile is to be done, too.
            progress.total = progress.total.map(|total| total.max(progress.done));
        });
    }

    fn end(&self) {}

    fn note(&self, line: &str) {
        tracing::info!(operation = self.operation.borrow().id, "{line}");
    }
}

/// Runs a job; a panic of it is a fault of ours, and ends the job alone.
pub(super) fn caught<T>(job: impl FnOnce() -> Result<T, Status>) -> Result<T, Status> {
    // What the job shares with others is behind locks that outlive panics.
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|_| Err(status::fault()))
}
