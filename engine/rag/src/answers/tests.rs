//! No sequence of calls gets an answer out of another partition.

use proptest::prelude::*;
use ragstone::{CollectionVersion, Db, Filter, RowFilter, Schema};

use super::entries::Entries;
use super::key::{shown_enrich, shown_options, shown_reranker, shown_rows};
use super::question::cosine;
use super::*;
use crate::generate::GenerateOptions;
use crate::prompt::{DataMarking, EnrichRequest};
use crate::rerank::{RerankerInfo, ScoreScale};
use crate::retrieve::{Rerank, RetrievalMode};

/// Parts of a key, each of a domain of two: by place, which of the two.
const PARTS: usize = 13;

/// The versions of a collection before a write and after it, and of another collection.
fn versions() -> [CollectionVersion; 3] {
    let db = Db::in_memory().unwrap();
    let notes = db.create_collection("notes", Schema::new(2).unwrap()).unwrap();
    let before = notes.version();
    notes.upsert(vec![ragstone::Point::new(1, [1.0, 0.0])]).unwrap();
    let other = db.create_collection("other", Schema::new(2).unwrap()).unwrap();
    [before, notes.version(), other.version()]
}

fn partition(parts: [bool; PARTS], versions: &[CollectionVersion; 3]) -> Partition {
    let [
        caller,
        rows,
        filter,
        is_written,
        is_other,
        name,
        text,
        embedder,
        reranker,
        model,
        address,
        options,
        told,
    ] = parts;
    let pick = |which: bool, one: &str, other: &str| if which { other.to_owned() } else { one.to_owned() };
    Partition {
        caller: pick(caller, "key:a", "key:b"),
        rows: rows.then(|| "tenant = a".to_owned()),
        version: if is_other { versions[2] } else { versions[usize::from(is_written)] },
        filter: filter.then(|| "tenant = a".to_owned()),
        template: (pick(name, "t@1", "t@2"), text.then(|| "{{ question }}".to_owned())),
        embedder: pick(embedder, "words", "other"),
        reranker: reranker.then(|| "cross".to_owned()),
        model: [pick(model, "small", "large"), pick(address, "http://a", "http://b"), String::new()],
        options: pick(options, "cold", "hot"),
        enrich: String::new(),
        instructions: if told { vec!["In German.".to_owned()] } else { Vec::new() },
    }
}

/// Questions in a plane, of which some are near each other.
fn question(angle: u8) -> Question {
    let text = char::from(b'a' + angle).to_string();
    let angle = f32::from(angle) * 0.1;
    Question::new(&text, Some(vec![angle.cos(), angle.sin()]))
}

#[derive(Clone, Debug)]
struct Step {
    parts: [bool; PARTS],
    angle: u8,
    is_put: bool,
    passes_s: u64,
}

fn step() -> impl Strategy<Value = Step> {
    // Most keys differ in one part or in none, where a mistake would show.
    let parts = prop_oneof![
        2 => Just([false; PARTS]),
        4 => (0..PARTS).prop_map(|at| -> [bool; PARTS] { std::array::from_fn(|part| part == at) }),
        1 => proptest::array::uniform::<_, PARTS>(any::<bool>()),
    ];
    (parts, 0_u8..16, any::<bool>(), 0_u64..4).prop_map(|(parts, angle, is_put, passes_s)| Step {
        parts,
        angle,
        is_put,
        passes_s,
    })
}

/// What was put, in order.
struct Put {
    partition: Partition,
    question: Question,
    at: Instant,
}

proptest! {
    /// Whatever is found was put under a key that is the same in every part, not long ago, for the same question or, if that is asked for, one that is
    /// near enough; and what was put just now is found.
    #[test]
    fn what_is_found_is_of_the_same_key_and_near_and_young(
        steps in proptest::collection::vec(step(), 1..80),
        entries_max in 1_usize..12,
        is_by_meaning in any::<bool>(),
    ) {
        let options = AnswerCacheOptions {
            entries_max,
            bytes_max: 6_000,
            similarity_min: if is_by_meaning { 0.97 } else { 1.0 },
            lifetime: Duration::from_secs(20),
        };
        let (versions, mut now) = (versions(), Instant::now());
        let (mut entries, mut put): (Entries<usize>, Vec<Put>) = (Entries::new(options), Vec::new());
        for Step { parts, angle, is_put, passes_s } in steps {
            now += Duration::from_secs(passes_s);
            let (partition, question) = (partition(parts, &versions), question(angle));
            if is_put {
                entries.put((partition.clone(), question.clone()), (put.len(), 500), now);
                put.push(Put { partition: partition.clone(), question: question.clone(), at: now });
            }
            let found = entries.get(&partition, &question, now);
            if let Some(number) = found {
                let of = &put[number];
                prop_assert_eq!(&of.partition, &partition);
                let is_near = of.question.nearness(&question).is_some_and(|cosine| cosine >= 0.97);
                prop_assert!(of.question.is_same(&question) || (is_by_meaning && is_near));
                prop_assert!(now.duration_since(of.at) < options.lifetime);
                prop_assert!(!is_put || number + 1 == put.len(), "the newest answer to a question");
            }
            prop_assert!(found.is_some() || !is_put, "it was put just now");
            entries.check();
        }
    }
}

fn options(entries_max: usize) -> AnswerCacheOptions {
    AnswerCacheOptions { entries_max, ..AnswerCacheOptions::default() }
}

#[test]
fn what_was_used_the_longest_ago_goes_first() {
    let (versions, now) = (versions(), Instant::now());
    let key = || partition([false; PARTS], &versions);
    let mut entries: Entries<&str> = Entries::new(options(2));
    entries.put((key(), question(0)), ("one", 0), now);
    entries.put((key(), question(8)), ("two", 0), now);
    assert_eq!(entries.get(&key(), &question(0), now), Some("one"));
    entries.put((key(), question(15)), ("three", 0), now);
    let found = [0, 8, 15].map(|angle| entries.get(&key(), &question(angle), now));
    assert_eq!(found, [Some("one"), None, Some("three")]);
    // What is larger than all may be together takes nobody's place.
    entries.put((key(), question(8)), ("four", 64 << 20), now);
    assert_eq!(entries.get(&key(), &question(8), now), None);
    assert_eq!(entries.get(&key(), &question(0), now), Some("one"));
    entries.check();
}

#[test]
fn an_answer_is_given_again_for_a_while() {
    let (versions, now) = (versions(), Instant::now());
    let key = partition([false; PARTS], &versions);
    let mut entries: Entries<u8> = Entries::new(options(2));
    entries.put((key.clone(), question(0)), (7, 0), now);
    let lifetime = AnswerCacheOptions::default().lifetime;
    let nearly = now + lifetime - Duration::from_secs(1);
    assert!(entries.get(&key, &question(0), nearly).is_some());
    assert!(entries.get(&key, &question(0), now + lifetime).is_none(), "being asked for keeps nothing young");
    // Nor does what is too old stay in memory until its own partition is asked for.
    let other = partition([true; PARTS], &versions);
    entries.put((key.clone(), question(0)), (7, 0), now);
    entries.put((other, question(0)), (8, 0), now + lifetime);
    assert_eq!(entries.get(&key, &question(0), now), None, "an hour before");
    entries.check();
}

#[test]
fn only_the_same_text_is_the_same_question_unless_nearness_is_asked_for() {
    let (versions, now) = (versions(), Instant::now());
    let key = partition([false; PARTS], &versions);
    // To a model that has none of their words, all of these have one vector.
    let of = |text: &str| Question::new(text, Some(vec![1.0, 0.0]));
    let without = Question::new("Is smoking allowed?", None);
    let asked =
        ["Is smoking allowed?", "Is smoking not allowed?", "is smoking allowed?", "The rent in 2023?"];
    let found = |options: AnswerCacheOptions| {
        let mut entries: Entries<u8> = Entries::new(options);
        entries.put((key.clone(), of(asked[0])), (7, 0), now);
        let alike = [" Is smoking allowed?\n"].into_iter().chain(asked);
        let found: Vec<bool> = alike.map(|text| entries.get(&key, &of(text), now).is_some()).collect();
        assert!(entries.get(&key, &without, now).is_some(), "the same text needs no vector");
        found
    };
    assert_eq!(found(options(8)), [true, true, false, false, false]);
    let by_meaning = AnswerCacheOptions { similarity_min: 0.97, ..options(8) };
    assert_eq!(found(by_meaning), [true, true, true, true, false], "other numbers, another question");
}

#[test]
fn questions_with_other_numbers_are_not_near() {
    let of = |text: &str| Question::new(text, Some(vec![1.0, 0.0]));
    for (one, other, is_near) in [
        ("The rent in 2023?", "In 2023, the rent?", true),
        ("The rent in 2023?", "the rent 2023", true),
        ("The rent?", "Rent?", true),
        ("The rent in 2023?", "The rent in 2024?", false),
        ("The rent in 2023?", "The rent?", false),
        ("From 3 to 5", "From 5 to 3", false),
        ("Is it -5?", "Is it 5?", false),
        ("Version 1.2", "Version 1.20", false),
    ] {
        assert_eq!(of(one).nearness(&of(other)).is_some(), is_near, "{one} {other}");
    }
    let without = Question::new("The rent?", None);
    assert_eq!(without.nearness(&of("The rent?")), None);
}

#[test]
fn what_says_nothing_is_near_nothing() {
    for (one, other) in [
        (&[0.0, 0.0][..], &[1.0, 0.0][..]),
        (&[f32::NAN, 0.0][..], &[1.0, 0.0][..]),
        (&[1.0][..], &[1.0, 0.0][..]),
    ] {
        assert_eq!(cosine(one, other), None);
    }
    assert_eq!(cosine(&[3.0, 4.0], &[3.0, 4.0]), Some(1.0));
}

#[test]
fn parts_that_differ_are_shown_differently() {
    let request = EnrichRequest::new("Why?");
    let shown = shown_enrich(&request);
    assert_eq!(shown_enrich(&EnrichRequest::new("How?")), shown, "the question is the soft key");
    let changes: [fn(&mut EnrichRequest); 7] = [
        |request| request.k = 7,
        |request| request.token_budget = 1,
        |request| request.mode = RetrievalMode::Dense,
        |request| request.mmr = Some(0.5),
        |request| request.rerank = Some(Rerank::new("cross")),
        |request| request.expand.before = 1,
        |request| request.data_marking = DataMarking::Words,
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let mut other = request.clone();
        change(&mut other);
        assert_ne!(shown_enrich(&other), shown, "{at}");
    }
    let cold = GenerateOptions { temperature: Some(0.0), ..GenerateOptions::default() };
    assert_ne!(shown_options(&cold), shown_options(&GenerateOptions::default()));
    let weights = |sha256: &str| {
        let (name, sha256) = ("cross".to_owned(), Some(sha256.to_owned()));
        shown_reranker(&RerankerInfo { name, sha256, max_tokens: 512, scale: ScoreScale::Logit })
    };
    assert_ne!(weights("00"), weights("01"));
    let rows = |filter: Filter| shown_rows(&RowFilter::new(filter).unwrap());
    assert_ne!(rows(Filter::eq("tenant", "a")), rows(Filter::eq("tenant", "b")));
    assert_ne!(rows(Filter::eq("tenant", "1")), rows(Filter::eq("tenant", 1)));
    assert_ne!(rows(Filter::eq("t", "a\", \"b")), rows(Filter::In("t".into(), vec!["a".into(), "b".into()])));
}
