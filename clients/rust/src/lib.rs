//! Async, typed client of a Ragstone server.
//!
//! ```no_run
//! use ragstone_client::{Client, CreateCollection, Enrich, IngestDocument};
//!
//! # async fn run() -> Result<(), ragstone_client::Error> {
//! let client = Client::connect("http://127.0.0.1:6733").await?;
//! client.create_collection(CreateCollection::with_model("notes", "all-MiniLM-L6-v2")).await?;
//! client.ingest_document(IngestDocument::new("notes", "moon.md", "# Moon\n\nIt is 384,400 km away.")).await?;
//! let enriched = client.enrich(Enrich::new("notes", "How far is the moon?")).await?;
//! println!("{}", enriched.prompt());
//! # Ok(())
//! # }
//! ```
//!
//! # TLS
//! `https://` URLs are called over TLS. Whom the system trusts is trusted, or whom [`ClientBuilder::tls_ca`] names;
//! [`ClientBuilder::tls_identity`] is what the client shows of itself to a server that asks.
//!
//! # Credentials
//! [`ClientBuilder::api_key`] takes an API key (`ragstone key create`) or a token of an identity provider, sent with each call as
//! `authorization: Bearer KEY`: to a server on another machine over TLS, or whoever is on the way can read it.
//!
//! # Deadlines
//! Every call has one, told to the server (`grpc-timeout`) and kept here too, its retries included:
//! [`ClientBuilder::timeout`] or [`Client::with_timeout`], else the call's own default, stated in its description. A
//! write whose deadline passed may nevertheless have been applied.
//!
//! # Retries
//! A call is repeated, after a pause that doubles and is jittered, only where that is safe:
//!
//! * any call, when the server says that it was not begun (the error carries `google.rpc.RetryInfo`: too many requests at
//!   once, a model that is still being loaded); the server's pause is honoured, unless it is more than ten minutes: then the error is returned;
//! * any call, when no connection to the server could be made;
//! * reads (and the fetching of a model), whenever the server was not to be had (`UNAVAILABLE`);
//! * writes of points and the making and removing of collections, then, too: each has a request id, by which the server knows that it did it already, and gives the first
//!   answer again. It remembers the ids of a collection's last 4,096 writes, over restarts.
//!
//! Any other write whose connection broke under way is not repeated: whether it was applied is not known. Made twice, an
//! ingestion or a removal by a filter could undo what another client wrote in between, and a collection would "exist already".
//! The error is `UNAVAILABLE` then.
//!
//! # Errors
//! Every call returns [`Error`]: the gRPC [`Code`], the server's reason for programs, and the fields that were wrong.

mod call;
mod client;
mod collection;
mod document;
mod enrich;
mod error;
mod exchange;
mod filter;
mod found;
mod generate;
mod inference;
mod ingest;
mod key;
mod media;
mod operation;
mod point;
mod range;
mod read;
mod records;
mod rerank;
mod retrieve;
mod retry;
mod search;
mod source;
mod template;
mod text_query;
mod vector;
mod write;

pub use client::{
    Alias, Client, ClientBuilder, Compression, DEFAULT_URL, MESSAGE_BYTES_MAX, OperationWatch,
    RestoreCollection,
};
pub use collection::{ChunkOptions, Collection, CreateCollection, Metric, UpdateCollection};
pub use document::{
    Chunk, Document, DocumentRemoval, IngestDocument, IngestReport, IngestStatus, ListChunks, ListDocuments,
};
pub use enrich::{ChatMessage, ChatRole, Citation, CitedChunk, DataMarking, Enrich, Enriched, TokenReport};
pub use error::{Code, Error, FieldViolation, Result};
pub use exchange::{ExportCollection, FileCompression, FileFormat, ImportCollection};
pub use filter::{Filter, Range};
pub use found::{
    Explain, Facet, Hit, HitGroup, Interrupted, QueryResult, QueryStats, RangeResult, SegmentReport, Stage,
};
pub use generate::{
    Answer, CheckedCitations, CitationUse, FinishReason, Generate, GenerateEvent, Generation, TokenUsage,
};
pub use inference::{
    Arithmetic, Embed, Embeddings, Model, ModelInfo, OnOverflow, Pooling, PulledModel, TextRole,
};
pub use ingest::{
    DocumentAcknowledged, INGEST_DOCUMENTS_BYTES_MAX, INGEST_DOCUMENTS_UNACKNOWLEDGED_MAX,
    INGEST_UNACKNOWLEDGED_MAX, Ingested, PointsAcknowledged, RefusedItem,
};
pub use key::{CreateKey, Key, KeyLimits};
pub use media::MediaType;
pub use operation::{CollectionStats, Operation, OperationKind, OperationState, Snapshot, Stats};
pub use point::{FieldType, GeoPoint, Page, Payload, Point, PointId, StageTiming, Value};
pub use range::RangeSearch;
pub use read::Scroll;
pub use records::{IngestRecords, IngestedRecords, RecordFailure, RecordFormat};
pub use rerank::{Rerank, Reranked, RerankedPassage, RerankerInfo, ScoreScale, TokenCounts};
pub use retrieve::{
    DropReason, DroppedChunk, RetrievalMode, Retrieve, Retrieved, RetrievedChunk, StageScores,
};
pub use search::Query;
pub use source::{Example, Fuse, Nearest, OrderBy, Recommend, Rescore, Source, Strategy};
pub use template::{PreviewTemplate, Template};
pub use text_query::TextQuery;
pub use vector::{ElementType, Encoding, SparseVector, Vector, VectorKind, VectorOptions};
pub use write::{Update, Write, WriteReceipt};
