//! Messages that are whole, cut, damaged or too many.

use prost::Message as _;
use ragstone_proto::v1;
use ragstone_proto::v1::filter::{Condition, Not};

use super::*;
use crate::limits::{FILTER_TERMS_MAX, GET_IDS_MAX, LIST_STRINGS_MAX};

const UPSERT: &str = "/ragstone.v1.PointsService/UpsertPoints";
const GET: &str = "/ragstone.v1.PointsService/GetPoints";
const QUERY: &str = "/ragstone.v1.SearchService/Query";

fn scan(path: &str) -> Scan {
    let shapes = Shapes::of(&[v1::FILE_DESCRIPTOR_SET]).unwrap();
    Arc::new(shapes).of_request(path).expect("a call of the API")
}

fn request() -> v1::UpsertPointsRequest {
    let value = v1::Value { kind: Some(v1::value::Kind::StringValue("blue".to_owned())) };
    let point = v1::Point {
        id: Some(v1::PointId { id: Some(v1::point_id::Id::Number(7)) }),
        vector: Some(v1::Vector { values: vec![1.0; 300] }),
        payload: [("colour".to_owned(), value)].into(),
        expires_at: Some(5),
        ..Default::default()
    };
    v1::UpsertPointsRequest {
        collection: "c".to_owned(),
        points: vec![point, v1::Point::default(), v1::Point::default()],
        ..Default::default()
    }
}

/// The collection's name; three points; of the first its id, its vector, an entry with its key, its value and the text of that.
const PARTS: usize = 1 + 3 + 2 + 1 + 1 + 1 + 1;

fn filter(condition: Condition) -> v1::Filter {
    v1::Filter { condition: Some(condition) }
}

/// The parts of a message that comes whole.
fn parts_of(path: &str, message: &[u8]) -> Result<usize, Refused> {
    let mut scan = scan(path);
    scan.begin(message.len() as u64);
    scan.parts(message)
}

/// The refusal of one item more than anything may have.
fn too_many(field: &str, limit: Limit) -> Result<usize, Refused> {
    Err(Refused::TooMany { field: field.to_owned(), limit, items: BATCH_OPS_MAX + 1 })
}

#[test]
fn parts_are_counted_through_any_cut_of_the_bytes() {
    let bytes = request().encode_to_vec();
    let mut scan = scan(UPSERT);
    for cut in 0..bytes.len() {
        let (first, second) = bytes.split_at(cut);
        scan.begin(bytes.len() as u64);
        assert_eq!(scan.parts(first).unwrap() + scan.parts(second).unwrap(), PARTS, "cut at {cut}");
    }
    scan.begin(bytes.len() as u64);
    assert_eq!(bytes.iter().map(|byte| scan.parts(&[*byte]).unwrap()).sum::<usize>(), PARTS);
}

#[test]
fn what_takes_two_bytes_is_a_part() {
    let empty = [0x12, 0x00].repeat(1_000);
    assert_eq!(parts_of(UPSERT, &empty), Ok(1_000));
    // What comes behind one is of the message that it is in.
    let behind = [vec![0x12, 0x00], request().encode_to_vec()].concat();
    assert_eq!(parts_of(UPSERT, &behind), Ok(1 + PARTS));
    // The same bytes as a text are one.
    let text = v1::GetCollectionRequest { name: String::from_utf8(empty).unwrap(), ..Default::default() };
    let path = "/ragstone.v1.CollectionsService/GetCollection";
    assert_eq!(parts_of(path, &text.encode_to_vec()), Ok(1));
}

/// Numbers of a byte each take four, and were counted for one.
#[test]
fn a_list_of_numbers_counts_for_what_it_takes_in_memory_whatever_it_is_cut_into() {
    let point = |sparse: &[u8]| {
        let field = |tag: u8, value: &[u8]| {
            let mut bytes = vec![tag];
            prost::encoding::encode_varint(value.len() as u64, &mut bytes);
            [bytes, value.to_vec()].concat()
        };
        // The vector of an entry of `vectors`, in `points`.
        field(0x12, &field(0x22, &field(0x12, &field(0x12, sparse))))
    };
    let packed = |indices: usize| {
        let vector = v1::SparseVector { indices: vec![1; indices], values: Vec::new() };
        point(&vector.encode_to_vec())
    };
    // The point, the entry, the vector of some kind, and the sparse one.
    assert_eq!(parts_of(UPSERT, &packed(0)), Ok(4));
    assert_eq!(parts_of(UPSERT, &packed(1)), Ok(4 + 1));
    assert_eq!(parts_of(UPSERT, &packed(6_400)), Ok(4 + 100));
    assert_eq!(parts_of(UPSERT, &point(&[0x0a, 0x01, 0x01].repeat(500))), Ok(4 + 500));
    // Components take as much on the wire.
    let values = v1::SparseVector { indices: Vec::new(), values: vec![1.0; 6_400] };
    assert_eq!(parts_of(UPSERT, &point(&values.encode_to_vec())), Ok(4));
    assert_eq!(
        parts_of(UPSERT, &point(&[0x0a, 0x01, 0x01].repeat(2 * BATCH_OPS_MAX))),
        Ok(4 + 2 * BATCH_OPS_MAX)
    );
}

/// Read to the end they took a hundred times their bytes, to be refused then.
#[test]
fn more_items_than_anything_may_have_are_refused_with_the_first_too_many() {
    let point = [0x12, 0x00];
    assert_eq!(parts_of(UPSERT, &point.repeat(BATCH_OPS_MAX)), Ok(BATCH_OPS_MAX));
    let refused = too_many("points", items::OF_ANY);
    assert_eq!(parts_of(UPSERT, &point.repeat(2 * BATCH_OPS_MAX)), refused);
    // Those of others between them change nothing.
    let precondition = [0x1a, 0x00];
    let both = [point, precondition].concat().repeat(2 * BATCH_OPS_MAX);
    assert_eq!(parts_of(UPSERT, &both), refused);
    // As many in one filter, and in each of two points half as many.
    let and = v1::filter::And { filters: vec![v1::Filter::default(); BATCH_OPS_MAX + 1] };
    let query = v1::QueryRequest { filter: Some(filter(Condition::And(and))), ..Default::default() };
    let refused = too_many("filter.and.filters", ("FILTER_TERMS_MAX", FILTER_TERMS_MAX));
    assert_eq!(parts_of(QUERY, &query.encode_to_vec()), refused);
    let values = vec![String::new(); BATCH_OPS_MAX / 2 + 1];
    let value = v1::Value { kind: Some(v1::value::Kind::StringsValue(v1::Strings { values })) };
    let point = v1::Point { payload: [("f".to_owned(), value)].into(), ..Default::default() };
    let points = v1::UpsertPointsRequest { points: vec![point; 2], ..Default::default() };
    assert!(parts_of(UPSERT, &points.encode_to_vec()).is_ok());
}

/// A look-up of 100,001 ids was told of a limit ten times its own, and of its own at the next attempt.
#[test]
fn too_many_items_are_told_by_the_limit_of_their_field() {
    let ids = [0x12, 0x00].repeat(BATCH_OPS_MAX + 1);
    assert_eq!(parts_of(GET, &ids), too_many("ids", ("GET_IDS_MAX", GET_IDS_MAX)));
    // Of fewer the handler says how many they are.
    assert_eq!(parts_of(GET, &ids[..2 * (GET_IDS_MAX + 1)]), Ok(GET_IDS_MAX + 1));
    let point = |strings: usize| {
        let values = vec![String::new(); strings];
        let value = v1::Value { kind: Some(v1::value::Kind::StringsValue(v1::Strings { values })) };
        let point = v1::Point { payload: [("f".to_owned(), value)].into(), ..Default::default() };
        v1::UpsertPointsRequest { points: vec![point], ..Default::default() }.encode_to_vec()
    };
    let refused =
        too_many("points.payload.value.strings_value.values", ("LIST_STRINGS_MAX", LIST_STRINGS_MAX));
    assert_eq!(parts_of(UPSERT, &point(BATCH_OPS_MAX + 1)), refused);
    // And which of a stream's points it is, whose others are stored.
    assert!(parts_of(UPSERT, &point(LIST_STRINGS_MAX + 1)).is_ok());
}

#[test]
fn what_can_be_no_message_is_refused_at_once_and_the_codec_agrees() {
    let malformed: [&[u8]; 9] = [
        // No such wire type; no such field; a number beyond all fields; the end of a group that has not begun, and of another than has.
        &[0x0f, 0x00],
        &[0x02, 0x00],
        &[0x80, 0x80, 0x80, 0x80, 0x70, 0x00],
        &[0x74],
        &[0xfb, 0x07, 0x0c],
        // A text longer than the message, a field that is not known, and a point.
        &[0x0a, 0x05, b'c'],
        &[0xfa, 0x07, 0x05, 0x00],
        &[0x12, 0x05, 0x00],
        // A vector longer than its point.
        &[0x12, 0x02, 0x12, 0x04, 0x00, 0x00, 0x00, 0x00],
    ];
    for message in malformed {
        let refused = parts_of(UPSERT, message).unwrap_err();
        assert!(matches!(refused, Refused::Malformed { .. }), "{message:?}: {refused:?}");
        assert!(v1::UpsertPointsRequest::decode(message).is_err(), "{message:?}");
    }
    // A group, of a field that is not known, in which stands what would be no point outside.
    let group = [0xfb, 0x07, 0x12, 0x02, 0x07, 0x00, 0xfc, 0x07];
    assert!(v1::UpsertPointsRequest::decode(&group[..]).is_ok());
    assert!(parts_of(UPSERT, &group).is_ok());
}

/// However deep, and whatever lengths say: what counts takes no more than what it counts, and what it refuses as no message is none.
#[test]
fn what_is_no_message_is_looked_through_too() {
    let mut state = 1_u64;
    for length in 0..2_000 {
        let noise: Vec<u8> = (0..length)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 56) as u8
            })
            .collect();
        let mut scan = scan(QUERY);
        scan.begin(noise.len() as u64);
        match scan.parts(&noise) {
            Ok(parts) => assert!(parts <= length && scan.open.len() <= DEPTH_MAX, "{length}"),
            Err(_) => assert!(v1::QueryRequest::decode(&noise[..]).is_err(), "{noise:?}"),
        }
    }
    let not = |inner, _| filter(Condition::Not(Box::new(Not { filter: Some(Box::new(inner)) })));
    let deep = (0..200).fold(v1::Filter::default(), not);
    let deep = v1::QueryRequest { filter: Some(deep), ..Default::default() }.encode_to_vec();
    let mut scan = scan(QUERY);
    scan.begin(deep.len() as u64);
    // Of each level the filter and what it negates; what is below is one part.
    assert_eq!((scan.parts(&deep), scan.open.len()), (Ok(DEPTH_MAX + 1), DEPTH_MAX));
    assert!(Arc::new(Shapes::default()).of_request(UPSERT).is_none());
}
