//! Problems on the wire.

use ragstone_rag::GenerateFailure;

use super::*;

#[test]
fn details_name_reason_field_and_limit() {
    let status =
        engine(ragstone::Error::Limit { field: "k".into(), limit: "K_MAX", max: 10_000, actual: 1_000_000 });
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "k: 1000000 is beyond the limit K_MAX = 10000");
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), ("LIMIT_EXCEEDED", "ragstone"));
    assert_eq!(info.metadata["limit"], "K_MAX");
    assert_eq!(info.metadata["max"], "10000");
    assert_eq!(info.metadata["actual"], "1000000");
    assert_eq!(details.bad_request().unwrap().field_violations[0].field, "k");
}

#[test]
fn long_names_are_cut_at_a_character() {
    let name = "ü".repeat(5 << 20);
    let status = engine(ragstone::Error::CollectionNotFound { name });
    assert!(status.message().len() <= ERROR_MESSAGE_BYTES_MAX + '…'.len_utf8());
    // What clients take: 16 KiB of headers.
    assert!(status.message().len() * 3 + status.details().len() * 4 / 3 < 15 << 10);
}

#[test]
fn a_full_disk_is_exhaustion_and_the_rest_is_ours() {
    let error = |kind: ErrorKind| ragstone::Error::Io {
        operation: "sync",
        path: "wal".into(),
        source: std::io::Error::from(kind),
    };
    assert_eq!(engine(error(ErrorKind::StorageFull)).code(), Code::ResourceExhausted);
    assert_eq!(engine(error(ErrorKind::PermissionDenied)).code(), Code::Internal);
    let source = ErrorKind::StorageFull.into();
    let fetched = ragstone_snapshot::Error::File { file: "the copy of an object".into(), source };
    assert_eq!(snapshot(fetched).code(), Code::ResourceExhausted, "it is not the store that failed");
    let corrupt = ragstone::Error::Corrupt { file: "wal".into(), offset: 7, reason: "checksum".into() };
    let status = engine(corrupt);
    assert_eq!(status.code(), Code::DataLoss);
    assert_eq!(status.get_error_details().error_info().unwrap().metadata["offset"], "7");
}

#[test]
fn what_may_come_back_says_when() {
    for status in [too_many_requests("CONCURRENT_REQUESTS_MAX", 8), model_loading("m"), opening()] {
        assert!(status.get_error_details().retry_info().unwrap().retry_delay.is_some());
    }
    for status in [shutting_down(), request_too_large(1, 2), deadline_exceeded(Duration::from_secs(1))] {
        assert!(status.get_error_details().retry_info().is_none());
    }
}

#[test]
fn a_model_without_room_says_when_to_come_back_if_it_knows() {
    for retry_after in [Some(Duration::from_secs(7)), None] {
        let (url, reason) = ("http://m".to_owned(), "slow down".to_owned());
        let failure = GenerateFailure::Busy { retry_after };
        for error in [
            ragstone_rag::Error::RemoteBusy { url, reason: reason.clone(), retry_after },
            ragstone_rag::Error::Generate { model: "m".to_owned(), failure, reason },
        ] {
            let status = rag(error);
            assert_eq!(status.code(), Code::ResourceExhausted);
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, "MODEL_RATE_LIMITED");
            assert_eq!(details.retry_info().and_then(|info| info.retry_delay), retry_after);
        }
    }
}

/// A document was refused for what the server could not do, and its caller did not send it again.
#[test]
fn a_pdf_that_was_not_read_is_not_said_to_be_at_fault() {
    let document = || "a.pdf".to_owned();
    let failed = ragstone_rag::Error::PdfReader { document: document(), reason: "no process".to_owned() };
    let busy = ragstone_rag::Error::PdfReaderBusy { document: document(), waited: Duration::from_secs(120) };
    for (error, code, reason, may_come_back) in [
        (failed, Code::Internal, "STORE_IO", false),
        (busy, Code::ResourceExhausted, "TOO_MANY_REQUESTS", true),
    ] {
        // Its turn is about the one document, and the others of a stream go on; a reader that fails is about all of them.
        assert_eq!(error.is_about_document(), may_come_back, "{error}");
        let status = rag(error);
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!((status.code(), info.reason.as_str()), (code, reason), "{status:?}");
        assert_eq!(info.metadata["document"], "a.pdf");
        assert_eq!(details.retry_info().is_some(), may_come_back);
        match refused_item(status, 7) {
            Ok(refused) => {
                assert!(may_come_back, "{refused:?}");
                assert_eq!((refused.index, refused.reason()), (7, ErrorReason::TooManyRequests));
                assert!(refused.message.ends_with("try again"), "{refused:?}");
            }
            Err(status) => assert!(!may_come_back, "{status:?}"),
        }
    }
    // What the server as a whole has no room for ends a stream, as ever.
    assert!(refused_item(too_many_requests("CONCURRENT_REQUESTS_MAX", 8), 0).is_err());
}

/// Whoever repeats what is UNAVAILABLE tried again for ever, and looked for the fault at the store.
#[test]
fn of_snapshots_only_what_may_pass_is_unavailable() {
    use ragstone_snapshot::{Error, Until};
    let object = || "log/1".to_owned();
    for (error, code, reason) in [
        (Error::Exists { name: "daily".to_owned() }, Code::AlreadyExists, "SNAPSHOT_EXISTS"),
        (Error::Diverged { object: object() }, Code::FailedPrecondition, "SNAPSHOT_DIVERGED"),
        (Error::MissingLog { from: 3, to: 7 }, Code::DataLoss, "SNAPSHOT_DAMAGED"),
        (Error::Missing { object: object() }, Code::DataLoss, "SNAPSHOT_DAMAGED"),
        (Error::NotReached { position: 3, until: Until::Position(7) }, Code::NotFound, "SNAPSHOT_NOT_FOUND"),
        (Error::Busy { what: "a snapshot".to_owned() }, Code::Unavailable, "SNAPSHOT_STORE_FAILED"),
    ] {
        let status = snapshot(error);
        let details = status.get_error_details();
        assert_eq!(
            (status.code(), details.error_info().unwrap().reason.as_str()),
            (code, reason),
            "{status:?}"
        );
    }
}
