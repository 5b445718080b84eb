//! The directory in memory with a test's own hand on it: called before each changing call, it may fail it, hold it up
//! or panic.

use std::path::Path;
use std::sync::Arc;

use super::memory::MemoryDir;
use super::{Access, Blob, Dir, DirFile, DirLock};
use crate::error::Result;

/// Gets the operation and the file's name; of `sync` of the directory, the empty one.
type Hook = Arc<dyn Fn(&'static str, &str) -> Result<()> + Send + Sync>;

/// The directory.
#[derive(Clone)]
pub(crate) struct HookedDir {
    inner: MemoryDir,
    hook: Hook,
}

impl HookedDir {
    pub(crate) fn new(hook: impl Fn(&'static str, &str) -> Result<()> + Send + Sync + 'static) -> Self {
        Self { inner: MemoryDir::new(), hook: Arc::new(hook) }
    }

    /// The directory without the hook.
    pub(crate) fn inner(&self) -> &MemoryDir {
        &self.inner
    }
}

impl std::fmt::Debug for HookedDir {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.inner.fmt(f)
    }
}

impl Dir for HookedDir {
    fn path(&self) -> &Path {
        self.inner.path()
    }
    fn lock(&self) -> Result<Box<dyn DirLock>> {
        self.inner.lock()
    }
    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }
    fn read(&self, name: &str) -> Result<Vec<u8>> {
        self.inner.read(name)
    }
    fn map(&self, name: &str, access: Access) -> Result<Blob> {
        self.inner.map(name, access)
    }
    fn load(&self, name: &str) -> Result<Blob> {
        self.inner.load(name)
    }
    fn create(&self, name: &str) -> Result<Box<dyn DirFile>> {
        (self.hook)("create", name)?;
        let file = self.inner.create(name)?;
        Ok(Box::new(HookedFile { file, name: name.to_owned(), hook: self.hook.clone() }))
    }
    fn truncate(&self, name: &str, length_bytes: u64) -> Result<()> {
        (self.hook)("truncate", name)?;
        self.inner.truncate(name, length_bytes)
    }
    fn sync_file(&self, name: &str) -> Result<()> {
        (self.hook)("sync", name)?;
        self.inner.sync_file(name)
    }
    fn rename(&self, from: &str, to: &str) -> Result<()> {
        (self.hook)("rename", from)?;
        self.inner.rename(from, to)
    }
    fn remove(&self, name: &str) -> Result<()> {
        (self.hook)("remove", name)?;
        self.inner.remove(name)
    }
    fn sync(&self) -> Result<()> {
        (self.hook)("sync", "")?;
        self.inner.sync()
    }
}

struct HookedFile {
    file: Box<dyn DirFile>,
    name: String,
    hook: Hook,
}

impl DirFile for HookedFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        (self.hook)("write", &self.name)?;
        self.file.write(bytes)
    }
    fn sync(&mut self) -> Result<()> {
        (self.hook)("sync", &self.name)?;
        self.file.sync()
    }
}
