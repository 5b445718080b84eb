//! Documents replaced in parts, and many at once: beside ingesting each by itself into a new collection.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use ragstone::{CancelToken, PointId, ScrollRequest};

use super::*;
use crate::embed::Embeddings;
use crate::ingest::IngestReport;
use crate::{Ended, IngestOptions};

/// An embedder that fails as it is told to.
struct Failing {
    words: BagOfWords,
    fails: fn(&str) -> Option<Error>,
}

impl Embedder for Failing {
    fn info(&self) -> &ModelInfo {
        self.words.info()
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        match texts.iter().find_map(|text| (self.fails)(text)) {
            Some(error) => Err(error),
            None => self.words.embed(texts, role, overflow),
        }
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.words.count_tokens(text)
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        self.words.overhead_tokens(role)
    }
}

/// A database in memory with a model of this name.
pub(super) fn in_memory(model: impl Embedder + 'static) -> Rag {
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    let spec = CollectionSpec::with_model(model.info().name.as_str());
    models.insert(Arc::new(model));
    let rag = Rag::new(Db::in_memory().unwrap(), models);
    rag.create_collection(C, spec).unwrap();
    rag
}

/// Every row of the collection: id, payload and vector.
pub(super) fn rows(rag: &Rag) -> Vec<(PointId, Payload, Option<Vec<f32>>)> {
    let ask = ScrollRequest {
        filter: None,
        order: None,
        after: None,
        limit: K_MAX,
        with_vectors: true,
        fields: None,
    };
    let page = rag.db().collection(C).unwrap().scroll(&ask).unwrap();
    page.points.into_iter().map(|point| (point.id, point.payload, point.vector)).collect()
}

fn section(name: &str) -> String {
    format!("# {name}\n\n{}\n\n", format!("This says something about {name}. ").repeat(8))
}

pub(super) fn sections(names: &[&str]) -> String {
    names.iter().map(|name| section(name)).collect()
}

fn counts(report: &IngestReport) -> [usize; 5] {
    [report.chunks, report.chunks_added, report.chunks_kept, report.chunks_removed, report.embedded]
}

#[test]
fn only_what_changed_is_embedded() {
    let model = BagOfWords::new("words", 256);
    let calls = model.calls.clone();
    let rag = in_memory(model);
    let texts = || std::mem::take(&mut *calls.lock().unwrap()).concat();
    let put = |names: &[&str]| rag.ingest(C, document("a.md", &sections(names))).unwrap();
    let first = put(&["ale", "bock", "cider"]);
    assert_eq!((first.status, counts(&first)), (IngestStatus::Added, [3, 3, 0, 0, 3]));
    assert_eq!(texts().len(), 3);

    let changed = put(&["ale", "beer", "cider"]);
    assert_eq!((changed.status, counts(&changed)), (IngestStatus::Replaced, [3, 1, 2, 1, 1]));
    let embedded = texts();
    assert!(embedded.len() == 1 && embedded[0].contains("about beer"), "{embedded:?}");
    assert!(changed.tokens > 0 && changed.tokens < first.tokens);

    let moved = put(&["cider", "ale"]);
    assert_eq!((counts(&moved), moved.tokens), ([2, 0, 2, 1, 0], 0), "order does not matter to a vector");
    let twice = put(&["wine", "ale", "wine"]);
    assert_eq!(counts(&twice), [3, 2, 1, 1, 1], "the same text is embedded once");
    assert_eq!(texts().len(), 1);
    check_slices(&rag, "a.md");

    let mut titled = document("a.md", &sections(&["wine", "ale", "wine"]));
    titled.metadata.insert("year".into(), Value::Int(2026));
    let report = rag.ingest(C, titled.clone()).unwrap();
    assert_eq!(
        (report.status, counts(&report)),
        (IngestStatus::Replaced, [3, 0, 3, 0, 0]),
        "fields are not embedded"
    );
    assert!(rag.chunks(C, "a.md").unwrap().iter().all(|chunk| chunk.content_sha256.len() == 64));
    titled.title = "Drinks".into();
    assert_eq!(counts(&rag.ingest(C, titled).unwrap()), [3, 3, 0, 3, 2], "a title is");
}

#[test]
fn a_chunk_that_stays_as_it_is_is_not_written() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let etags = || -> Vec<Option<u64>> {
        let ids: Vec<PointId> = (0..3).map(|at| reserved::chunk_row("a.md", at)).collect();
        let found = rag.db().collection(C).unwrap().get(&ids).unwrap();
        found.into_iter().map(|row| row.and_then(|row| row.etag)).collect()
    };
    rag.ingest(C, document("a.md", &sections(&["ale", "bock", "cider"]))).unwrap();
    let before = etags();
    rag.ingest(C, document("a.md", &sections(&["ale", "beer", "cider"]))).unwrap();
    let after = etags();
    assert_eq!([before[0] == after[0], before[1] == after[1], before[2] == after[2]], [true, false, true]);
}

/// Of whom has chunks in common with the version before, readers see all chunks of one version, too.
#[test]
fn readers_see_the_old_or_the_new_version_of_what_changed_in_part() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let versions = [vec!["ale", "bock", "cider"], vec!["ale", "beer", "cider", "wine"]];
    rag.ingest(C, document("a.md", &sections(&versions[0]))).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = 0;
            while !done.load(Ordering::Relaxed) {
                let chunks = rag.chunks(C, "a.md").unwrap();
                let names: Vec<&str> = chunks.iter().map(|chunk| chunk.heading.as_str()).collect();
                assert!(versions.contains(&names), "a mixture of two versions: {names:?}");
                assert!(chunks.iter().all(|chunk| chunk.text.contains(&format!("about {}.", chunk.heading))));
                seen += 1;
            }
            seen
        });
        for turn in 0..40 {
            rag.ingest(C, document("a.md", &sections(&versions[(turn + 1) % 2]))).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        assert!(reader.join().unwrap() > 0);
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// However a document came to be what it is, its rows are those of a collection that has had nothing else.
    #[test]
    fn a_document_replaced_is_as_if_it_were_new(
        versions in proptest::collection::vec(proptest::collection::vec(0..6usize, 0..6), 1..6),
    ) {
        let names = ["ale", "bock", "cider", "dram", "eggnog", "fizz"];
        let (rag, mut before) = (in_memory(BagOfWords::new("words", 64)), 0);
        for version in versions {
            let text = version.iter().map(|at| section(names[*at])).collect::<String>();
            let report = rag.ingest(C, document("a.md", &text)).unwrap();
            let fresh = in_memory(BagOfWords::new("words", 64));
            fresh.ingest(C, document("a.md", &text)).unwrap();
            prop_assert_eq!(rows(&rag), rows(&fresh));
            prop_assert_eq!(report.chunks_added + report.chunks_kept, report.chunks);
            prop_assert_eq!(report.chunks_removed + report.chunks_kept, before);
            prop_assert!(report.embedded <= report.chunks_added);
            before = report.chunks;
        }
    }
}

/// The documents of a folder of many, each named by its number.
fn many(count: usize) -> impl Iterator<Item = (usize, Result<DocumentInput>)> + Send {
    (0..count).map(|at| (at, Ok(document(&format!("{at}.md"), &long(&format!("topic{at}"), at % 7)))))
}

fn ingest_all<T: Send>(
    rag: &Rag,
    documents: impl Iterator<Item = (T, Result<DocumentInput>)> + Send,
) -> (Result<Ended>, Vec<(T, Result<IngestReport>)>) {
    let mut reports = Vec::new();
    let ended =
        rag.ingest_all(C, documents, &IngestOptions::default(), |tag, report| reports.push((tag, report)));
    (ended, reports)
}

#[test]
fn many_documents_at_once_are_as_one_by_one() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let bad = |at: usize| (1_000 + at, Ok(DocumentInput::new(format!("bad{at}.md"), vec![b'x', 0])));
    let absent = || (2_000, Err(Error::Invalid { field: "line 7".into(), reason: "it is broken".into() }));
    let given = many(20).chain([bad(0), absent()]).chain(many(60).skip(20)).chain([bad(1)]);
    let (ended, reports) = ingest_all(&rag, given);
    assert_eq!(ended.unwrap(), Ended::Complete);
    assert_eq!(reports.len(), 63);
    for (at, report) in &reports {
        match report {
            Ok(report) => assert!(*at < 60 && report.status == IngestStatus::Added),
            Err(error) => assert!(*at >= 1_000 && (*at == 2_000 || matches!(error, Error::NotText { .. }))),
        }
    }
    let one_by_one = in_memory(BagOfWords::new("words", 256));
    for (_, document) in many(60) {
        one_by_one.ingest(C, document.unwrap()).unwrap();
    }
    assert_eq!(rows(&rag), rows(&one_by_one));

    let (_, again) = ingest_all(&rag, many(60));
    assert!(again.iter().all(|(_, report)| report.as_ref().unwrap().status == IngestStatus::Unchanged));
}

/// While the model is at its first call, all the others are prepared; then they share calls.
#[test]
fn chunks_of_several_documents_share_a_call() {
    struct Waiting(BagOfWords, Arc<AtomicUsize>);
    impl Embedder for Waiting {
        fn info(&self) -> &ModelInfo {
            self.0.info()
        }
        fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
            while self.1.load(Ordering::SeqCst) < 60 {
                std::thread::yield_now();
            }
            self.0.embed(texts, role, overflow)
        }
        fn count_tokens(&self, text: &str) -> usize {
            self.0.count_tokens(text)
        }
        fn overhead_tokens(&self, role: Role) -> usize {
            self.0.overhead_tokens(role)
        }
    }
    let (taken, model) = (Arc::new(AtomicUsize::new(0)), BagOfWords::new("words", 256));
    let calls = model.calls.clone();
    let rag = in_memory(Waiting(model, taken.clone()));
    let given = many(60).inspect(|_| {
        taken.fetch_add(1, Ordering::SeqCst);
    });
    let (_, reports) = ingest_all(&rag, given);
    let chunks: usize = reports.into_iter().map(|(_, report)| report.unwrap().chunks).sum();
    let calls = calls.lock().unwrap();
    assert_eq!(calls.iter().map(Vec::len).sum::<usize>(), chunks);
    // Full calls, but for the first one and those that wait for a document that is still being prepared, one for each thread.
    assert!(calls.len() <= chunks.div_ceil(64) + 6, "{} calls for {chunks} chunks", calls.len());
}

#[test]
fn of_documents_of_one_id_the_last_one_stays() {
    let rag = in_memory(BagOfWords::new("words", 256));
    for round in 0..5 {
        let versions =
            (0..30).map(|at| (at, Ok(document("a.md", &long(&format!("topic{at}"), 1 + at * round % 5)))));
        let (_, reports) = ingest_all(&rag, versions);
        let order: Vec<usize> = reports.into_iter().map(|(at, report)| report.map(|_| at).unwrap()).collect();
        assert_eq!(order, (0..30).collect::<Vec<_>>());
        assert!(rag.document(C, "a.md").unwrap().text.starts_with("# topic29"));
        check_slices(&rag, "a.md");
    }
}

#[test]
fn what_is_under_way_is_bounded() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let (taken, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let most = AtomicUsize::new(0);
    let counted = many(100).inspect(|_| {
        let ahead = taken.fetch_add(1, Ordering::SeqCst) + 1 - done.load(Ordering::SeqCst);
        most.fetch_max(ahead, Ordering::SeqCst);
    });
    let options = IngestOptions { ahead_bytes: 1, ..IngestOptions::default() };
    // The room is given back before `done` is called, so one more may be taken until it is.
    let count = |_, report: Result<IngestReport>| {
        report.unwrap();
        done.fetch_add(1, Ordering::SeqCst);
    };
    rag.ingest_all(C, counted, &options, count).unwrap();
    let documents = 100;
    assert_eq!(done.load(Ordering::SeqCst), documents);
    // `peek`ing is taking, too: one under way, one looked at, and those that are being reported.
    assert!(most.load(Ordering::SeqCst) < documents / 4, "{most:?} documents were taken ahead");
    for ahead_bytes in [0, crate::limits::INGEST_AHEAD_BYTES_MAX + 1] {
        let options = IngestOptions { ahead_bytes, ..IngestOptions::default() };
        let error = rag.ingest_all(C, many(1), &options, |_, _| {}).unwrap_err();
        assert_eq!(field_of(&error), "ahead_bytes");
    }
}

#[test]
fn a_text_over_the_limit_is_the_error_of_its_document_alone() {
    let fails = |text: &str| {
        let limit =
            || Error::TokenLimit { field: "texts[0]".into(), model: "m".into(), tokens: 300, max: 256 };
        text.contains("topic7 ").then(limit)
    };
    let rag = in_memory(Failing { words: BagOfWords::new("words", 256), fails });
    let given = (0..20).map(|at| (at, Ok(document(&format!("{at}.md"), &long(&format!("topic{at}"), 2)))));
    let (ended, reports) = ingest_all(&rag, given);
    assert_eq!(ended.unwrap(), Ended::Complete);
    for (at, report) in reports {
        match report {
            Ok(report) => assert!(at != 7 && report.chunks > 0),
            Err(error) => assert!(at == 7 && matches!(error, Error::TokenLimit { .. }), "{error}"),
        }
    }
    assert!(rag.document(C, "6.md").is_ok() && rag.document(C, "7.md").is_err());
}

#[test]
fn an_error_of_the_model_ends_it_with_what_was_reported_stored() {
    let fails = |text: &str| {
        let gone = || Error::Remote { url: "http://model".into(), reason: "it went away".into() };
        text.contains("topic40 ").then(gone)
    };
    let rag = in_memory(Failing { words: BagOfWords::new("words", 256), fails });
    let (ended, reports) = ingest_all(&rag, many(5_000));
    assert!(matches!(ended, Err(Error::Remote { .. })), "{ended:?}");
    assert!(reports.len() < 1_000, "{} of 5,000 were done", reports.len());
    for (at, report) in reports {
        report.unwrap();
        rag.document(C, &format!("{at}.md")).unwrap();
    }
    assert!(rag.document(C, "40.md").is_err());
    assert!(matches!(
        rag.ingest_all("nowhere", many(1), &IngestOptions::default(), |_, _| {}),
        Err(Error::Engine(_))
    ));
}

#[test]
fn cancelled_between_documents_nothing_is_half_there() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let cancel = CancelToken::new();
    let options = IngestOptions { cancel: cancel.clone(), ahead_bytes: 100_000 };
    let mut reported = Vec::new();
    let ended = rag.ingest_all(C, many(100_000), &options, |at, report| {
        reported.push(at);
        report.unwrap();
        if reported.len() == 30 {
            cancel.cancel();
        }
    });
    assert_eq!(ended.unwrap(), Ended::Cancelled);
    assert!((30..10_000).contains(&reported.len()));
    let stored = rag.documents(C, None, None, K_MAX).unwrap().documents;
    assert_eq!(stored.len(), reported.len(), "what was reported is stored, and nothing else");
    reported.iter().for_each(|at| check_slices(&rag, &format!("{at}.md")));
    let nothing = rag.ingest_all(C, many(3), &options, |_, _| panic!("it is cancelled already")).unwrap();
    assert_eq!(nothing, Ended::Cancelled);
}

#[test]
fn a_panic_goes_on_when_every_thread_has_ended() {
    let panics = |work: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err();
    let rag =
        in_memory(Failing { words: BagOfWords::new("words", 256), fails: |_| panic!("the model panics") });
    assert!(panics(&|| drop(ingest_all(&rag, many(500)))));
    let rag = in_memory(BagOfWords::new("words", 256));
    let breaks = |at: usize| assert!(at < 20, "the iterator panics");
    assert!(panics(&|| drop(ingest_all(&rag, many(500).inspect(|(at, _)| breaks(*at))))));
    let reports = Mutex::new(0);
    let options = IngestOptions { ahead_bytes: 10_000, ..IngestOptions::default() };
    let counted = |_, _| {
        *reports.lock().unwrap() += 1;
        panic!("the caller panics");
    };
    assert!(panics(&|| drop(rag.ingest_all(C, many(500), &options, counted))));
    assert_eq!(reports.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner), 1);
    // The collection is as good as ever.
    rag.ingest(C, document("a.md", "after all that")).unwrap();
}
