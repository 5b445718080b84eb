//! Requests to a server, changed at random: a bounded and seeded number of them; `cargo xtask fuzz-wire` goes on.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ragstone_fuzz::{Answered, Random, exercise_wire};

/// Neither a changed key nor a token: the key that may do everything.
const WITH_KEY: u8 = 15;
/// A token that nobody changed.
const WITH_TOKEN: u8 = 3;
/// How many requests there are: about points and searches, then about documents, prompts and models, then those of operators.
const REQUESTS: u8 = 21 + 20 + 21;
/// Those behind the first ones that have nothing to be refused for, by their places. The others name a model, a template, a key, an
/// operation or a store that there is not.
const WELL: [(u8, &str); 23] = [
    (21, "IngestDocument of HTML"),
    (22, "IngestDocument of Markdown"),
    (23, "IngestDocuments"),
    (24, "IngestRecords of CSV"),
    (25, "IngestRecords of JSON lines"),
    (26, "GetDocument"),
    (27, "ListDocuments"),
    (28, "ListChunks"),
    (29, "DeleteDocument"),
    (30, "Retrieve"),
    (31, "Enrich"),
    (33, "PreviewTemplate"),
    (36, "ListTemplates"),
    (37, "Embed"),
    (38, "CountTokens"),
    (40, "ListModels"),
    (41, "Explain"),
    (42, "GetCollection"),
    (44, "SetAlias"),
    (46, "ListAliases"),
    (50, "ListKeys"),
    (55, "ListOperations"),
    (61, "GetStats"),
];

/// What each request is answered with as it is. They are made once, ahead of all changed ones: the tests of this file share a server, and
/// whichever comes first waits for these.
static SOUND: LazyLock<Vec<Answered>> =
    LazyLock::new(|| (0..REQUESTS).map(|which| exercise_wire(&[0, which, 0, WITH_KEY, 40])).collect());

#[test]
fn sound_requests_are_answered_also_in_pieces_and_compressed() {
    LazyLock::force(&SOUND);
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
    let answers = WELL.map(|(which, name)| (name, SOUND[usize::from(which)]));
    let wrong = answers.iter().filter(|(_, answered)| *answered != Answered::Grpc(0));
    let wrong: Vec<&(&str, Answered)> = wrong.collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    // Which is what a path is answered with that no call has.
    assert!(!SOUND.contains(&Answered::Grpc(12)), "{:?}", *SOUND);
}

#[test]
fn changed_requests_are_answered_or_hung_up_on() {
    const RUNS: usize = 1_200;
    LazyLock::force(&SOUND);
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
