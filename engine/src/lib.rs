//! An embedded vector database for retrieval-augmented generation.
//!
//! Points with a vector and typed fields live in collections; a search gives the nearest ones, filtered if wanted. The
//! database is a directory that this process opens: no server, no set-up. What a write acknowledged survives a kill
//! and a power loss; searches run beside writes and never wait for them.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! use ragstone::{Db, Filter, Point, Schema, SearchRequest};
//!
//! let db = Db::open(path)?;
//! let notes = db.create_collection("notes", Schema::new(3)?)?;
//! notes.upsert(vec![
//!     Point::new("tea", [0.9, 0.1, 0.0]).with("title", "Tea").with("year", 2024),
//!     Point::new("sun", [0.0, 0.2, 0.9]).with("title", "Sun").with("year", 2025),
//! ])?;
//! let found = notes.search(&SearchRequest::new([1.0, 0.0, 0.0], 1).filter(Filter::eq("year", 2024)))?;
//! assert_eq!(found.hits[0].id, "tea".into());
//! println!("{:?} scores {}", found.hits[0].payload["title"], found.hits[0].score);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The same with a type of one's own, in memory:
//!
//! ```
//! use ragstone::{Db, Schema, SearchRequest};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Note {
//!     id: String,
//!     vector: Vec<f32>,
//!     title: String,
//! }
//!
//! let db = Db::in_memory()?;
//! let notes = db.create_collection("notes", Schema::new(2)?)?;
//! notes.upsert_rows([Note { id: "tea".into(), vector: vec![1.0, 0.2], title: "Tea".into() }])?;
//! let found = notes.search_rows::<Note>(&SearchRequest::new([1.0, 0.0], 1))?;
//! assert_eq!(found.hits[0].row.title, "Tea");
//! # Ok::<(), ragstone::Error>(())
//! ```
//!
//! # The parts
//! A [`Db`] holds [`Collection`]s, each under a [`Schema`]. Changes go in as a [`Batch`] of [`Op`]s, all of it or
//! nothing. A [`View`] is one consistent state; it answers a [`SearchRequest`], many of them at once, or a
//! [`RangeRequest`], gives [`Point`]s by id and in pages, and counts. A [`Filter`] is a tree of conditions on payload
//! fields. [`limits`] names every limit; [`Error`] says what is wrong and where. The bytes on disk are described in
//! `FORMAT.md` beside this crate.
//!
//! # In a process of yours
//! Calls block the thread that makes them; [`asynchronous`] says why, and how to await them. [`DbOptions`] bounds
//! threads and memory. There is no global state: no thread pool, lock or cache that databases share, no signal handler, no environment variable
//! but `RAGSTONE_ISA`, which forces older instructions; all threads have ended when the last handle is dropped. A directory has one
//! writer, or any number of readers ([`Db::open_read_only`]). Searches end early with a [`CancelToken`] or a time budget.
//!
//! [`snapshot`] is what copies of a database are made of; the crate `ragstone-snapshot` makes them, in a directory or an
//! object store. The crate `ragstone-exchange` writes collections to Arrow and Parquet files and reads such files.
//!
//! The [`guide`] explains the index and what can be set: width, degree, encoding, memory, and how to measure recall.

mod aliases;
pub mod asynchronous;
mod attributes;
mod background;
mod batch;
mod catalogue;
mod clock;
mod codec;
mod collection;
mod db;
mod dir;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
#[cfg(not(feature = "faults"))]
mod faults;
mod graph;
pub mod guide;
mod interrupt;
mod latencies;
pub mod limits;
mod lineage;
mod manifest;
mod mend;
mod opening;
mod options;
mod pace;
mod payload;
mod point;
pub mod query;
mod random;
mod replacement;
mod schema;
mod schema_codes;
mod scope;
mod search;
mod segment;
mod signal;
pub mod snapshot;
mod staged;
mod stats;
mod store;
#[cfg(test)]
mod tests;
#[cfg_attr(not(test), expect(dead_code, reason = "queries by word and sparse vectors come to use all of it"))]
mod text;
mod threads;
mod typed;
mod validate;
mod vectors;
mod verify;
mod wal;

pub use attributes::Attribute;
pub use clock::Clock;
pub use collection::{
    Collection, CollectionInfo, CollectionVersion, Exclusive, Ids, Page, Pages, Rows, ScrollRequest,
    TypedRows, View, WriteReceipt,
};
pub use db::Db;
pub use error::{Error, LockHolder, Result};
pub use interrupt::{CancelOnDrop, CancelToken, Interrupted};
pub use latencies::{DbLatencies, Latencies};
pub use lineage::{InvalidLineage, Lineage};
pub use mend::{CheckReport, Loss, RepairReport, check, repair};
pub use options::DbOptions;
pub use payload::{FieldType, Filter, GeoPoint, Json, ParseError, Payload, Range, Value};
pub use point::{Batch, Expect, Op, Point, PointId, Precondition, SparseVector, Update, Vector};
pub use replacement::Replacement;
pub use schema::{
    DEFAULT_VECTOR, DenseOptions, ElementType, EncodingKind, GraphOptions, Metric, MultiOptions, Schema,
    SchemaBuilder, SparseOptions, VectorKind,
};
pub use scope::{RowFilter, Scope, Sight};
pub use search::{Hit, RangeRequest, RangeResponse, SearchRequest, SearchResponse, SearchStats};
pub use staged::Staged;
pub use stats::{CollectionStats, DbStats};
#[doc(hidden)]
pub use text::TextIndex;
pub use text::{Analyzer, UnknownAnalyzer};
pub use typed::{TypedHit, TypedResponse};
pub use verify::{Damage, OnDamage, Storage, Verify, VerifyProgress, VerifyReport};
