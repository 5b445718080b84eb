//! Bytes of anybody: an error or rows, never a panic.

use std::path::Path;

use ragstone::Db;
use ragstone_exchange::{Error, ImportOptions};

use crate::support::{collection, data, export, full_points, full_schema, import};

/// Imports into nothing; whether it worked.
fn imports(path: &Path) -> bool {
    let db = Db::in_memory().unwrap();
    match import(&db, "to", path, &ImportOptions::default()) {
        Ok(_) => true,
        Err(Error::Io { operation, .. }) => panic!("an error of the system: {operation}"),
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

/// Our own files and those of others.
fn samples(folder: &Path) -> Vec<Vec<u8>> {
    let db = Db::in_memory().unwrap();
    let from = collection(&db, "from", full_schema(), full_points());
    let own = ["own.arrow", "own.parquet"].map(|name| {
        let path = folder.join(name);
        export(&from, &path);
        path
    });
    let others = ["pyarrow-lz4.feather", "pyarrow-snappy.parquet", "pyarrow-stream.arrows"].map(data);
    own.iter().chain(&others).map(|path| std::fs::read(path).unwrap()).collect()
}

fn ending(bytes: &[u8]) -> &'static str {
    if bytes.starts_with(b"PAR1") { "parquet" } else { "arrow" }
}

#[test]
fn a_file_that_is_cut_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in samples(folder.path()) {
        let path = folder.path().join("cut").with_extension(ending(&bytes));
        let is_stream = !bytes.starts_with(b"PAR1") && !bytes.starts_with(b"ARROW1");
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 150) {
            std::fs::write(&path, &bytes[..end]).unwrap();
            // A stream may end after any of its messages.
            assert!(!imports(&path) || is_stream, "{end} of {}", bytes.len());
        }
    }
}

#[test]
fn changed_bytes_are_an_error_or_rows() {
    const RUNS: usize = 250;
    let folder = tempfile::tempdir().unwrap();
    let mut state = 11_u64;
    // A linear congruential generator (Knuth 1981), its upper bits.
    let mut below = |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let (mut worked, mut failed) = (0, 0);
    for bytes in samples(folder.path()) {
        let path = folder.path().join("changed").with_extension(ending(&bytes));
        for _ in 0..RUNS {
            let mut changed = bytes.clone();
            for _ in 0..=below(3) {
                // Most of what steers a reader stands at the end.
                let at = if below(2) == 0 {
                    below(changed.len())
                } else {
                    changed.len() - 1 - below(changed.len() / 4)
                };
                changed[at] = [0, 0xff, 0x80, below(256) as u8][below(4)];
            }
            std::fs::write(&path, &changed).unwrap();
            if imports(&path) { worked += 1 } else { failed += 1 }
        }
    }
    assert!(worked > RUNS / 20 && failed > RUNS / 20, "{worked} worked and {failed} failed");
}
