//! Documents to chunks.
//!
//! Bytes become text ([`MediaType`] says how), text becomes chunks that an embedding model can read whole, and every
//! chunk remembers where it stands. The stored text of Markdown and plain text is the source itself, line endings
//! included, less a byte order mark; that of HTML is its Markdown rendering, that of a PDF the text of its pages, each but the last
//! ended by a form feed. `start` and `end` of a [`Chunk`] count code points (Unicode scalar values) of that stored text.
//!
//! Text is divided where its structure is: Markdown and HTML by headings, source code by its items (functions, types, modules, whose
//! names are the chunks' headings), a PDF by pages, and what is longer than a chunk by paragraphs, sentences or statements. Files of many
//! documents, JSON Lines and CSV, are taken apart by [`records`].
//!
//! Three things hold for every document: a chunk's `text` is exactly the slice from `start` to `end`; every character
//! that is not white space is in a chunk; and what is embedded for a chunk, its headings included, never has more
//! tokens than the model reads.
//!
//! [`folder`] finds the documents of a folder and tells what a second look at it has to change; it knows neither a
//! database nor a server, so that both are fed by the same code.

mod chunking;
mod code;
pub(crate) mod extract;
mod files;
pub mod folder;
mod html;
mod language;
mod media;
mod outline;
mod passages;
mod pdf;
pub mod records;
pub(crate) mod split;
mod statements;
mod tokens;

pub use chunking::ChunkOptions;
pub use language::Language;
pub use media::MediaType;
pub use pdf::{PdfProgram, answer_pdf};
use ragstone::Payload;
use sha2::{Digest, Sha256};

/// SHA-256 of a document's bytes in hex, as [`Document::content_sha256`] has it.
pub fn content_sha256(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document as it is given.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentInput {
    /// Names it within its collection; a path, for files.
    pub id: String,
    /// What it is called; may be empty. It stands before every chunk's headings, and is embedded and found by word with each chunk.
    pub title: String,
    /// What it belongs to (the folder that is kept in step); may be empty.
    pub source: String,
    /// What the bytes are; by the id's extension when `None`.
    pub media_type: Option<MediaType>,
    /// The bytes.
    pub content: Vec<u8>,
    /// Fields that every chunk gets, for filters; names starting with `_` are kept for Ragstone.
    pub metadata: Payload,
    /// Names the request to store it, so that it can be asked for again by who heard no answer: within the collection's next
    /// [`REQUESTS_REMEMBERED`](ragstone::limits::REQUESTS_REMEMBERED) writes, the same id with the same document's id stores nothing, whatever else
    /// is given. 1 to [`REQUEST_ID_BYTES_MAX`](ragstone::limits::REQUEST_ID_BYTES_MAX) bytes. With one, a document that is left
    /// alone is a small write too, for its request to be remembered.
    pub request_id: Option<String>,
}

impl DocumentInput {
    /// A document without source, metadata and the id of a request, of the kind that its id's extension says.
    pub fn new(id: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self {
            id: id.into(),
            title: String::new(),
            source: String::new(),
            media_type: None,
            content: content.into(),
            metadata: Payload::new(),
            request_id: None,
        }
    }
}

/// What became of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngestStatus {
    /// It is new.
    Added,
    /// Its content, title, metadata or source differed; the old version is gone.
    Replaced,
    /// The same content is stored already; nothing was done.
    Unchanged,
}

/// What an ingestion did.
#[derive(Clone, Debug, PartialEq)]
pub struct IngestReport {
    /// What became of the document.
    pub status: IngestStatus,
    /// Chunks stored now.
    pub chunks: usize,
    /// Of these, those whose content no chunk had that was stored before.
    pub chunks_added: usize,
    /// Of these, those whose content was stored before: they keep their vectors.
    pub chunks_kept: usize,
    /// Chunks that were stored before, and whose content no chunk has now.
    pub chunks_removed: usize,
    /// Texts that were embedded: one for the chunks of each content that was not stored before.
    pub embedded: usize,
    /// Tokens embedded.
    pub tokens: usize,
    /// Milliseconds of each stage: `extract`, `split`, `embed`, `store`; of an unchanged document `compare` alone, or
    /// last, if another writer stored the same meanwhile.
    pub timings_ms: Vec<(&'static str, f64)>,
    /// Whether its [request](DocumentInput::request_id) was done before, and nothing was stored now. All but the timings is of the first
    /// time then; if the document was changed or removed since, counts are 0, and `status` is `Replaced` for `Added` too.
    pub repeated: bool,
}

/// What removing a document did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DocumentRemoval {
    /// Whether there was one.
    pub deleted: bool,
    /// Whether its request was done before, and nothing was removed now: `deleted` is of the first time.
    pub repeated: bool,
}

/// A document as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its id.
    pub id: String,
    /// What it is called; may be empty.
    pub title: String,
    /// What it belongs to.
    pub source: String,
    /// What its bytes were.
    pub media_type: MediaType,
    /// SHA-256 of the bytes, in hex.
    pub content_sha256: String,
    /// The extracted text, which the chunks' `start` and `end` count in code points; empty in listings.
    pub text: String,
    /// How many chunks it has.
    pub chunks: usize,
    /// The fields given with it.
    pub metadata: Payload,
}

/// A piece of a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// The document's id.
    pub document: String,
    /// The chunk's place among the document's chunks, from 0.
    pub ordinal: usize,
    /// The document's title, unless the chunk begins with it, and the headings above it, outermost first, joined by ` > `.
    pub heading: String,
    /// First code point in the document's text.
    pub start: usize,
    /// One past the last code point.
    pub end: usize,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// Tokens of the text.
    pub tokens: usize,
    /// SHA-256, in hex, of the heading and of what is embedded: the text after as much of the title and the headings as fits. A chunk
    /// with the same hash keeps its vector when the document is replaced. Empty for chunks of documents stored by an earlier version.
    pub content_sha256: String,
}

/// Chunks of a document, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct ChunkPage {
    /// The chunks.
    pub chunks: Vec<Chunk>,
    /// The place where the next page starts, if there are more.
    pub next: Option<usize>,
}

/// Documents in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentPage {
    /// The documents, without their text.
    pub documents: Vec<Document>,
    /// Where the next page starts, if there are more.
    pub next: Option<String>,
}
