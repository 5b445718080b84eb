//! Documents and their chunks.

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::media::MediaType;
use crate::point::{Payload, StageTiming, Value, payload_from_wire, timings_from_wire};

/// A document to store.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestDocument {
    wire: v1::IngestDocumentRequest,
}

impl IngestDocument {
    /// A document of at most 16 MiB, UTF-8 unless it is a PDF, under an id of 1 to 400 bytes; what it is follows from the id's extension.
    pub fn new(collection: impl Into<String>, id: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        let content: Vec<u8> = content.into();
        Self {
            wire: v1::IngestDocumentRequest {
                collection: collection.into(),
                id: id.into(),
                content: content.into(),
                ..Default::default()
            },
        }
    }

    /// What it is called, at most 16 KiB; nothing by default. It is embedded and found by word with every chunk.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.wire.title = title.into();
        self
    }

    /// What it belongs to, at most 400 bytes; nothing by default.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.wire.source = source.into();
        self
    }

    /// What the bytes are, whatever the id's extension says.
    #[must_use]
    pub fn media_type(mut self, media_type: MediaType) -> Self {
        self.wire.media_type = media_type.into_wire().into();
        self
    }

    /// A field that every chunk gets, for filters; names that start with `_` are kept for Ragstone.
    #[must_use]
    pub fn metadata(mut self, field: impl Into<String>, value: impl Into<Value>) -> Self {
        self.wire.metadata.insert(field.into(), value.into().into_wire());
        self
    }

    /// Names the request, 1 to 128 bytes: made again under the same id, it stores nothing, and its answer is the first one. A request that
    /// is none of a stream gets one of its own by default, so that it can be made again when the connection breaks.
    #[must_use]
    pub fn request_id(mut self, request_id: impl Into<String>) -> Self {
        self.wire.request_id = request_id.into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::IngestDocumentRequest {
        self.wire
    }
}

/// What became of an ingested document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum IngestStatus {
    /// It is new.
    Added,
    /// Its content, metadata or source differed; the old version is gone.
    Replaced,
    /// The same is stored already; nothing was done.
    Unchanged,
}

/// What an ingestion did.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestReport {
    /// What became of the document.
    pub status: IngestStatus,
    /// Chunks that it has now.
    pub chunks: usize,
    /// Of these, those whose content no chunk had before.
    pub chunks_added: usize,
    /// And those whose content one had: they keep their vectors.
    pub chunks_kept: usize,
    /// Chunks that it had before, and whose content none has now.
    pub chunks_removed: usize,
    /// Texts that were embedded.
    pub embedded: usize,
    /// Tokens embedded.
    pub tokens: usize,
    /// Milliseconds of each stage on the server: `extract`, `split`, `embed`, `store`.
    pub timings: Vec<StageTiming>,
    /// Whether the request was done before: then all but the timings is of the first time. If the document was changed or removed since,
    /// counts are 0, and `Replaced` stands for `Added` too.
    pub repeated: bool,
}

impl IngestReport {
    pub(crate) fn from_wire(wire: v1::IngestDocumentResponse) -> Result<IngestReport> {
        let status = match wire.status() {
            v1::IngestStatus::Added => IngestStatus::Added,
            v1::IngestStatus::Replaced => IngestStatus::Replaced,
            v1::IngestStatus::Unchanged => IngestStatus::Unchanged,
            v1::IngestStatus::Unspecified => return Err(Error::missing("status")),
        };
        Ok(IngestReport {
            status,
            chunks: wire.chunks as usize,
            chunks_added: wire.chunks_added as usize,
            chunks_kept: wire.chunks_kept as usize,
            chunks_removed: wire.chunks_removed as usize,
            embedded: wire.embedded as usize,
            tokens: wire.tokens as usize,
            timings: timings_from_wire(wire.timings),
            repeated: wire.repeated,
        })
    }
}

/// What became of a request to remove a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DocumentRemoval {
    /// Whether there was one.
    pub deleted: bool,
    /// Whether the request was done before, and nothing was removed now: then `deleted` is of the first time.
    pub repeated: bool,
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Document {
    /// Its id.
    pub id: String,
    /// What it is called; may be empty.
    pub title: String,
    /// What it belongs to; may be empty.
    pub source: String,
    /// What its bytes were.
    pub media_type: MediaType,
    /// SHA-256 of its bytes, in hex.
    pub content_sha256: String,
    /// The extracted text, which `start` and `end` of chunks and citations count code points of; empty in listings.
    pub text: String,
    /// How many chunks it has.
    pub chunks: usize,
    /// The fields given with it.
    pub metadata: Payload,
}

impl Document {
    pub(crate) fn from_wire(wire: v1::Document) -> Result<Document> {
        Ok(Document {
            media_type: MediaType::from_wire(wire.media_type)?,
            id: wire.id,
            source: wire.source,
            title: wire.title,
            content_sha256: wire.content_sha256,
            text: wire.text,
            chunks: wire.chunks as usize,
            metadata: payload_from_wire(wire.metadata)?,
        })
    }
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Chunk {
    /// The document's id.
    pub document: String,
    /// Its place among the document's chunks, from 0.
    pub ordinal: usize,
    /// The headings above it, outermost first, joined by ` > `.
    pub heading: String,
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// Tokens of the text, counted with the collection's model.
    pub tokens: usize,
    /// SHA-256, in hex, of the heading and of what is embedded; empty for chunks stored by an earlier version.
    pub content_sha256: String,
}

impl Chunk {
    pub(crate) fn from_wire(wire: v1::Chunk) -> Chunk {
        Chunk {
            document: wire.document,
            ordinal: wire.ordinal as usize,
            heading: wire.heading,
            start: wire.start as usize,
            end: wire.end as usize,
            text: wire.text,
            tokens: wire.tokens as usize,
            content_sha256: wire.content_sha256,
        }
    }
}

/// A page of documents to list, without their text, in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct ListDocuments {
    wire: v1::ListDocumentsRequest,
}

impl ListDocuments {
    /// The first page of every document.
    pub fn new(collection: impl Into<String>) -> Self {
        Self { wire: v1::ListDocumentsRequest { collection: collection.into(), ..Default::default() } }
    }

    /// Only documents of this source.
    #[must_use]
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.wire.source = Some(source.into());
        self
    }

    /// At most so many on the page, 1 to 1,000; 100 by default.
    #[must_use]
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.wire.page_size = page_size;
        self
    }

    /// The page that an earlier one's `next_page_token` asks for.
    #[must_use]
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.wire.page_token = page_token.into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::ListDocumentsRequest {
        self.wire
    }
}

/// A page of a document's chunks to list, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct ListChunks {
    wire: v1::ListChunksRequest,
}

impl ListChunks {
    /// The first page.
    pub fn new(collection: impl Into<String>, document: impl Into<String>) -> Self {
        Self {
            wire: v1::ListChunksRequest {
                collection: collection.into(),
                document: document.into(),
                ..Default::default()
            },
        }
    }

    /// At most so many on the page, 1 to 1,000; 100 by default.
    #[must_use]
    pub fn page_size(mut self, page_size: u32) -> Self {
        self.wire.page_size = page_size;
        self
    }

    /// The page that an earlier one's `next_page_token` asks for.
    #[must_use]
    pub fn page_token(mut self, page_token: impl Into<String>) -> Self {
        self.wire.page_token = page_token.into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::ListChunksRequest {
        self.wire
    }
}
