//! An embedded vector database for retrieval-augmented generation.
//!
//! A [`Collection`] holds points: an id, a vector and typed fields. A search returns the nearest points, through a filter if
//! you give one. The database is a directory that your process opens: no server, no set-up.
//!
//! - An acknowledged write survives a kill and a power loss.
//! - Searches run beside writes and never wait for them.
//!
//! ```
//! # let directory = tempfile::tempdir()?;
//! # let path = directory.path();
//! use ragstone::{Db, Filter, Point, Schema, SearchRequest};
//!
//! let db = Db::open(path)?;
//! let notes = db.ensure_collection("notes", Schema::new(3)?)?; // made by the first run, found by the next
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
//! The same with a type of your own, in memory:
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
//!
//! | type | what it is |
//! |---|---|
//! | [`Db`] | an open database; holds collections |
//! | [`Collection`], [`Schema`] | points of one shape, and that shape: vectors and fields |
//! | [`Batch`] of [`Op`]s | a write: all of it is done, or nothing |
//! | [`SearchRequest`], [`RangeRequest`] | a question by one vector: the nearest rows, or all rows that are near enough |
//! | [`query::Query`] | a question of several parts: by meaning, by word, by order; fused, grouped, rescored |
//! | [`Filter`] | a tree of conditions on fields |
//! | [`View`] | one consistent state: searches it, reads points by id and in pages, counts |
//! | [`Error`], [`limits`] | what is wrong and where; every limit, by name |
//!
//! # Read more
//! - The [`guide`] explains the index: what can be set, what it costs, and how to measure recall.
//! - [`asynchronous`] says why calls block, and how to await them.
//! - `FORMAT.md` beside this crate describes the bytes on disk.
//! - [`snapshot`] is what copies of a database are made of. The crate `ragstone-snapshot` makes them, in a directory or an object
//!   store.
//! - The crate `ragstone-exchange` writes collections to Arrow and Parquet files, and reads such files.
//!
//! # In your process
//! - A call blocks the thread that makes it. A search ends early with a [`CancelToken`] or a time budget.
//! - [`DbOptions`] bounds threads and memory.
//! - A directory has one writer, or any number of readers ([`Db::open_read_only`]).
//! - There is no global state: databases share no thread pool, lock or cache. No signal handler is set. The only environment variable
//!   that is read is `RAGSTONE_ISA`, which forces older instructions; where it names none, nothing is opened.
//! - All threads have ended when the last handle is dropped.

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
mod ensured;
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
