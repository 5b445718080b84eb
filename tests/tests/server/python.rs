//! The `openai` package of Python, as its users have it: fetched from the package index once, and kept beside what cargo builds.

use std::path::PathBuf;
use std::sync::OnceLock;

use serde_json::Value;

/// What `pip` installs.
const PACKAGE: &str = "openai==3.57.0";
/// Where it is kept.
const FOLDER: &str = "openai-3.57.0";

fn installed() -> &'static PathBuf {
    static INSTALLED: OnceLock<PathBuf> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let target = test.ancestors().nth(3).unwrap().join(FOLDER);
        if !target.is_dir() {
            let part = target.with_extension("part");
            let pip =
                ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"];
            let mut command = std::process::Command::new("python3");
            let status = command.args(pip).arg(&part).arg(PACKAGE).status();
            assert!(
                status.expect("python3 with pip is installed").success(),
                "pip could not install {PACKAGE}"
            );
            std::fs::rename(&part, &target).unwrap();
        }
        target
    })
}

/// Runs a task of `openai_client.py` against the HTTP port at this URL; what it printed.
pub(crate) async fn run(url: &str, task: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/server/openai_client.py");
    let mut command = std::process::Command::new("python3");
    command.arg(script).args([url, task]).env("PYTHONNOUSERSITE", "1").env("NO_PROXY", "127.0.0.1");
    let output =
        tokio::task::spawn_blocking(move || command.env("PYTHONPATH", installed()).output().unwrap());
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{task}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{task}: {error}: {errors}"))
}
