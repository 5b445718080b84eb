//! Folders of documents: what is there, and what has to change for a collection to hold the same.
//!
//! [`scan`] walks files and folders as ripgrep does: hidden files, what `.gitignore` and `.ignore` name, and folders
//! that hold only what programs made (`node_modules`, those marked by `CACHEDIR.TAG`, such as Cargo's `target`) are left
//! out. Symbolic links below a given path are not followed, so no loop and nothing outside a folder is ever read.
//! A document's id is its path relative to the folder given (after the folder's name, where two folders given have the
//! same path), its source the folder; records of a file have their own ids behind that (`records`).
//!
//! [`plan`] compares files with stored documents by id and content hash: a pure function, for a local collection and for
//! one on a server alike.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use ignore::{DirEntry, WalkBuilder};

pub use super::files::{FileDocuments, FileKind, Loaded};
use super::media::{UnknownExtension, extension};
use super::records::RecordOptions;
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_ID_BYTES_MAX;
use crate::progress::Progress;

/// A document that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// The document's id: the path below the folder given, with `/`; a file's name, if the file itself was given.
    pub id: String,
    /// The folder given, or that of a file given, as an absolute path.
    pub source: String,
    /// Where to read it.
    pub path: PathBuf,
    /// What it holds: by its extension, unless another kind was asked for.
    pub kind: FileKind,
    /// Its size when it was found.
    pub bytes: u64,
}

/// Why a file is not among the documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// Its extension is not that of a text that is understood, or it has none.
    UnknownKind,
    /// It, or a folder, cannot be read, or its name cannot be an id; and why.
    Unreadable(String),
    /// Another file given has the same id.
    SameId(PathBuf),
    /// It is a symbolic link.
    SymbolicLink,
}

impl std::fmt::Display for SkipReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SkipReason::UnknownKind => f.write_str("not a kind of text that is understood"),
            SkipReason::Unreadable(reason) => f.write_str(reason),
            SkipReason::SameId(path) => write!(f, "{} has the same id", path.display()),
            SkipReason::SymbolicLink => f.write_str("a symbolic link"),
        }
    }
}

/// What a walk found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// The documents, in the order of their ids.
    pub files: Vec<FileEntry>,
    /// What was left out, in the order of the paths. Ignored and hidden files are not listed.
    pub skipped: Vec<(PathBuf, SkipReason)>,
    /// The folders given, as documents name them: a stored document of one of these that is not among `files` has
    /// vanished. Files that were given themselves vouch for nothing but themselves.
    pub sources: Vec<String>,
}

impl Scan {
    /// How many files were left out because of their kind.
    pub fn unknown_kinds(&self) -> usize {
        self.skipped.iter().filter(|(_, reason)| *reason == SkipReason::UnknownKind).count()
    }
}

impl FileEntry {
    /// Opens the file for its documents: one, or those of its records.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be opened.
    pub fn documents(&self, options: &RecordOptions) -> Result<FileDocuments> {
        FileDocuments::open(self, options)
    }
}

/// Finds the documents of files and folders.
///
/// A file that is given itself is taken also without an extension; one met in a folder needs one that is understood.
///
/// # Errors
/// [`Error::Io`] for a path that does not exist or cannot be read; [`Error::NotText`] for a file given whose extension
/// is not understood; [`Error::Limit`] for a folder whose path is too long to be a source. Whatever goes wrong further
/// down is listed under `skipped`.
pub fn scan(paths: &[PathBuf], progress: &dyn Progress) -> Result<Scan> {
    scan_as(paths, None, progress)
}

/// As [`scan`], but where a kind is given, all files are of it, whatever their extensions, and those in folders, too.
///
/// # Errors
/// As of [`scan`].
pub fn scan_as(paths: &[PathBuf], kind: Option<FileKind>, progress: &dyn Progress) -> Result<Scan> {
    let mut walk = Walk { kind, ..Walk::default() };
    progress.begin("looking for documents", None, "files");
    let outcome = paths.iter().try_for_each(|path| walk.add(path, progress));
    progress.end();
    outcome.map(|()| walk.finish())
}

#[derive(Default)]
struct Walk {
    /// Of all files, if it was given.
    kind: Option<FileKind>,
    files: BTreeMap<String, FileEntry>,
    skipped: BTreeMap<PathBuf, SkipReason>,
    sources: BTreeSet<String>,
}

impl Walk {
    fn add(&mut self, path: &Path, progress: &dyn Progress) -> Result<()> {
        let path = path.canonicalize().map_err(|source| Error::Io {
            operation: "open",
            path: path.to_owned(),
            source,
        })?;
        if path.is_dir() { self.folder(&path, progress) } else { self.file(&path) }
    }

    fn file(&mut self, path: &Path) -> Result<()> {
        let folder = path.parent().unwrap_or(path);
        let id =
            slashed(path.strip_prefix(folder).unwrap_or(path)).map_err(|reason| invalid(path, reason))?;
        let kind = self.kind.map_or_else(|| FileKind::from_name(&id), Ok);
        let kind = kind.map_err(|unknown| not_text(&id, unknown))?;
        let source = source_name(folder)?;
        let bytes = path.metadata().map_or(0, |metadata| metadata.len());
        self.insert(FileEntry { id, source, path: path.to_owned(), kind, bytes });
        Ok(())
    }

    fn folder(&mut self, root: &Path, progress: &dyn Progress) -> Result<()> {
        let source = source_name(root)?;
        std::fs::read_dir(root).map_err(|source| Error::Io {
            operation: "list",
            path: root.to_owned(),
            source,
        })?;
        let mut builder = WalkBuilder::new(root);
        builder
            .require_git(false)
            .sort_by_file_name(Ord::cmp)
            .filter_entry(|entry| !is_made_by_programs(entry));
        for entry in builder.build() {
            match entry {
                Ok(entry) => {
                    let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
                    progress.advance(u64::from(is_file));
                    self.entry(root, &source, &entry);
                }
                Err(error) => {
                    let path = error_path(&error).unwrap_or_else(|| root.to_owned());
                    self.skip(path, SkipReason::Unreadable(error.to_string()));
                }
            }
        }
        self.sources.insert(source);
        Ok(())
    }

    fn entry(&mut self, root: &Path, source: &str, entry: &DirEntry) {
        let path = entry.path();
        if let Some(error) = entry.error() {
            // An ignore file with a line that does not parse; the other lines hold.
            self.skip(path.to_owned(), SkipReason::Unreadable(error.to_string()));
        }
        match entry.file_type() {
            Some(kind) if kind.is_symlink() => self.skip(path.to_owned(), SkipReason::SymbolicLink),
            Some(kind) if kind.is_file() => match slashed(path.strip_prefix(root).unwrap_or(path)) {
                Ok(id) => {
                    match self.kind.or_else(|| FileKind::from_name(&id).ok().filter(|_| has_extension(&id))) {
                        Some(kind) => self.insert(FileEntry {
                            id,
                            source: source.to_owned(),
                            path: path.to_owned(),
                            kind,
                            bytes: entry.metadata().map_or(0, |metadata| metadata.len()),
                        }),
                        None => self.skip(path.to_owned(), SkipReason::UnknownKind),
                    }
                }
                Err(reason) => self.skip(path.to_owned(), SkipReason::Unreadable(reason)),
            },
            _ => {}
        }
    }

    /// Takes a document. Of two folders given with a file of the same path each, the second's gets its folder's name
    /// before the path.
    fn insert(&mut self, mut file: FileEntry) {
        if self.files.get(&file.id).is_some_and(|first| first.path != file.path) {
            let folder = Path::new(&file.source).file_name().unwrap_or_default().to_string_lossy();
            let qualified = format!("{folder}/{}", file.id);
            if qualified.len() <= DOCUMENT_ID_BYTES_MAX {
                file.id = qualified;
            }
        }
        match self.files.get(&file.id) {
            Some(first) if first.path != file.path => {
                let reason = SkipReason::SameId(first.path.clone());
                self.skip(file.path, reason);
            }
            Some(_) => {}
            None => {
                self.files.insert(file.id.clone(), file);
            }
        }
    }

    fn skip(&mut self, path: PathBuf, reason: SkipReason) {
        self.skipped.entry(path).or_insert(reason);
    }

    fn finish(self) -> Scan {
        Scan {
            files: self.files.into_values().collect(),
            skipped: self.skipped.into_iter().collect(),
            sources: self.sources.into_iter().collect(),
        }
    }
}

fn is_made_by_programs(entry: &DirEntry) -> bool {
    entry.depth() > 0
        && entry.file_type().is_some_and(|kind| kind.is_dir())
        && (entry.file_name() == "node_modules" || entry.path().join("CACHEDIR.TAG").is_file())
}

fn has_extension(id: &str) -> bool {
    extension(id.rsplit('/').next().unwrap_or(id)).is_some()
}

/// The path as an id, whatever separates folders here.
fn slashed(path: &Path) -> Result<String, String> {
    let mut id = String::new();
    for component in path.components().filter(|component| matches!(component, Component::Normal(_))) {
        let name = component.as_os_str().to_str().ok_or("its name is not UTF-8")?;
        if !id.is_empty() {
            id.push('/');
        }
        id.push_str(name);
    }
    if id.len() > DOCUMENT_ID_BYTES_MAX {
        return Err(format!("its path has {} bytes, an id {DOCUMENT_ID_BYTES_MAX} at most", id.len()));
    }
    if id.chars().any(char::is_control) {
        return Err("its name holds a control character".to_owned());
    }
    Ok(id)
}

fn source_name(folder: &Path) -> Result<String> {
    let name = folder.to_str().ok_or_else(|| invalid(folder, "its path is not UTF-8".to_owned()))?;
    if name.len() > DOCUMENT_ID_BYTES_MAX {
        return Err(Error::Limit {
            field: format!("path `{name}`"),
            limit: "DOCUMENT_ID_BYTES_MAX",
            max: DOCUMENT_ID_BYTES_MAX as u64,
            actual: name.len() as u64,
        });
    }
    Ok(name.to_owned())
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::Invalid { field: format!("path `{}`", path.display()), reason }
}

fn not_text(id: &str, unknown: UnknownExtension) -> Error {
    Error::NotText { document: id.to_owned(), reason: unknown.to_string() }
}

fn error_path(error: &ignore::Error) -> Option<PathBuf> {
    match error {
        ignore::Error::WithPath { path, .. } => Some(path.clone()),
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => error_path(err),
        ignore::Error::Loop { child, .. } => Some(child.clone()),
        _ => None,
    }
}

/// What has to be done for a collection to hold what the files hold. Every list is in the order of ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncPlan {
    /// Files that are not stored.
    pub add: Vec<String>,
    /// Files that are stored with other content.
    pub replace: Vec<String>,
    /// Files that are stored with the same content.
    pub unchanged: Vec<String>,
    /// Stored documents whose file is gone.
    pub remove: Vec<String>,
}

/// Compares files with the stored documents of the same sources, both as (id, SHA-256 of the content in hex).
///
/// Whoever stores a document decides finally whether it is unchanged: settings other than the content count too, so
/// handing in `unchanged` documents as well is never wrong, only slower.
pub fn plan<'a>(
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    stored: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> SyncPlan {
    let mut stored: BTreeMap<&str, &str> = stored.into_iter().collect();
    let files: BTreeMap<&str, &str> = files.into_iter().collect();
    let mut plan = SyncPlan::default();
    for (id, sha256) in files {
        let list = match stored.remove(id) {
            None => &mut plan.add,
            Some(known) if known == sha256 => &mut plan.unchanged,
            Some(_) => &mut plan.replace,
        };
        list.push(id.to_owned());
    }
    plan.remove = stored.into_keys().map(str::to_owned).collect();
    plan
}

#[cfg(test)]
#[path = "folder_tests.rs"]
mod tests;
