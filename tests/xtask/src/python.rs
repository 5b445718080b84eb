//! The packages for Python: style, types, tests against the server that cargo builds and against the engine in the process, and that each can be packed.
//!
//! They share an environment below the target directory, which is made once. The packages are installed in place each time, which makes the modules
//! of the wire API out of `proto/` anew (`clients/python/hatch_build.py`): seconds, as what builds them is in that environment, too, rather than in one
//! that pip makes for each build. That what they say they are built with is enough is seen by [`wheel`], where pip does.
//!
//! The engine's module is built with the rest of the workspace, so that nothing is compiled twice, and laid beside its Python sources, as `maturin
//! develop` would. maturin compiles for itself, with features of its own: it makes the wheel ([`wheel`]), and here the sdist alone.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{cargo, need, root, run, target};

/// The packages of Python alone, each behind what it needs: where they lie, and what they are called.
const PACKAGES: [(&str, &str); 3] = [
    ("clients/python", "ragstone"),
    ("clients/langchain", "langchain-ragstone"),
    ("clients/llamaindex", "llama-index-vector-stores-ragstone"),
];
/// What they are built with.
const BUILDERS: [&str; 4] =
    ["build==1.6.1", "editables>=0.5,<1", "grpcio-tools==1.85.1", "hatchling>=1.27,<2"];
/// The one that is an extension module.
const EMBEDDED: &str = "clients/embedded";
/// What its tests and its packing need.
const EMBEDDED_NEEDS: [&str; 2] = ["maturin==1.16.0", "pyarrow>=17"];

/// The environment, with the packages and what they, their linters and their tests need. Nothing of this waits for what cargo builds.
pub(crate) fn prepare() -> Result<(), String> {
    install(&environment("python")?)
}

/// Everything that a change of the packages, of the wire API, of the engine or of the server must pass, in the environment that [`prepare`] has made.
pub(crate) fn check() -> Result<(), String> {
    cargo(&["build", "--workspace", "--bin", "ragstone", "--lib", "--locked"])?;
    let python = environment("python")?;
    lay_module(&python)?;
    for (folder, _) in PACKAGES {
        let package = root().join(folder);
        style(&python, &package)?;
        tests(&python, &package, "server")?;
        tests(&python, &package, "embedded")?;
        let mut pack = Command::new(&python);
        pack.args(["-m", "build", "--no-isolation", "--outdir"])
            .arg(target("python-dist"))
            .current_dir(&package);
        run(&mut pack)?;
    }
    let embedded = root().join(EMBEDDED);
    style(&python, &embedded)?;
    tests(&python, &embedded, "embedded")?;
    let mut pack = Command::new(&python);
    run(pack.args(["-m", "maturin", "sdist", "--out"]).arg(target("python-dist")).current_dir(&embedded))
}

/// The wheel of the engine for machines without Rust, optimised, installed beside the client into an environment of its own, and its tests there.
pub(crate) fn wheel() -> Result<(), String> {
    let (python, out) = (environment("python")?, target("python-wheel"));
    let mut install = pip_install(&python);
    run(install.args(EMBEDDED_NEEDS))?;
    remove(&out)?;
    let mut pack = Command::new(&python);
    pack.args(["-m", "maturin", "build", "--release", "--locked", "--out"]).arg(&out);
    run(pack.current_dir(root().join(EMBEDDED)))?;
    let wheels = fs::read_dir(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let wheels = wheels.filter_map(|entry| Some(entry.ok()?.path()));
    let wheels: Vec<PathBuf> =
        wheels.filter(|path| path.extension().is_some_and(|extension| extension == "whl")).collect();
    remove(&target("python-installed"))?;
    let installed = environment("python-installed")?;
    let mut install = pip_install(&installed);
    run(install.args(["./clients/python", "numpy", "pyarrow", "pytest"]).args(wheels).current_dir(root()))?;
    tests(&installed, &root().join(EMBEDDED), "embedded")
}

/// Nothing is compiled: Python does that with what is imported, which is a part of ten thousand modules.
fn pip_install(python: &Path) -> Command {
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]);
    install
}

/// Installs all of them in place; then all that they need at once, so that it is chosen to suit them all.
fn install(python: &Path) -> Result<(), String> {
    run(pip_install(python).args(BUILDERS))?;
    let (mut packages, mut needs) = (pip_install(python), pip_install(python));
    packages.args(["--no-deps", "--no-build-isolation"]);
    for (folder, name) in PACKAGES {
        packages.arg("-e").arg(format!("./{folder}"));
        // It is there, and is not looked for elsewhere.
        needs.arg(format!("{name}[test]"));
    }
    run(packages.current_dir(root()))?;
    run(needs.args(EMBEDDED_NEEDS))
}

/// Lays the module that cargo has built beside its Python sources, and has the environment find them.
fn lay_module(python: &Path) -> Result<(), String> {
    let built = target("debug").join(format!(
        "{}ragstone_embedded{}",
        std::env::consts::DLL_PREFIX,
        std::env::consts::DLL_SUFFIX
    ));
    let sources = root().join(EMBEDDED).join("python");
    let module = sources.join("ragstone_embedded/_engine.abi3.so");
    // A new file: whoever has the old one loaded keeps it.
    remove(&module)?;
    fs::copy(&built, &module).map_err(|error| format!("{}: {error}", built.display()))?;
    let script = "import pathlib, sys, sysconfig\n\
                  place = pathlib.Path(sysconfig.get_path('purelib'), 'ragstone_embedded.pth')\n\
                  place.write_text(sys.argv[1] + '\\n')";
    run(Command::new(python).args(["-c", script]).arg(sources))
}

fn style(python: &Path, package: &Path) -> Result<(), String> {
    module(python, package, &["ruff", "check", "."])?;
    module(python, package, &["ruff", "format", "--check", "."])?;
    module(python, package, &["mypy"])
}

/// Runs the tests of a package against the server, or the engine in the process.
fn tests(python: &Path, package: &Path, engine: &str) -> Result<(), String> {
    let mut tests = Command::new(python);
    tests.args(["-m", "pytest"]).env("RAGSTONE_ENGINE", engine);
    run(tests.current_dir(package).env("RAGSTONE_BIN", target("debug").join("ragstone")))
}

/// Removes a file or a folder, if it is there.
fn remove(path: &Path) -> Result<(), String> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("{}: {error}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The Python of an environment below the target directory, which is made if it is not there.
fn environment(name: &str) -> Result<PathBuf, String> {
    let folder = target(name);
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
    if !succeeds("import sys; sys.exit(sys.version_info < (3, 11))") {
        return Err("`python3` is to be Python 3.11 or later, which the engine's module is for".to_owned());
    }
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
    succeeds("import ensurepip, venv")
}

/// Whether a script of Python's ends well.
fn succeeds(script: &str) -> bool {
    let mut command = Command::new("python3");
    command.args(["-c", script]).stdin(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Runs a module of the environment in the package's folder.
fn module(python: &Path, package: &Path, arguments: &[&str]) -> Result<(), String> {
    run(Command::new(python).arg("-m").args(arguments).current_dir(package))
}
