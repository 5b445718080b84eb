//! A file that is there whole or not at all.
//!
//! It is written beside its place, under a name with a dot in front, synced, and only then renamed. Whatever ends the work before, an
//! error or a kill, the place holds what it held; a kill leaves the file with the dot.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::error::{Error, Result};

/// A file on its way.
#[derive(Debug)]
pub(crate) struct Partial {
    file: NamedTempFile,
    path: PathBuf,
    overwrite: bool,
}

impl Partial {
    /// Begins a file that will be at `path`.
    pub(crate) fn begin(path: &Path, overwrite: bool) -> Result<Self> {
        if !overwrite && path.exists() {
            return Err(Error::Exists { path: path.to_owned() });
        }
        let Some(name) = path.file_name().filter(|_| !path.is_dir()) else {
            return Err(Error::option("path", format!("{} is no name of a file", path.display())));
        };
        let prefix = format!(".{}.", name.to_string_lossy());
        let mut builder = Builder::new();
        builder.prefix(&prefix).suffix(".partial");
        // As any file is made; the umask takes its share.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let file = builder.tempfile_in(directory(path)).map_err(Error::io("create", path))?;
        Ok(Self { file, path: path.to_owned(), overwrite })
    }

    /// Another handle of it, to write by.
    pub(crate) fn handle(&self) -> Result<File> {
        self.file.as_file().try_clone().map_err(Error::io("open", &self.path))
    }

    /// Puts it at its place, durably. Gives its size.
    pub(crate) fn finish(self) -> Result<u64> {
        let Self { file, path, overwrite } = self;
        file.as_file().sync_all().map_err(Error::io("sync", &path))?;
        let size = file.as_file().metadata().map_err(Error::io("read", &path))?.len();
        let persisted = if overwrite { file.persist(&path) } else { file.persist_noclobber(&path) };
        persisted.map_err(|error| match error.error.kind() {
            std::io::ErrorKind::AlreadyExists => Error::Exists { path: path.clone() },
            _ => Error::io("rename", &path)(error.error),
        })?;
        // The name is in the directory, which has to be synced, too.
        if cfg!(unix) {
            let directory = OpenOptions::new().read(true).open(directory(&path));
            directory
                .and_then(|directory| directory.sync_all())
                .map_err(Error::io("sync the directory of", &path))?;
        }
        Ok(size)
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.arrow");
        let partial = Partial::begin(&path, false).unwrap();
        partial.handle().unwrap().write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(partial);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

        let partial = Partial::begin(&path, false).unwrap();
        partial.handle().unwrap().write_all(b"whole").unwrap();
        assert_eq!(partial.finish().unwrap(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert!(matches!(Partial::begin(&path, false), Err(Error::Exists { .. })));
        Partial::begin(&path, true).unwrap().finish().unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");

        // Two at once: the second does not replace the first.
        std::fs::remove_file(&path).unwrap();
        let (first, second) = (Partial::begin(&path, false).unwrap(), Partial::begin(&path, false).unwrap());
        first.finish().unwrap();
        assert!(matches!(second.finish(), Err(Error::Exists { .. })));
        assert!(matches!(Partial::begin(folder.path(), true), Err(Error::Option { .. })));
        assert!(matches!(Partial::begin(&folder.path().join("no/a"), false), Err(Error::Io { .. })));
    }
}
