//! Which models requests may name, and their loading.
//!
//! Loading takes seconds, fetching minutes, and neither may hold a worker thread or a caller for that long. So a model is
//! loaded once, in the background, whoever asks first; requests that need it wait a little and are then told to come
//! back (UNAVAILABLE with RetryInfo). A load that failed fails the requests that waited for it; the next one tries again.
//! Fetches that a request asks for take turns with the loads, so that there are never more than a few of both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ragstone_rag::embed::{Models, PulledModel};
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

    fn load(self, models: &Models, name: &str) -> ragstone_rag::Result<()> {
        match self {
            Kind::Embedder => models.load(name).map(drop),
            Kind::Reranker => models.reranker(name).map(drop),
            Kind::TokenCounter => models.token_counter(name).map(drop),
        }
    }
}

/// How far a load is.
type Load = Option<Result<(), Status>>;

/// The loads under way.
type Loads = HashMap<(Kind, String), watch::Receiver<Load>>;

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
        if let Some(load) = loads.get(&key) {
            return load.clone();
        }
        let (sender, receiver) = watch::channel(None);
        loads.insert(key.clone(), receiver.clone());
        tokio::spawn({
            let loader = self.clone();
            async move {
                let outcome = loader.load_now(kind, &key.1).await;
                loader.loads.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
                sender.send_replace(Some(outcome));
            }
        });
        receiver
    }

    async fn load_now(&self, kind: Kind, name: &str) -> Result<(), Status> {
        let _turn = self.turns.acquire().await.map_err(|_| status::shutting_down())?;
        let started = std::time::Instant::now();
        let (models, model) = (self.models.clone(), name.to_owned());
        let loaded = tokio::task::spawn_blocking(move || kind.load(&models, &model)).await;
        let latency_ms = started.elapsed().as_secs_f64() * 1e3;
        match loaded {
            Ok(Ok(())) => {
                tracing::info!(model = name, latency_ms, "model loaded");
                Ok(())
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
