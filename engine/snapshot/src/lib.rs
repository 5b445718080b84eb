//! Snapshots of a database: a consistent copy while writes go on, in a directory or an object store, and the way back to
//! any moment.
//!
//! **Problem.** A disk fails as a whole, an operator deletes the wrong collection, a program writes nonsense for an hour.
//! Against that helps only a copy elsewhere, and a way to the moment before the mistake. Copies must be cheap enough to be
//! made often, and a copy that cannot be trusted is worse than none.
//!
//! **Idea.** The files of a database never change once they are written, so a copy is a list of them ([`ragstone::snapshot`]).
//! Each is an object named by its SHA-256: what is there already is not uploaded again, neither by the next snapshot nor by
//! an interrupted one that is run again. The list, the snapshot's own manifest, is put last: half a snapshot is none. Between
//! snapshots [`Repository::archive`] uploads the log that was written since, and a restore carries it out up to a write or a
//! time. [Garbage collection](Repository::collect_garbage) removes what no snapshot names. [One collection](Repository::restore_collection)
//! of a snapshot goes into a database that serves.
//!
//! ```
//! # let (data, copies, again) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
//! use ragstone::{Db, Point, Schema};
//! use ragstone_snapshot::{Repository, RestoreRequest, quietly};
//!
//! let db = Db::open(data.path())?;
//! db.create_collection("notes", Schema::new(2)?)?.upsert(vec![Point::new(1, [1.0, 0.0])])?;
//! let repository = Repository::open_or_make(copies.path().to_str().unwrap())?; // or s3://bucket/prefix
//! let taken = repository.take(&db, Some("first"), quietly)?;
//! let restored = repository.restore(&RestoreRequest::newest(), again.path(), quietly)?;
//! assert_eq!(restored.position, taken.snapshot.position);
//! assert_eq!(Db::open(again.path())?.collection("notes")?.info().points, 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! ```text
//! objects/<2 digits>/<sha256>              segments, tombstones, manifests of databases
//! log/<lineage>/<first>-<last>-<sha256>    files of the log, by the positions of their first and last write
//! snapshots/<name>                         manifests of snapshots; each is written last
//! pending/<random>-<name>                  who is taking a snapshot (see `guard.rs`)
//! collecting/<random>                      who is collecting garbage
//! damaged/<object>                         what a verification found damaged, and nobody uploaded since
//! ```
//!
//! **Invariants.**
//! - What a snapshot names was uploaded before it, from files whose own checksums held.
//! - A restore compares every object with its hash while it writes it, then everything with the checksums of the files, and
//!   only then can the directory be opened.
//! - Nothing that a snapshot names is collected, nor what one that is being taken is about to name.
//! - Within a lineage a position is of one write: log that contradicts what is archived is not put beside it, and what was put
//!   there at once by two is not restored from.
//! - Memory is bounded, whatever the size of files: they pass in parts of some megabytes (of a 9,000th of a file beyond 70 GiB),
//!   and archived log batch by batch. A restore opens the copy as any database is opened, which holds one file of the copy's own
//!   log at a time; a file may be larger than [`DbOptions::log_file_bytes`] by one frame, and that may have
//!   [`DbOptions::log_queue_bytes`].
//!
//! **Cost.** A new segment is read three times: for its checksums, for its name and for the upload. One that an earlier snapshot
//! of the same lineage names under the same checksums is known again by these, four bytes for 64 KiB. Tombstones and log are
//! small and always hashed. A restore to a moment needs room on the disk for one file of the log beside the database.
//!
//! [`DbOptions::log_file_bytes`]: ragstone::DbOptions::log_file_bytes
//! [`DbOptions::log_queue_bytes`]: ragstone::DbOptions::log_queue_bytes
//!
//! Calls block, as those of the engine do: they read files most of the time. Inside, a small runtime that lives on the
//! calling thread drives the transfers; a caller that is async itself uses a thread that may block ([`Repository`] says how).
//!
//! Deliberately absent: encryption and compression. Stores encrypt at rest, and vectors do not compress.

mod archive;
mod choose;
mod collect;
mod collection;
mod error;
mod guard;
mod hash;
mod manifest;
mod names;
mod place;
mod progress;
mod repository;
mod restore;
mod staged;
mod take;
mod verify;
mod waiting;

pub use archive::{Archived, Gap};
pub use collect::Collected;
pub use collection::{CollectionProgress, CollectionRestore, RestoredCollection, SCRATCH_PREFIX};
pub use error::{Error, Result};
pub use manifest::{Snapshot, SnapshotFile};
pub use progress::{Progress, quietly};
pub use repository::Repository;
pub use restore::RestoreRequest;
pub use take::Taken;
pub use verify::{DamagedObject, VerifiedSnapshot};

pub use ragstone::snapshot::{Restored, Until};
