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
//! time. [Garbage collection](Repository::collect_garbage) removes what no snapshot names.
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
//! pending/<name>, collecting               who is at work (see `guard.rs`)
//! ```
//!
//! **Invariants.**
//! - What a snapshot names was uploaded before it, from files whose own checksums held.
//! - A restore compares every object with its hash while it writes it, then everything with the checksums of the files, and
//!   only then can the directory be opened.
//! - Nothing that a snapshot names is collected, nor what one that is being taken is about to name.
//! - Memory is bounded: files pass in parts of some megabytes; a restore to a moment holds one file of the log.
//!
//! **Cost.** A new segment is read twice, once for its name and once for the upload; one that an earlier snapshot of the same
//! database names is not read at all.
//!
//! Calls block, as those of the engine do: they read files most of the time. Inside, a small runtime that lives on the
//! calling thread drives the transfers; a caller that is async itself uses a thread that may block.
//!
//! Deliberately absent: encryption and compression. Stores encrypt at rest, and vectors do not compress.

mod archive;
mod collect;
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

pub use archive::{Archived, Gap};
pub use collect::Collected;
pub use error::{Error, Result};
pub use manifest::{Snapshot, SnapshotFile};
pub use progress::{Progress, quietly};
pub use repository::Repository;
pub use restore::RestoreRequest;
pub use take::Taken;
pub use verify::{DamagedObject, VerifiedSnapshot};

pub use ragstone::snapshot::{Restored, Until};
