//! One re-embedding of a collection at a time: what it has copied would be copied twice, and counted so.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// Collections that this process is re-embedding, of one database.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(Mutex<BTreeSet<String>>);

/// One of them.
pub(crate) struct Turn<'a> {
    under_way: &'a UnderWay,
    name: String,
}

impl UnderWay {
    pub(super) fn begin(&self, name: &str) -> Result<Turn<'_>> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            true => Ok(Turn { under_way: self, name: name.to_owned() }),
            false => {
                let engine = ragstone::Error::Replacement { name: name.to_owned(), is_under_way: true };
                Err(engine.into())
            }
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}
