//! Running commands, each shown before it runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What cargo tells a program that it runs of that program's own package, beside `CARGO_PKG_…`.
///
/// Source: <https://doc.rust-lang.org/cargo/reference/environment-variables.html>.
const OF_THIS_PACKAGE: [&str; 7] = [
    "CARGO_BIN_NAME",
    "CARGO_CRATE_NAME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// Runs cargo with these arguments.
pub(crate) fn cargo(arguments: &[&str]) -> Result<(), String> {
    run(Command::new("cargo").args(arguments))
}

/// Runs a command; its failure is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    println!("\n$ {}", line(command));
    let status = apart(command).status().map_err(|error| format!("{}: {error}", line(command)))?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", line(command))) }
}

/// Runs a command, and what it writes is for us; how it ends is for whoever asks.
pub(crate) fn output(command: &mut Command) -> Result<Output, String> {
    apart(command).output().map_err(|error| format!("{}: {error}", line(command)))
}

/// Keeps from a command what cargo says of this package. Build scripts that look at their own (`ring`'s) are run again where it differs, and so all above
/// them would be compiled anew with each change between `cargo` and `cargo xtask`.
fn apart(command: &mut Command) -> &mut Command {
    let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    names.filter(|name| is_of_this_package(name)).fold(command, |command, name| command.env_remove(name))
}

fn is_of_this_package(name: &str) -> bool {
    name.starts_with("CARGO_PKG_") || OF_THIS_PACKAGE.contains(&name)
}

/// A command as one would type it, with what is set in its environment.
pub(crate) fn line(command: &Command) -> String {
    let quoted = |word: &str| if word.contains(' ') { format!("'{word}'") } else { word.to_owned() };
    let settings = command
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str()?, quoted(value?.to_str()?))));
    let program = command.get_program().to_string_lossy().into_owned();
    let arguments = command.get_args().map(|argument| quoted(&argument.to_string_lossy()));
    settings.chain([program]).chain(arguments).collect::<Vec<_>>().join(" ")
}

/// Installs a Debian package where a program is missing and that is possible here.
pub(crate) fn need(program: &str, package: &str) -> Result<(), String> {
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

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A folder of the target directory, for builds that would push the ordinary one out of its place.
pub(crate) fn target(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join(name)
}

/// The target triple of this machine. Named on a command line, it keeps flags away from build scripts.
pub(crate) fn host() -> Result<String, String> {
    let output = output(Command::new("rustc").arg("-vV"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// cargo runs a test as it runs the program, with the variables of its package.
    #[test]
    fn a_command_is_not_told_of_this_package() {
        let mut command = Command::new("cargo");
        apart(command.arg("build").env("RUSTFLAGS", "-D warnings"));
        let changed: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_str()?, value))).collect();
        for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
            assert!(std::env::var_os(name).is_some(), "cargo no longer sets {name}");
            assert!(changed.contains(&(name, None)), "{name} is passed on: {changed:?}");
        }
        assert_eq!(line(&command), "RUSTFLAGS='-D warnings' cargo build");
    }

    #[test]
    fn what_is_not_of_this_package_is_passed_on() {
        for name in
            ["CARGO", "CARGO_HOME", "CARGO_INCREMENTAL", "CARGO_TARGET_DIR", "RUSTUP_TOOLCHAIN", "PATH"]
        {
            assert!(!is_of_this_package(name), "{name}");
        }
    }
}
