//! What the threads do to the archive beside the database: snapshots, archived log, deleting, collecting.
//!
//! The archive is a directory, behind a store that comes by a fail point before and after everything that it changes there. So
//! a process can be killed between any two changes, and no code of the snapshots knows of it.

use std::path::Path as FilePath;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use ragstone::Db;
use ragstone_snapshot::{Error, Repository, quietly};

use super::workload::{Operation, snapshot_name};
use super::writer::say;

/// Snapshots of its own that a thread leaves when it deletes.
const SNAPSHOTS_LEFT: usize = 2;

/// What is called at each point.
pub(super) type Hook = Arc<dyn Fn(&'static str) + Send + Sync>;

/// One thread's way to the archive.
pub(super) struct Archivist {
    pub(super) thread: u64,
    repository: Repository,
}

/// How the archive is reached.
#[derive(Clone)]
pub(super) struct Access {
    /// The points on the way.
    pub(super) hook: Hook,
    /// A mistake: files are written only after the manifest that names them.
    pub(super) manifest_first: bool,
}

impl Archivist {
    pub(super) fn new(dir: &FilePath, thread: u64, access: Access) -> Result<Self, Error> {
        let failed = |source| Error::Store { operation: "open", object: dir.display().to_string(), source };
        let inner = LocalFileSystem::new_with_prefix(dir).map_err(failed)?.with_fsync(true);
        let store = Watched { inner: Arc::new(inner), access, late: Mutex::default() };
        Ok(Self { thread, repository: Repository::with_store(Arc::new(store), Path::default())? })
    }

    /// Carries an operation out; says whether it did not have to give way.
    pub(super) fn perform(&self, db: &Db, number: u64, operation: &Operation) -> Result<bool, Error> {
        let done = match operation {
            Operation::Snapshot => {
                let name = snapshot_name(self.thread, number);
                self.repository.take(db, Some(&name), quietly).map(drop)
            }
            Operation::Archive => self.archive(db),
            Operation::Thin => self.thin(),
            Operation::Collect => self.repository.collect_garbage(quietly).map(drop),
            _ => Ok(()),
        };
        match done {
            Ok(()) => Ok(true),
            Err(Error::Busy { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn archive(&self, db: &Db) -> Result<(), Error> {
        let archived = self.repository.archive(db, quietly)?;
        if let Some(gap) = archived.gap {
            say(&format!("l {} the archived log lacks {} to {}", self.thread, gap.from, gap.to));
        }
        say(&format!("m {} {}", self.thread, archived.position));
        Ok(())
    }

    /// Deletes the oldest of its own.
    fn thin(&self) -> Result<(), Error> {
        let own = format!("s-{}-", self.thread);
        let mut names: Vec<String> = self.repository.list()?.into_iter().map(|found| found.name).collect();
        names.retain(|name| name.starts_with(&own));
        names.truncate(names.len().saturating_sub(SNAPSHOTS_LEFT));
        for name in names {
            say(&format!("d {} {name}", self.thread));
            self.repository.delete(&name)?;
        }
        Ok(())
    }
}

/// A store with points on the way.
struct Watched {
    inner: Arc<LocalFileSystem>,
    access: Access,
    /// What is written after the manifest, with the mistake.
    late: Mutex<Vec<(Path, PutPayload)>>,
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl std::fmt::Display for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Watched {
    fn reach(&self, name: &'static str) {
        (self.access.hook)(name);
    }

    fn late(&self) -> std::sync::MutexGuard<'_, Vec<(Path, PutPayload)>> {
        self.late.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_below(location: &Path, folder: &str) -> bool {
    location.parts().next().is_some_and(|part| part.as_ref() == folder)
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let is_file = is_below(location, "objects") || is_below(location, "log");
        if self.access.manifest_first && is_file {
            self.late().push((location.clone(), payload));
            return Ok(PutResult { e_tag: None, version: None, extensions: Default::default() });
        }
        self.reach("snapshot.put");
        let result = self.inner.put_opts(location, payload, opts).await;
        self.reach("snapshot.was-put");
        let late = std::mem::take(&mut *self.late());
        for (location, payload) in late {
            self.reach("snapshot.put-late");
            self.inner.put(&location, payload).await?;
        }
        result
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.reach("snapshot.put-parts");
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (before, after) = (self.access.hook.clone(), self.access.hook.clone());
        let locations = locations.inspect(move |_| before("snapshot.delete")).boxed();
        self.inner.delete_stream(locations).inspect(move |_| after("snapshot.was-deleted")).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
