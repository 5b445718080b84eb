//! Room on the disk for the snapshot that a collection is restored from.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use ragstone::Db;

/// What the names of such folders begin with.
const PREFIX: &str = "restoring-";

/// A folder that goes when this is dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Beside the data, where there is room for as much; of a database in memory, where the system has such things. One restore to a name
    /// runs at a time.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn make(db: &Db, name: &str) -> io::Result<Self> {
        let place = data(db).map_or_else(std::env::temp_dir, Path::to_path_buf);
        let path = place.join(format!("{PREFIX}{name}"));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.0);
    }
}

/// Removes what a process that died had fetched; nobody may be restoring. What it had copied was removed when the database was opened.
pub fn clear(db: &Db) {
    let entries = data(db).and_then(|data| fs::read_dir(data).ok()).into_iter().flatten();
    for entry in entries.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            remove(&entry.path());
        }
    }
}

fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder)
        && error.kind() != ErrorKind::NotFound
    {
        let path = folder.display();
        tracing::warn!(%error, %path, "what was fetched to restore a collection is kept for longer");
    }
}

/// The data directory, unless the database is in memory.
fn data(db: &Db) -> Option<&Path> {
    Some(db.path()).filter(|path| path.is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(folder.path()).unwrap();
        let before = fs::read_dir(folder.path()).unwrap().count();
        let scratch = Scratch::make(&db, "notes").unwrap();
        assert!(scratch.path().starts_with(folder.path()) && scratch.path().is_dir());
        fs::write(scratch.path().join("part"), "of a snapshot").unwrap();
        let left = scratch.path().to_owned();
        drop(scratch);
        assert!(!left.exists());
        fs::create_dir_all(left.join("snapshot-1")).unwrap();
        clear(&db);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
        drop(db);
        Db::open(folder.path()).unwrap();
        assert!(data(&Db::in_memory().unwrap()).is_none());
    }
}
