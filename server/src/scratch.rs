//! Room on the disk for the snapshot that a collection is restored from.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ragstone::Db;
use ragstone_snapshot::SCRATCH_PREFIX;

/// Beside the data, where there is room for as much; of a database in memory, where the system has such things.
pub fn place(db: &Db) -> PathBuf {
    data(db).map_or_else(std::env::temp_dir, Path::to_path_buf)
}

/// Removes what a process that died had fetched, unless the database is only read; nobody may be restoring. What it had copied was removed when
/// the database was opened.
pub fn clear(db: &Db) {
    if db.is_read_only() {
        return;
    }
    let entries = data(db).and_then(|data| fs::read_dir(data).ok()).into_iter().flatten();
    let is_left = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(SCRATCH_PREFIX);
    for path in entries.filter_map(Result::ok).filter(is_left).map(|entry| entry.path()) {
        if let Err(error) = fs::remove_dir_all(&path)
            && error.kind() != ErrorKind::NotFound
        {
            let path = path.display();
            tracing::warn!(%error, %path, "what was fetched to restore a collection is kept for longer");
        }
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
        assert_eq!(place(&db), db.path());
        let left = folder.path().join(format!("{SCRATCH_PREFIX}1"));
        fs::create_dir_all(left.join("part")).unwrap();
        clear(&db);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), before);
        drop(db);
        Db::open(folder.path()).unwrap();
        assert!(data(&Db::in_memory().unwrap()).is_none());
    }

    /// Opened for reading only, it was removed as well.
    #[test]
    fn who_only_reads_removes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(Db::open(folder.path()).unwrap());
        let left = folder.path().join(format!("{SCRATCH_PREFIX}1"));
        fs::create_dir(&left).unwrap();
        clear(&Db::open_read_only(folder.path()).unwrap());
        assert!(left.exists());
    }
}
