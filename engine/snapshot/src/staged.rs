//! What a process that died left half written in a directory.
//!
//! **Problem.** A directory has no object until it is whole: it is written to a file `<name>#<number>` beside its place, and
//! then takes its name. A process that is killed before leaves that file, as large as a segment may be; no listing shows it,
//! so nobody would ever remove it.
//!
//! **Idea.** Whoever collects garbage looks for such files too. One that was not written to for as long as a mark of the dead
//! (see `guard.rs`) is nobody's: a transfer writes all the time.
//!
//! A bucket hides unfinished uploads as well, and ends them by a rule of its own (Amazon: `AbortIncompleteMultipartUpload`).

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};
use crate::names::{COLLECTING, DAMAGED, LOG, OBJECTS, PENDING, SNAPSHOTS};

/// Where objects are put. The directory may hold other things too, a disk's `lost+found` that nobody may read among them.
const FOLDERS: [&str; 6] = [OBJECTS, LOG, SNAPSHOTS, PENDING, COLLECTING, DAMAGED];

/// A file that was never finished.
#[derive(Debug)]
pub(crate) struct Staged {
    path: PathBuf,
    pub(crate) size_bytes: u64,
}

impl Staged {
    /// Removes it. That somebody else did is no error.
    pub(crate) fn remove(&self) -> Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&self.path)(error)),
            _ => Ok(()),
        }
    }
}

/// Those in a place that were last written to so long before a moment.
pub(crate) fn find(place: &Path, now: SystemTime, age: Duration) -> Result<Vec<Staged>> {
    let mut found = Vec::new();
    let mut each = |path: &Path, metadata: &fs::Metadata| -> io::Result<()> {
        let is_old = now.duration_since(metadata.modified()?).is_ok_and(|since| since >= age);
        if is_old && is_staged(path) {
            found.push(Staged { path: path.to_owned(), size_bytes: metadata.len() });
        }
        Ok(())
    };
    FOLDERS.iter().try_for_each(|folder| visit(&place.join(folder), &mut each))?;
    Ok(found)
}

/// Whether a file has the name of an object that is being written.
fn is_staged(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.split_once('#')).is_some_and(|(object, number)| {
        !object.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Calls a function for every file of a folder, which may not be there; links in it are not followed.
fn visit(folder: &Path, each: &mut dyn FnMut(&Path, &fs::Metadata) -> io::Result<()>) -> Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed(folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(failed(folder))?;
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => visit(&path, each)?,
            Ok(metadata) if metadata.is_file() => each(&path, &metadata).map_err(failed(&path))?,
            // It took its name meanwhile.
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(&path)(error)),
            _ => {}
        }
    }
    Ok(())
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    |source| Error::File { file: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_finishes_is_found() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: &str| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        };
        let left = ["objects/aa/bb#1", "log/a/b#23", "snapshots/s#1", "pending/0-s#1", "collecting/a#1"];
        let others = [
            "objects/aa/bb",
            "objects/aa/bb#x",
            "objects/aa/bb#",
            "objects/#1",
            "mine/a#1",
            "mine#1",
            "collecting/a",
            "collecting#1",
        ];
        left.iter().chain(&others).for_each(|name| write(name));
        let (now, hour) = (SystemTime::now(), Duration::from_secs(3600));
        assert!(find(place.path(), now, hour).unwrap().is_empty(), "somebody may be writing them");
        let found = find(place.path(), now + 2 * hour, hour).unwrap();
        assert_eq!(found.len(), left.len(), "{found:?}");
        for staged in &found {
            staged.remove().unwrap();
            staged.remove().unwrap();
        }
        assert!(left.iter().all(|name| !place.path().join(name).exists()));
        assert!(others.iter().all(|name| place.path().join(name).exists()));
    }
}
