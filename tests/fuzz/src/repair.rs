//! Checking and repairing damaged databases, and reading them without a write.

use std::path::Path;

use ragstone::{Error, check, repair};

use crate::exercise::{open, read_all};
use crate::sample::options;

/// What became of a damaged database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The repair was an error: nobody knows which collections there are.
    Refused,
    /// It was repaired, and this many damaged places are found after it.
    Left(usize),
}

/// Reads a damaged database as it is, then checks it, repairs it as a dry run and in earnest, and opens and reads what came of it;
/// writes to it, if so asked.
///
/// # Panics
/// If the engine does, or if it refuses the files with an error that does not speak of files.
pub fn exercise_repair(directory: &Path, writes: bool) -> Repaired {
    let mut reading = options();
    reading.read_only = true;
    if let Some(db) = open(directory, reading) {
        read_all(&db, false);
    }
    allowed(check(directory));
    allowed(repair(directory, true));
    if allowed(repair(directory, false)).is_none() {
        return Repaired::Refused;
    }
    let left = allowed(check(directory)).map_or(1, |report| report.damaged.len());
    match open(directory, options()) {
        Some(db) => {
            let isolated = db.damaged().len();
            read_all(&db, writes);
            Repaired::Left(left.max(isolated))
        }
        None => Repaired::Left(left.max(1)),
    }
}

fn allowed<T>(outcome: ragstone::Result<T>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(Error::Corrupt { .. } | Error::Io { .. }) => None,
        Err(other) => panic!("mending damaged files: {other}"),
    }
}
