//! Calls in the process, as a binding makes them.

use prost::Message;
use ragstone::Db;
use ragstone_proto::v1;
use ragstone_rag::embed::{ModelOptions, Models};

use super::*;

mod columns;
mod expiry;

const INGEST: &str = "/ragstone.v1.PointsService/IngestPoints";

fn engine_over(db: Db) -> InProcess {
    engine_of(ServerConfig::default(), db)
}

fn engine_of(config: ServerConfig, db: Db) -> InProcess {
    let models = Models::new(ModelOptions { offline: true, ..ModelOptions::default() });
    InProcess::new(config, Rag::new(db, models)).unwrap()
}

fn with_notes(db: Db) -> InProcess {
    let engine = engine_over(db);
    make_notes(&engine);
    engine
}

fn make_notes(engine: &InProcess) {
    let vectors = Some(v1::create_collection_request::Vectors::Dimension(1));
    let request = v1::CreateCollectionRequest { name: "notes".to_owned(), vectors, ..Default::default() };
    call(engine, "CollectionsService/CreateCollection", &request).unwrap();
}

fn bytes(message: &impl Message) -> Bytes {
    message.encode_to_vec().into()
}

fn call(engine: &InProcess, method: &str, message: &impl Message) -> Result<Bytes, Failed> {
    let path = format!("/ragstone.v1.{method}");
    engine.handle().unwrap().block_on(engine.unary(&path, bytes(message), Some(Duration::from_secs(60))))
}

fn points(sequence: u64) -> Bytes {
    let point = v1::Point {
        id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(sequence)) }),
        vector: Some(v1::Vector { values: vec![1.0] }),
        ..Default::default()
    };
    bytes(&v1::IngestPointsRequest {
        collection: "notes".to_owned(),
        sequence,
        points: vec![point],
        request_id: String::new(),
    })
}

fn next(engine: &InProcess, answers: &mut Answers) -> Result<Option<Bytes>, Failed> {
    engine.handle().unwrap().block_on(answers.next())
}

fn sequence(answer: Option<Bytes>) -> Option<u64> {
    answer.map(|answer| v1::IngestPointsResponse::decode(answer).unwrap().sequence)
}

/// With the configuration of a server that asks for keys, nothing could be made or found.
#[test]
fn nobody_is_asked_for_a_key() {
    let access = AccessConfig { required: true, ..AccessConfig::default() };
    let engine = engine_of(ServerConfig { access, ..ServerConfig::default() }, Db::in_memory().unwrap());
    make_notes(&engine);
    let request = v1::CountPointsRequest { collection: "notes".to_owned(), ..Default::default() };
    assert!(call(&engine, "PointsService/CountPoints", &request).is_ok());
    engine.close().unwrap();
}

#[test]
fn a_failure_has_its_code_and_its_details() {
    let engine = engine_over(Db::in_memory().unwrap());
    let request = v1::CountPointsRequest { collection: "nobody".to_owned(), ..Default::default() };
    let failed = call(&engine, "PointsService/CountPoints", &request).unwrap_err();
    assert_eq!(failed.code, "NOT_FOUND");
    assert!(failed.message.contains("nobody"), "{failed}");
    let details = v1::OperationError::decode(failed.details).unwrap();
    assert!(!details.details.is_empty(), "the reason is among them");
    for path in ["NobodysService/Call", "PointsService/Nothing", "a b"] {
        assert_eq!(call(&engine, path, &request).unwrap_err().code, "UNIMPLEMENTED", "{path}");
    }
}

#[test]
fn a_stream_both_ways_goes_on_while_its_caller_only_sends() {
    let engine = with_notes(Db::in_memory().unwrap());
    let (messages, mut answers) = engine.duplex(INGEST, None).unwrap();
    // More than are taken ahead: the handler stores them though nobody asks for its answers.
    for sequence in 1..=20 {
        engine.handle().unwrap().block_on(messages.send(points(sequence)));
    }
    drop(messages);
    for expected in 1..=20 {
        assert_eq!(sequence(next(&engine, &mut answers).unwrap()), Some(expected));
    }
    assert_eq!((next(&engine, &mut answers), next(&engine, &mut answers)), (Ok(None), Ok(None)));
}

/// Who sends and reads in turn is not to wait for what is not there, nor to leave what is there for later.
#[test]
fn what_has_come_is_seen_without_waiting() {
    let engine = with_notes(Db::in_memory().unwrap());
    let begin = || engine.duplex(INGEST, Some(Duration::from_secs(60))).unwrap();
    let seen = |answers: &Answers| {
        // Its deadline ends this at the latest.
        while !answers.has_come() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let (messages, mut answers) = begin();
    for expected in 1..=2 {
        assert!(!answers.has_come());
        engine.handle().unwrap().block_on(messages.send(points(expected)));
        seen(&answers);
        assert_eq!(sequence(next(&engine, &mut answers).unwrap()), Some(expected));
    }
    drop(messages);
    seen(&answers);
    assert_eq!(next(&engine, &mut answers), Ok(None));
    assert!(answers.has_come(), "the end stays");

    let (_messages, mut answers) = begin();
    answers.give_up().abort();
    seen(&answers);
    assert_eq!(next(&engine, &mut answers), Err(Failed::cancelled()));
}

#[test]
fn a_call_that_is_given_up_ends_and_gives_its_place_back() {
    let engine = with_notes(Db::in_memory().unwrap());
    let (messages, mut answers) = engine.duplex(INGEST, None).unwrap();
    engine.handle().unwrap().block_on(messages.send(points(1)));
    assert_eq!(sequence(next(&engine, &mut answers).unwrap()), Some(1));
    answers.give_up().abort();
    assert_eq!(next(&engine, &mut answers), Err(Failed::cancelled()));
    assert_eq!(next(&engine, &mut answers), Ok(None));
    let work = engine.state().as_ref().unwrap().work.clone();
    engine.handle().unwrap().block_on(work.idle());
}

#[test]
fn a_deadline_ends_a_stream_with_details() {
    let engine = with_notes(Db::in_memory().unwrap());
    let (_messages, mut answers) = engine.duplex(INGEST, Some(Duration::from_millis(20))).unwrap();
    let failed = next(&engine, &mut answers).unwrap_err();
    assert_eq!(failed.code, "DEADLINE_EXCEEDED");
    assert!(!failed.details.is_empty());
}

#[test]
fn a_closed_engine_leaves_the_directory_and_ends_its_calls() {
    let folder = tempfile::tempdir().unwrap();
    let engine = with_notes(Db::open(folder.path()).unwrap());
    let (messages, mut answers) = engine.duplex(INGEST, None).unwrap();
    engine.handle().unwrap().block_on(messages.send(points(1)));
    assert_eq!(sequence(next(&engine, &mut answers).unwrap()), Some(1));
    assert!(Db::open(folder.path()).is_err(), "the engine has it");
    engine.close().unwrap();
    engine.close().unwrap();
    let db = Db::open(folder.path()).unwrap();
    assert_eq!(db.collection("notes").unwrap().view().count(None).unwrap(), 1);

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    // Either the layer had the time to say that it ends, or the task was ended with its thread.
    let ended = runtime.block_on(answers.next()).unwrap_err();
    assert!(["UNAVAILABLE", "CANCELLED"].contains(&ended.code), "{ended}");
    let late = engine.unary(INGEST, Bytes::new(), None);
    assert_eq!(runtime.block_on(late).unwrap_err(), Failed::closed());
}
