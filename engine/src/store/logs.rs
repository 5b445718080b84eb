//! The logs of databases that have none to write: in memory, and open for reading only.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::wal::{ClosedLog, FileLog, Log, LogMark, Record, Ticket};

/// Of a database in memory: nobody will ever read it, so it keeps nothing. A write is as durable as it will be when it
/// is submitted.
#[derive(Debug, Default)]
pub(super) struct VolatileLog {
    submitted: AtomicU64,
    poison: OnceLock<String>,
}

impl Log for VolatileLog {
    fn submit(&self, _: Record<'_>) -> Result<Ticket> {
        self.check()?;
        Ok(Ticket(self.submitted.fetch_add(1, Ordering::Relaxed) + 1))
    }

    fn wait(&self, _: Ticket) -> Result<()> {
        Ok(())
    }

    fn poison(&self, cause: &str) {
        // The first cause stays.
        let _ = self.poison.set(cause.to_owned());
    }

    fn check(&self) -> Result<()> {
        match self.poison.get() {
            Some(cause) => Err(Error::Poisoned { cause: cause.clone() }),
            None => Ok(()),
        }
    }

    fn mark(&self) -> LogMark {
        LogMark { position: self.submitted.load(Ordering::Relaxed), ..LogMark::default() }
    }

    fn close(&self) -> Result<ClosedLog> {
        Err(Error::invalid("db", "a database in memory has no log that could be copied"))
    }
}

/// Of a database that is open for reading only: it was read, and takes nothing.
#[derive(Debug)]
pub(super) struct ReadOnlyLog {
    pub(super) read: FileLog,
    /// Of the database, for messages.
    pub(super) path: PathBuf,
}

impl Log for ReadOnlyLog {
    fn submit(&self, _: Record<'_>) -> Result<Ticket> {
        self.check().map(|()| Ticket(0))
    }

    fn wait(&self, _: Ticket) -> Result<()> {
        self.check()
    }

    fn poison(&self, cause: &str) {
        self.read.poison(cause);
    }

    fn check(&self) -> Result<()> {
        Err(Error::ReadOnly { path: self.path.clone() })
    }

    fn cut(&self, _: LogMark, _: &dyn Fn(u64) -> u64) -> Result<()> {
        self.check()
    }

    fn keep(&self, _: u64) -> Result<()> {
        self.check()
    }

    fn release(&self, _: u64) -> Result<()> {
        self.check()
    }

    fn mark(&self) -> LogMark {
        self.read.mark()
    }

    fn fulfil(&self) -> Result<()> {
        self.check()
    }

    fn close(&self) -> Result<ClosedLog> {
        Err(Error::ReadOnly { path: self.path.clone() })
    }

    fn verify(&self) -> Result<()> {
        self.read.verify()
    }

    fn size_bytes(&self) -> u64 {
        self.read.size_bytes()
    }

    fn oldest(&self) -> Vec<(u64, u64)> {
        self.read.oldest()
    }
}
