//! The machine dies while documents are stored, replaced and removed, at any call that changes the disk.
//!
//! A scenario runs on a disk that is gone from some call on. What is there when the power comes back is opened: of each document it must
//! hold the version that was acknowledged last, or that of the step that was under way, and the rows of the collection must be those of
//! a collection that was given these versions and nothing else: ids, ordinals, offsets, hashes, vectors. Then the scenario goes on
//! where it was, as whoever keeps a folder in step would, and the power goes once more.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ragstone::faults::Disk;
use ragstone::{DbOptions, OnDamage, Verify};

use super::ingest::{in_memory, sections};
use super::*;
use crate::ingest::content_sha256;
use crate::ingest::records::{RecordFormat, RecordOptions, read};

/// Each is extracted and split in its own way.
const FILES: [&str; 3] = ["guide.md", "pour.rs", "pour.py"];
/// A file whose records are documents, which are stored many at once.
const RECORDS: &str = "notes.jsonl";
const RECORD_COUNT: usize = 3;
/// What a version is about: some have parts in common, one is empty.
const VERSIONS: [&[&str]; 4] =
    [&["ale", "bock", "cider"], &["ale", "beer", "cider", "wine"], &["cider"], &[]];

#[derive(Clone, Debug)]
enum Step {
    /// A file gets a version.
    Put(usize, usize),
    /// Each record gets a version.
    Records([usize; RECORD_COUNT]),
    /// A document is removed, if it is there.
    Remove(usize),
    Flush,
}

/// Documents by their ids.
type Stored = BTreeMap<String, DocumentInput>;

/// What a disk must have.
#[derive(Default)]
struct Expected {
    /// Whether the collection is there.
    is_made: bool,
    acknowledged: Stored,
    /// What the step that failed may have made of some documents; `None` where it removes one.
    under_way: BTreeMap<String, Option<DocumentInput>>,
}

fn ids() -> Vec<String> {
    let records = (0..RECORD_COUNT).map(|at| format!("{RECORDS}#{at}"));
    FILES.map(str::to_owned).into_iter().chain(records).collect()
}

/// A function of more lines than a chunk has.
fn function(name: &str, line: &str, [head, end]: [&str; 2]) -> String {
    let lines: String = (0..9).map(|at| format!("    {line}pour('{name}', {at}){end}\n")).collect();
    format!("{head}\n{lines}")
}

fn file(name: &str, version: usize) -> DocumentInput {
    let parts = VERSIONS[version];
    let text: String = match name {
        "pour.rs" => parts
            .iter()
            .map(|part| {
                let head = format!("/// Pours {part}.\nfn {part}() {{");
                format!("{}}}\n\n", function(part, "let _ = ", [&head, ";"]))
            })
            .collect(),
        "pour.py" => parts
            .iter()
            .map(|part| format!("{}\n\n", function(part, "", [&format!("def {part}():"), ""])))
            .collect(),
        _ => sections(parts),
    };
    document(name, &text)
}

/// The documents of the file of records.
fn records(versions: &[usize; RECORD_COUNT]) -> Vec<DocumentInput> {
    let line = |(at, version): (usize, &usize)| {
        let text = format!("Record {at}.\n\n{}", sections(VERSIONS[*version]));
        format!("{}\n", serde_json::json!({"id": at.to_string(), "text": text, "version": version}))
    };
    let file: String = versions.iter().enumerate().map(line).collect();
    let records = read(file.as_bytes(), RecordFormat::JsonLines, RecordOptions::default());
    records.map(|record| record.unwrap().into_document(RECORDS, "docs")).collect()
}

impl Step {
    /// What it makes of the documents that it is about.
    fn changes(&self) -> Vec<(String, Option<DocumentInput>)> {
        match self {
            Step::Put(name, version) => {
                vec![(FILES[*name].to_owned(), Some(file(FILES[*name], *version)))]
            }
            Step::Records(versions) => {
                records(versions).into_iter().map(|record| (record.id.clone(), Some(record))).collect()
            }
            Step::Remove(at) => vec![(ids().swap_remove(*at), None)],
            Step::Flush => Vec::new(),
        }
    }

    /// Runs it; `stored` gets the ids of documents that are stored, also where others are not.
    fn run(&self, rag: &Rag, stored: &mut Vec<String>) -> Result<()> {
        match self {
            Step::Put(name, version) => drop(rag.ingest(C, file(FILES[*name], *version))?),
            Step::Records(versions) => {
                let documents = records(versions).into_iter().map(|record| (record.id.clone(), Ok(record)));
                let done = |id: String, report: Result<_>| stored.extend(report.is_ok().then_some(id));
                rag.ingest_all(C, documents, &IngestOptions::default(), done)?;
            }
            Step::Remove(at) => {
                rag.delete_document(C, &ids()[*at])?;
            }
            Step::Flush => rag.db().flush()?,
        }
        Ok(())
    }
}

/// Segments so small that they are sealed and merged all along.
fn open(disk: &Disk) -> Result<Rag> {
    let mut options = DbOptions::default();
    (options.seal_rows, options.log_file_bytes, options.background) = (16, 16 << 10, false);
    (options.verify, options.on_damage) = (Verify::OnOpen, OnDamage::Refuse);
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    models.insert(Arc::new(BagOfWords::new("words", 64)));
    Ok(Rag::new(disk.open(options)?, models))
}

/// Runs steps until one fails: what the disk must have then, and how many did not.
fn run(disk: &Disk, mut expected: Expected, steps: &[Step]) -> (Expected, usize) {
    let Ok(rag) = open(disk) else { return (expected, 0) };
    if !expected.is_made && rag.create_collection(C, CollectionSpec::with_model("words")).is_err() {
        return (expected, 0);
    }
    expected.is_made = true;
    for (at, step) in steps.iter().enumerate() {
        let mut stored = Vec::new();
        let result = step.run(&rag, &mut stored);
        for (id, input) in step.changes() {
            if result.is_err() && !stored.contains(&id) {
                expected.under_way.insert(id, input);
                continue;
            }
            match input {
                Some(input) => drop(expected.acknowledged.insert(id, input)),
                None => drop(expected.acknowledged.remove(&id)),
            }
        }
        if result.is_err() {
            return (expected, at);
        }
    }
    (expected, steps.len())
}

/// Checks what a disk has, and says what that is.
fn check(disk: &Disk, expected: &Expected) -> Expected {
    let rag = open(disk).unwrap();
    let mut found = Expected { is_made: rag.db().collection(C).is_ok(), ..Expected::default() };
    assert!(found.is_made || !expected.is_made, "the collection is lost");
    if !found.is_made {
        return found;
    }
    for id in ids() {
        let under_way = expected.under_way.get(&id).map(Option::as_ref);
        let mut allowed = [Some(expected.acknowledged.get(&id)), under_way].into_iter().flatten();
        match rag.document(C, &id) {
            Ok(stored) => {
                let is_it = |input: &&DocumentInput| content_sha256(&input.content) == stored.content_sha256;
                let version = allowed.flatten().find(is_it);
                found.acknowledged.insert(id, version.expect("a version that it may have").clone());
            }
            Err(Error::DocumentNotFound { .. }) => {
                assert!(allowed.any(|version| version.is_none()), "{id} is lost");
            }
            Err(error) => panic!("{id}: {error}"),
        }
    }
    let fresh = in_memory(BagOfWords::new("words", 64));
    for (id, input) in &found.acknowledged {
        fresh.ingest(C, input.clone()).unwrap();
        check_slices(&rag, id);
    }
    assert_eq!(
        ingest::rows(&rag),
        ingest::rows(&fresh),
        "the rows of the versions that are there, and no others"
    );
    found
}

fn step() -> impl Strategy<Value = Step> {
    let version = || 0..VERSIONS.len();
    prop_oneof![
        4 => (0..FILES.len(), version()).prop_map(|(name, version)| Step::Put(name, version)),
        2 => prop::array::uniform3(version()).prop_map(Step::Records),
        1 => (0..FILES.len() + RECORD_COUNT).prop_map(Step::Remove),
        1 => Just(Step::Flush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn wherever_the_machine_dies_a_document_is_one_version_whole_and_none_is_lost(
        steps in prop::collection::vec(step(), 2..9),
        (crash, again) in (0..1_000u64, 0..1_000u64),
        seed in any::<u64>(),
    ) {
        let whole = Disk::new();
        let (expected, done) = run(&whole, Expected::default(), &steps);
        prop_assert_eq!(done, steps.len());
        check(&whole.recovered(seed), &expected);

        let disk = Disk::new();
        disk.crash_at(whole.calls() * crash / 1_000);
        let (expected, done) = run(&disk, Expected::default(), &steps);
        let disk = disk.recovered(seed);
        let found = check(&disk, &expected);

        disk.crash_at(disk.calls() + whole.calls() * again / 1_000);
        let (expected, _) = run(&disk, found, &steps[done..]);
        check(&disk.recovered(seed.wrapping_add(1)), &expected);
    }
}
