//! How far an export or an import is.

use std::ops::ControlFlow;

use crate::error::{Error, Result};

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Rows done.
    pub rows: u64,
    /// Rows in all, where that is known. Writes meanwhile may make it less, or more.
    pub rows_total: Option<u64>,
    /// Bytes of the file so far, of an export; of an import, bytes of the rows as memory holds them.
    pub bytes: u64,
}

/// What is told how far it is, after each batch; it may end the work.
pub type Callback<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// For callers who want no progress: goes on to the end.
pub fn quietly(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Tells the caller, who may end the work.
pub(crate) fn tell(callback: Callback<'_>, progress: Progress) -> Result<()> {
    match callback(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    }
}
