//! The client for Python and what puts frameworks over it: style, types, tests against the server that cargo builds, and that each can be packed.
//!
//! They share an environment below the target directory, which is made once. The packages are installed in place each time, which makes the modules
//! of the wire API out of `proto/` anew (`clients/python/hatch_build.py`): seconds, as pip has the rest in its cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{cargo, need, root, run, target};

/// The packages, each behind what it needs.
const PACKAGES: [&str; 3] = ["clients/python", "clients/langchain", "clients/llamaindex"];

/// Everything that a change of the packages, of the wire API or of the server must pass.
pub(crate) fn check() -> Result<(), String> {
    cargo(&["build", "--workspace", "--bin", "ragstone", "--locked"])?;
    let python = environment()?;
    install(&python)?;
    PACKAGES.iter().try_for_each(|package| check_package(&python, &root().join(package)))
}

/// Installs all of them at once, so that what they need is chosen to suit them all.
fn install(python: &Path) -> Result<(), String> {
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    for package in PACKAGES {
        install.arg("-e").arg(format!("./{package}[test]"));
    }
    run(install.current_dir(root()))
}

fn check_package(python: &Path, package: &Path) -> Result<(), String> {
    module(python, package, &["ruff", "check", "."])?;
    module(python, package, &["ruff", "format", "--check", "."])?;
    module(python, package, &["mypy"])?;
    let mut tests = Command::new(python);
    tests.args(["-m", "pytest"]).current_dir(package).env("RAGSTONE_BIN", target("debug").join("ragstone"));
    run(&mut tests)?;
    let mut pack = Command::new(python);
    pack.args(["-m", "build", "--outdir"]).arg(target("python-dist")).current_dir(package);
    run(&mut pack)
}

/// The environment's Python; the environment is made if it is not there.
fn environment() -> Result<PathBuf, String> {
    let folder = target("python");
    let python = folder.join("bin/python");
    if !python.exists() {
        need_venv()?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    }
    Ok(python)
}

/// On Debian, what an environment is made with is a package of its own.
fn need_venv() -> Result<(), String> {
    need("python3", "python3")?;
    if !has_venv() {
        run(Command::new("apt-get").args(["update", "-q"]))?;
        run(Command::new("apt-get").args([
            "install",
            "-q",
            "-y",
            "--no-install-recommends",
            "python3-venv",
        ]))?;
    }
    if has_venv() { Ok(()) } else { Err("Python's `venv` is needed; install python3-venv".to_owned()) }
}

fn has_venv() -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", "import ensurepip, venv"]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a module of the environment in the package's folder.
fn module(python: &Path, package: &Path, arguments: &[&str]) -> Result<(), String> {
    run(Command::new(python).arg("-m").args(arguments).current_dir(package))
}
