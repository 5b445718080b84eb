//! Databases with points that tell their version, and copies that can be damaged.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ragstone::{Db, DbOptions, Point, PointId, ScrollRequest, Value};
use ragstone_snapshot::{Repository, RestoreRequest, quietly};

/// What a database holds: of each collection, the version of each point.
pub(crate) type Contents = BTreeMap<String, BTreeMap<u64, i64>>;

/// A directory with snapshots that goes when the test ends.
pub(crate) struct Copies {
    path: PathBuf,
    _directory: Option<tempfile::TempDir>,
    pub(crate) repository: Repository,
}

impl Copies {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        let repository = Repository::open(path.to_str().unwrap()).unwrap();
        Self { path, _directory: Some(directory), repository }
    }

    /// The same place, for somebody else.
    pub(crate) fn at(other: &Copies) -> Self {
        let path = other.path.clone();
        let repository = Repository::open(path.to_str().unwrap()).unwrap();
        Self { path, _directory: None, repository }
    }

    pub(crate) fn path(&self, object: &str) -> PathBuf {
        self.path.join(object)
    }

    pub(crate) fn read(&self, object: &str) -> Vec<u8> {
        std::fs::read(self.path(object)).unwrap()
    }

    pub(crate) fn write(&self, object: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(object).parent().unwrap()).unwrap();
        std::fs::write(self.path(object), bytes).unwrap();
    }

    pub(crate) fn remove(&self, object: &str) {
        std::fs::remove_file(self.path(object)).unwrap();
    }

    /// The files below a folder.
    pub(crate) fn objects(&self, folder: &str) -> Vec<String> {
        let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(self.path(&folder)) else { continue };
            for entry in entries {
                let entry = entry.unwrap();
                let name = format!("{folder}/{}", entry.file_name().to_str().unwrap());
                if entry.file_type().unwrap().is_dir() { folders.push(name) } else { found.push(name) }
            }
        }
        found.sort();
        found
    }
}

/// Small segments and log files, and log that is kept.
pub(crate) fn open(path: &Path) -> Db {
    open_with(path, true)
}

/// The same without threads: its files change when it is told to only.
pub(crate) fn open_still(path: &Path) -> Db {
    open_with(path, false)
}

fn open_with(path: &Path, background: bool) -> Db {
    let mut options = DbOptions::default();
    options.seal_rows = 64;
    options.log_file_bytes = 2_000;
    options.keep_log_bytes = Some(100 << 20);
    options.background = background;
    Db::open_with(path, options).unwrap()
}

/// The same files once more, as a copy of the directory, or a disk that is put back, has them.
pub(crate) fn copied(path: &Path) -> tempfile::TempDir {
    let other = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), other.path().join(entry.file_name())).unwrap();
    }
    other
}

/// A restored database, with its directory.
pub(crate) fn restored(repository: &Repository, request: &RestoreRequest) -> (Db, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    repository.restore(request, directory.path(), quietly).unwrap();
    (open(directory.path()), directory)
}

pub(crate) fn version_of(id: u64, version: i64) -> Point {
    Point::new(id, [version as f32, id as f32 + 1.0]).with("version", version)
}

/// The ids that a writer writes in one batch.
pub(crate) fn writer_ids(writer: u64, version: u64) -> Range<u64> {
    let start = writer * 1_000 + version % 7;
    start..start + 5
}

pub(crate) fn contents(db: &Db) -> Contents {
    let of_collection = |name: &str| {
        let view = db.collection(name).unwrap().view();
        let page = view.scroll(&ScrollRequest { limit: 10_000, ..ScrollRequest::default() }).unwrap();
        assert!(page.next.is_none());
        let row = |point: &Point| match (&point.id, &point.payload["version"]) {
            (PointId::Num(id), Value::Int(version)) => (*id, *version),
            other => panic!("{other:?}"),
        };
        page.points.iter().map(row).collect()
    };
    db.collections().into_iter().map(|info| (info.name.clone(), of_collection(&info.name))).collect()
}
