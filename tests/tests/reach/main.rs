//! What a library can do, a client can: every operation of the database, of its collections and of the RAG layer is a call of the wire
//! API, or stands here with the reason why it is none. Of the calls, `surfaces.rs` tells which methods of the Rust client and which commands
//! make them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/binary.rs"]
mod binary;
mod surfaces;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use prost::Message as _;
use prost_types::FileDescriptorSet;

/// The operations, and the calls that reach them.
const REACHED: &[(&str, &[&str])] = &[
    ("Collection::add_field", &["CollectionsService.UpdateCollection"]),
    ("Collection::add_text", &["CollectionsService.UpdateCollection"]),
    ("Collection::count", &["PointsService.CountPoints"]),
    ("Collection::delete", &["PointsService.DeletePoints"]),
    ("Collection::delete_where", &["PointsService.DeletePoints"]),
    ("Collection::facet", &["PointsService.FacetPoints"]),
    ("Collection::get", &["PointsService.GetPoints"]),
    ("Collection::id", &["CollectionsService.GetCollection"]),
    ("Collection::info", &["CollectionsService.GetCollection"]),
    ("Collection::query", &["SearchService.Query", "SearchService.Explain"]),
    ("Collection::query_batch", &["SearchService.BatchQuery"]),
    ("Collection::refused", &["PointsService.IngestPoints"]),
    ("Collection::schema", &["CollectionsService.GetCollection"]),
    ("Collection::row_filter", &["RagService.Generate"]),
    ("Collection::scroll", &["PointsService.ScrollPoints"]),
    ("Collection::search", &["SearchService.Query"]),
    ("Collection::search_batch", &["SearchService.BatchQuery"]),
    ("Collection::search_range", &["SearchService.SearchRange"]),
    ("Collection::update", &["PointsService.UpdatePoints"]),
    ("Collection::upsert", &["PointsService.UpsertPoints", "PointsService.IngestPoints"]),
    ("Collection::version", &["RagService.Generate"]),
    ("Collection::wait_for_position", &["PointsService.GetPoints"]),
    ("Collection::write", &["PointsService.WritePoints"]),
    ("Db::aliases", &["CollectionsService.ListAliases"]),
    ("Db::cancelled_by", &["SearchService.Query"]),
    ("Db::collection", &["CollectionsService.GetCollection"]),
    ("Db::collections", &["CollectionsService.ListCollections"]),
    ("Db::create_collection", &["CollectionsService.CreateCollection"]),
    ("Db::delete_alias", &["CollectionsService.DeleteAlias"]),
    ("Db::delete_collection", &["CollectionsService.DeleteCollection"]),
    ("Db::delete_this_collection", &["CollectionsService.DeleteCollection"]),
    ("Db::ensure_collection", &["CollectionsService.CreateCollection", "CollectionsService.GetCollection"]),
    ("Db::lineage", &["PointsService.UpsertPoints"]),
    ("Db::log_position", &["PointsService.UpsertPoints"]),
    ("Db::pin", &["AdminService.TakeSnapshot"]),
    ("Db::set_alias", &["CollectionsService.SetAlias"]),
    ("Db::stats", &["AdminService.GetStats"]),
    ("Db::within", &["PointsService.GetPoints"]),
    ("Rag::abandon_reembedding", &["OperationsService.CancelOperation"]),
    ("Rag::asked_by", &["RagService.Generate"]),
    ("Rag::cancelled_by", &["RagService.Enrich"]),
    ("Rag::check_generate", &["RagService.Generate"]),
    ("Rag::check_reembed", &["CollectionsService.ReembedCollection"]),
    ("Rag::chunk_page", &["DocumentsService.ListChunks"]),
    ("Rag::chunks", &["DocumentsService.ListChunks"]),
    ("Rag::collection_model", &["CollectionsService.GetCollection"]),
    ("Rag::count_tokens", &["InferenceService.CountTokens"]),
    ("Rag::create_collection", &["CollectionsService.CreateCollection"]),
    ("Rag::delete_collection", &["CollectionsService.DeleteCollection"]),
    ("Rag::delete_document", &["DocumentsService.DeleteDocument"]),
    ("Rag::delete_document_once", &["DocumentsService.DeleteDocument"]),
    ("Rag::delete_points_where", &["PointsService.DeletePoints"]),
    ("Rag::delete_template", &["TemplatesService.DeleteTemplate"]),
    ("Rag::document", &["DocumentsService.GetDocument"]),
    ("Rag::documents", &["DocumentsService.ListDocuments"]),
    ("Rag::embed", &["InferenceService.Embed"]),
    ("Rag::embed_queries", &["SearchService.Query"]),
    ("Rag::enrich", &["RagService.Enrich"]),
    ("Rag::ensure_collection", &["CollectionsService.CreateCollection", "CollectionsService.GetCollection"]),
    ("Rag::generate", &["RagService.Generate"]),
    ("Rag::generate_from", &["RagService.Generate"]),
    ("Rag::generate_telling", &["RagService.Generate"]),
    ("Rag::ingest", &["DocumentsService.IngestDocument"]),
    ("Rag::ingest_all", &["DocumentsService.IngestDocuments", "DocumentsService.IngestRecords"]),
    ("Rag::models", &["InferenceService.ListModels", "InferenceService.PullModel"]),
    ("Rag::preview_template", &["TemplatesService.PreviewTemplate"]),
    ("Rag::reembed", &["CollectionsService.ReembedCollection"]),
    ("Rag::reembedding", &["OperationsService.GetOperation"]),
    ("Rag::register_template", &["TemplatesService.RegisterTemplate"]),
    ("Rag::rerank", &["InferenceService.Rerank"]),
    ("Rag::retrieve", &["RagService.Retrieve"]),
    ("Rag::search", &["SearchService.Query"]),
    ("Rag::template", &["TemplatesService.GetTemplate"]),
    ("Rag::templates", &["TemplatesService.ListTemplates"]),
    ("Rag::wanted_until", &["RagService.Enrich"]),
    ("Rag::within", &["RagService.Enrich"]),
    ("View::count", &["PointsService.CountPoints"]),
    ("View::etags", &["PointsService.GetPoints"]),
    ("View::facet", &["PointsService.FacetPoints"]),
    ("View::get", &["PointsService.GetPoints"]),
    ("View::ids", &["PointsService.ScrollPoints"]),
    ("View::pages", &["PointsService.ScrollPoints"]),
    ("View::query", &["SearchService.Query"]),
    ("View::query_batch", &["SearchService.BatchQuery"]),
    ("View::rows", &["PointsService.ScrollPoints"]),
    ("View::scroll", &["PointsService.ScrollPoints"]),
    ("View::search", &["SearchService.Query"]),
    ("View::search_batch", &["SearchService.BatchQuery"]),
    ("View::search_range", &["SearchService.SearchRange"]),
    ("View::seq", &["CollectionsService.GetCollection"]),
    ("View::vectors", &["PointsService.GetPoints"]),
];

/// What is a library's alone.
const OPENED: &str = "whoever has the process opens its database, and a server is started over one";
const HANDLE: &str = "a handle of this process, which a call has no part of";
const TYPED: &str = "a type of the caller's program: on the wire rows are points";
const STEPS: &str =
    "what calls of the layers above are made of: retrieval, re-embedding, restoring, templates, operations";
const OPERATOR: &str = "its operator's, on the command line, of a directory that no server has open";
const PROBED: &str = "what readiness rests on: the HTTP port's /readyz tells it";
const WATCHED: &str = "for whoever watches the server: /metrics tells it";
const BACKGROUND: &str = "a server seals, merges and verifies by itself";

/// The operations that are no calls, and why.
const APART: &[(&str, &str)] = &[
    ("Collection::check_wanted", HANDLE),
    ("Collection::exclusive", HANDLE),
    ("Collection::get_rows", TYPED),
    ("Collection::name", HANDLE),
    ("Collection::search_rows", TYPED),
    ("Collection::upsert_rows", TYPED),
    ("Collection::view", HANDLE),
    ("Db::abandon_replacement", STEPS),
    ("Db::attribute", STEPS),
    ("Db::attributes", STEPS),
    ("Db::begin_replacement", STEPS),
    ("Db::check_new_name", STEPS),
    ("Db::check_wanted", HANDLE),
    ("Db::check_writes", PROBED),
    ("Db::compact", BACKGROUND),
    ("Db::damaged", OPERATOR),
    ("Db::flush", BACKGROUND),
    ("Db::in_memory", OPENED),
    ("Db::in_memory_with", OPENED),
    ("Db::is_read_only", OPENED),
    ("Db::latencies", WATCHED),
    ("Db::open", OPENED),
    ("Db::open_read_only", OPENED),
    ("Db::open_with", OPENED),
    ("Db::path", OPENED),
    ("Db::pin_log", OPERATOR),
    ("Db::release_log", OPERATOR),
    ("Db::replacement", STEPS),
    ("Db::set_attribute", STEPS),
    ("Db::set_attribute_if", STEPS),
    ("Db::shows", STEPS),
    ("Db::stage_collection", STEPS),
    ("Db::stage_in_place_of", STEPS),
    ("Db::verify", BACKGROUND),
    ("Rag::db", HANDLE),
    ("Rag::generate_models", HANDLE),
    ("Rag::in_memory", OPENED),
    ("Rag::new", OPENED),
    ("Rag::open", OPENED),
    ("Rag::watched_by", WATCHED),
    ("Rag::with_answer_cache", OPENED),
    ("Rag::with_generate_models", OPENED),
    ("Rag::with_pdf_program", OPENED),
    ("View::as_of_now", HANDLE),
    ("View::detached", HANDLE),
    ("View::get_rows", TYPED),
    ("View::iter", HANDLE),
    ("View::score", STEPS),
    ("View::search_rows", TYPED),
    ("View::select", STEPS),
    ("View::verify", BACKGROUND),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The public methods of the types that operations are called on, as `Type::method`.
fn operations() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for folder in ["engine/src", "engine/rag/src"] {
        let walk = ignore::WalkBuilder::new(root().join(folder)).build();
        for entry in walk.map(|entry| entry.unwrap()) {
            if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let code = std::fs::read_to_string(entry.path()).unwrap();
                found.extend(methods(&code, &["Collection", "Db", "Rag", "View"]));
            }
        }
    }
    found
}

/// Those of a file and of these types. The code is formatted: a block begins and ends at the margin, its methods are one step within.
fn methods(code: &str, types: &[&'static str]) -> Vec<String> {
    let (mut found, mut of) = (Vec::new(), None);
    for line in code.lines() {
        if let Some(of_type) = line.strip_prefix("impl ").and_then(|rest| rest.strip_suffix(" {")) {
            of = types.iter().find(|name| **name == of_type);
        } else if line == "}" {
            of = None;
        }
        let rest = line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("    pub async fn "));
        let method = rest.and_then(|rest| rest.split(['(', '<']).next());
        if let (Some(of), Some(method)) = (of, method) {
            found.push(format!("{of}::{method}"));
        }
    }
    found
}

fn api() -> FileDescriptorSet {
    FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap()
}

/// Every call, as `Service.Call`.
fn calls() -> BTreeSet<String> {
    let files = api().file;
    let services = files.iter().flat_map(|file| &file.service);
    services
        .flat_map(|service| {
            service.method.iter().map(move |method| format!("{}.{}", service.name(), method.name()))
        })
        .collect()
}

#[test]
fn every_operation_is_a_call_or_has_a_reason_not_to_be() {
    let (operations, calls) = (operations(), calls());
    assert!(operations.len() > 70, "only {} operations were found", operations.len());
    let reached: BTreeMap<&str, &[&str]> = REACHED.iter().copied().collect();
    let apart: BTreeMap<&str, &str> = APART.iter().copied().collect();
    let mut wrong = Vec::new();
    for operation in &operations {
        match (reached.contains_key(operation.as_str()), apart.contains_key(operation.as_str())) {
            (true, false) | (false, true) => {}
            (false, false) => wrong.push(format!("{operation} is neither reached nor apart")),
            (true, true) => wrong.push(format!("{operation} is both reached and apart")),
        }
    }
    for listed in reached.keys().chain(apart.keys()).filter(|listed| !operations.contains(**listed)) {
        wrong.push(format!("{listed} is listed and is no operation"));
    }
    for (operation, by) in &reached {
        if by.is_empty() {
            wrong.push(format!("{operation} is reached by nothing"));
        }
        for call in by.iter().filter(|call| !calls.contains(**call)) {
            wrong.push(format!("{operation}: there is no call {call}"));
        }
    }
    assert!(wrong.is_empty(), "\n  {}", wrong.join("\n  "));
}

#[test]
fn methods_are_found_by_their_types() {
    let code = "impl Db {\n    /// Opens.\n    pub fn open<P>(path: P) -> Db {\n    }\n    fn own() {}\n}\nimpl Other {\n    pub fn not(&self) {\n    }\n}\nimpl View {\n    pub fn seq(&self) -> u64 {\n    }\n}\n";
    assert_eq!(methods(code, &["Db", "View"]), ["Db::open", "View::seq"]);
}
