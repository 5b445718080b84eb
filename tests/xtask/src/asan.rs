//! Tests under AddressSanitizer: no access outside of an allocation, none after it was freed.
//!
//! The sanitizer comes with the pinned toolchain but is an unstable flag, which `RUSTC_BOOTSTRAP=1` allows. Unlike
//! valgrind it knows every instruction, AVX-512 included.

use std::process::Command;

use crate::command::{host, run, target};

/// The instruction sets of `RAGSTONE_ISA`. One that the machine lacks is run as the best that it has.
const LEVELS: [&str; 3] = ["scalar", "avx2", "avx512"];

/// The kernels' tests, each of which goes through every instruction set that the machine has.
pub(crate) fn kernels() -> Result<(), String> {
    run(sanitized(&host()?).args(["-p", "ragstone-kernels", "--lib", "--tests"]))
}

/// The engine's graph, vectors and segments, on each instruction set.
pub(crate) fn engine() -> Result<(), String> {
    let host = host()?;
    LEVELS.iter().try_for_each(|level| {
        let mut command = sanitized(&host);
        command.args(["-p", "ragstone", "--lib", "--", "graph::", "vectors::", "segment::"]);
        run(command.env("RAGSTONE_ISA", level))
    })
}

fn sanitized(host: &str) -> Command {
    let mut command = Command::new("cargo");
    command.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", "-Zsanitizer=address");
    command.args(["test", "--locked", "--target", host, "--target-dir"]).arg(target("asan"));
    command
}
