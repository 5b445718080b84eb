//! Writes that rest on what is there or was done: preconditions, deletions by a filter, requests that are sent again, rows
//! that expire, rows that updates would make too large.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod conditions;
mod deletes;
mod expiry;
mod requests;
mod sizes;
mod texts;

use std::path::Path;

use ragstone::{Db, DbOptions, Schema};

/// Small segments, sealed and merged in the background or by the writer.
fn options(background: bool) -> DbOptions {
    let mut options = DbOptions::default();
    (options.seal_rows, options.background) = (40, background);
    options
}

fn open(path: &Path, background: bool) -> Db {
    Db::open_with(path, options(background)).unwrap()
}

fn schema() -> Schema {
    Schema::new(2).unwrap()
}

/// What a killed process leaves of a directory in which nothing happens.
fn copy_of(path: &Path) -> tempfile::TempDir {
    let after = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), after.path().join(entry.file_name())).unwrap();
    }
    after
}
