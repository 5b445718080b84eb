//! The part of the backend about documents that are stored.

use std::collections::BTreeMap;

use anyhow::Result;
use ragstone_rag::ingest::{Chunk, Document, DocumentRemoval};
use serde::Serialize;

use super::{Page, PageAsk};
use crate::cli::json::{self, Shown};

/// A document.
#[derive(Debug, Serialize)]
pub(crate) struct DocumentView {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) source: String,
    pub(crate) media_type: &'static str,
    pub(crate) content_sha256: String,
    pub(crate) chunks: u64,
    pub(crate) metadata: BTreeMap<String, Shown>,
    /// None in a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
}

impl DocumentView {
    /// One that was read with its text.
    pub(super) fn read(document: Document) -> Self {
        Self {
            media_type: document.media_type.as_str(),
            metadata: json::shown_payload(&document.metadata),
            id: document.id,
            title: document.title,
            source: document.source,
            content_sha256: document.content_sha256,
            chunks: document.chunks as u64,
            text: Some(document.text),
        }
    }

    /// One of a list.
    pub(super) fn listed(document: Document) -> Self {
        Self { text: None, ..Self::read(document) }
    }
}

/// A piece of a document.
#[derive(Debug, Serialize)]
pub(crate) struct ChunkView {
    pub(crate) document: String,
    pub(crate) ordinal: u64,
    pub(crate) heading: String,
    pub(crate) start: u64,
    pub(crate) end: u64,
    pub(crate) tokens: u64,
    pub(crate) content_sha256: String,
    pub(crate) text: String,
}

impl From<Chunk> for ChunkView {
    fn from(chunk: Chunk) -> Self {
        Self {
            document: chunk.document,
            ordinal: chunk.ordinal as u64,
            heading: chunk.heading,
            start: chunk.start as u64,
            end: chunk.end as u64,
            tokens: chunk.tokens as u64,
            content_sha256: chunk.content_sha256,
            text: chunk.text,
        }
    }
}

/// Keeps documents.
pub(crate) trait DocumentKeeper {
    /// A page of the documents of a source, or of all, by id and without their texts.
    fn documents(
        &self,
        collection: &str,
        source: Option<&str>,
        page: &PageAsk<'_>,
    ) -> Result<Page<DocumentView>>;
    /// A document with its text.
    fn document(&self, collection: &str, id: &str) -> Result<DocumentView>;
    /// A page of the chunks of a document, in their order.
    fn chunks(&self, collection: &str, document: &str, page: &PageAsk<'_>) -> Result<Page<ChunkView>>;
    /// Removes a document and its chunks; once, where the request has an id.
    fn delete_document(
        &self,
        collection: &str,
        id: &str,
        request_id: Option<&str>,
    ) -> Result<DocumentRemoval>;
}
