//! Documents that are stored and removed once for each request.

use ragstone::limits::{REQUEST_ID_BYTES_MAX, REQUESTS_REMEMBERED};

use super::*;
use crate::ingest::{DocumentRemoval, IngestReport};

fn asked(id: &str, content: &str, request: &str) -> DocumentInput {
    DocumentInput { request_id: Some(request.to_owned()), ..document(id, content) }
}

/// A report without what is of its own time.
fn told(report: &IngestReport) -> IngestReport {
    IngestReport { timings_ms: Vec::new(), repeated: false, ..report.clone() }
}

#[test]
fn a_request_stores_once_and_has_the_first_answer_again() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.ingest(C, document("a.md", &long("alpha", 3))).unwrap();
    for (content, request, status) in [
        (long("beta", 2), "replaces", IngestStatus::Replaced),
        (long("beta", 2), "leaves it", IngestStatus::Unchanged),
    ] {
        let first = rag.ingest(C, asked("a.md", &content, request)).unwrap();
        assert_eq!((first.status, first.repeated), (status, false));
        let written = rag.db().collection(C).unwrap().info().seq;
        let again = rag.ingest(C, asked("a.md", &content, request)).unwrap();
        assert!(again.repeated);
        assert_eq!(told(&again), told(&first), "{request}");
        assert_eq!(rag.db().collection(C).unwrap().info().seq, written, "nothing is written");
    }
    let added = rag.ingest(C, asked("b.md", "# B\n\nOne.", "adds")).unwrap();
    let again = rag.ingest(C, asked("b.md", "# B\n\nAnother.", "adds")).unwrap();
    assert_eq!((told(&again), added.status), (told(&added), IngestStatus::Added));
    assert!(rag.document(C, "b.md").unwrap().text.contains("One."), "the first content stays");
    assert!(rag.document(C, "b.md").unwrap().metadata.is_empty());
}

#[test]
fn a_request_undoes_nothing_that_others_did_since() {
    let Fixture { rag, folder: _folder } = fixture();
    let (old, new) = (long("alpha", 2), long("beta", 1));
    let first = rag.ingest(C, asked("a.md", &old, "first")).unwrap();
    assert_eq!(first.status, IngestStatus::Added);
    rag.ingest(C, document("a.md", &new)).unwrap();
    let again = rag.ingest(C, asked("a.md", &old, "first")).unwrap();
    assert_eq!((again.repeated, again.status, again.chunks), (true, IngestStatus::Replaced, 0));
    assert_eq!(rag.document(C, "a.md").unwrap().text, new);
    // Left alone is an outcome too, and is remembered.
    assert_eq!(rag.ingest(C, asked("a.md", &new, "same")).unwrap().status, IngestStatus::Unchanged);
    rag.delete_document(C, "a.md").unwrap();
    for (content, request, status) in
        [(&old, "first", IngestStatus::Replaced), (&new, "same", IngestStatus::Unchanged)]
    {
        let again = rag.ingest(C, asked("a.md", content, request)).unwrap();
        assert_eq!((again.repeated, again.status), (true, status), "{request}");
        assert!(matches!(rag.document(C, "a.md"), Err(Error::DocumentNotFound { .. })), "{request}");
    }
}

#[test]
fn a_removal_is_done_once() {
    let Fixture { rag, folder: _folder } = fixture();
    rag.ingest(C, document("a.md", "# A\n\nOld.")).unwrap();
    let remove = |request: &str| rag.delete_document_once(C, "a.md", request).unwrap();
    let removal = |deleted, repeated| DocumentRemoval { deleted, repeated };
    assert_eq!(remove("first"), removal(true, false));
    assert_eq!(remove("second"), removal(false, false));
    rag.ingest(C, document("a.md", "# A\n\nNew.")).unwrap();
    assert_eq!(remove("first"), removal(true, true));
    assert_eq!(remove("second"), removal(false, true), "there was none then");
    assert!(rag.document(C, "a.md").unwrap().text.contains("New."));
    assert_eq!(remove("third"), removal(true, false));
    assert_eq!(rag.db().collection(C).unwrap().info().points, 0);
}

#[test]
fn one_id_is_many_requests() {
    let Fixture { rag, folder: _folder } = fixture();
    let ask = |id: &str| rag.ingest(C, asked(id, "# A\n\nText.", "once")).unwrap();
    // Where the document's id ends is no matter of chance.
    for id in ["a.md", "b.md", "a.md once.md"] {
        assert_eq!((ask(id).status, ask(id).repeated), (IngestStatus::Added, true), "{id}");
    }
    assert!(rag.delete_document_once(C, "a.md", "once").unwrap().deleted, "another thing is asked for");
    let rows = rag.db().collection(C).unwrap();
    let point = ragstone::Batch::new().upsert(Point::without_vector(1)).request("once");
    assert!(!rows.write(point).unwrap().repeated, "points have requests of their own");
}

#[test]
fn requests_outlive_the_process_and_are_forgotten_in_time() {
    let Fixture { rag, folder } = fixture();
    let first = rag.ingest(C, asked("a.md", "# A\n\nText.", "once")).unwrap();
    drop(rag);
    let db = Db::open(folder.path().join("data")).unwrap();
    let rag = Rag::new(db, models(folder.path(), [BagOfWords::new("words", 256)]));
    let again = rag.ingest(C, asked("a.md", "# A\n\nText.", "once")).unwrap();
    assert_eq!((again.repeated, told(&again)), (true, told(&first)));
    let rows = rag.db().collection(C).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let rows = &rows;
            scope.spawn(move || {
                for number in 0..=REQUESTS_REMEMBERED / 8 {
                    let id = thread * REQUESTS_REMEMBERED + number;
                    rows.upsert(vec![Point::without_vector(id)]).unwrap();
                }
            });
        }
    });
    assert!(!rag.ingest(C, asked("a.md", "# A\n\nOther.", "once")).unwrap().repeated);
}

#[test]
fn ids_of_requests_are_checked() {
    let Fixture { rag, folder: _folder } = fixture();
    let too_long = "x".repeat(REQUEST_ID_BYTES_MAX + 1);
    for wrong in ["", too_long.as_str()] {
        let refused = rag.ingest(C, asked("a.md", "text", wrong)).unwrap_err();
        assert!(refused.is_about_document(), "{refused}");
        assert_eq!(field_of(&refused), "request_id");
        assert_eq!(field_of(&rag.delete_document_once(C, "a.md", wrong).unwrap_err()), "request_id");
    }
    let longest = "x".repeat(REQUEST_ID_BYTES_MAX);
    assert_eq!(rag.ingest(C, asked("a.md", "text", &longest)).unwrap().status, IngestStatus::Added);
}
