//! The folder of fetched models.
//!
//! ```text
//! models/
//!   sentence-transformers--all-MiniLM-L6-v2/   a model's files as they were fetched, and
//!     ragstone-model.json                      where they came from, with the weights' SHA-256
//!   tokenizers/org--name/                      the tokenizer of a model that is not here itself
//!   .pull-XXXXXX/                              a model that is being put together
//! ```
//!
//! Owner and name are joined by `--`, which neither may hold. Folders appear by renaming, so a folder is complete. A
//! folder that somebody put there by hand, without a receipt, is used as it is.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::embed::local;
use crate::error::{Error, Result};

/// The receipt of a fetched model.
const RECEIPT: &str = "ragstone-model.json";
/// The folder of tokenizers whose models are not here.
const TOKENIZERS: &str = "tokenizers";
/// What the name of a model being put together begins with.
const PULL_PREFIX: &str = ".pull-";
/// A pull that began so long ago is over, however it ended.
const PULL_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize, Serialize)]
struct Receipt {
    repository: String,
    source: String,
    sha256: String,
}

/// What is being fetched.
pub(super) struct Request<'a> {
    /// `owner/name`.
    pub(super) repository: &'a str,
    /// Where from, in words.
    pub(super) source: &'a str,
    /// SHA-256 that the weights must have, if it is known.
    pub(super) expected: Option<&'a str>,
}

/// The folder of fetched models.
pub(super) struct Cache {
    root: PathBuf,
}

impl Cache {
    pub(super) fn new(root: PathBuf) -> Cache {
        Cache { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Where a repository's model is, or would be.
    pub(super) fn folder(&self, repository: &str) -> PathBuf {
        self.root.join(repository.replace('/', "--"))
    }

    /// The folder of a repository's tokenizer alone, if it is here.
    pub(super) fn find_tokenizer(&self, repository: &str) -> Option<PathBuf> {
        Some(self.tokenizer_folder(repository)).filter(|folder| folder.is_dir())
    }

    fn tokenizer_folder(&self, repository: &str) -> PathBuf {
        self.root.join(TOKENIZERS).join(repository.replace('/', "--"))
    }

    /// The folder of a repository's model, if it is here.
    pub(super) fn find(&self, repository: &str) -> Option<PathBuf> {
        Some(self.folder(repository)).filter(|folder| folder.is_dir())
    }

    /// SHA-256 of the weights as they were fetched.
    pub(super) fn recorded_sha256(&self, folder: &Path) -> Option<String> {
        let receipt: Receipt = serde_json::from_slice(&fs::read(folder.join(RECEIPT)).ok()?).ok()?;
        Some(receipt.sha256)
    }

    /// Repositories whose models are here, with their folders.
    pub(super) fn list(&self) -> Result<Vec<(String, PathBuf)>> {
        let io = |source| Error::Io { operation: "list", path: self.root.clone(), source };
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(io)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if let Some((owner, model)) = name.split_once("--")
                && path.is_dir()
            {
                found.push((format!("{owner}/{model}"), path.clone()));
            }
        }
        Ok(found)
    }

    /// Puts a model together with `fetch`, verifies it and makes it appear. On an error nothing stays.
    pub(super) fn fill(
        &self,
        request: &Request<'_>,
        fetch: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let scratch = self.scratch()?;
        let whole = scratch.path();
        fetch(whole)?;
        let sha256 = verified(whole, request)?;
        let receipt =
            Receipt { repository: request.repository.to_owned(), source: request.source.to_owned(), sha256 };
        let receipt_path = whole.join(RECEIPT);
        let receipt = serde_json::to_vec_pretty(&receipt).map_err(|error| error.to_string())?;
        fs::write(&receipt_path, receipt).map_err(|error| cannot_write(&receipt_path, error))?;
        appear(whole, self.folder(request.repository))
    }

    /// Fetches a repository's tokenizer alone and makes it appear. On an error nothing stays.
    pub(super) fn fill_tokenizer(
        &self,
        repository: &str,
        fetch: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let scratch = self.scratch()?;
        let whole = scratch.path();
        fetch(whole)?;
        let read = crate::tokens::TokenizerFile::read(whole, repository);
        read.map_err(without_folder)?;
        let folder = self.tokenizer_folder(repository);
        let parent = self.root.join(TOKENIZERS);
        fs::create_dir_all(&parent).map_err(|error| cannot_write(&parent, error))?;
        appear(whole, folder)
    }

    /// A folder to put a model together in.
    fn scratch(&self) -> Result<Scratch, String> {
        fs::create_dir_all(&self.root).map_err(|error| cannot_write(&self.root, error))?;
        self.remove_abandoned();
        let folder = tempfile::Builder::new().prefix(PULL_PREFIX).tempdir_in(&self.root);
        let folder = folder.map_err(|error| cannot_write(&self.root, error))?;
        let whole = folder.path().join("model");
        fs::create_dir(&whole).map_err(|error| cannot_write(&whole, error))?;
        Ok(Scratch { whole, _folder: folder })
    }

    /// Removes what pulls that were killed have left. Another's failure to clean up is no failure of this pull.
    fn remove_abandoned(&self) {
        let Ok(entries) = fs::read_dir(&self.root) else { return };
        for entry in entries.flatten() {
            let ours = entry.file_name().to_string_lossy().starts_with(PULL_PREFIX);
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|then| SystemTime::now().duration_since(then).ok());
            if ours && age.is_some_and(|age| age > PULL_AGE_MAX) {
                let path = entry.path();
                match fs::remove_dir_all(&path) {
                    Ok(()) => tracing::info!(path = %path.display(), "removed an abandoned download"),
                    Err(error) => {
                        tracing::warn!(path = %path.display(), %error, "an abandoned download stays")
                    }
                }
            }
        }
    }
}

/// A folder that vanishes with the value, and one in it to be filled and moved out.
struct Scratch {
    whole: PathBuf,
    _folder: tempfile::TempDir,
}

impl Scratch {
    fn path(&self) -> &Path {
        &self.whole
    }
}

fn cannot_write(path: &Path, error: std::io::Error) -> String {
    format!("cannot write {}: {error}", path.display())
}

/// Makes what is whole appear as a folder of the cache.
fn appear(whole: &Path, folder: PathBuf) -> Result<PathBuf, String> {
    match fs::rename(whole, &folder) {
        Ok(()) => Ok(folder),
        // Another process was first with the same model.
        Err(_) if folder.is_dir() => Ok(folder),
        Err(error) => Err(cannot_write(&folder, error)),
    }
}

/// What is wrong with files in a folder that is about to vanish: only the reason matters.
fn without_folder(error: Error) -> String {
    match error {
        Error::ModelInvalid { reason, .. } => reason,
        other => other.to_string(),
    }
}

/// SHA-256 of the weights of a model that is complete and the expected one.
fn verified(folder: &Path, request: &Request<'_>) -> Result<String, String> {
    local::describe(folder, request.repository, None).map_err(without_folder)?;
    let sha256 = local::weights_sha256(folder).map_err(without_folder)?;
    match request.expected {
        Some(expected) if expected != sha256 => Err(format!(
            "SHA-256 of the weights is {sha256}, expected is {expected}; the download was discarded"
        )),
        _ => Ok(sha256),
    }
}
