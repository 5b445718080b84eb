//! Async, typed client of a Ragstone server.
//!
//! ```no_run
//! use ragstone_client::{Client, CreateCollection, Enrich, IngestDocument};
//!
//! # async fn run() -> Result<(), ragstone_client::Error> {
//! let client = Client::connect("http://127.0.0.1:6733").await?;
//! client.ensure_collection(CreateCollection::with_model("notes", "all-MiniLM-L6-v2")).await?;
//! client.ingest_document(IngestDocument::new("notes", "moon.md", "# Moon\n\nIt is 384,400 km away.")).await?;
//! let enriched = client.enrich(Enrich::new("notes", "How far is the moon?")).await?;
//! println!("{}", enriched.prompt());
//! # Ok(())
//! # }
//! ```
//!
//! # TLS
//! `https://` URLs are called over TLS. The client trusts the authorities of the system, or those that [`ClientBuilder::tls_ca`]
//! names. [`ClientBuilder::tls_identity`] is the certificate that the client shows to a server that asks for one.
//!
//! # Credentials
//! [`ClientBuilder::api_key`] takes an API key (`ragstone key create`) or a token of an identity provider. Each call sends it as
//! `authorization: Bearer KEY`. To a server on another machine use TLS, or anyone on the way can read the key.
//!
//! # Deadlines
//! A call has a deadline, retries included. The client tells the server (`grpc-timeout`) and keeps to it, too. It is the one of
//! [`Client::with_timeout`] or [`ClientBuilder::timeout`], or else the call's own default, which its description states.
//!
//! - [`Client::ingest_points`] and [`Client::ingest_documents`] have none by default, and [`Client::watch_operation`] never has one.
//! - A write whose deadline passed may have been applied all the same.
//!
//! # Retries
//! The client repeats a call only where that is safe. The bound of the pause doubles each time, and the pause is jittered.
//!
//! - **The server did not begin the call**: too many requests at once, or a model that is being loaded (the error carries
//!   `google.rpc.RetryInfo`). Any call is repeated, not before the pause that the server asks for. If that is more than ten
//!   minutes, the error is returned.
//! - **No connection could be made.** Any call is repeated.
//! - **The server was not available** (`UNAVAILABLE`). Reads are repeated, and so is the fetching of a model. So are writes that come
//!   to the same when they are made twice: those of points and documents, and the making and removing of collections. Each of them
//!   has a request id, by which the server knows that it did the write already, and gives the first answer again. It remembers the
//!   ids of a collection's last 4,096 writes, over restarts. What is added to a collection, and a template, is passed over if it is
//!   there already, and so is repeated, too.
//!
//! Any other write whose connection broke under way is not repeated, and the error is `UNAVAILABLE`: nobody knows whether it was
//! applied. Made twice, a removal by a filter, an ingestion of records, or the setting of an alias could undo what another client
//! wrote in between.
//!
//! # Errors
//! Every call returns [`Error`]: the gRPC [`Code`], the server's machine-readable reason, and the fields that were wrong.

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
