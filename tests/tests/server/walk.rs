//! Every call, as the descriptors have it, by callers who may not make it or may not see what it is about: a call that is added is among them.
//!
//! Requests are made of the descriptors too: what names a collection, a document or a point names one of another tenant, texts and vectors are near to its
//! own, and of what excludes each other each is tried. The rows of the other tenant have a word in them that nothing of an answer may have, and
//! are the same afterwards.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use ragstone_client::{Client, CreateCollection, Filter, IngestDocument, Point, Scroll};
use tonic::{Code, Status};

use crate::access::{asking, client, with_keys};
use crate::by_hand::ByHand;
use crate::fixture::{DIMENSION, MODEL, Server, reason};

/// Stands in what is another tenant's, and nowhere in a request.
const HUSH: &str = "hushhushhush";
/// How many ways a request is made in.
const VARIANTS: usize = 6;

/// What a reader may call. A new call is put here, or it is one that readers may not make.
const READS: &[&str] = &[
    "BatchQuery",
    "CountPoints",
    "CountTokens",
    "Embed",
    "Enrich",
    "Explain",
    "FacetPoints",
    "Generate",
    "GetCollection",
    "GetDocument",
    "GetPoints",
    "GetTemplate",
    "ListAliases",
    "ListChunks",
    "ListCollections",
    "ListDocuments",
    "ListModels",
    "ListTemplates",
    "PreviewTemplate",
    "Query",
    "Rerank",
    "Retrieve",
    "ScrollPoints",
    "SearchRange",
];
/// What a writer may call beside.
const WRITES: &[&str] = &[
    "DeleteDocument",
    "DeletePoints",
    "IngestDocument",
    "IngestDocuments",
    "IngestPoints",
    "IngestRecords",
    "UpdatePoints",
    "UpsertPoints",
    "WritePoints",
];

/// The API, by its descriptors.
struct Api {
    messages: BTreeMap<String, DescriptorProto>,
    calls: Vec<Call>,
}

struct Call {
    name: String,
    path: String,
    request: String,
}

impl Api {
    fn read() -> Api {
        let files = FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap().file;
        let (mut messages, mut calls) = (BTreeMap::new(), Vec::new());
        for file in files.into_iter().filter(|file| file.package() == "ragstone.v1") {
            for service in &file.service {
                calls.extend(service.method.iter().map(|method| Call {
                    name: method.name().to_owned(),
                    path: format!("ragstone.v1.{}/{}", service.name(), method.name()),
                    request: method.input_type().to_owned(),
                }));
            }
            let named = |message: DescriptorProto| (format!(".ragstone.v1.{}", message.name()), message);
            for message in &file.message_type {
                let within = message.nested_type.iter().cloned();
                let name = message.name();
                messages
                    .extend(within.map(|nested| (format!(".ragstone.v1.{name}.{}", nested.name()), nested)));
            }
            messages.extend(file.message_type.into_iter().map(named));
        }
        assert!(calls.len() > 50, "only {} calls were found", calls.len());
        Api { messages, calls }
    }

    /// A request, in one of several ways.
    fn request(&self, of: &str, variant: usize) -> Vec<u8> {
        self.message(of, variant, 0)
    }

    fn message(&self, of: &str, variant: usize, depth: usize) -> Vec<u8> {
        let mut out = Vec::new();
        let Some(message) = self.messages.get(of).filter(|_| depth < 8) else { return out };
        for field in &message.field {
            // Of what excludes each other one is set; `optional` makes an alternative of one.
            if let Some(index) = field.oneof_index {
                let is_of = |other: &&FieldDescriptorProto| other.oneof_index == Some(index);
                let alternatives: Vec<_> = message.field.iter().filter(is_of).collect();
                if alternatives[variant % alternatives.len()].number != field.number {
                    continue;
                }
            }
            self.field((message.name(), field), variant, depth, &mut out);
        }
        out
    }

    fn field(
        &self,
        (message, field): (&str, &FieldDescriptorProto),
        variant: usize,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        let (name, tag) = (field.name(), field.number().cast_unsigned());
        let is_list = field.label() == Label::Repeated;
        match field.r#type() {
            Type::String => {
                if let Some(text) = text_of(message, name) {
                    prost::encoding::string::encode(tag, &text.to_owned(), out);
                }
            }
            Type::Bytes => prost::encoding::bytes::encode(tag, &b"# Tea\n\nOne tea.".to_vec(), out),
            Type::Bool => {
                let is_set = matches!(name, "with_vectors" | "explain" | "exact");
                prost::encoding::bool::encode(tag, &is_set, out);
            }
            Type::Float if is_list => {
                let values: Vec<f32> = (0..DIMENSION).map(|at| if at < 2 { 1.0 } else { 0.1 }).collect();
                prost::encoding::float::encode_packed(tag, &values, out);
            }
            Type::Float if name == "threshold" => prost::encoding::float::encode(tag, &-1.0, out),
            Type::Uint32 | Type::Uint64 if !is_list => {
                let number = match name {
                    "number" | "sequence" | "before" | "after" => 1,
                    "k" | "limit" | "page_size" | "candidates" | "per_group" | "top_k" => 20,
                    _ => return,
                };
                prost::encoding::uint64::encode(tag, &number, out);
            }
            Type::Message => self.nested((message, field), variant, depth, out),
            _ => {}
        }
    }

    fn nested(
        &self,
        (message, field): (&str, &FieldDescriptorProto),
        variant: usize,
        depth: usize,
        out: &mut Vec<u8>,
    ) {
        let of = field.type_name();
        let is_map = self.messages.get(of).is_some_and(|m| m.options.as_ref().is_some_and(|o| o.map_entry()));
        let bytes = match field.name() {
            // What would only keep a request from coming to rows.
            "filter" | "preconditions" | "claims" | "limits" | "group" | "expire_time" => return,
            // There is no model to rank anew, and a question stands there already.
            "rerank" | "messages" => return,
            // Pages begin behind an id, or are in an order, or neither.
            "after_id" if variant % 3 != 1 => return,
            "order_by" if message == "ScrollPointsRequest" && variant % 3 != 2 => return,
            // Whoever writes says that the row is their own.
            "payload" | "metadata" | "set" if is_map => {
                let mut value = Vec::new();
                prost::encoding::string::encode(4, &"own".to_owned(), &mut value);
                let mut entry = Vec::new();
                prost::encoding::string::encode(1, &"tenant".to_owned(), &mut entry);
                put(2, &value, &mut entry);
                entry
            }
            _ if is_map || !of.starts_with(".ragstone.v1.") => return,
            // Sources within sources go on as the first of them.
            _ => self.message(of, if of.ends_with(message) { 0 } else { variant }, depth + 1),
        };
        put(field.number().cast_unsigned(), &bytes, out);
    }
}

/// Writes a message within another.
fn put(tag: u32, bytes: &[u8], out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// What a text of a request is.
fn text_of(message: &str, field: &str) -> Option<&'static str> {
    Some(match (message, field) {
        ("PointId", "text") => "doc:rival.md",
        (_, "collection" | "alias") => "notes",
        ("ReembedCollectionRequest" | "GetCollectionRequest" | "DeleteCollectionRequest", "name") => "notes",
        ("CreateCollectionRequest" | "UpdateCollectionRequest", "name") => "notes",
        (_, "id" | "document") => "rival.md",
        (_, "field") => "label",
        (_, "text" | "query" | "content" | "question" | "texts" | "passages") => "tea",
        (_, "file") => "records.jsonl",
        (_, "text_fields") => "text",
        _ => return None,
    })
}

/// Makes a call, whatever streams; all that is answered. A client library would have the messages' types.
async fn make(server: &Server, key: Option<&str>, path: &str, message: Vec<u8>) -> Result<Vec<u8>, Status> {
    let key = key.map(|key| format!("Bearer {key}"));
    let key = key.as_deref().map(|key| ("authorization", key));
    let headers: Vec<(&str, &str)> = [("grpc-timeout", "60S")].into_iter().chain(key).collect();
    let mut call = ByHand::begin(server, path, &headers).await;
    call.send_bytes(0, &message, true);
    let (head, mut body) = call.answer().await;
    let mut all = Vec::new();
    // A call that fails before its first answer ends with its headers.
    let status = match Status::from_header_map(&head) {
        Some(status) => status,
        None => {
            while let Some((_, answer)) = body.next().await {
                all.extend(answer);
            }
            body.ended().await
        }
    };
    if status.code() == Code::Ok { Ok(all) } else { Err(status) }
}

#[tokio::test]
async fn no_call_is_made_without_a_key_that_is_good() {
    let (directory, _) = with_keys(&[&["admin"]]);
    let server = Server::start_over(directory, asking()).await;
    let api = Api::read();
    for call in &api.calls {
        for key in [None, Some("wrong"), Some("rsk_0123456789abcdef_AAAA")] {
            let status = make(&server, key, &call.path, api.request(&call.request, 0)).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{} {key:?}", call.path);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn a_call_needs_its_action() {
    let (directory, keys) =
        with_keys(&[&["observe"], &["read on notes"], &["write on notes"], &["manage on notes"]]);
    let server = Server::start_over(directory, asking()).await;
    let api = Api::read();
    let mut denied: [BTreeSet<&str>; 4] = Default::default();
    for (key, denied) in keys.iter().zip(&mut denied) {
        for call in &api.calls {
            let answer = make(&server, Some(key), &call.path, api.request(&call.request, 0)).await;
            let Err(status) = answer else { continue };
            assert_ne!(status.code(), Code::Unauthenticated, "{}", call.path);
            // Models and stores are denied for reasons of their own.
            if reason(&status) == "PERMISSION_DENIED" {
                denied.insert(&call.name);
            }
        }
    }
    let all: BTreeSet<&str> = api.calls.iter().map(|call| call.name.as_str()).collect();
    let but = |allowed: &[&[&'static str]]| {
        let allowed: BTreeSet<&str> = allowed.concat().into_iter().collect();
        all.difference(&allowed).copied().collect::<BTreeSet<&str>>()
    };
    let [observer, reader, writer, manager] = denied;
    assert_eq!(observer, but(&[&["GetStats"]]));
    assert_eq!(reader, but(&[READS]));
    assert_eq!(writer, but(&[READS, WRITES]));
    for name in ["CreateKey", "ListKeys", "RevokeKey", "RotateKey", "TakeSnapshot", "GetStats", "PullModel"] {
        assert!(manager.contains(name), "{name}");
    }
    server.stop().await;
}

/// Rows of two tenants: documents, and points of their own.
async fn fill(admin: &Client) {
    admin.create_collection(CreateCollection::with_model("notes", MODEL)).await.unwrap();
    for (tenant, word, number) in [("own", "mild", 2_u64), ("rival", HUSH, 1)] {
        let text =
            format!("# Tea {word}\n\nThis tea is {word}.\n\n## Water {word}\n\nWater for tea, {word}.");
        let document =
            IngestDocument::new("notes", format!("{tenant}.md"), text).title(format!("Tea {word}"));
        admin.ingest_document(document.metadata("tenant", tenant).metadata("label", word)).await.unwrap();
        let vector: Vec<f32> = (0..DIMENSION).map(|at| if at < 2 { 1.0 } else { 0.1 }).collect();
        let point = Point::new(number, vector).with("tenant", tenant).with("label", word);
        admin.upsert_points("notes", [point]).await.unwrap();
    }
}

/// All rows of the other tenant, with what tells whether one was written.
async fn theirs(admin: &Client) -> String {
    let request = Scroll::new("notes").filter(Filter::eq("tenant", "rival")).page_size(100).with_vectors();
    format!("{:?}", admin.scroll_points(request).await.unwrap().items)
}

fn has_word(bytes: &[u8]) -> bool {
    bytes.windows(HUSH.len()).any(|window| window == HUSH.as_bytes())
}

#[tokio::test]
async fn no_call_tells_or_changes_what_is_another_tenants() {
    let (directory, keys) = with_keys(&[&["admin"], &["write on * where tenant = 'own'"]]);
    let server = Server::start_over(directory, asking()).await;
    let [operator, tenant] = keys.as_slice() else { panic!("two keys") };
    let admin = client(&server, operator).await;
    fill(&admin).await;
    let api = Api::read();
    let before = theirs(&admin).await;
    assert!(before.contains(HUSH));

    // The requests come to these rows: who may see all is told of them.
    let mut telling = BTreeSet::new();
    for call in api.calls.iter().filter(|call| READS.contains(&call.name.as_str())) {
        for variant in 0..VARIANTS {
            let answer = make(&server, Some(operator), &call.path, api.request(&call.request, variant)).await;
            if answer.is_ok_and(|bytes| has_word(&bytes)) {
                telling.insert(call.name.as_str());
            }
        }
    }
    let ways =
        "FacetPoints GetDocument GetPoints ListChunks ListDocuments Query Retrieve ScrollPoints".split(' ');
    for name in ways {
        assert!(telling.contains(name), "no request of {name} comes to the rows: {telling:?}");
    }

    for call in &api.calls {
        for variant in 0..VARIANTS {
            let request = api.request(&call.request, variant);
            match make(&server, Some(tenant), &call.path, request).await {
                Ok(bytes) => assert!(!has_word(&bytes), "{} in way {variant}", call.path),
                Err(status) => {
                    let told = [status.message().as_bytes(), status.details()].concat();
                    assert!(!has_word(&told), "{} in way {variant}: {status:?}", call.path);
                }
            }
        }
        assert_eq!(theirs(&admin).await, before, "{}", call.path);
    }
    server.stop().await;
}

/// The request, about another name of as many letters.
fn about(name: &[u8; 5], mut request: Vec<u8>) -> Vec<u8> {
    while let Some(at) = request.windows(name.len()).position(|window| window == b"notes") {
        request[at..at + name.len()].copy_from_slice(name);
    }
    request
}

/// Whoever may manage an alias by its name was told the collection that it names, which they may not see.
#[tokio::test]
async fn no_call_tells_what_an_alias_names() {
    let (directory, keys) = with_keys(&[&["admin"], &["manage on mine*"]]);
    let server = Server::start_over(directory, asking()).await;
    let [operator, manager] = keys.as_slice() else { panic!("two keys") };
    let admin = client(&server, operator).await;
    admin.create_collection(CreateCollection::with_model(HUSH, MODEL)).await.unwrap();
    admin.set_alias("mine1", HUSH).await.unwrap();
    let api = Api::read();
    for call in &api.calls {
        for variant in 0..VARIANTS {
            let request = about(b"mine1", api.request(&call.request, variant));
            let told = match make(&server, Some(manager), &call.path, request).await {
                Ok(bytes) => bytes,
                Err(status) => [status.message().as_bytes(), status.details()].concat(),
            };
            assert!(!has_word(&told), "{} in way {variant}", call.path);
        }
    }
    assert_eq!(admin.count_points("mine1", None).await.unwrap(), 0, "it is there still");
    server.stop().await;
}
