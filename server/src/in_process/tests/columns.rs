//! Points whose columns come beside the message, against the same points in it.

use super::*;

fn in_memory(config: ServerConfig) -> InProcess {
    let engine = engine_of(config, Db::in_memory().unwrap());
    make_notes(&engine);
    engine
}

fn components(vectors: &[f32]) -> Vec<u8> {
    vectors.iter().flat_map(|component| component.to_le_bytes()).collect()
}

fn request(points: Vec<v1::Point>) -> v1::UpsertPointsRequest {
    v1::UpsertPointsRequest { collection: "notes".to_owned(), points, ..Default::default() }
}

fn point(id: v1::point_id::Id, vector: Option<&[f32]>) -> v1::Point {
    v1::Point {
        id: Some(v1::PointId { id: Some(id) }),
        vector: vector.map(|values| v1::Vector { values: values.to_vec() }),
        ..Default::default()
    }
}

/// The points of ids counted from 0, in the message.
fn by_message(engine: &InProcess, rows: &[&[f32]], terms: &v1::UpsertPointsRequest) -> Result<Bytes, Failed> {
    let point = |(id, row): (usize, &&[f32])| self::point(v1::point_id::Id::Number(id as u64), Some(*row));
    let points = rows.iter().enumerate().map(point).collect();
    call(engine, "PointsService/UpsertPoints", &v1::UpsertPointsRequest { points, ..terms.clone() })
}

/// The same points, beside it.
fn by_columns(engine: &InProcess, rows: &[&[f32]], terms: &v1::UpsertPointsRequest) -> Result<Bytes, Failed> {
    let (ids, vectors) = (Some((0..rows.len() as u64).collect()), components(&rows.concat()));
    let columns = Columns { ids, vectors: &vectors, dimension: rows[0].len() };
    let call = engine.upsert_columns(bytes(terms), columns, None);
    // Copied when the call is made: what becomes of them does not matter to it.
    drop(vectors);
    engine.handle().unwrap().block_on(call)
}

fn receipt(answer: Bytes) -> v1::UpsertPointsResponse {
    v1::UpsertPointsResponse::decode(answer).unwrap()
}

fn stored(
    engine: &InProcess,
    ids: impl IntoIterator<Item = v1::point_id::Id>,
) -> Vec<(v1::PointId, Vec<f32>)> {
    let request = v1::GetPointsRequest {
        collection: "notes".to_owned(),
        ids: ids.into_iter().map(|id| v1::PointId { id: Some(id) }).collect(),
        with_vectors: true,
        ..Default::default()
    };
    let answer = call(engine, "PointsService/GetPoints", &request).unwrap();
    let points = v1::GetPointsResponse::decode(answer).unwrap().points;
    points.into_iter().map(|point| (point.id.unwrap(), point.vector.unwrap().values)).collect()
}

#[test]
fn columns_are_the_points_that_a_message_would_have() {
    let (one, other) = (in_memory(ServerConfig::default()), in_memory(ServerConfig::default()));
    let rows: &[&[f32]] = &[&[1.0], &[-1.0], &[1.0]];
    assert_eq!(receipt(by_columns(&one, rows, &request(Vec::new())).unwrap()).upserted, 3);
    by_message(&other, rows, &request(Vec::new())).unwrap();
    let ids = || (0..3).map(v1::point_id::Id::Number);
    assert_eq!(stored(&one, ids()).len(), 3);
    assert_eq!(stored(&one, ids()), stored(&other, ids()));
}

#[test]
fn points_of_the_message_have_their_vectors_beside_it() {
    let engine = in_memory(ServerConfig::default());
    let ids = [v1::point_id::Id::Text("a".to_owned()), v1::point_id::Id::Number(7)];
    let message = request(ids.iter().map(|id| point(id.clone(), None)).collect());
    let vectors = components(&[-1.0, 1.0]);
    let columns = Columns { ids: None, vectors: &vectors, dimension: 1 };
    let call = engine.upsert_columns(bytes(&message), columns, None);
    assert_eq!(receipt(engine.handle().unwrap().block_on(call).unwrap()).upserted, 2);
    let stored = stored(&engine, ids.clone());
    let expected = ids.into_iter().zip([vec![-1.0], vec![1.0]]);
    let expected = expected.map(|(id, vector)| (v1::PointId { id: Some(id) }, vector));
    assert_eq!(stored, expected.collect::<Vec<_>>());
}

#[test]
fn what_a_message_is_refused_for_columns_are_refused_for() {
    let engine = in_memory(ServerConfig::default());
    by_message(&engine, &[&[1.0]], &request(Vec::new())).unwrap();
    let exists = v1::Precondition {
        id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(0)) }),
        expect: Some(v1::precondition::Expect::Exists(false)),
    };
    let plain = request(Vec::new());
    let cases: [(&[&[f32]], v1::UpsertPointsRequest, &str, &str); 6] = [
        (&[&[1.0], &[f32::NAN], &[1.0]], plain.clone(), "INVALID_ARGUMENT", "points[1].vector"),
        (&[&[1.0], &[1.0], &[f32::INFINITY]], plain.clone(), "INVALID_ARGUMENT", "points[2].vector"),
        (&[&[1.0, 2.0], &[1.0, 2.0]], plain.clone(), "INVALID_ARGUMENT", "points[0].vector"),
        (
            &[&[1.0]],
            v1::UpsertPointsRequest { collection: "nobody".to_owned(), ..plain.clone() },
            "NOT_FOUND",
            "nobody",
        ),
        (
            &[&[1.0]],
            v1::UpsertPointsRequest { request_id: "r".repeat(200), ..plain.clone() },
            "INVALID_ARGUMENT",
            "request_id",
        ),
        (
            &[&[1.0]],
            v1::UpsertPointsRequest { preconditions: vec![exists], ..plain },
            "ABORTED",
            "preconditions[0]",
        ),
    ];
    for (rows, terms, code, told) in cases {
        let refused = by_columns(&engine, rows, &terms).unwrap_err();
        let by_message = by_message(&engine, rows, &terms).unwrap_err();
        assert_eq!((&refused.message, &refused.code), (&by_message.message, &by_message.code));
        // What is told of a limit stands in no order.
        assert_eq!(refused.details.len(), by_message.details.len());
        assert_eq!(refused.code, code, "{refused}");
        assert!(refused.message.contains(told), "{refused}");
    }
}

#[test]
fn a_request_is_done_once_beside_its_message_too() {
    let engine = in_memory(ServerConfig::default());
    let terms = v1::UpsertPointsRequest { request_id: "once".to_owned(), ..request(Vec::new()) };
    let first = receipt(by_columns(&engine, &[&[1.0]], &terms).unwrap());
    let again = receipt(by_columns(&engine, &[&[1.0]], &terms).unwrap());
    assert_eq!((first.repeated, again.repeated, again.seq), (false, true, first.seq));
}

#[test]
fn columns_count_towards_the_limits_of_messages() {
    let rows: Vec<&[f32]> = vec![&[1.0][..]; 1_000];
    let engine = in_memory(ServerConfig { request_bytes_max: 10_000, ..ServerConfig::default() });
    by_columns(&engine, &rows[..500], &request(Vec::new())).unwrap();
    let refused = by_columns(&engine, &rows, &request(Vec::new())).unwrap_err();
    assert_eq!(refused.code, "RESOURCE_EXHAUSTED");
    assert!(refused.message.contains("REQUEST_BYTES_MAX = 10000"), "{refused}");

    let engine = in_memory(ServerConfig { message_bytes_max: 200_000, ..ServerConfig::default() });
    let refused = by_columns(&engine, &rows, &request(Vec::new())).unwrap_err();
    assert_eq!(refused.code, "RESOURCE_EXHAUSTED");
    assert!(refused.message.contains("MESSAGE_BYTES_MAX = 200000"), "{refused}");
    // Together more than there may be at once.
    let work = engine.state().as_ref().unwrap().work.clone();
    for _ in 0..3 {
        by_columns(&engine, &rows[..500], &request(Vec::new())).unwrap();
        engine.handle().unwrap().block_on(work.idle());
    }
}

#[test]
fn a_closed_engine_takes_no_columns() {
    let engine = in_memory(ServerConfig::default());
    engine.close().unwrap();
    let vectors = components(&[1.0]);
    let late = engine.upsert_columns(
        bytes(&request(Vec::new())),
        Columns { ids: Some(vec![1]), vectors: &vectors, dimension: 1 },
        None,
    );
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    assert_eq!(runtime.block_on(late).unwrap_err(), Failed::closed());
}
