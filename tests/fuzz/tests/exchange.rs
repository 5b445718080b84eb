//! Arrow and Parquet files, changed at random: a bounded and seeded number of them; `cargo xtask fuzz-exchange` goes on.

use ragstone_fuzz::{Random, exercise_exchange};

/// Kinds of files that are changed.
const FILES: u8 = 7;

#[test]
fn files_that_nobody_changed_are_imported_whatever_the_options() {
    for file in 0..FILES {
        // Into nothing and into a collection, all columns and some; with the ids that they have.
        for how in [0, 1, 4, 5, 8] {
            assert!(exercise_exchange(&[file, how]), "{file} {how}");
        }
    }
}

#[test]
fn changed_files_are_an_error_or_rows() {
    const RUNS: usize = 600;
    let mut random = Random::new(5);
    let mut imported = 0;
    for _ in 0..RUNS {
        let length = 6 + random.below(20);
        let mut input = random.bytes(length);
        input[0] = random.below(FILES.into()) as u8;
        imported += usize::from(exercise_exchange(&input));
    }
    assert!(imported < RUNS * 3 / 4, "{imported} of {RUNS} were imported");
}
