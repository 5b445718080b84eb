//! The small trait under every command: the same operations on a local directory and on a server.
//!
//! Calls block. The types are what the commands print; as JSON they are the command line's contract with scripts.

mod local;
mod remote;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Result;
use ragstone_rag::CollectionSpec;
use ragstone_rag::TextQuery;
use ragstone_rag::embed::{Overflow, Role};
use ragstone_rag::ingest::{DocumentInput, IngestStatus};
use ragstone_rag::progress::Progress;
use ragstone_rag::prompt::EnrichRequest;
use serde::Serialize;

use super::args::Place;

/// Milliseconds of each stage, in the order in which they ran, `total` last; a JSON object.
#[derive(Debug, Default)]
pub(crate) struct Timings(pub(crate) Vec<(String, f64)>);

impl Serialize for Timings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(stage, ms)| (stage, ms)))
    }
}

impl<S: Into<String>> FromIterator<(S, f64)> for Timings {
    fn from_iter<I: IntoIterator<Item = (S, f64)>>(timings: I) -> Self {
        Self(timings.into_iter().map(|(stage, ms)| (stage.into(), ms)).collect())
    }
}

/// A collection and what it holds.
#[derive(Debug, Serialize)]
pub(crate) struct CollectionView {
    pub(crate) name: String,
    pub(crate) points: u64,
    pub(crate) vectors: u64,
    pub(crate) dimension: u64,
    pub(crate) metric: String,
    /// The embedding model; none where vectors are the user's.
    pub(crate) model: Option<String>,
    /// Fields with their types.
    pub(crate) fields: BTreeMap<String, String>,
}

/// What became of a document.
#[derive(Debug)]
pub(crate) struct Ingested {
    pub(crate) status: IngestStatus,
    pub(crate) chunks: u64,
    pub(crate) tokens: u64,
}

/// A stored document, as folder sync needs it.
#[derive(Debug)]
pub(crate) struct StoredDocument {
    pub(crate) id: String,
    pub(crate) source: String,
}

/// A row found by text.
#[derive(Debug, Serialize)]
pub(crate) struct HitView {
    pub(crate) id: serde_json::Value,
    pub(crate) score: f32,
    pub(crate) payload: serde_json::Map<String, serde_json::Value>,
}

/// What a search found.
#[derive(Debug, Serialize)]
pub(crate) struct SearchView {
    pub(crate) hits: Vec<HitView>,
    pub(crate) timings_ms: Timings,
}

/// A chunk that the prompt contains.
#[derive(Debug, Serialize)]
pub(crate) struct CitationView {
    pub(crate) index: u64,
    pub(crate) document: String,
    pub(crate) heading: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    pub(crate) text: String,
}

/// A chunk that was retrieved and left out.
#[derive(Debug, Serialize)]
pub(crate) struct DroppedView {
    pub(crate) document: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) score: f32,
    pub(crate) tokens: u64,
    pub(crate) reason: String,
}

/// A question made answerable.
#[derive(Debug, Serialize)]
pub(crate) struct EnrichedView {
    pub(crate) prompt: String,
    pub(crate) prompt_tokens: u64,
    pub(crate) citations: Vec<CitationView>,
    pub(crate) dropped: Vec<DroppedView>,
    pub(crate) timings_ms: Timings,
}

/// The vectors of some texts.
#[derive(Debug, Serialize)]
pub(crate) struct EmbeddingsView {
    pub(crate) model: String,
    pub(crate) dimension: usize,
    pub(crate) vectors: Vec<Vec<f32>>,
    pub(crate) token_counts: Vec<u64>,
    pub(crate) truncated: Vec<bool>,
}

/// A model that is here.
#[derive(Debug, Serialize)]
pub(crate) struct ModelView {
    pub(crate) name: String,
    pub(crate) loaded: bool,
    pub(crate) default: bool,
    pub(crate) dimension: Option<u64>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) sha256: Option<String>,
    pub(crate) path: Option<String>,
}

/// A model that was fetched or found.
#[derive(Debug, Serialize)]
pub(crate) struct PulledView {
    pub(crate) name: String,
    pub(crate) source: String,
    /// Its folder; not told by a server.
    pub(crate) path: Option<String>,
    pub(crate) sha256: String,
}

/// The operations that commands are made of.
pub(crate) trait Backend {
    /// Names the place, for messages: a directory or a URL.
    fn place(&self) -> String;
    /// Makes a collection; an empty model name is the default model of the place.
    fn create_collection(&self, name: &str, spec: CollectionSpec) -> Result<CollectionView>;
    /// Every collection, by name.
    fn collections(&self) -> Result<Vec<CollectionView>>;
    /// One collection; `None` if it does not exist.
    fn collection(&self, name: &str) -> Result<Option<CollectionView>>;
    /// Removes a collection.
    fn delete_collection(&self, name: &str) -> Result<()>;
    /// Stores a document.
    fn ingest(&self, collection: &str, document: DocumentInput) -> Result<Ingested>;
    /// Whether a failed [`Backend::ingest`] is the document's fault, so that others may go in.
    fn is_about_document(&self, error: &anyhow::Error) -> bool;
    /// Every document, without its text.
    fn documents(&self, collection: &str) -> Result<Vec<StoredDocument>>;
    /// Removes a document.
    fn delete_document(&self, collection: &str, id: &str) -> Result<()>;
    /// Searches by text.
    fn search(&self, collection: &str, query: &TextQuery) -> Result<SearchView>;
    /// Makes a question answerable.
    fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<EnrichedView>;
    /// Embeds texts with a model, the default one when `None`.
    fn embed(
        &self,
        model: Option<&str>,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
    ) -> Result<EmbeddingsView>;
    /// The models that are here.
    fn models(&self) -> Result<Vec<ModelView>>;
    /// Fetches a model; an empty name is the default model of the place.
    fn pull_model(&self, name: &str) -> Result<PulledView>;
}

/// The backend that the arguments name.
pub(crate) fn open(place: &Place, progress: Arc<dyn Progress>) -> Result<Box<dyn Backend>> {
    match &place.url {
        Some(url) => Ok(Box::new(remote::Remote::connect(url)?)),
        None => Ok(Box::new(local::Local::new(place, progress))),
    }
}
