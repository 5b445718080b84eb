//! Where the program under test lies.

use std::path::{Path, PathBuf};

/// The `ragstone` binary beside this test's own; `cargo xtask test` builds it first.
pub(crate) fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let binary = profile.join(format!("ragstone{}", std::env::consts::EXE_SUFFIX));
    assert!(
        binary.is_file(),
        "{} is not built; run `cargo build -p ragstone-server` first",
        binary.display()
    );
    binary
}
