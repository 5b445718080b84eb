//! How long work tells how far it is.

/// Receives the progress of downloads and ingestion. Every method may be called from any thread.
pub trait Progress: Send + Sync {
    /// A task begins: `what` is a short phrase, `total` its size, if known, in `unit` ("B", "documents").
    fn begin(&self, what: &str, total: Option<u64>, unit: &'static str);
    /// So much more of the current task is done.
    fn advance(&self, amount: u64);
    /// Something of the current task that its amount does not say: `12 of 40 files, 33 chunks/s`.
    fn detail(&self, _text: &str) {}
    /// The current task is over.
    fn end(&self);
    /// Something worth a line: a source that failed, a file that was skipped.
    fn note(&self, line: &str);
}

/// Reports nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>, _unit: &'static str) {}
    fn advance(&self, _amount: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
}
