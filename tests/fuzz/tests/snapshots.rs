//! Damaged copies, restored: a bounded and seeded number of them; `cargo xtask fuzz-snapshots` goes on.

use ragstone_fuzz::{Outcome, Random, exercise_snapshot};

#[test]
fn a_sound_copy_is_restored() {
    for which in [0, 1] {
        let outcome = exercise_snapshot(&[which]);
        assert!(matches!(outcome, Outcome::Read(rows) if rows >= 29), "{which}: {outcome:?}");
    }
}

#[test]
fn damaged_copies_are_refused_or_can_be_read() {
    const RUNS: usize = 200;
    let mut random = Random::new(13);
    let mut refused = 0;
    for _ in 0..RUNS {
        let length = 5 + random.below(24);
        refused += usize::from(exercise_snapshot(&random.bytes(length)) == Outcome::Refused);
    }
    assert!((RUNS / 4..RUNS * 19 / 20).contains(&refused), "{refused} of {RUNS} were refused");
}
