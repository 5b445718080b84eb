//! Directories that may be damaged: what is wrong with them, and what can be made good.
//!
//! **Problem.** A disk turns a bit, or gives back zeros where rows were. The database says so and refuses; then somebody
//! needs to know what exactly is broken, and to get back everything that is not.
//!
//! **Idea.** [`check`] reads every file without opening a database, so it works where none can be opened. [`repair`]
//! does three things, each only where it must:
//! - one flipped bit is turned back: the checksum that it broke tells its place (`bits.rs`);
//! - what is made of something else is made again: the graph, the codes and the order of the ids of a segment out of its
//!   vectors and ids (`segment/salvage.rs`), the manifest out of its copy;
//! - what is gone is left out, and named: rows any byte of which cannot be vouched for, writes of the log.
//!
//! **Bytes that cannot be read** are damage like wrong ones, and named with what the system says of them: on a disk that dies, everything around
//! them is read (`dir/failing.rs`). Segments are compared with their checksums by ordinary reads. Only those that were read to the end
//! are mapped, as touching a map where the disk cannot read ends the process. Should the disk lose a sector of such a segment just then, that
//! happens still.
//!
//! **Order.** The damaged files are copied into the folder `damaged/` first, beside what earlier repairs left there. New segments, tombstones and the new log are
//! written and synced under names that nothing leads to yet; then the manifest is replaced as always, and what it names no
//! more is removed; then the new log takes the place of the old one. Whatever is not as it was begins a new
//! [lineage](crate::Lineage), since a name or a position may stand for something else than in earlier copies; with the log goes
//! what is kept of it for an archive. A repair that is cut short can be repeated: whatever it had done holds by itself.
//!
//! Both take the lock of the directory, so neither runs beside a database: that verifies itself
//! ([`Db::verify`](crate::Db::verify)).

pub(crate) mod bits;
mod check;
mod files;
mod patches;
mod repair;
mod requests;
mod rows;
mod words;

use std::path::Path;
use std::sync::Arc;

use crate::dir::{Dir, FailingDir, RealDir, io_error};
use crate::error::{Error, Result};
use crate::point::PointId;
use crate::snapshot::RESTORE_FILE;
use crate::verify::Damage;

/// What [`check`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Every damaged place; empty if all is well.
    pub damaged: Vec<Damage>,
    /// What is no damage but worth knowing: what a crash left, and the next opening removes.
    pub notes: Vec<String>,
}

/// What [`repair`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RepairReport {
    /// Every damaged place.
    pub damaged: Vec<Damage>,
    /// What was done about it, a sentence each.
    pub actions: Vec<String>,
    /// What could not be saved.
    pub lost: Vec<Loss>,
}

/// Something that a repair could not save.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Of which collection; empty for the log's changes of which collections there are, and for what cannot be told.
    pub collection: String,
    /// What: rows of a segment, or writes of the log.
    pub what: String,
    /// The ids of lost rows, as far as they can be read.
    pub ids: Vec<PointId>,
    /// Lost rows whose ids are lost too; `None` if nobody knows how many.
    pub rows_without_id: Option<u64>,
    /// Numbers of lost writes.
    pub writes: Vec<u64>,
}

impl Loss {
    /// A loss of which no more can be said.
    fn of(collection: &str, what: String) -> Self {
        Self {
            collection: collection.to_owned(),
            what,
            ids: Vec::new(),
            rows_without_id: None,
            writes: Vec::new(),
        }
    }
}

/// Reads and verifies every file of a directory: manifest, log, tombstones, segments with their graphs. Changes nothing.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// # drop(ragstone::Db::open(directory.path())?);
/// let report = ragstone::check(directory.path())?;
/// assert!(report.damaged.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Error::Locked`] while a database is open on it, [`Error::Invalid`] if no database is there, [`Error::Io`] if the system does not
/// let a file be read, [`Error::Restoring`] while a snapshot is being restored there. Damage is in the report, and so is what the disk cannot read.
pub fn check(path: impl AsRef<Path>) -> Result<CheckReport> {
    let dir = existing(path.as_ref())?;
    let _lock = dir.lock()?;
    refuse_restoring(&*dir)?;
    check::check(&FailingDir::new(dir))
}

/// Makes good what can be made good, and says what was lost. With `is_dry_run` it only says so, and changes nothing.
///
/// What is damaged stays in the folder `damaged` of the directory, with zeros where the disk could not read it.
///
/// # Errors
/// As [`check`]; and [`Error::Corrupt`] if neither the manifest nor its copy says which collections there are.
pub fn repair(path: impl AsRef<Path>, is_dry_run: bool) -> Result<RepairReport> {
    let dir = existing(path.as_ref())?;
    let _lock = dir.lock()?;
    refuse_restoring(&*dir)?;
    repair::repair(Arc::new(FailingDir::new(dir)), is_dry_run)
}

/// A directory that is there, with a database in it.
fn existing(path: &Path) -> Result<Arc<dyn Dir>> {
    let names = std::fs::read_dir(path).map_err(|source| io_error("open", path, source))?;
    let is_ours = |name: &str| name == crate::manifest::MANIFEST_COPY_FILE || files::Kind::of(name).is_some();
    if !names.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).any(|name| is_ours(&name)) {
        return Err(Error::invalid("path", format!("{} holds no database", path.display())));
    }
    Ok(Arc::new(RealDir::open(path)?))
}

/// A copy that is not there as a whole is no database yet; the restore goes on and verifies it.
fn refuse_restoring(dir: &dyn Dir) -> Result<()> {
    match dir.list()?.iter().any(|name| name == RESTORE_FILE) {
        true => Err(Error::Restoring { path: dir.path().to_owned() }),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests;
