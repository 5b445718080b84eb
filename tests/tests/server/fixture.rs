//! A server on a free port over a scratch directory, with an embedder that needs no download.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use prost::Message as _;
use ragstone::Db;
use ragstone_client::Client;
use ragstone_rag::Rag;
use ragstone_rag::embed::{
    Arithmetic, Embedder, Embeddings, ModelInfo, ModelOptions, Models, Overflow, Pooling, Role,
};
use ragstone_rag::generate::{GenerateModel, GenerateModels};
use ragstone_server::{Listeners, ServeError, ServerConfig, bind, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::Status;
use tonic::transport::Channel;
use tonic_types::{ErrorDetails, StatusExt as _};

pub(crate) const MODEL: &str = "tests/bag-of-words";
pub(crate) const DIMENSION: usize = 64;
pub(crate) const MAX_TOKENS: usize = 32;

/// A text that is embedded only once the [`Gate`] is open, and so is one that begins with it as a word.
pub(crate) const WAIT: &str = "wait";
/// A word that a text begins with, so that the call that embeds it, alone or with others, takes a while.
pub(crate) const SLOW: &str = "slow";
/// A text that makes the embedder panic.
pub(crate) const PANIC: &str = "panic";

/// Holds work back until it is opened, and counts what waits at it.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
    embedded: AtomicUsize,
    calls: AtomicUsize,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state.lock().unwrap().1
    }

    /// Texts that were embedded so far.
    pub(crate) fn embedded(&self) -> usize {
        self.embedded.load(Ordering::SeqCst)
    }

    /// Calls that embedded them.
    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        while !state.0 {
            state = self.changed.wait(state).unwrap();
        }
        state.1 -= 1;
    }
}

/// A hashed bag of words: deterministic, and texts that share words are near.
pub(crate) struct BagOfWords {
    info: ModelInfo,
    gate: Arc<Gate>,
}

impl BagOfWords {
    pub(crate) fn new(name: &str, gate: Arc<Gate>) -> BagOfWords {
        let info = ModelInfo {
            name: name.to_owned(),
            sha256: Some("ab".repeat(32)),
            dimension: DIMENSION,
            max_tokens: MAX_TOKENS,
            pooling: Pooling::Mean,
            normalize: true,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            arithmetic: Arithmetic::Float,
        };
        BagOfWords { info, gate }
    }
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// FNV-1a, whose values do not change with the toolchain.
fn hash(word: &str) -> usize {
    word.to_lowercase()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
        as usize
}

impl Embedder for BagOfWords {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> ragstone_rag::Result<Embeddings> {
        self.gate.calls.fetch_add(1, Ordering::SeqCst);
        if texts.iter().any(|text| words(text).next() == Some(SLOW)) {
            std::thread::sleep(Duration::from_millis(50));
        }
        let mut embeddings = Embeddings::default();
        for (index, text) in texts.iter().enumerate() {
            assert!(*text != PANIC, "the text asks for it");
            if text.split_whitespace().next() == Some(WAIT) {
                self.gate.pass();
            }
            self.gate.embedded.fetch_add(1, Ordering::SeqCst);
            let tokens = words(text).count() + self.overhead_tokens(role);
            if tokens > MAX_TOKENS && overflow == Overflow::Error {
                return Err(ragstone_rag::Error::TokenLimit {
                    field: format!("texts[{index}]"),
                    model: self.info.name.clone(),
                    tokens,
                    max: MAX_TOKENS,
                });
            }
            let mut vector = vec![0.0f32; DIMENSION];
            vector[0] = 0.01;
            for word in words(text).take(MAX_TOKENS - self.overhead_tokens(role)) {
                vector[1 + hash(word) % (DIMENSION - 1)] += 1.0;
            }
            let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
            vector.iter_mut().for_each(|x| *x /= length);
            embeddings.vectors.push(vector);
            embeddings.token_counts.push(tokens.min(MAX_TOKENS));
            embeddings.truncated.push(tokens > MAX_TOKENS);
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        words(text).count()
    }

    fn overhead_tokens(&self, _role: Role) -> usize {
        2
    }
}

/// A running server. Dropping it stops it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) http_address: SocketAddr,
    pub(crate) gate: Arc<Gate>,
    pub(crate) models: Models,
    pub(crate) directory: Option<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<Result<(), ServeError>>>,
}

/// Models that a server knows from the first moment on, beside its own.
#[derive(Default)]
struct Known {
    further: Vec<BagOfWords>,
    generate_models: GenerateModels,
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig {
        default_model: MODEL.to_owned(),
        shutdown_grace: Duration::from_secs(20),
        ..ServerConfig::default()
    }
}

impl Server {
    pub(crate) async fn start() -> Server {
        Server::start_with(config()).await
    }

    pub(crate) async fn start_with(config: ServerConfig) -> Server {
        Server::start_over(tempfile::tempdir().unwrap(), config).await
    }

    /// Over a directory that an earlier server may have left.
    pub(crate) async fn start_over(directory: TempDir, config: ServerConfig) -> Server {
        Server::start_at(SocketAddr::from(([127, 0, 0, 1], 0)), directory, config).await
    }

    /// The same, with further models from the first moment on.
    pub(crate) async fn start_knowing(
        further: Vec<BagOfWords>,
        directory: TempDir,
        config: ServerConfig,
    ) -> Server {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let known = Known { further, ..Known::default() };
        Server::start_so(address, known, directory, config).await
    }

    /// With these language models to ask, NAME=URL.
    pub(crate) async fn start_generating(config: ServerConfig, models: &[&str]) -> Server {
        Server::start_generating_over(tempfile::tempdir().unwrap(), config, models).await
    }

    /// The same, over a directory.
    pub(crate) async fn start_generating_over(
        directory: TempDir,
        config: ServerConfig,
        models: &[&str],
    ) -> Server {
        let models = models.iter().map(|model| GenerateModel::parse(model).unwrap());
        let known = Known { generate_models: GenerateModels::new(models).unwrap(), ..Known::default() };
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        Server::start_so(address, known, directory, config).await
    }

    /// At an address of an earlier server.
    pub(crate) async fn start_at(address: SocketAddr, directory: TempDir, config: ServerConfig) -> Server {
        Server::start_so(address, Known::default(), directory, config).await
    }

    async fn start_so(address: SocketAddr, known: Known, directory: TempDir, config: ServerConfig) -> Server {
        let cache_dir = directory.path().join("models");
        let models = Models::new(ModelOptions { cache_dir, offline: true, ..ModelOptions::default() });
        let gate = Arc::new(Gate::default());
        models.insert(Arc::new(BagOfWords::new(MODEL, Arc::clone(&gate))));
        known.further.into_iter().for_each(|model| models.insert(Arc::new(model)));
        let path = directory.path().join("data");
        let db = tokio::task::spawn_blocking(move || Db::open(path).unwrap()).await.unwrap();
        let listener = bind(&address.to_string()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let http = bind("127.0.0.1:0").await.unwrap();
        let http_address = http.local_addr().unwrap();
        let rag = Rag::new(db, models.clone()).with_generate_models(known.generate_models);
        let listeners = Listeners { grpc: listener, http: Some(http) };
        let serving = tokio::spawn(serve(config, rag, listeners, async move {
            let _ = stopped.await;
        }));
        let (stop, serving) = (Some(stop), Some(serving));
        Server { address, http_address, gate, models, directory: Some(directory), stop, serving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn http_url(&self) -> String {
        format!("http://{}", self.http_address)
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.url()).await.unwrap()
    }

    /// A connection for generated clients.
    pub(crate) async fn channel(&self) -> Channel {
        Channel::from_shared(self.url()).unwrap().connect().await.unwrap()
    }

    /// Asks it to stop without waiting for it.
    pub(crate) fn ask_to_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }

    /// Stops it, and returns its directory.
    pub(crate) async fn stop(mut self) -> TempDir {
        self.ask_to_stop();
        self.gate.open();
        self.serving.take().unwrap().await.unwrap().unwrap();
        self.directory.take().unwrap()
    }

    /// Waits for it to end.
    pub(crate) async fn ended(&mut self) -> Result<(), ServeError> {
        self.serving.take().unwrap().await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Work that waits would keep the runtime from ending.
        self.gate.open();
        self.ask_to_stop();
    }
}

/// The reason of a status, after a check of its domain.
pub(crate) fn reason(status: &Status) -> String {
    let info = details(status).error_info().expect("every error has an ErrorInfo").clone();
    assert_eq!(info.domain, "ragstone");
    info.reason
}

/// The field that a status names.
pub(crate) fn field(status: &Status) -> String {
    let details = details(status);
    let bad_request = details.bad_request().expect("a BadRequest");
    bad_request.field_violations[0].field.clone()
}

pub(crate) fn details(status: &Status) -> ErrorDetails {
    status.get_error_details()
}

/// Waits for a condition, at most 20 s.
pub(crate) async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what} did not happen within 20 s");
}

/// The services of the API, with their package.
pub(crate) fn services() -> Vec<String> {
    let files = prost_types::FileDescriptorSet::decode(ragstone_proto::v1::FILE_DESCRIPTOR_SET).unwrap().file;
    let services = files
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())));
    let services: Vec<String> = services.collect();
    assert!(services.len() >= 6, "{services:?}");
    services
}
