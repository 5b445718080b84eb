//! Damaged databases, a bounded and seeded number of them; `cargo xtask fuzz` goes on for as long as one likes.

use std::sync::LazyLock;

use ragstone_fuzz::{File, Outcome, Random, Sample, damage, exercise, run};

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::write);

/// Rows of the three collections together.
const ROWS: usize = 2 * (80 + 1 - 3) + (40 + 1 - 1);

#[test]
fn the_sample_has_every_kind_of_file_and_opens() {
    for kind in ["MANIFEST", "segment-", "dead-", "patch-", "words-", "requests-", "kept-", "log-"] {
        assert!(SAMPLE.files.iter().any(|(name, _)| name.starts_with(kind)), "{kind}");
    }
    for input in [&[0][..], &[1]] {
        assert_eq!(run(input), Outcome::Read(ROWS), "{input:?}");
    }
}

#[test]
fn files_taken_apart_and_put_together_are_the_same() {
    for (name, bytes) in &SAMPLE.files {
        assert!(File::split(name, bytes).join() == *bytes, "{name}");
    }
}

/// Every part can be changed so that the checksums hold and the change is seen: the reader is reached behind them.
#[test]
fn a_repaired_change_gets_past_the_checksums() {
    for (index, (name, bytes)) in SAMPLE.files.iter().enumerate() {
        let file = File::split(name, bytes);
        for part in 0..file.parts.len() {
            let mut changed = file.clone();
            changed.parts[part].push(0);
            let mut damaged = SAMPLE.clone();
            damaged.files[index].1 = changed.join();
            let directory = tempfile::tempdir().expect("a scratch directory");
            damaged.store(directory.path());
            let error = ragstone::Db::open(directory.path()).err().map(|error| error.to_string());
            assert!(
                error.as_ref().is_none_or(|error| !error.contains("checksum")),
                "{name}, {part}: {error:?}"
            );
            assert_eq!(exercise(directory.path(), false) == Outcome::Refused, error.is_some());
        }
    }
}

#[test]
fn damaged_databases_are_refused_or_can_be_read() {
    const RUNS: usize = 1_000;
    let mut random = Random::new(7);
    let (mut refused, mut changed) = (0, 0);
    for _ in 0..RUNS {
        let length = 4 + random.below(28);
        let input = random.bytes(length);
        changed += usize::from(damage(&SAMPLE, &input).0.files != SAMPLE.files);
        refused += usize::from(run(&input) == Outcome::Refused);
    }
    // Neither all that is damaged is refused at the door, nor does all of it come in.
    assert!(changed > RUNS * 9 / 10, "{changed} of {RUNS} were damaged");
    assert!((RUNS / 16..RUNS * 19 / 20).contains(&refused), "{refused} of {RUNS} were refused");
}
