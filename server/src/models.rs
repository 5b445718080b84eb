//! Which models requests may name, and their loading.
//!
//! Loading takes seconds, fetching minutes, and neither may hold a worker thread or a caller for that long. So a model is
//! loaded once, in the background, whoever asks first; requests that need it wait a little and are then told to come
//! back (UNAVAILABLE with RetryInfo). A load that failed fails the requests that waited for it; the next one tries again.
//! Fetches that a request asks for take turns with the loads, so that there are never more than a few of both.
//!
//! A service that does not answer would hold such a turn for minutes. So a load ends once nobody has asked for it for a while, as far as it waits:
//! for its turn, or for a remote model's service. What is read from this machine, or fetched, is loaded to the end.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ragstone_rag::embed::{Models, PulledModel, Wanted};
use ragstone_rag::tokens;
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use crate::config::ServerConfig;
use crate::health::Health;
use crate::limits::MODEL_LOADS_MAX;
use crate::status;

/// Pauses between attempts to load the default model: the first, and the longest.
const RETRY_FIRST: Duration = Duration::from_secs(5);
const RETRY_MAX: Duration = Duration::from_secs(300);

/// How long a load goes on that nobody asks for any more: much longer than whoever was told to come back stays away.
const ASKED_WITHIN: Duration = Duration::from_secs(60);

/// What a model is asked for: each is loaded for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Embedder,
    Reranker,
    /// A tokenizer alone.
    TokenCounter,
}

impl Kind {
    fn is_loaded(self, models: &Models, name: &str) -> bool {
        match self {
            Kind::Embedder => models.loaded(name).is_some(),
            Kind::Reranker => models.loaded_reranker(name).is_some(),
            Kind::TokenCounter => tokens::is_built_in(name) || models.loaded_token_counter(name).is_some(),
        }
    }

    fn load(self, models: &Models, name: &str, wanted: Wanted<'_>) -> ragstone_rag::Result<()> {
        wanted.check()?;
        match self {
            Kind::Embedder => models.load_wanted(name, wanted).map(drop),
            Kind::Reranker => models.reranker_wanted(name, wanted).map(drop),
            Kind::TokenCounter => models.token_counter_wanted(name, wanted).map(drop),
        }
    }
}

/// How far a load is.
type Load = Option<Result<(), Status>>;

/// When a load was asked for last; clones are one. Locked for a look or a change.
#[derive(Clone)]
struct Asked(Arc<Mutex<Instant>>);

impl Asked {
    fn now() -> Asked {
        Asked(Arc::new(Mutex::new(Instant::now())))
    }

    fn again(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Whether it was, within so long.
    fn check(&self, within: Duration) -> ragstone_rag::Result<()> {
        let asked = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.elapsed() < within { Ok(()) } else { Err(ragstone::Error::Cancelled.into()) }
    }
}

/// The loads under way.
type Loads = HashMap<(Kind, String), (watch::Receiver<Load>, Asked)>;

/// Loads models; cheap to clone.
#[derive(Clone)]
pub(crate) struct Loader {
    models: Models,
    default_model: Arc<str>,
    allow_any_model: bool,
    /// How long a request waits for a load.
    patience: Duration,
    /// The loads under way, by model. Locked for a look-up or an insertion, never while loading.
    loads: Arc<Mutex<Loads>>,
    turns: Arc<Semaphore>,
    /// [`ASKED_WITHIN`], less in tests.
    asked_within: Duration,
}

impl Loader {
    pub(crate) fn new(models: Models, config: &ServerConfig) -> Loader {
        Loader {
            models,
            default_model: config.default_model.as_str().into(),
            allow_any_model: config.allow_any_model,
            patience: config.model_wait,
            loads: Arc::default(),
            turns: Arc::new(Semaphore::new(MODEL_LOADS_MAX)),
            asked_within: ASKED_WITHIN,
        }
    }

    /// The model that is used where none is named.
    pub(crate) fn default_model(&self) -> &str {
        &self.default_model
    }

    /// The model that a request names, if it may: the default one, or one that is here already (loaded, or in the cache).
    /// Any other would make the server fetch what its caller chose, read a directory or call a URL, and is the
    /// operator's to allow. What is here of another kind does not count: of some models only the tokenizer is built in.
    ///
    /// # Errors
    /// PERMISSION_DENIED, with what the operator can do.
    pub(crate) async fn named(&self, kind: Kind, name: String) -> Result<String, Status> {
        if name.is_empty() {
            return Ok(self.default_model.to_string());
        }
        let is_loaded = || kind.is_loaded(&self.models, &name);
        if self.allow_any_model || name == *self.default_model || is_loaded() {
            return Ok(name);
        }
        let (models, wanted) = (self.models.clone(), name.clone());
        match tokio::task::spawn_blocking(move || models.is_cached(&wanted)).await {
            Ok(true) => Ok(name),
            Ok(false) => Err(status::model_not_allowed(&name)),
            Err(_) => Err(status::fault()),
        }
    }

    /// Fetches a model in its turn, which the fetch keeps though its caller may leave.
    pub(crate) async fn pull(&self, name: String) -> Result<PulledModel, Status> {
        let turns = Arc::clone(&self.turns);
        let turn = turns.acquire_owned().await.map_err(|_| status::shutting_down())?;
        let models = self.models.clone();
        let pulled = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            models.pull(&name)
        });
        pulled.await.map_err(|_| status::fault())?.map_err(status::rag)
    }

    /// Returns when the model is loaded.
    ///
    /// # Errors
    /// UNAVAILABLE while it is not; what the load failed with.
    pub(crate) async fn require(&self, name: &str) -> Result<(), Status> {
        self.require_kind(Kind::Embedder, name).await
    }

    /// Returns when the model is loaded for what it is asked for.
    ///
    /// # Errors
    /// As [`require`](Loader::require).
    pub(crate) async fn require_kind(&self, kind: Kind, name: &str) -> Result<(), Status> {
        if kind.is_loaded(&self.models, name) {
            return Ok(());
        }
        let mut load = self.load(kind, name);
        let outcome = match tokio::time::timeout(self.patience, load.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone(),
            // The loading task is gone: the server is shutting down.
            Ok(Err(_)) => return Err(status::shutting_down()),
            Err(_) => return Err(status::model_loading(name)),
        };
        outcome.unwrap_or_else(|| Err(status::model_loading(name)))
    }

    /// Joins the load of this model that is under way, or begins one.
    fn load(&self, kind: Kind, name: &str) -> watch::Receiver<Load> {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, name.to_owned());
        if let Some((load, asked)) = loads.get(&key) {
            asked.again();
            return load.clone();
        }
        let ((sender, receiver), asked) = (watch::channel(None), Asked::now());
        loads.insert(key.clone(), (receiver.clone(), asked.clone()));
        tokio::spawn({
            let loader = self.clone();
            async move {
                let outcome = loader.load_now((kind, &key.1), asked).await;
                loader.loads.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                sender.send_replace(Some(outcome));
            }
        });
        receiver
    }

    async fn load_now(&self, (kind, name): (Kind, &str), asked: Asked) -> Result<(), Status> {
        let _turn = self.turns.acquire().await.map_err(|_| status::shutting_down())?;
        let started = Instant::now();
        let (models, model, within) = (self.models.clone(), name.to_owned(), self.asked_within);
        let load = move || {
            let check = || asked.check(within);
            kind.load(&models, &model, Wanted::while_ok(&check))
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        let latency_ms = started.elapsed().as_secs_f64() * 1e3;
        match loaded {
            Ok(Ok(())) => {
                tracing::info!(model = name, latency_ms, "model loaded");
                Ok(())
            }
            Ok(Err(ragstone_rag::Error::Engine(ragstone::Error::Cancelled))) => {
                tracing::info!(model = name, latency_ms, "model not loaded: nobody asks for it any more");
                // Somebody may have asked just now.
                Err(status::model_loading(name))
            }
            Ok(Err(error)) => {
                tracing::warn!(model = name, latency_ms, %error, "model not loaded");
                Err(status::rag(error))
            }
            Err(_) => Err(status::fault()),
        }
    }

    /// Loads the default model, again and again until it is there, and reports it.
    pub(crate) async fn keep_default(self, load: bool, health: Health) {
        let mut pause = RETRY_FIRST;
        loop {
            let wanted = load || self.models.loaded(&self.default_model).is_some();
            if wanted && self.require(&self.default_model).await.is_ok() {
                health.inference_ready().await;
                return;
            }
            // Without `load`, or while a fetch is under way, look again soon; after a failure, ever later.
            let default = (Kind::Embedder, self.default_model.to_string());
            let under_way = self.loads.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&default);
            if under_way || !load {
                tokio::time::sleep(Duration::from_millis(200)).await;
            } else {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(RETRY_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ragstone_rag::embed::ModelOptions;
    use tonic::Code;

    use super::*;

    /// Two services that did not answer held both turns for minutes, for nobody, and no other model was loaded meanwhile.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_load_that_nobody_asks_for_any_more_gives_its_turn_back() {
        // The connection is made, in the system's queue, and nobody says anything on it.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let name = |model: usize| format!("http://{}/v1#m{model}", silent.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let cache_dir = folder.path().join("models");
        let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
        let loader = Loader::new(models, &ServerConfig::default());
        let loader = Loader { asked_within: Duration::from_millis(50), ..loader };
        let loads: Vec<_> =
            (0..MODEL_LOADS_MAX + 1).map(|at| loader.load(Kind::Embedder, &name(at))).collect();
        for mut load in loads {
            let ended = tokio::time::timeout(Duration::from_secs(30), load.wait_for(Option::is_some));
            let outcome = ended.await.expect("it ends").unwrap().clone();
            let status = outcome.unwrap().unwrap_err();
            assert_eq!(status.code(), Code::Unavailable);
            assert!(status.message().contains("is being loaded"), "{status}");
        }
        assert_eq!(loader.turns.available_permits(), MODEL_LOADS_MAX);
        assert!(loader.loads.lock().unwrap().is_empty());
    }

    #[test]
    fn who_asks_again_is_waited_for_anew() {
        let asked = Asked::now();
        assert!(asked.check(Duration::MAX).is_ok() && asked.check(Duration::ZERO).is_err());
        let before = *asked.0.lock().unwrap();
        asked.clone().again();
        assert!(*asked.0.lock().unwrap() >= before);
    }
}
