//! Requests to a server, changed at random: a bounded and seeded number of them; `cargo xtask fuzz-wire` goes on.

use std::collections::BTreeMap;

use ragstone_fuzz::{Answered, Random, exercise_wire};

/// Neither a changed key nor a token: the key that may do everything.
const WITH_KEY: u8 = 15;
/// A token that nobody changed.
const WITH_TOKEN: u8 = 3;
/// Requests about points and searches; behind them come those about documents, prompts and models, and those of operators.
const OF_POINTS: u8 = 21;
const OF_DOCUMENTS: u8 = 20;
const OF_OPERATORS: u8 = 21;

#[test]
fn sound_requests_are_answered_also_in_pieces_and_compressed() {
    for how in [0, 1, 2, 3, 16, 16 + 1] {
        let answers = (0..24).map(|which| exercise_wire(&[0, which, how, WITH_KEY, 40]));
        let well = answers.filter(|answered| *answered == Answered::Grpc(0)).count();
        assert!(well >= 10, "{how}: {well} of them");
    }
    let well =
        (0..24).filter(|which| exercise_wire(&[0, *which, 0, WITH_TOKEN, 40]) == Answered::Grpc(0)).count();
    assert!((4..20).contains(&well), "a token allows some of them, not all: {well}");
    let answers: Vec<Answered> = (0..5).map(|which| exercise_wire(&[3, which, 1, WITH_KEY])).collect();
    assert!(answers.iter().all(|answered| matches!(answered, Answered::Http(_))), "{answers:?}");
}

#[test]
fn sound_requests_about_documents_and_of_operators_are_answered() {
    let others = OF_POINTS..OF_POINTS + OF_DOCUMENTS + OF_OPERATORS;
    let answers: Vec<Answered> = others.map(|which| exercise_wire(&[0, which, 0, WITH_KEY, 40])).collect();
    let of = |answered: Answered| answers.iter().filter(|answer| **answer == answered).count();
    let (well, unknown) = (of(Answered::Grpc(0)), of(Answered::Grpc(12)));
    assert!(well >= 16 && unknown == 0, "{well} of them: {answers:?}");
}

#[test]
fn changed_requests_are_answered_or_hung_up_on() {
    const RUNS: usize = 1_200;
    let mut random = Random::new(3);
    let mut found: BTreeMap<Answered, usize> = BTreeMap::new();
    for _ in 0..RUNS {
        let length = 6 + random.below(30);
        *found.entry(exercise_wire(&random.bytes(length))).or_default() += 1;
    }
    // Some come far, and some are refused for what they are: otherwise all of this tests nothing.
    for answered in [Answered::Grpc(0), Answered::Grpc(3), Answered::Grpc(16), Answered::Http(400)] {
        assert!(found.get(&answered).is_some_and(|count| *count > 3), "{answered:?}: {found:?}");
    }
}
