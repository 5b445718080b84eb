//! PDFs read by a program: what fails it, and calls that are not wanted any more.

use std::path::PathBuf;
use std::time::Duration;

use ragstone::CancelToken;

use super::ingest::{in_memory, rows};
use super::*;
use crate::ingest::PdfProgram;
use crate::{Ended, IngestOptions};

/// A collection whose PDFs are read by a script of the shell.
fn by_script(script: &str) -> Rag {
    let program = PdfProgram::new("/bin/sh", ["-c", script], []);
    in_memory(BagOfWords::new("words", 256)).with_pdf_program(program)
}

/// Cancels once a file is there.
fn cancel_after(begun: &Path, token: &CancelToken) {
    // For a minute: a program that does not begin is a failure, and no test without end.
    for _ in 0..12_000 {
        if begun.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    token.cancel();
}

/// A call that was not wanted any more went on until its PDF was read, and so did those who waited behind it.
#[test]
fn a_pdf_that_is_being_read_is_left_with_its_call() {
    let folder = tempfile::tempdir().unwrap();
    let begun: PathBuf = folder.path().join("begun");
    let rag = by_script(&format!("echo >'{}'; exec sleep 600", begun.display()));
    let began = Instant::now();
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        scope.spawn(|| cancel_after(&begun, &token));
        let cancelled = rag.cancelled_by(token.clone()).ingest(C, document("slow.pdf", "x"));
        assert!(matches!(cancelled, Err(Error::Engine(ragstone::Error::Cancelled))), "{cancelled:?}");
    });
    // Of many at once, those behind it in the order do not wait for it either, whether there is room for them or not.
    for ahead_bytes in [1, 1 << 20] {
        std::fs::remove_file(&begun).unwrap();
        let cancel = CancelToken::new();
        let options = IngestOptions { ahead_bytes, cancel: cancel.clone() };
        let documents = ["slow.pdf", "a.md", "b.md", "c.md"].map(|id| (id, Ok(document(id, "It is far."))));
        let mut reported = Vec::new();
        let ended = std::thread::scope(|scope| {
            scope.spawn(|| cancel_after(&begun, &cancel));
            rag.ingest_all(C, documents.into_iter(), &options, |id, _| reported.push(id))
        });
        assert_eq!((ended.unwrap(), reported), (Ended::Cancelled, Vec::new()));
    }
    assert!(rows(&rag).is_empty());
    assert!(began.elapsed() < Duration::from_secs(300), "nobody waited for the end of the program");
}

/// Where other calls had the places for two minutes, one PDF ended a whole folder, and nothing behind it was stored.
#[test]
fn a_pdf_whose_turn_does_not_come_is_left_out_and_the_others_go_on() {
    let program = PdfProgram::new("/no/such/program", ["x"], []).with_places(0, Duration::ZERO);
    let rag = in_memory(BagOfWords::new("words", 256)).with_pdf_program(program);
    let documents = ["a.md", "b.pdf", "c.md"].map(|id| (id, Ok(document(id, "It is far."))));
    let mut stored = Vec::new();
    let mut left = Vec::new();
    let ended =
        rag.ingest_all(C, documents.into_iter(), &IngestOptions::default(), |id, report| match report {
            Ok(_) => stored.push(id),
            Err(error) => left.push((id, error)),
        });
    stored.sort_unstable();
    assert_eq!((ended.unwrap(), stored), (Ended::Complete, vec!["a.md", "c.md"]));
    let [("b.pdf", error @ Error::PdfReaderBusy { .. })] = &left[..] else { panic!("{left:?}") };
    assert!(error.to_string().ends_with("try again"), "{error}");
}

/// It was an error of the document, which was left out, and the others were stored.
#[test]
fn what_fails_for_every_pdf_is_no_error_of_one() {
    let rag = in_memory(BagOfWords::new("words", 256));
    let rag = rag.with_pdf_program(PdfProgram::new("/no/such/program", ["x"], []));
    let failed = rag.ingest(C, document("a.pdf", "x")).unwrap_err();
    assert!(matches!(&failed, Error::PdfReader { document, .. } if document == "a.pdf"), "{failed:?}");
    assert!(failed.to_string().contains("document `a.pdf` was not read"), "{failed}");
    let documents = [((), Ok(document("a.pdf", "x")))].into_iter();
    let ended = rag.ingest_all(C, documents, &IngestOptions::default(), |(), report| {
        panic!("it is no document's: {report:?}");
    });
    assert!(matches!(ended, Err(Error::PdfReader { .. })), "{ended:?}");
    // Of another, what kills its reader is.
    let rag = by_script("kill -SEGV $$");
    let refused = rag.ingest(C, document("a.pdf", "x")).unwrap_err();
    assert!(matches!(refused, Error::NotText { .. }) && refused.is_about_document(), "{refused:?}");
}
