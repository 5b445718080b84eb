//! Fuzzing of what reads bytes of others: whatever a disk gives back, opening a database is an error with a
//! name or a database that can be searched, never a panic; and so is whatever people and programs hand on.
//!
//! **Problem.** A byte that rots is caught by a checksum, so random changes test the checksum and nothing behind it.
//! But the parsers behind it must not rely on it either: files come from other builds, from backups and from people,
//! and a checksum over nonsense is as right as any.
//!
//! **Idea.** An input of the fuzzer is not a file but a list of changes to a small real database ([`Sample`]). The
//! files are taken apart at their checksums ([`File`]), changed in the parts, and put together with checksums that
//! hold; now and then without repair, as a disk would do it. What opens is then read in every way
//! ([`exercise`]). So most runs reach the parsers, and those that open reach the readers.
//!
//! What else comes from others is reached in the same manner, each by a function that takes any bytes:
//!
//! | what | function | task |
//! |---|---|---|
//! | files of a database, read and written to | [`run`] | `fuzz` |
//! | the same, checked and repaired, and opened only to be read | [`run_repair`] | `fuzz-repairs` |
//! | the files of a copy, and places of snapshots | [`exercise_snapshot`] | `fuzz-snapshots` |
//! | Arrow and Parquet files | [`exercise_exchange`] | `fuzz-exchange` |
//! | frames, messages, tokens, credentials and JSON at a server's ports | [`exercise_wire`] | `fuzz-wire` |
//! | directories of models | [`exercise_model`] | `fuzz-models` |
//! | filters as text | [`filter()`] | `fuzz-filters` |
//! | settings, grants, cursors, JSON, names | [`exercise_text`] | `fuzz-texts` |
//!
//! Two things drive each: a bounded number of seeded runs in `cargo test` (`tests/`), and libFuzzer, which
//! follows the coverage for as long as one likes: `cargo xtask TASK`.
//!
//! Deliberately absent: HTTP/2 itself and the formats of documents, whose parsers are not ours and are fuzzed where they are.

mod damage;
mod exchange;
mod exercise;
mod file;
mod filter;
mod input;
mod model;
mod random;
mod repair;
mod sample;
mod snapshot;
mod texts;
mod wire;

use std::path::Path;
use std::sync::LazyLock;

pub use damage::damage;
pub use exchange::exercise_exchange;
pub use exercise::{Outcome, exercise};
pub use file::File;
pub use filter::filter;
pub use model::exercise_model;
pub use random::Random;
pub use repair::{Repaired, exercise_repair};
pub use sample::Sample;
pub use snapshot::exercise_snapshot;
pub use texts::exercise_text;
pub use wire::{Answered, exercise_wire};

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::write);

/// Damages the sample as `input` says, opens it, and reads it in every way.
///
/// # Panics
/// If the engine does, or if it refuses a file without saying that it is damaged: that is what is looked for.
pub fn run(input: &[u8]) -> Outcome {
    damaged(input, exercise)
}

/// Damages the sample as `input` says, checks and repairs it, and reads what came of it.
///
/// # Panics
/// If the engine does, or if it refuses a file without saying that it is damaged.
pub fn run_repair(input: &[u8]) -> Repaired {
    damaged(input, exercise_repair)
}

/// Does something with the sample, damaged as `input` says.
fn damaged<T>(input: &[u8], exercise: fn(&Path, bool) -> T) -> T {
    let _named = NamedOnPanic(input);
    let (damaged, writes) = damage(&SAMPLE, input);
    let directory = tempfile::tempdir().expect("a scratch directory");
    damaged.store(directory.path());
    exercise(directory.path(), writes)
}

/// Prints the input of a run that panics, so that it can be repeated.
struct NamedOnPanic<'a>(&'a [u8]);

impl Drop for NamedOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the input was {:?}", self.0);
        }
    }
}
