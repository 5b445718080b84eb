//! The torture, shortly: some dozen kills, and the test of the test.

use std::process::Command;

use crate::command::{cargo, run, target};

/// Broken stores that a killed process shows; each must be found out.
const MUTANTS: [&str; 11] = [
    "acknowledge-before-log",
    "cut-log-before-manifest",
    "forget-tombstones-on-merge",
    "forget-patches-on-merge",
    "cut-log-before-patches",
    "drop-last-frame",
    "seal-drops-last-row",
    "copy-without-open-log",
    "forget-requests-on-commit",
    "forget-expiries-on-seal",
    "snapshot-manifest-before-files",
];

/// Kills for twenty seconds; then each mutant until it is found out, for a minute at most.
pub(crate) fn check() -> Result<(), String> {
    cargo(&["build", "--workspace", "--bin", "ragstone", "--bin", "torture", "--locked"])?;
    run(torture().args(["--minutes", "0.33"]))?;
    MUTANTS.iter().try_for_each(|mutant| run(torture().args(["--minutes", "1", "--mutant", mutant])))
}

fn torture() -> Command {
    let mut command = Command::new(target("debug").join(format!("torture{}", std::env::consts::EXE_SUFFIX)));
    command.args(["--seed", "1"]);
    command
}
