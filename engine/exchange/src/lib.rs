//! Collections as Arrow IPC and Parquet files, and back: for millions of rows, in bounded memory.
//!
//! **Problem.** Rows come from elsewhere, out of data frames and data sets with vectors in them, and leave for elsewhere: an analysis, a
//! training run, another database. JSON is ten times their size and loses types; a program for each pair of systems loses rows.
//!
//! **Idea.** Arrow's types say all that a collection's schema says, and every tool of the trade reads both files. A collection is written as
//! a table, a column for each vector and each field, in batches that are bounded by rows and by bytes. The schema goes along as text, so
//! that an import into nothing makes the collection again, whole: metrics, encodings, analysers, strictness, attributes. Files of others
//! are taken by the types of their columns. What rows come from and go to are two small traits, [`Source`] and [`Sink`]: a collection of this
//! process, or one of a server. Without a file, a collection is a stream of such batches ([`export_stream`], [`import_stream`]).
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! use ragstone::{Db, Point, Schema};
//! use ragstone_exchange::{ExportOptions, ImportOptions, export, import, quietly};
//!
//! let db = Db::in_memory()?;
//! let notes = db.create_collection("notes", Schema::new(2)?)?;
//! notes.upsert(vec![Point::new("tea", [1.0, 0.0]).with("year", 2024)])?;
//! let file = folder.path().join("notes.parquet");
//! export(&notes, &file, &ExportOptions::default(), &mut quietly)?;
//!
//! let done = import(&db, "copy", &file, &ImportOptions::default(), &mut quietly)?;
//! assert_eq!((done.rows, done.created), (1, true));
//! assert_eq!(db.collection("copy")?.schema(), notes.schema());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Columns
//!
//! | what | column | Arrow type |
//! |---|---|---|
//! | id | `id` | uint64 or utf8; of both kinds: `id` utf8 and `id:number` uint64, of which each row has one |
//! | default vector | `vector` | fixed_size_list of float32, or of float16 where it is stored so |
//! | named vector, dense | its name | the same |
//! | sparse | its name | struct of `indices`, list of uint32, and `values`, list of float32 |
//! | multi-vector | its name | list of fixed_size_list of float32 or float16 |
//! | bool, int, float, string | its name | bool, int64, float64, utf8 |
//! | timestamp | its name | timestamp in microseconds, UTC |
//! | strings | its name | list of utf8 |
//! | geo | its name | struct of `lat` and `lon`, float64 |
//! | JSON | its name | utf8, extension `arrow.json` |
//! | when the row expires | `expires_at` | timestamp in microseconds, UTC; null for never |
//!
//! What a row lacks is null. Etags are a collection's own and stay there. Where two columns would have one name, as with a field `id`, vectors are `vector:NAME` and fields
//! `field:NAME`; [`ColumnNames`] gives `id` and `vector` other names. The file says itself which column is what, so nothing of this needs to
//! be known to read it again. `ragstone.schema` in the metadata has the schema as JSON.
//!
//! # Files of others
//!
//! | column | becomes |
//! |---|---|
//! | `id`, or what [`ImportOptions::id`] names: integers from 0 on, strings | the ids; without any, [`ImportOptions::number_rows`] |
//! | `vector`, or what [`ImportOptions::vector`] names: a list of floats | the default vector |
//! | other lists of floats, of float16, float32 or float64, of fixed length or not | a dense vector; float64 is rounded |
//! | lists of lists of floats | a multi-vector |
//! | struct of `indices` and `values` | a sparse vector |
//! | integers | int; what is above 2^63 is an error of its row |
//! | floats | float |
//! | strings of every layout | string |
//! | strings that the file calls JSON: the extension `arrow.json`, the type JSON of Parquet | JSON |
//! | dates, timestamps of any unit and zone | timestamp; without a zone it is UTC, nanoseconds are rounded down |
//! | lists of strings; struct of `lat` and `lon` | strings; geo |
//! | dictionaries of single values | what these are by themselves |
//! | what [`ImportOptions::expires_at`] names, a timestamp | when the row expires |
//! | columns without a value, and pandas' index unless an option names it | left out, which [`Imported::notes`] tells |
//!
//! All other columns are refused, each with its name and type, before anything is made or written; [`ImportOptions::columns`] and
//! [`ImportOptions::except`] leave them out. Into a collection that is there, columns go as its schema says.
//!
//! # Invariants
//! - A file is at its place whole and synced, or it is not there.
//! - An export of a collection is one state of it, whatever is written meanwhile.
//! - No value is lost silently: what does not fit ends the import with its row and column.
//! - An import that ended early can be made again: rows replace themselves.
//! - A damaged file is an error.
//!
//! **Cost.** In memory are a batch ([`BatchSize`], 8 MiB) as rows and as columns, of Parquet also a group of rows of 32 MiB when writing and a
//! page of each column when reading. An Arrow file is read batch by batch, and large batches in parts, unless they are compressed or have
//! dictionaries or views, as polars writes its texts: those are in memory as a whole. A text that rows of a dictionary share is in memory
//! once until it is rows, of which 8 MiB are made at once. Cosine vectors are stored at unit length, and come out so.
//!
//! Deliberately absent: CSV, which has no vectors; exports of many collections at once, which is what snapshots are for.

mod decode;
mod encode;
mod engine;
mod error;
mod export;
mod format;
mod import;
mod infer;
mod layout;
mod metadata;
mod options;
mod partial;
mod place;
mod plan;
mod progress;
mod read;
mod seam;
mod stream;
mod types;
mod write;

pub use arrow_array::RecordBatchReader;
pub use engine::{DbSink, ViewSource};
pub use error::{Error, RefusedColumn, Result};
pub use export::{Exported, export, export_from};
pub use format::{Compression, Format};
pub use import::{Imported, import, import_into};
pub use options::{
    AHEAD_BYTES_MAX, BATCH_BYTES_MAX, BATCH_ROWS_MAX, BatchSize, ColumnNames, ExportOptions, ImportOptions,
};
pub use progress::{Callback, Progress, quietly};
pub use seam::{IdKinds, Sink, Source};
pub use stream::{ExportStream, export_stream, import_stream};
