//! Requests that nobody would write, for every call there is: made from the descriptors, so that none is forgotten, half of them damaged
//! afterwards. Whatever the server makes of one, it is no fault of the server's, and it goes on.

use std::collections::HashMap;
use std::time::Duration;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FileDescriptorSet};
use ragstone_abuse::Connection;
use ragstone_client::{Client, CreateCollection, IngestDocument, Point};
use tonic::{Code, Status};

use crate::fixture::{DIMENSION, MODEL, Server};

/// Requests of each call; `RAGSTONE_WIRE_REQUESTS` asks for more.
const REQUESTS: u64 = 40;
/// Levels of messages within messages that are made.
const DEPTH: usize = 6;
/// Texts that lead further than random ones: names that there are, reserved ones, and what may be taken for a number, a date or JSON.
const TEXTS: [&str; 14] = [
    "",
    "c",
    "notes",
    "year",
    "text",
    "a.txt",
    "doc:a.txt",
    "_text",
    "1",
    "2026-01-31T00:00:00Z",
    "{\"a\":[1]}",
    MODEL,
    "\u{1f980}\u{301}",
    "{% for a in range(9) %}{{ a }}{% endfor %}",
];
const NUMBERS: [u64; 10] = [0, 1, 2, 3, 10, 1_000, 100_000, u32::MAX as u64, i64::MAX as u64, u64::MAX];
const FLOATS: [f64; 9] = [0.0, -0.0, 1.0, -1.0, 0.5, 1e300, f64::NAN, f64::INFINITY, f64::MIN_POSITIVE];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.bits() % end.max(1) as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn tag(out: &mut Vec<u8>, number: i32, wire: u64) {
    varint(out, ((number as u64) << 3) | wire);
}

fn bytes(out: &mut Vec<u8>, number: i32, value: &[u8]) {
    tag(out, number, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// Makes messages by their descriptors.
struct Maker {
    messages: HashMap<String, DescriptorProto>,
    random: Random,
}

impl Maker {
    fn new(files: &FileDescriptorSet) -> Maker {
        let mut messages = HashMap::new();
        for file in &files.file {
            for message in &file.message_type {
                collect(&format!(".{}", file.package()), message, &mut messages);
            }
        }
        Maker { messages, random: Random(1) }
    }

    fn message(&mut self, name: &str, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(message) = self.messages.get(name).cloned() else { return out };
        for field in &message.field {
            // The collection and the like are mostly there, or no request would come far.
            let absent = if depth == 0 { 1 } else { 2 };
            if self.random.below(4) < absent {
                continue;
            }
            let is_repeated = field.label() == Label::Repeated;
            let (kind, number) = (field.r#type(), field.number());
            if is_repeated && kind == Type::Float {
                let values = self.random.one_of(&[0, 1, 2, DIMENSION, DIMENSION + 1]);
                let values: Vec<u8> = (0..values).flat_map(|_| self.float().to_le_bytes()).collect();
                bytes(&mut out, number, &values);
                continue;
            }
            let times = if is_repeated { self.random.below(4) } else { 1 };
            for _ in 0..times {
                self.value(&mut out, (kind, number), (field.type_name(), depth));
            }
        }
        out
    }

    fn float(&mut self) -> f32 {
        match self.random.below(8) {
            0 => self.random.one_of(&FLOATS) as f32,
            _ => self.random.below(1_000) as f32 / 500.0 - 1.0,
        }
    }

    fn value(&mut self, out: &mut Vec<u8>, (kind, number): (Type, i32), (name, depth): (&str, usize)) {
        match kind {
            Type::Message if depth < DEPTH => {
                let inner = self.message(name, depth + 1);
                bytes(out, number, &inner);
            }
            Type::Message | Type::Group => {}
            Type::String => {
                let text = self.random.one_of(&TEXTS);
                let times = if self.random.below(30) == 0 { 5_000 } else { 1 };
                bytes(out, number, text.repeat(times).as_bytes());
            }
            Type::Bytes => {
                let length = self.random.below(300);
                let value: Vec<u8> = (0..length).map(|_| self.random.bits() as u8).collect();
                bytes(out, number, &value);
            }
            Type::Double => {
                tag(out, number, 1);
                out.extend_from_slice(&self.random.one_of(&FLOATS).to_le_bytes());
            }
            Type::Float => {
                tag(out, number, 5);
                out.extend_from_slice(&self.float().to_le_bytes());
            }
            Type::Fixed64 | Type::Sfixed64 => {
                tag(out, number, 1);
                out.extend_from_slice(&self.random.bits().to_le_bytes());
            }
            Type::Fixed32 | Type::Sfixed32 => {
                tag(out, number, 5);
                out.extend_from_slice(&(self.random.bits() as u32).to_le_bytes());
            }
            Type::Bool => {
                tag(out, number, 0);
                varint(out, self.random.bits() & 1);
            }
            Type::Enum => {
                tag(out, number, 0);
                let value = self.random.below(8) as u64;
                varint(out, if value == 7 { 1_000 } else { value });
            }
            Type::Int32 | Type::Int64 | Type::Uint32 | Type::Uint64 | Type::Sint32 | Type::Sint64 => {
                tag(out, number, 0);
                varint(out, self.random.one_of(&NUMBERS));
            }
        }
    }

    /// A message of a type, sound or damaged.
    fn request(&mut self, name: &str) -> Vec<u8> {
        let mut message = self.message(name, 0);
        if self.random.below(2) == 0 {
            for _ in 0..=self.random.below(4) {
                let at = self.random.below(message.len().max(1));
                match (self.random.below(4), message.get_mut(at)) {
                    (0, Some(byte)) => *byte ^= 1 << (at % 8),
                    (1, Some(byte)) => *byte = 0xff,
                    (2, _) => message.truncate(at),
                    _ => message.extend_from_slice(&self.random.bits().to_le_bytes()),
                }
            }
        }
        message
    }
}

fn collect(scope: &str, message: &DescriptorProto, messages: &mut HashMap<String, DescriptorProto>) {
    let name = format!("{scope}.{}", message.name());
    message.nested_type.iter().for_each(|inner| collect(&name, inner, messages));
    messages.insert(name, message.clone());
}

/// What a request is about, as it was: requests before it may have removed or replaced it.
async fn refill(client: &Client) {
    for name in ["c", "notes"] {
        // Neither may be there.
        let _ = client.delete_alias(name).await;
        let _ = client.delete_collection(name).await;
    }
    // An operation may have the name for a moment yet.
    let _ = client.create_collection(CreateCollection::with_dimension("c", DIMENSION as u32)).await;
    let _ = client.create_collection(CreateCollection::with_model("notes", MODEL)).await;
    let points = (0..5_u64).map(|id| Point::new(id, vec![1.0; DIMENSION]).with("year", 2_026));
    let _ = client.upsert_points("c", points).await;
    let _ = client.ingest_document(IngestDocument::new("notes", "a.txt", "Green tea and black tea.")).await;
}

/// Makes a call with one message and returns how it ended, once all of its answer has come.
async fn call(connection: &Connection, path: &str, message: &[u8]) -> Status {
    let (answer, mut body) = connection.begin(path, &[("grpc-timeout", "2S")]).await.unwrap();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    body.send_data([&[0][..], &length, message].concat().into(), true).unwrap();
    let (head, mut answer) = answer.await.unwrap().into_parts();
    if let Some(status) = Status::from_header_map(&head.headers) {
        return status;
    }
    while let Some(data) = answer.data().await {
        answer.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    let trailers = answer.trailers().await.unwrap().expect("an answer has trailers");
    Status::from_header_map(&trailers).expect("trailers have a status")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_a_fault_of_the_server() {
    let requests = std::env::var("RAGSTONE_WIRE_REQUESTS").ok().and_then(|asked| asked.parse().ok());
    let server = Server::start().await;
    let client = server.client().await.with_retries(0);
    let connection = Connection::open(server.address).await.unwrap();
    let files = FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap();
    let mut maker = Maker::new(&files);
    let mut found: HashMap<Code, u64> = HashMap::new();
    for service in files.file.iter().flat_map(|file| &file.service) {
        for method in &service.method {
            refill(&client).await;
            let path = format!("{}/{}", service.name(), method.name());
            for number in 0..requests.unwrap_or(REQUESTS) {
                let message = maker.request(method.input_type());
                let answered =
                    tokio::time::timeout(Duration::from_secs(60), call(&connection, &path, &message));
                let status = answered.await.unwrap_or_else(|_| panic!("{path} does not end: {message:?}"));
                let is_fault = matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss);
                assert!(!is_fault, "{path}, request {number}: {status:?}: {message:?}");
                *found.entry(status.code()).or_default() += 1;
            }
        }
    }
    // Some come far, and some are refused for what they are: otherwise all of this tests nothing.
    for code in [Code::Ok, Code::InvalidArgument, Code::NotFound] {
        assert!(found.get(&code).is_some_and(|count| *count > 20), "{code:?}: {found:?}");
    }
    client.create_collection(CreateCollection::with_dimension("after", 2)).await.unwrap();
    client.upsert_points("after", [Point::new(1, [1.0, 0.0])]).await.unwrap();
    assert_eq!(client.get_collection("after").await.unwrap().points, 1);
    server.stop().await;
}
