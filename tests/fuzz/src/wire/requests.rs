//! Sound requests of every shape that messages have: what inputs change.

use std::collections::BTreeMap;
use std::io::Write as _;

use prost::Message;
use ragstone_proto::v1;
use ragstone_proto::v1::{
    any_vector, create_collection_request, example, filter, fuse, nearest, point_id, point_update,
    precondition, query_request, search_range_request, source, value, vector_options, write_operation,
};

use super::server::{REQUEST_BYTES_MAX, Server};
use super::{operator, papers};

pub(super) const COLLECTION: &str = "notes";
pub(super) const ISSUER: &str = "https://issuer";
pub(super) const AUDIENCE: &str = "ragstone";
pub(super) const KEY_ID: &str = "own";

/// The head and the claims of a token.
pub(super) const HEADER: &[u8] = br#"{"alg":"EdDSA","typ":"JWT","kid":"own"}"#;
pub(super) const CLAIMS: &[u8] = br#"{"iss":"https://issuer","aud":["ragstone","other"],"sub":"somebody","exp":4102444800,"nbf":0,"roles":["some","other"],"year":2000}"#;

/// Keys beside the one that tokens are signed by: those of RFC 7517, and one that is none.
pub(super) const OTHER_KEYS: &str = r#"{"kty":"EC","crv":"P-256","kid":"1","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"},{"kty":"oct","k":"AAAA","kid":"2"}"#;

/// Bodies of the HTTP port, by path; without one, it is asked for.
pub(super) const BODIES: [(&str, &str); 5] = [
    (
        "/v1/chat/completions",
        r#"{"model":"m@notes","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":[{"type":"text","text":"Which tea?"}]}],"stream":true,"stream_options":{"include_usage":true},"max_tokens":9,"temperature":0.5,"stop":["a","b"],"n":1,"tools":[],"response_format":{"type":"text"},"ragstone":{"k":3,"mode":"hybrid","filter":"year >= 2005","mmr":0.5,"template":"t@1"}}"#,
    ),
    (
        "/v1/embeddings",
        r#"{"model":"m","input":["tea","\u00e9\ud83c\udf75"],"encoding_format":"base64","dimensions":8,"ragstone":{"role":"query","on_overflow":"truncate"}}"#,
    ),
    ("/v1/models", ""),
    ("/metrics", ""),
    ("/readyz", ""),
];

/// The requests, by path, as bytes.
pub(super) struct Requests(Vec<(&'static str, Vec<u8>)>);

impl Requests {
    /// Those to a server; it is asked for tokens of its own.
    pub(super) fn new(server: &Server) -> Self {
        let mut all = writes();
        all.extend(reads());
        all.extend(of_collections());
        // Points that take two bytes each, and a text that is longer than a message may be: what becomes much when it is decompressed, or read.
        let many = [0x12, 0x00].repeat(REQUEST_BYTES_MAX / 4);
        let long =
            v1::UpsertPointsRequest { collection: "x".repeat(4 * REQUEST_BYTES_MAX), ..Default::default() };
        all.push(("PointsService/UpsertPoints", many));
        all.push(("PointsService/UpsertPoints", long.encode_to_vec()));
        all.extend(with_tokens(server));
        all.extend(papers::requests());
        all.extend(operator::requests());
        Self(all)
    }

    pub(super) fn pick(&self, which: u8) -> (&'static str, Vec<u8>) {
        self.0[usize::from(which) % self.0.len()].clone()
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    writer.write_all(bytes).and_then(|()| writer.finish()).expect("memory takes it")
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory takes it")
}

fn id(number: u64) -> Option<v1::PointId> {
    let id = match number % 2 {
        0 => point_id::Id::Number(number),
        _ => point_id::Id::Text(format!("é{number}")),
    };
    Some(v1::PointId { id: Some(id) })
}

fn value(kind: value::Kind) -> Option<v1::Value> {
    Some(v1::Value { kind: Some(kind) })
}

/// A value of every kind.
pub(super) fn payload() -> BTreeMap<String, v1::Value> {
    let kinds = [
        ("year", value::Kind::IntValue(2_026)),
        ("even", value::Kind::BoolValue(true)),
        ("half", value::Kind::FloatValue(0.5)),
        ("text", value::Kind::StringValue("Grüner Tee".to_owned())),
        ("at", value::Kind::TimestampValue(1 << 50)),
        ("tags", value::Kind::StringsValue(v1::Strings { values: vec!["a".to_owned(), String::new()] })),
        ("place", value::Kind::GeoValue(v1::GeoPoint { lat: 48.2, lon: 16.4 })),
        ("extra", value::Kind::JsonValue("{\"a\":[1]}".to_owned())),
    ];
    kinds.into_iter().map(|(name, kind)| (name.to_owned(), v1::Value { kind: Some(kind) })).collect()
}

fn dense(values: &[f32]) -> v1::Vector {
    v1::Vector { values: values.to_vec() }
}

fn sparse() -> v1::SparseVector {
    v1::SparseVector { indices: vec![3, 100], values: vec![1.0, 0.5] }
}

fn multi() -> v1::MultiVector {
    v1::MultiVector { vectors: vec![dense(&[1.0, 0.5]), dense(&[0.0, 1.0])] }
}

fn point(number: u64) -> v1::Point {
    let vectors = [("words", any_vector::Kind::Sparse(sparse())), ("late", any_vector::Kind::Multi(multi()))];
    let named = vectors.into_iter().map(|(name, kind)| (name.to_owned(), v1::AnyVector { kind: Some(kind) }));
    v1::Point {
        id: id(number),
        vector: Some(dense(&[1.0, 0.5])),
        payload: payload(),
        vectors: named.collect(),
        expires_at: Some(i64::MAX / 2),
        ..Default::default()
    }
}

fn update() -> v1::PointUpdate {
    let expiry = Some(point_update::Expiry::ExpiresAt(i64::MAX / 2));
    v1::PointUpdate { id: id(2), set: payload(), unset: vec!["half".to_owned()], expiry }
}

fn preconditions() -> Vec<v1::Precondition> {
    let expect = [precondition::Expect::Exists(true), precondition::Expect::Etag(7)];
    expect.into_iter().map(|expect| v1::Precondition { id: id(2), expect: Some(expect) }).collect()
}

fn condition(condition: filter::Condition) -> v1::Filter {
    v1::Filter { condition: Some(condition) }
}

/// A condition of every kind.
pub(super) fn every_condition() -> v1::Filter {
    let field = |name: &str| name.to_owned();
    let year = |year: i64| value(value::Kind::IntValue(year));
    let range =
        filter::Range { field: field("year"), gte: year(2_001), lt: year(2_050), ..Default::default() };
    let center = Some(v1::GeoPoint { lat: 48.0, lon: 16.0 });
    let filters = vec![
        condition(filter::Condition::Range(range)),
        condition(filter::Condition::Eq(filter::Eq { field: field("year"), value: year(2_002) })),
        condition(filter::Condition::In(filter::In {
            field: field("year"),
            values: year(3).into_iter().collect(),
        })),
        condition(filter::Condition::Prefix(filter::Prefix {
            field: field("text"),
            prefix: "green".to_owned(),
        })),
        condition(filter::Condition::Contains(filter::Contains {
            field: field("tags"),
            values: vec!["a".to_owned()],
        })),
        condition(filter::Condition::Exists(filter::Exists { field: field("place") })),
        condition(filter::Condition::GeoRadius(filter::GeoRadius {
            field: field("place"),
            center,
            metres: 9e5,
        })),
        condition(filter::Condition::Match(filter::Match { field: field("text"), text: "tea".to_owned() })),
        condition(filter::Condition::AllTenants(filter::AllTenants {})),
    ];
    let any = condition(filter::Condition::Or(filter::Or { filters }));
    let none = filter::Not { filter: Some(Box::new(any.clone())) };
    let filters = vec![any, condition(filter::Condition::Not(Box::new(none)))];
    condition(filter::Condition::Or(filter::Or {
        filters: vec![condition(filter::Condition::And(filter::And { filters })), every_year()],
    }))
}

fn every_year() -> v1::Filter {
    condition(filter::Condition::Exists(filter::Exists { field: "year".to_owned() }))
}

fn writes() -> Vec<(&'static str, Vec<u8>)> {
    let (collection, request_id) = (COLLECTION.to_owned(), "once".to_owned());
    let points = || vec![point(2), point(31)];
    let upsert =
        v1::UpsertPointsRequest { collection: collection.clone(), points: points(), ..Default::default() };
    let ingest = v1::IngestPointsRequest {
        collection: collection.clone(),
        sequence: 1,
        points: points(),
        request_id: request_id.clone(),
    };
    let updates = v1::UpdatePointsRequest {
        collection: collection.clone(),
        updates: vec![update()],
        preconditions: preconditions(),
        request_id: request_id.clone(),
    };
    let operations = [
        write_operation::Operation::Upsert(point(33)),
        write_operation::Operation::Update(update()),
        write_operation::Operation::Delete(id(4).unwrap_or_default()),
    ];
    let operations =
        operations.into_iter().map(|operation| v1::WriteOperation { operation: Some(operation) });
    let write = v1::WritePointsRequest {
        collection: collection.clone(),
        operations: operations.collect(),
        ..Default::default()
    };
    let missing = filter::Eq { field: "year".to_owned(), value: value(value::Kind::IntValue(-1)) };
    let filter = Some(condition(filter::Condition::Eq(missing)));
    let delete_where =
        v1::DeletePointsRequest { collection: collection.clone(), filter, ..Default::default() };
    let ids = vec![id(6).unwrap_or_default()];
    let delete = v1::DeletePointsRequest { collection, ids, request_id, ..Default::default() };
    vec![
        ("PointsService/UpsertPoints", upsert.encode_to_vec()),
        ("PointsService/IngestPoints", ingest.encode_to_vec()),
        ("PointsService/UpdatePoints", updates.encode_to_vec()),
        ("PointsService/WritePoints", write.encode_to_vec()),
        ("PointsService/DeletePoints", delete_where.encode_to_vec()),
        ("PointsService/DeletePoints", delete.encode_to_vec()),
    ]
}

fn source(source: source::Source) -> v1::Source {
    v1::Source { source: Some(source), ..Default::default() }
}

fn nearest(vector: &str, query: nearest::Query) -> v1::Source {
    let nearest = v1::Nearest { vector: vector.to_owned(), query: Some(query), ef: Some(50), exact: false };
    source(source::Source::Nearest(nearest))
}

/// A source of every kind, in each other.
fn every_source() -> v1::Source {
    let fields = vec![v1::BoostedField { field: "text".to_owned(), boost: Some(2.0) }];
    let words = v1::TextQuery { query: "green tea".to_owned(), fields, all_terms: false };
    let example = |example| v1::Example { example: Some(example) };
    let recommend = v1::Recommend {
        positive: vec![example(example::Example::Id(id(2).unwrap_or_default()))],
        negative: vec![example(example::Example::Vector(dense(&[0.0, 1.0])))],
        strategy: 2,
        ..Default::default()
    };
    let order = v1::OrderBy { field: "year".to_owned(), descending: true };
    let sources = vec![
        nearest("", nearest::Query::Dense(dense(&[1.0, 0.0]))),
        nearest("words", nearest::Query::Sparse(sparse())),
        nearest("late", nearest::Query::Multi(multi())),
        source(source::Source::Text(words)),
        source(source::Source::Recommend(recommend)),
        source(source::Source::OrderBy(order)),
    ];
    let method = Some(fuse::Method::ReciprocalRank(fuse::ReciprocalRank { k: Some(60.0) }));
    let fused = source(source::Source::Fuse(v1::Fuse { sources, candidates: Some(50), method }));
    let by = nearest("", nearest::Query::Dense(dense(&[0.5, 0.5])));
    let rescore = v1::Rescore { from: Some(Box::new(fused)), by: Some(Box::new(by)), candidates: Some(20) };
    source(source::Source::Rescore(Box::new(rescore)))
}

pub(super) fn query() -> v1::QueryRequest {
    v1::QueryRequest {
        collection: COLLECTION.to_owned(),
        k: 5,
        filter: Some(every_condition()),
        with_vectors: true,
        explain: true,
        query: Some(query_request::Query::Source(every_source())),
        ..Default::default()
    }
}

fn reads() -> Vec<(&'static str, Vec<u8>)> {
    let (collection, filter) = (|| COLLECTION.to_owned(), || Some(every_condition()));
    let ids = (0..4).filter_map(id).collect();
    let get =
        v1::GetPointsRequest { collection: collection(), ids, with_vectors: true, ..Default::default() };
    let order_by = Some(v1::OrderBy { field: "year".to_owned(), descending: true });
    let scroll = v1::ScrollPointsRequest {
        collection: collection(),
        filter: filter(),
        order_by,
        ..Default::default()
    };
    let count = v1::CountPointsRequest { collection: collection(), filter: filter(), ..Default::default() };
    let field = "year".to_owned();
    let facet =
        v1::FacetPointsRequest { collection: collection(), field, filter: filter(), ..Default::default() };
    let group = Some(v1::Group { field: "year".to_owned(), per_group: 2 });
    let vector = Some(query_request::Query::Vector(dense(&[1.0, 0.0])));
    let grouped = v1::QueryRequest { group, query: vector, ..query() };
    let batch = v1::BatchQueryRequest {
        collection: collection(),
        queries: vec![query(), query()],
        ..Default::default()
    };
    let range = v1::SearchRangeRequest {
        collection: collection(),
        threshold: 0.5,
        filter: filter(),
        limit: Some(10),
        query: Some(search_range_request::Query::Vector(dense(&[1.0, 0.0]))),
        ..Default::default()
    };
    vec![
        ("PointsService/GetPoints", get.encode_to_vec()),
        ("PointsService/ScrollPoints", scroll.encode_to_vec()),
        ("PointsService/CountPoints", count.encode_to_vec()),
        ("PointsService/FacetPoints", facet.encode_to_vec()),
        ("SearchService/Query", query().encode_to_vec()),
        ("SearchService/Query", grouped.encode_to_vec()),
        ("SearchService/BatchQuery", batch.encode_to_vec()),
        ("SearchService/SearchRange", range.encode_to_vec()),
    ]
}

fn of_collections() -> Vec<(&'static str, Vec<u8>)> {
    let image =
        v1::DenseVectorOptions { dimension: 4, walk_dimension: Some(2), encoding: 2, ..Default::default() };
    let kinds = [
        ("image", vector_options::Kind::Dense(image)),
        ("words", vector_options::Kind::Sparse(v1::SparseVectorOptions {})),
        ("late", vector_options::Kind::Multi(v1::MultiVectorOptions { dimension: 2, ..Default::default() })),
    ];
    let kinds =
        kinds.into_iter().map(|(name, kind)| (name.to_owned(), v1::VectorOptions { kind: Some(kind) }));
    let texts = || BTreeMap::from([("title".to_owned(), v1::TextIndex { analyzer: "english".to_owned() })]);
    let create = v1::CreateCollectionRequest {
        name: "other".to_owned(),
        vectors: Some(create_collection_request::Vectors::Dimension(3)),
        fields: (1..8).map(|kind| (format!("f{kind}"), kind)).collect(),
        vector_options: kinds.collect(),
        texts: texts(),
        tenant: "whose".to_owned(),
        ..Default::default()
    };
    let name = COLLECTION.to_owned();
    let fields = [("added".to_owned(), 2)].into();
    let change = v1::UpdateCollectionRequest { name, fields, texts: texts(), ..Default::default() };
    vec![
        ("CollectionsService/CreateCollection", create.encode_to_vec()),
        ("CollectionsService/UpdateCollection", change.encode_to_vec()),
    ]
}

/// Requests with tokens that the server gave: of a page, and of a write.
fn with_tokens(server: &Server) -> Vec<(&'static str, Vec<u8>)> {
    let credentials = format!("Bearer {}", server.key());
    let ask = |path: &str, request: Vec<u8>| {
        let pieces = vec![super::framed(&request, None)];
        let (code, answer) = server
            .call(path, &[("authorization", credentials.as_str())], pieces)
            .expect("the server answers");
        assert_eq!(code, 0, "{path}");
        answer.get(5..).unwrap_or_default().to_vec()
    };
    let (scroll, upsert) = ("PointsService/ScrollPoints", "PointsService/UpsertPoints");
    let mut page =
        v1::ScrollPointsRequest { collection: COLLECTION.to_owned(), page_size: 3, ..Default::default() };
    let answer = v1::ScrollPointsResponse::decode(&*ask(scroll, page.encode_to_vec()));
    page.page_token = answer.expect("it is a page").next_page_token;
    let mut ordered = v1::ScrollPointsRequest { page_token: String::new(), ..page.clone() };
    ordered.order_by = Some(v1::OrderBy { field: "text".to_owned(), descending: false });
    let answer = v1::ScrollPointsResponse::decode(&*ask(scroll, ordered.encode_to_vec()));
    ordered.page_token = answer.expect("it is a page").next_page_token;
    let points = vec![point(2)];
    let one = v1::UpsertPointsRequest { collection: COLLECTION.to_owned(), points, ..Default::default() };
    let written = v1::UpsertPointsResponse::decode(&*ask(upsert, one.encode_to_vec()));
    page.at_least = written.expect("it is a receipt").write_token;
    assert!(!page.page_token.is_empty() && !ordered.page_token.is_empty());
    let list = v1::ListCollectionsRequest { page_token: page.page_token.clone(), ..Default::default() };
    vec![
        (scroll, page.encode_to_vec()),
        (scroll, ordered.encode_to_vec()),
        ("CollectionsService/ListCollections", list.encode_to_vec()),
    ]
}
