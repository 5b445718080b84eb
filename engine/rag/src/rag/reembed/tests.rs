//! A collection that was moved to another model is what it would be had it been made with that model, whatever came between.

mod fixture;
mod passes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ragstone::{Batch, CancelToken, FieldType, Payload, Point, PointId, SearchRequest};

use self::fixture::{C, DIMENSION, document, fill, hooked, made_with, make, new_model, open, reembed, rows};
use super::ReembedOptions;
use crate::embed::{Overflow, Role};
use crate::error::Error;
use crate::ingest::DocumentInput;
use crate::progress::Silent;
use crate::rag::{CollectionSpec, TextQuery};
use crate::reserved::{KIND, KIND_CHUNK};
use crate::testing::BagOfWords;

#[test]
fn it_is_what_it_would_be_had_it_been_made_with_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..20);
    rag.db().flush().unwrap();
    let before = rows(&rag);
    let last = rag.db().collection(C).unwrap().info().seq;
    let report = reembed(&rag, &ReembedOptions::to("new")).unwrap();
    let expected = made_with("new", |rag| fill(rag, 0..20));
    assert_eq!(rows(&rag), expected);
    let chunks = expected.iter().filter(|row| row.vector.is_some()).count() as u64;
    assert_eq!((report.texts, report.split_anew, report.resumed), (chunks, 0, false));
    assert!(report.tokens > report.texts);
    let ids = |rows: &[Point]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&before), ids(&expected));
    assert_eq!(rag.collection_model(C).unwrap().unwrap().name, "new");
    assert!(rag.reembedding(C).unwrap().is_none());
    assert!(rag.db().attributes("ragstone.").is_empty());
    assert!(rag.db().collection(C).unwrap().info().seq > last, "numbers of writes go on");
    // What was embedded anew is not so again by the next look at the same file.
    assert_eq!(rag.ingest(C, document(3, 1)).unwrap().tokens, 0);
    let found = rag.search(C, &TextQuery::new("text 7", 1)).unwrap().0;
    assert!(found.hits[0].id.to_string().starts_with("doc#007.md#"));
}

#[test]
fn documents_that_the_model_cannot_read_whole_are_split_anew() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..6);
    rag.ingest(C, DocumentInput::new("short.md", "# Short\n\nA few words.")).unwrap();
    rag.models().insert(Arc::new(BagOfWords::other("narrow", 40, DIMENSION)));
    let report = reembed(&rag, &ReembedOptions::to("narrow")).unwrap();
    assert_eq!(report.split_anew, 6);
    for id in rag.documents(C, None, None, 100).unwrap().documents {
        let text: Vec<char> = rag.document(C, &id.id).unwrap().text.chars().collect();
        let chunks = rag.chunks(C, &id.id).unwrap();
        assert_eq!(chunks.len(), id.chunks);
        for chunk in chunks {
            assert!(chunk.tokens <= 38, "{chunk:?}");
            assert_eq!(chunk.text, text[chunk.start..chunk.end].iter().collect::<String>());
        }
    }
    // Chunks of the wider model are gone, and none is left from before.
    let chunks: usize = rag.documents(C, None, None, 100).unwrap().documents.iter().map(|of| of.chunks).sum();
    let filter = ragstone::Filter::eq(KIND, KIND_CHUNK);
    assert_eq!(rag.db().collection(C).unwrap().count(Some(&filter)).unwrap(), chunks as u64);
}

/// Each call of the model is a moment to stop at: by a token, and by the death of the process.
#[test]
fn interrupted_anywhere_and_gone_on_with_it_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..60);
    drop(rag);
    let expected = made_with("new", |rag| fill(rag, 0..60));
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = calls.clone();
    {
        let copy = copied(folder.path());
        let rag = open(copy.path());
        rag.models().insert(hooked(new_model(), move |call| counting.store(call, Ordering::SeqCst)));
        reembed(&rag, &ReembedOptions::to("new")).unwrap();
    }
    let calls = calls.load(Ordering::SeqCst);
    assert!(calls >= 8, "{calls}");
    for stop in 1..=calls {
        let (copy, dead) = (copied(folder.path()), tempfile::tempdir().unwrap());
        let rag = open(copy.path());
        let token = CancelToken::new();
        let (cancel, from, to) = (token.clone(), copy.path().to_owned(), dead.path().to_owned());
        rag.models().insert(hooked(new_model(), move |call| {
            if call == stop {
                // What a process that dies now leaves: what was written is with the system.
                copy_files(&from, &to);
                cancel.cancel();
            }
        }));
        let stopped = rag.reembed(C, &ReembedOptions::to("new"), &Silent, &token);
        let has_stopped = matches!(stopped, Err(Error::Interrupted { .. }));
        assert!(has_stopped || stopped.is_ok(), "{stopped:?}");
        drop(rag);
        let places = if has_stopped { vec![copy.path(), dead.path()] } else { vec![dead.path()] };
        for place in places {
            let rag = open(place);
            assert_eq!(rag.collection_model(C).unwrap().unwrap().name, "old");
            let report = reembed(&rag, &ReembedOptions::to("new")).unwrap();
            assert!(
                report.resumed || stop <= calls.min(9),
                "stopped at call {stop} of {calls}: from where it was"
            );
            assert_eq!(rows(&rag), expected, "stopped at call {stop}");
            assert!(rag.db().attributes("ragstone.").is_empty());
        }
    }
}

fn copied(folder: &std::path::Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_files(folder, copy.path());
    copy
}

fn copy_files(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to.join("data")).unwrap();
    for entry in std::fs::read_dir(from.join("data")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join("data").join(entry.file_name())).unwrap();
    }
}

/// Documents come, change and go, and points do, while the first pass is under way.
#[test]
fn writes_that_come_meanwhile_are_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..60);
    let change = |rag: &crate::rag::Rag, step: usize| match step {
        0 => {
            rag.ingest(C, document(1, 2)).unwrap();
            rag.ingest(C, document(100, 1)).unwrap();
        }
        1 => {
            assert!(rag.delete_document(C, "002.md").unwrap());
            assert!(rag.delete_document(C, "059.md").unwrap());
            let rows = rag.db().collection(C).unwrap();
            rows.write(Batch::new().delete(1).upsert(Point::without_vector("late").with("fresh", true)))
                .unwrap();
        }
        _ => {
            // Fewer chunks than before, and more.
            let mut shorter = document(3, 3);
            shorter.content = b"# Short\n\nNearly nothing.".to_vec();
            rag.ingest(C, shorter).unwrap();
            let mut longer = document(7, 1);
            longer.id = "004.md".to_owned();
            rag.ingest(C, longer).unwrap();
            rag.db().collection(C).unwrap().add_field("later", FieldType::Int).unwrap();
        }
    };
    let writer = rag.clone();
    rag.models().insert(hooked(new_model(), move |call| {
        if (2..5).contains(&call) {
            change(&writer, call - 2);
        }
    }));
    let report = reembed(&rag, &ReembedOptions::to("new")).unwrap();
    assert!(report.passes >= 2, "{report:?}");
    let expected = made_with("new", |rag| {
        fill(rag, 0..60);
        (0..3).for_each(|step| change(rag, step));
    });
    assert_eq!(rows(&rag), expected);
    assert!(rag.db().collection(C).unwrap().schema().fields().contains_key("later"));
}

/// Each question gets the right answer, whatever model the rows are of at that moment; writers that meet the exchange are told so.
#[test]
fn readers_and_writers_go_on_all_the_while() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..40);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut asked = 0;
            while !is_over.load(Ordering::SeqCst) {
                let found = rag.search(C, &TextQuery::new("text 7 part 2", 3)).unwrap().0;
                assert_eq!(found.hits.len(), 3);
                assert!(found.hits.iter().any(|hit| hit.id.to_string().starts_with("doc#007.md#")));
                asked += 1;
            }
            asked
        });
        let writer = scope.spawn(|| {
            let mut version = 1;
            while !is_over.load(Ordering::SeqCst) {
                version += 1;
                while let Err(error) = rag.ingest(C, document(33, version)) {
                    let is_replaced =
                        matches!(error, Error::Engine(ragstone::Error::CollectionReplaced { .. }));
                    assert!(is_replaced, "{error}");
                }
            }
            version
        });
        for model in ["new", "old", "new"] {
            reembed(&rag, &ReembedOptions::to(model)).unwrap();
        }
        is_over.store(true, Ordering::SeqCst);
        assert!(reader.join().unwrap() > 0);
        let version = writer.join().unwrap();
        let expected = made_with("new", |rag| {
            fill(rag, 0..40);
            rag.ingest(C, document(33, version)).unwrap();
        });
        assert_eq!(rows(&rag), expected);
    });
}

#[test]
fn points_of_the_users_own_are_made_of_the_field_that_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..3);
    let own = |model: &str, id: u64, text: &str| {
        let vectors = rag.embed(Some(model), &[text], Role::Passage, Overflow::Error).unwrap().vectors;
        Point::new(id, vectors[0].clone()).with("body", text)
    };
    let collection = rag.db().collection(C).unwrap();
    collection.upsert(vec![own("old", 70, "green tea"), own("old", 71, "black coffee")]).unwrap();
    let to_new = ReembedOptions::to("new");
    let refused = |options: &ReembedOptions| match reembed(&rag, options).unwrap_err() {
        Error::Invalid { field, reason } => (field, reason),
        other => panic!("{other}"),
    };
    let (field, reason) = refused(&to_new);
    assert_eq!(field, "text_field");
    assert!(
        reason.starts_with("2 points that are not chunks of documents have a vector; name the field"),
        "{reason}"
    );
    assert_eq!(refused(&to_new.clone().text_field("nothing")).0, "text_field");
    assert_eq!(refused(&to_new.clone().text_field("note")).0, "text_field");
    assert!(rag.reembedding(C).unwrap().is_none(), "nothing was begun");

    // One lacks the text: named, and what is done stays until that is put right.
    collection.upsert(vec![Point { payload: Payload::new(), ..own("old", 72, "lost") }]).unwrap();
    let options = to_new.text_field("body");
    let (field, reason) = refused(&options);
    assert_eq!(
        (field.as_str(), reason.as_str()),
        ("point `72`", "it has a vector, and no text in `body` to make it anew of")
    );
    let under_way = rag.reembedding(C).unwrap().unwrap();
    assert_eq!(under_way.options, options);
    assert_eq!(refused(&ReembedOptions::to("new")).0, "model", "another one is not finished");
    collection.delete(&[72.into()]).unwrap();
    assert!(reembed(&rag, &options).unwrap().texts >= 2);
    let found = rag.db().collection(C).unwrap().get(&[70.into()]).unwrap().remove(0).unwrap();
    let expected = own("new", 70, "green tea").vector.unwrap();
    // But for rounding, as vectors are of unit length when they are stored.
    let pairs = found.vector.unwrap().into_iter().zip(expected);
    assert!(pairs.into_iter().all(|(found, expected)| (found - expected).abs() < 1e-5));
}

/// Rows are whose they were, and expire when they did; what has named vectors keeps them.
#[test]
fn tenants_expiries_and_named_vectors_stay() {
    const EXPIRY: i64 = 31_556_952_000_000_000;
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    let mut spec = CollectionSpec::with_model("old");
    spec.tenant = Some("customer".into());
    spec.vectors = vec![("colour".into(), ragstone::VectorKind::Dense(ragstone::DenseOptions::new(2)))];
    rag.create_collection(C, spec).unwrap();
    for (id, customer) in [(1, "acme"), (2, "other")] {
        let mut document = document(id, 1);
        document.metadata.insert("customer".to_owned(), customer.into());
        rag.ingest(C, document).unwrap();
    }
    let collection = rag.db().collection(C).unwrap();
    let own = Point::without_vector(7).with("customer", "acme").with_vector("colour", [0.0, 1.0]);
    collection.upsert(vec![own.expires_at(EXPIRY)]).unwrap();
    reembed(&rag, &ReembedOptions::to("new")).unwrap();
    let view = rag.db().collection(C).unwrap().view();
    let found = view.get(&[7.into()]).unwrap().remove(0).unwrap();
    assert_eq!(found.expires_at, Some(EXPIRY));
    assert_eq!(found.vectors.keys().collect::<Vec<_>>(), ["colour"]);
    let of = |customer: &str| view.count(Some(&ragstone::Filter::eq("customer", customer))).unwrap();
    assert_eq!(of("acme") + of("other"), collection.view().ids(None).unwrap().count() as u64);
    assert!(of("acme") > 2 && of("other") > 2);
    assert!(view.count(None).is_err(), "whose rows are meant is to be said still");
}

#[test]
fn what_cannot_be_is_refused_and_what_is_given_up_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..3);
    let refused = |name: &str, model: &str| {
        let options = ReembedOptions::to(model);
        let error = rag.reembed(name, &options, &Silent, &CancelToken::new()).unwrap_err();
        assert_eq!(rag.check_reembed(name, &options).unwrap_err().to_string(), error.to_string());
        error
    };
    assert!(matches!(refused(C, "old"), Error::Invalid { field, .. } if field == "model"));
    assert!(matches!(refused(C, "nowhere"), Error::ModelNotFound { .. }));
    assert!(matches!(refused("nothing", "new"), Error::Engine(ragstone::Error::CollectionNotFound { .. })));
    rag.create_collection("own", CollectionSpec::with_dimension(3)).unwrap();
    assert!(matches!(refused("own", "new"), Error::NoModel { .. }));
    assert!(!rag.abandon_reembedding(C).unwrap());

    let before = rows(&rag);
    let token = CancelToken::new();
    token.cancel();
    let stopped = rag.reembed(C, &ReembedOptions::to("new"), &Silent, &token);
    assert!(matches!(stopped, Err(Error::Interrupted { .. })));
    rag.models().insert(Arc::new(BagOfWords::other("third", 256, 32)));
    assert!(matches!(refused(C, "third"), Error::Invalid { field, .. } if field == "model"));
    assert!(rag.abandon_reembedding(C).unwrap());
    assert!(rag.reembedding(C).unwrap().is_none());
    assert!(rag.db().attributes("ragstone.").is_empty());
    assert_eq!(rows(&rag), before);
    reembed(&rag, &ReembedOptions::to("third")).unwrap();
    let request = SearchRequest::new(vec![1.0; 32], 1);
    assert_eq!(rag.db().collection(C).unwrap().search(&request).unwrap().hits.len(), 1);
}

/// How far one was is of no use once its collection is gone, and says nothing of the next one of that name.
#[test]
fn nothing_is_left_of_one_whose_collection_went_while_it_was_interrupted() {
    const NOTES: &str = "ragstone.reembed/";
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    let interrupt = |name: &str| {
        let token = CancelToken::new();
        token.cancel();
        let stopped = rag.reembed(name, &ReembedOptions::to("new"), &Silent, &token);
        assert!(matches!(stopped, Err(Error::Interrupted { .. })), "{stopped:?}");
        assert!(rag.reembedding(name).unwrap().is_some());
    };
    rag.create_collection("other", CollectionSpec::with_model("old")).unwrap();
    interrupt("other");
    make(&rag, "old");
    fill(&rag, 0..3);
    interrupt(C);
    rag.db().delete_collection(C).unwrap();
    make(&rag, "old");
    fill(&rag, 0..3);
    assert!(rag.reembedding(C).unwrap().is_none());
    interrupt(C);
    assert_eq!(rag.db().attributes(NOTES).len(), 2, "that of the one that is gone is forgotten");
    // As a restore in place does.
    let schema = rag.db().collection(C).unwrap().schema();
    rag.db().stage_in_place_of(C, schema).unwrap().publish().unwrap();
    assert!(rag.reembedding(C).unwrap().is_none());
    fill(&rag, 0..6);
    let report = reembed(&rag, &ReembedOptions::to("new")).unwrap();
    assert!(!report.resumed);
    assert_eq!(rows(&rag), made_with("new", |rag| fill(rag, 0..6)));
    assert!(rag.reembedding("other").unwrap().is_some(), "it can be gone on with");
    assert_eq!(rag.db().attributes(NOTES).len(), 1);
    assert!(rag.abandon_reembedding("other").unwrap());
    assert!(rag.db().attributes("ragstone.").is_empty());
}

/// A chunk that nobody knows of is not lost in silence.
#[test]
fn a_chunk_without_its_document_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let rag = open(folder.path());
    make(&rag, "old");
    fill(&rag, 0..2);
    rag.db().collection(C).unwrap().delete(&[PointId::from("doc:001.md")]).unwrap();
    let error = reembed(&rag, &ReembedOptions::to("new")).unwrap_err().to_string();
    assert!(error.starts_with("point `doc#001.md#0`: it is a chunk of document `001.md`"), "{error}");
}
