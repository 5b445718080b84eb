//! Fuzzing what reads bytes of others with libFuzzer (`tests/fuzz`): led by coverage, under AddressSanitizer.
//!
//! The flags are those of `cargo fuzz`, which this does without. What it found before is kept in the target directory
//! and where it goes on; an input that breaks something is written there as `crash-*`, and what it does is repeated by
//! `cargo xtask fuzz PATH-OF-THE-INPUT`, or by the task of its target.

use std::path::Path;
use std::process::Command;

use crate::command::{host, run, target};

const FLAGS: &str = "-Zsanitizer=address -Cdebug-assertions -Coverflow-checks -Cpasses=sancov-module \
     -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
     -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1";

/// Damaged files.
pub(crate) fn readers() -> Result<(), String> {
    fuzz("fuzz-readers", "corpus", "-max_len=64")
}

/// Damaged files, checked and repaired.
pub(crate) fn repairs() -> Result<(), String> {
    fuzz("fuzz-repairs", "corpus-repairs", "-max_len=64")
}

/// Arrow and Parquet files.
pub(crate) fn exchange() -> Result<(), String> {
    fuzz("fuzz-exchange", "corpus-exchange", "-max_len=64")
}

/// Requests to a server.
pub(crate) fn wire() -> Result<(), String> {
    fuzz("fuzz-wire", "corpus-wire", "-max_len=96")
}

/// Damaged copies.
pub(crate) fn snapshots() -> Result<(), String> {
    fuzz("fuzz-snapshots", "corpus-snapshots", "-max_len=64")
}

/// Directories of models.
pub(crate) fn models() -> Result<(), String> {
    fuzz("fuzz-models", "corpus-models", "-max_len=64")
}

/// Settings, grants, cursors, names.
pub(crate) fn texts() -> Result<(), String> {
    fuzz("fuzz-texts", "corpus-texts", "-max_len=256")
}

/// Filters as text.
pub(crate) fn filters() -> Result<(), String> {
    fuzz("fuzz-filters", "corpus-filters", "-max_len=256")
}

/// Runs a target for as many seconds as the next argument says, or repeats the input that it names.
fn fuzz(binary: &str, corpus: &str, length_max: &str) -> Result<(), String> {
    let corpus = target("fuzz").join(corpus);
    std::fs::create_dir_all(&corpus).map_err(|error| format!("{}: {error}", corpus.display()))?;
    let mut command = Command::new("cargo");
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", FLAGS);
    command.args(["run", "--release", "--locked", "-p", "ragstone-fuzz", "--features", "libfuzzer"]);
    command.args(["--bin", binary, "--target", &host()?, "--target-dir"]).arg(target("fuzz"));
    command.args([
        "--",
        "-timeout=20",
        length_max,
        "-len_control=0",
        "-rss_limit_mb=4096",
        "-detect_leaks=0",
    ]);
    command.arg(format!("-artifact_prefix={}/", target("fuzz").display()));
    // Every run is a directory of files, some of which are synced: better in memory.
    if Path::new("/dev/shm").is_dir() {
        command.env("TMPDIR", "/dev/shm");
    }
    match std::env::args().nth(2) {
        Some(input) if input.parse::<u32>().is_err() => command.arg(input),
        seconds => {
            let seconds = seconds.unwrap_or_else(|| "60".to_owned());
            command.arg(format!("-max_total_time={seconds}")).arg(corpus)
        }
    };
    run(&mut command)
}
