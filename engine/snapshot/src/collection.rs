//! One collection of a snapshot, put into a database that is open and serves.
//!
//! **Problem.** Whoever deleted one collection of many, or wrote nonsense to it, wants that one back, and the others as they are now. A
//! [restore](Repository::restore) makes a database of its own, which takes the place of all.
//!
//! **Idea.** The collection is restored into a folder beside, with each comparison that a restore makes, and opened there: of the snapshot
//! the files of this one and those of the log are fetched, as the others hold nothing in what is opened ([`Restore::part`]). The rows are
//! copied, with its schema, into one that nobody sees ([`Staged`]); once all are there it gets its name, or takes the place of the one that
//! has it, in one record of the log.
//!
//! **Invariants.** Until then the database shows nothing of it, whatever ends the work; then it is whole. Folder and rows of one that ended early
//! are removed; of a process that died the next opening removes the rows, and whoever gave it the folder what is in that.
//!
//! **Cost.** Room on the disk, until it has ended, for what the snapshot has of the collection, and for its log: what that says of one collection
//! stands among what it says of all. Rows are written as any rows are, so their index is built anew, and a vector under cosine is brought to unit length once
//! more, which may change its last bits.

use std::ops::ControlFlow;
use std::path::Path;

use ragstone::snapshot::Restore;
use ragstone::{
    Collection, Db, DbOptions, Filter, Point, Schema, ScrollRequest, Staged, Verify, VerifyProgress,
};

use crate::error::{Error, Result};
use crate::hash::Hash;
use crate::manifest::{Snapshot, SnapshotFile};
use crate::progress::{Meter, Progress};
use crate::repository::Repository;
use crate::take::DATABASE_MANIFEST;

/// What the names of the folders begin with into which snapshots are fetched: for whoever removes what a process left that died.
pub const SCRATCH_PREFIX: &str = "restoring-";

/// Rows of one write at most.
const BATCH_ROWS: usize = 2_048;
/// Bytes of one write, but for its last row.
const BATCH_BYTES: usize = 8 << 20;

/// Which collection of which snapshot is to be put into a database, and what it is called there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectionRestore {
    /// The snapshot; without it the [newest](Repository::newest).
    pub snapshot: Option<String>,
    /// The collection in it.
    pub collection: String,
    /// What it is called in the database.
    pub name: String,
    /// Whether it takes the place of a collection that has this name, with all that this holds. Otherwise such a one is an error.
    pub replace: bool,
}

impl CollectionRestore {
    /// A collection of the newest snapshot, under its own name, which no collection of the database has.
    pub fn new(collection: impl Into<String>) -> Self {
        let collection = collection.into();
        Self { snapshot: None, name: collection.clone(), collection, replace: false }
    }

    /// From this snapshot.
    #[must_use]
    pub fn snapshot(mut self, name: impl Into<String>) -> Self {
        self.snapshot = Some(name.into());
        self
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// In place of the collection that has the name, if there is one.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }
}

/// How far the restore of a collection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CollectionProgress {
    /// What the snapshot has of the collection is being fetched and compared with its hashes: the log first, which may show that there is more.
    Fetching(Progress),
    /// What was fetched is being compared with the checksums of its files.
    Verifying(Progress),
    /// Rows are being copied.
    Copying {
        /// Those that are.
        rows: u64,
        /// All there are.
        rows_total: u64,
    },
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestoredCollection {
    /// The snapshot that it is of.
    pub snapshot: String,
    /// Its rows.
    pub rows: u64,
    /// Whether it took the place of another.
    pub replaced: bool,
}

impl Repository {
    /// Puts a collection of a snapshot into a database that is open, while that serves. Rows that have expired by now are left out.
    ///
    /// `scratch` is a folder with room for what the snapshot has of the collection and for its log, which lie in a new folder in it
    /// ([`SCRATCH_PREFIX`]) until this returns. It may be the database's own.
    ///
    /// ```
    /// # let (data, copies, scratch) = (tempfile::tempdir()?, tempfile::tempdir()?, tempfile::tempdir()?);
    /// use std::ops::ControlFlow;
    ///
    /// use ragstone::{Db, Point, Schema};
    /// use ragstone_snapshot::{CollectionRestore, Repository, quietly};
    ///
    /// let db = Db::open(data.path())?;
    /// db.create_collection("notes", Schema::new(2)?)?.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    /// let repository = Repository::open_or_make(copies.path().to_str().unwrap())?;
    /// repository.take(&db, None, quietly)?;
    /// db.delete_collection("notes")?; // by mistake
    /// let goes_on = |_| ControlFlow::Continue(());
    /// let restored = repository.restore_collection(&db, &CollectionRestore::new("notes"), scratch.path(), goes_on)?;
    /// assert_eq!((restored.rows, db.collection("notes")?.info().points), (1, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`check_collection_restore`](Self::check_collection_restore) and [`restore`](Self::restore); [`Error::File`] if there can be no folder
    /// in `scratch`; [`Error::Engine`] if the database refuses the rows or, since it was begun, has another collection of the name;
    /// [`Error::Cancelled`].
    pub fn restore_collection(
        &self,
        db: &Db,
        request: &CollectionRestore,
        scratch: &Path,
        mut progress: impl FnMut(CollectionProgress) -> ControlFlow<()>,
    ) -> Result<RestoredCollection> {
        let snapshot = self.check_collection_restore(db, request)?;
        let unmade = |source| Error::File { file: scratch.display().to_string(), source };
        let folder = tempfile::Builder::new().prefix(SCRATCH_PREFIX).tempdir_in(scratch).map_err(unmade)?;
        self.restore_part((&snapshot, &request.collection), folder.path(), &mut progress)?;
        // A restore has compared everything, and nothing of it is searched.
        let mut options = DbOptions::default();
        (options.background, options.verify) = (false, Verify::OnDemand);
        let copy = Db::open_with(folder.path(), options)?;
        let source = copy.collection(&request.collection)?;
        let replaced = is_there(db, request)?;
        let staged = match replaced {
            true => in_place_of(db, &request.name, source.schema())?,
            false => db.stage_collection(&request.name, source.schema())?,
        };
        let copied = copy_rows(&source, &staged, &mut progress);
        drop((source, copy));
        // Before anything else is written: where the disk was too small for both, there is room again to remove what was copied.
        if let Err(error) = folder.close() {
            tracing::warn!(%error, "what was fetched to restore a collection is kept for longer");
        }
        let rows = copied?;
        staged.publish()?;
        Ok(RestoredCollection { snapshot: snapshot.name, rows, replaced })
    }

    /// Makes a database of one collection of a snapshot, in which the others hold nothing.
    fn restore_part(
        &self,
        (snapshot, collection): (&Snapshot, &str),
        folder: &Path,
        progress: &mut impl FnMut(CollectionProgress) -> ControlFlow<()>,
    ) -> Result<()> {
        let bytes = |files: &[&SnapshotFile]| files.iter().map(|file| file.size_bytes).sum::<u64>();
        let is_first =
            |file: &&SnapshotFile| file.name == DATABASE_MANIFEST || Restore::is_log_file(&file.name);
        let first: Vec<&SnapshotFile> = snapshot.files.iter().filter(is_first).collect();
        let restore = Restore::begin(folder, &format!("`{collection}` of {}", Hash::of(&snapshot.encode())))?;
        let mut tell = |at| progress(CollectionProgress::Fetching(at));
        let mut meter = Meter::new(bytes(&first), &mut tell);
        let manifest = self.fetch(first, &restore, &mut meter)?;
        let (manifest, needed) = restore.part(&manifest, collection)?;
        let files: Vec<&SnapshotFile> =
            snapshot.files.iter().filter(|file| needed.contains(&file.name)).collect();
        meter.expect(bytes(&files));
        self.fetch(files, &restore, &mut meter)?;
        let opened = restore.open_while(&manifest, &mut |VerifyProgress { bytes, bytes_total, .. }| {
            progress(CollectionProgress::Verifying(Progress { bytes, bytes_total }))
        });
        let opened = opened.map_err(|error| match error {
            ragstone::Error::Cancelled => Error::Cancelled,
            error => error.into(),
        })?;
        opened.finish()?;
        Ok(())
    }

    /// The snapshot that a collection would be restored from: fails at once as
    /// [`restore_collection`](Self::restore_collection) would later, and changes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NoSnapshot`], [`Error::Undecided`]; [`Error::NoCollection`] if the snapshot has no such collection; [`Error::Engine`] if the name
    /// is taken or none that a collection can have; [`Error::Damaged`] and [`Error::Store`].
    pub fn check_collection_restore(&self, db: &Db, request: &CollectionRestore) -> Result<Snapshot> {
        let snapshot = match &request.snapshot {
            Some(name) => self.snapshot(name)?,
            None => self.newest()?,
        };
        if !snapshot.collections.iter().any(|(name, _)| *name == request.collection) {
            let (snapshot, collection) = (snapshot.name, request.collection.clone());
            return Err(Error::NoCollection { snapshot, collection });
        }
        if !is_there(db, request)? {
            db.check_new_name(&request.name)?;
        }
        Ok(snapshot)
    }
}

/// Whether it is to take the place of a collection that is there. Under an alias there is none of this name.
fn is_there(db: &Db, request: &CollectionRestore) -> Result<bool> {
    if !request.replace {
        return Ok(false);
    }
    match db.collection(&request.name) {
        Ok(found) => Ok(found.name() == request.name),
        Err(ragstone::Error::CollectionNotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// What is to take the place of the collection that has exactly this name: since it was looked up it may have gone, and an alias may have got
/// its name, whose collection is none that anybody asked to replace.
fn in_place_of(db: &Db, name: &str, schema: Schema) -> Result<Staged> {
    let staged = db.stage_in_place_of(name, schema)?;
    if staged.name() == name {
        return Ok(staged);
    }
    let (alias, collection) = (name.to_owned(), staged.name().to_owned());
    Err(ragstone::Error::AliasExists { alias, collection }.into())
}

/// Copies all rows of all tenants; how many.
fn copy_rows(
    source: &Collection,
    staged: &Staged,
    progress: &mut impl FnMut(CollectionProgress) -> ControlFlow<()>,
) -> Result<u64> {
    let view = source.view();
    let filter = source.schema().tenant().map(|_| Filter::AllTenants);
    let request = ScrollRequest { filter, with_vectors: true, ..ScrollRequest::default() };
    let rows_total = view.count(request.filter.as_ref())?;
    let mut tell = |rows| match progress(CollectionProgress::Copying { rows, rows_total }) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Cancelled),
    };
    let (mut rows, mut waiting, mut bytes) = (0, Vec::new(), 0);
    tell(rows)?;
    for point in view.rows(&request)? {
        let point = Point { etag: None, ..point? };
        bytes += point.size_bytes();
        waiting.push(point);
        if waiting.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            rows += waiting.len() as u64;
            bytes = 0;
            staged.collection().upsert(std::mem::take(&mut waiting))?;
            tell(rows)?;
        }
    }
    rows += waiting.len() as u64;
    staged.collection().upsert(waiting)?;
    // Whoever asked for its end while the last rows were written has it.
    tell(rows)?;
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An alias that got the name of a collection between the look at that and the staging had its own collection replaced.
    #[test]
    fn what_an_alias_names_is_not_replaced_in_its_stead() {
        let db = Db::in_memory().unwrap();
        let schema = || Schema::new(2).unwrap();
        db.create_collection("notes", schema()).unwrap();
        db.set_alias("alias", "notes").unwrap();
        let refused = in_place_of(&db, "alias", schema()).unwrap_err();
        assert!(matches!(
            refused,
            Error::Engine(ragstone::Error::AliasExists { alias, collection })
                if (alias.as_str(), collection.as_str()) == ("alias", "notes")
        ));
        assert_eq!(in_place_of(&db, "notes", schema()).unwrap().name(), "notes");
        let gone = in_place_of(&db, "absent", schema()).unwrap_err();
        assert!(matches!(gone, Error::Engine(ragstone::Error::CollectionNotFound { .. })));
    }
}
