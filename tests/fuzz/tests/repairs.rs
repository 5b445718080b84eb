//! Damaged databases, checked and repaired: a bounded and seeded number of them; `cargo xtask fuzz-repairs` goes on.

use std::sync::LazyLock;

use ragstone_fuzz::{File, Random, Repaired, Sample, run_repair};

static SAMPLE: LazyLock<Sample> = LazyLock::new(Sample::write);

#[test]
fn a_sound_database_is_left_as_it_is() {
    for input in [&[0][..], &[1]] {
        assert_eq!(run_repair(input), Repaired::Left(0), "{input:?}");
    }
}

#[test]
fn damaged_databases_are_repaired_or_refused() {
    const RUNS: usize = 150;
    let mut random = Random::new(11);
    let (mut refused, mut whole) = (0, 0);
    for _ in 0..RUNS {
        let length = 4 + random.below(28);
        match run_repair(&random.bytes(length)) {
            Repaired::Refused => refused += 1,
            Repaired::Left(0) => whole += 1,
            Repaired::Left(_) => {}
        }
    }
    // The manifest has a copy, so that few are beyond all help.
    assert!(refused < RUNS / 4, "{refused} of {RUNS} were refused");
    assert!(whole > RUNS / 2, "{whole} of {RUNS} are whole again");
}

/// Offsets near the end of 64 bits were added to before anybody compared them with the file.
#[test]
fn directories_of_segments_that_lead_beyond_all_numbers_lose_rows_and_no_more() {
    let mut files = SAMPLE.files.iter().enumerate();
    let (index, (name, bytes)) =
        files.rfind(|(_, (name, _))| name.starts_with("segment-")).expect("there is a segment");
    let file = File::split(name, bytes);
    let meta = file.parts[1].clone();
    let (mut noticed, mut all) = (0, 0);
    for at in (0..meta.len().saturating_sub(8)).step_by(7) {
        let mut changed = file.clone();
        changed.parts[1][at..at + 8].copy_from_slice(&(u64::MAX - at as u64 % 9).to_le_bytes());
        let mut damaged = SAMPLE.clone();
        damaged.files[index].1 = changed.join();
        let directory = tempfile::tempdir().expect("a scratch directory");
        damaged.store(directory.path());
        let report = ragstone::repair(directory.path(), true).expect("the manifest is sound");
        noticed += usize::from(!report.damaged.is_empty());
        all += 1;
    }
    assert!(noticed > all / 2, "{noticed} of {all} were noticed");
}
