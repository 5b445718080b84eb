//! How far a long operation is.

use std::ops::ControlFlow;

use crate::error::{Error, Result};

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes done, those included that were there already.
    pub bytes: u64,
    /// Bytes there are to do, as far as known.
    pub bytes_total: u64,
}

/// For callers who want no progress: goes on to the end.
pub fn quietly(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Counts bytes and tells the caller, who may end the work.
pub(crate) struct Meter<'a> {
    progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
    bytes: u64,
    bytes_total: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(bytes_total: u64, progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>) -> Self {
        Self { progress, bytes: 0, bytes_total }
    }

    /// Counts bytes. 0 only asks whether to go on.
    pub(crate) fn advance(&mut self, bytes: u64) -> Result<()> {
        self.bytes += bytes;
        let progress = Progress { bytes: self.bytes, bytes_total: self.bytes_total };
        match (self.progress)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::Cancelled),
        }
    }

    /// More is to be done than was known.
    pub(crate) fn expect(&mut self, bytes: u64) {
        self.bytes_total += bytes;
    }
}
