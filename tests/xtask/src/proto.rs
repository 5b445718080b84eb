//! The wire API: its style, and that it breaks nobody.
//!
//! `proto/baseline.binpb` is the API that clients may rely on, as `buf build` encodes it: what a change is compared with. It is that of
//! the last release, and is made anew, with [`baseline`], by whoever releases. Until the first release it is the last state that was
//! agreed on, and may be made anew with any change that is meant to break it: the commit shows that, and says why.

use std::process::Command;

use crate::command::{need, run};

/// The linter of the .proto files, from npm.
const BUF: &str = "@bufbuild/buf@1.75.0";
const BASELINE: &str = "proto/baseline.binpb";

/// Every call, message and field is named by the rules and described; and nothing is broken that the baseline has.
pub(crate) fn check() -> Result<(), String> {
    buf(&["lint", "proto"])?;
    buf(&["breaking", "proto", "--against", BASELINE])
}

/// Makes the API as it is now the baseline.
pub(crate) fn baseline() -> Result<(), String> {
    buf(&["build", "proto", "--exclude-source-info", "-o", BASELINE])
}

fn buf(arguments: &[&str]) -> Result<(), String> {
    need("npx", "npm")?;
    run(Command::new("npx").args(["--yes", BUF]).args(arguments))
}
