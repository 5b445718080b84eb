//! Fuzzing of the readers of Ragstone's files: whatever bytes a disk gives back, opening a database is an error with a
//! name or a database that can be searched, never a panic.
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
//! Two things drive it: `tests/readers.rs`, a bounded number of seeded runs in `cargo test`, and libFuzzer, which
//! follows the coverage for as long as one likes: `cargo xtask fuzz`.

mod damage;
mod exchange;
mod exercise;
mod file;
mod filter;
mod input;
mod random;
mod repair;
mod sample;
mod wire;

use std::path::Path;
use std::sync::LazyLock;

pub use damage::damage;
pub use exchange::exercise_exchange;
pub use exercise::{Outcome, exercise};
pub use file::File;
pub use filter::filter;
pub use random::Random;
pub use repair::{Repaired, exercise_repair};
pub use sample::Sample;
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
