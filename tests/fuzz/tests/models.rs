//! Models whose settings and weights are changed at random: a bounded and seeded number of them; `cargo xtask fuzz-models` goes on.

use ragstone_fuzz::{Random, exercise_model};

/// Those that are changed.
const MODELS: u8 = 12;

#[test]
fn models_that_nobody_changed_compute() {
    for which in 0..MODELS {
        assert!(exercise_model(&[which]), "{which}");
    }
}

#[test]
fn changed_models_are_refused_or_compute() {
    const RUNS: usize = 200;
    let mut random = Random::new(13);
    let mut computed = 0;
    for _ in 0..RUNS {
        let length = 4 + random.below(20);
        computed += usize::from(exercise_model(&random.bytes(length)));
    }
    // Some of each: otherwise changes are none, or none of them comes far.
    assert!((1..RUNS).contains(&computed), "{computed} of {RUNS} computed");
}
