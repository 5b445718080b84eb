//! The services of `ragstone.v1`, a file each; a handler is parse -> apply -> respond.

mod admin;
mod answer;
mod api;
mod collections;
mod documents;
mod exchange;
mod inference;
mod ingest;
mod keys;
mod operations;
mod paths;
mod points;
mod query;
mod rag;
mod range;
mod reembed;
mod restore;
mod search;
mod templates;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use ragstone::{CancelOnDrop, CancelToken, Collection, WriteReceipt};
use ragstone_rag::Rag;
use ragstone_rag::answers::AnswerCache;
use tonic::{Code, Response, Status};

use self::answer::{Budget, Refused};
pub(crate) use self::api::Api;
use crate::access::Access;
use crate::config::ServerConfig;
use crate::limits::SHORT_READ_ROWS_MAX;
use crate::metrics::Metrics;
use crate::models::Loader;
use crate::operations::{Asked, Operation, Operations, Outcome, Report};
use crate::telemetry::{About, Activity, Stages};
use crate::work::{Place, Work};
use crate::{scratch, status, token};

/// Rows fetched at a time where many are asked for: what is fetched and does not fit the response is at most so much. As many as a short read has at
/// most: between slices others may have the processor, and a short read, which may be answered on a thread of the runtime, is to have one alone.
const READ_SLICE: usize = SHORT_READ_ROWS_MAX;

/// How much later than the server the library takes a call's deadline to be: it is the server that says that it has passed.
const DEADLINE_SLACK: Duration = Duration::from_secs(1);

/// What every handler works with; cheap to clone.
#[derive(Clone)]
pub(crate) struct Services {
    shared: Arc<Shared>,
}

struct Shared {
    rag: Rag,
    access: Access,
    work: Work,
    loader: Loader,
    operations: Operations,
    snapshot_stores: Vec<String>,
    exchange_dir: Option<PathBuf>,
    metrics: Metrics,
    response_bytes_max: usize,
    read_wait: Duration,
    answer_stall_timeout: Duration,
}

impl Services {
    /// Over an open database, which metrics tell of from now on. Blocks: what the database remembers of operations is read, and may be written.
    pub(crate) fn new(config: &ServerConfig, rag: Rag, work: Work, metrics: Metrics) -> Services {
        let rag = rag.with_answer_cache(AnswerCache::new(config.answer_cache));
        let rag = match metrics.recall().watch() {
            Some(watch) => rag.watched_by(watch),
            None => rag,
        };
        let loader = Loader::new(rag.models().clone(), config);
        let (operations, interrupted) = Operations::open(rag.db().clone());
        metrics.open(rag.clone(), operations.clone());
        scratch::clear(rag.db());
        let access = Access::new(&config.access, rag.db().clone());
        let shared = Shared {
            rag,
            access,
            work,
            loader,
            metrics,
            operations,
            snapshot_stores: config.snapshot_stores.clone(),
            exchange_dir: config.exchange_dir.clone(),
            response_bytes_max: config.response_bytes_max,
            answer_stall_timeout: config.answer_stall_timeout,
            read_wait: config.read_wait,
        };
        let services = Services { shared: Arc::new(shared) };
        interrupted.into_iter().for_each(|operation| services.resume(operation));
        services
    }

    /// The library, over what the caller of this task may see of the database.
    pub(crate) fn rag(&self) -> Rag {
        self.shared.access.seen(&self.shared.rag).into_owned()
    }

    /// The library over the whole database: for what the server does by itself, and for no call.
    pub(crate) fn whole_rag(&self) -> &Rag {
        &self.shared.rag
    }

    /// Who may do what.
    pub(crate) fn access(&self) -> &Access {
        &self.shared.access
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    pub(crate) fn operations(&self) -> &Operations {
        &self.shared.operations
    }

    /// Begins an operation; keeping it waits for the disk.
    async fn begin<F>(&self, asked: Asked, job: F) -> Result<Operation, Status>
    where
        F: FnOnce(&Report, &CancelToken) -> Result<Outcome, Status> + Send + 'static,
    {
        let operations = self.operations().clone();
        self.work().run(move || operations.begin(asked, job)).await?
    }

    /// The stores that snapshots may go to.
    fn snapshot_stores(&self) -> &[String] {
        &self.shared.snapshot_stores
    }

    /// The folder of exports and imports.
    fn exchange_dir(&self) -> Option<&Path> {
        self.shared.exchange_dir.as_deref()
    }

    /// One of the stores, as a request names it: none is the only one there is.
    fn snapshot_store(&self, named: String) -> Result<String, Status> {
        match self.snapshot_stores() {
            [only] if named.is_empty() => Ok(only.clone()),
            stores if stores.contains(&named) => Ok(named),
            _ => Err(status::store_not_allowed(&named)),
        }
    }

    pub(crate) fn loader(&self) -> &Loader {
        &self.shared.loader
    }

    pub(crate) fn work(&self) -> &Work {
        &self.shared.work
    }

    /// The services behind their paths.
    pub(crate) fn api(&self, config: &ServerConfig) -> Api {
        Api::new(self, config.request_bytes_max)
    }

    /// Applies a request on a thread that may block.
    pub(crate) async fn apply<T, F>(&self, operation: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce(&Rag) -> ragstone_rag::Result<T> + Send + 'static,
    {
        let (rag, _end_with_call) = self.wanted_rag();
        self.shared.work.run(move || operation(&rag)).await?.map_err(status::rag)
    }

    /// Returns when a collection shows what the write token stands for.
    async fn wait_for(&self, collection: &str, at_least: String) -> Result<(), Status> {
        let reading = self.reading(collection, &at_least).await?;
        let ((rag, _end_with_call), name) = (self.wanted_rag(), collection.to_owned());
        self.shared.work.run(move || reading.collection(&rag, &name).map(drop)).await?
    }

    /// Returns when the model of a collection, if it has one, is loaded; its name.
    pub(crate) async fn require_model_of(&self, collection: &str) -> Result<Option<String>, Status> {
        let name = collection.to_owned();
        let Some(model) = self.apply(move |rag| rag.collection_model(&name)).await? else { return Ok(None) };
        self.loader().require(&model.name).await?;
        Ok(Some(model.name))
    }

    /// Tells the stages of an activity of the call that this task answers.
    pub(crate) fn stages(&self, activity: Activity, about: About) -> Stages {
        Stages::of(&self.shared.metrics, activity, about)
    }

    /// The library, whose work ends with what comes second: with the future that holds it, when the caller leaves or the
    /// deadline passes. What would last beyond the deadline for certain is not begun.
    fn wanted_rag(&self) -> (Rag, CancelOnDrop) {
        let token = CancelToken::new();
        let end_with_call = token.cancel_on_drop();
        let rag = self.rag().cancelled_by(token);
        let late = Place::current_deadline().and_then(|deadline| deadline.checked_add(DEADLINE_SLACK));
        let rag = match late {
            Some(deadline) => rag.wanted_until(deadline),
            None => rag,
        };
        (rag, end_with_call)
    }

    /// Answers a request, all of it on a thread that may block: what is converted and measured can be large. The answer is
    /// refused when it is larger than a response may be; a closure whose answer has many items counts them as it goes
    /// ([`Services::budget`]).
    async fn answer<M, F>(&self, operation: F) -> Result<Response<M>, Status>
    where
        M: Message + Send + 'static,
        F: FnOnce(&Rag) -> Result<M, Refused> + Send + 'static,
    {
        self.answered(operation).await.map(Response::new)
    }

    /// The message of [`answer`](Self::answer).
    async fn answered<M, F>(&self, operation: F) -> Result<M, Status>
    where
        M: Message + Send + 'static,
        F: FnOnce(&Rag) -> Result<M, Refused> + Send + 'static,
    {
        let (rag, _end_with_call) = self.wanted_rag();
        self.held(move || operation(&rag)).await
    }

    /// Answers a read that asks for much, in its turn among those ([`Work::large_reads`]), in two steps: `begin` finds the collection and embeds texts,
    /// and `search` computes with what came of it. Where the first one may wait, for a write token's state or for a model, it is done before the turn
    /// is taken: nobody waits with it. Otherwise both are done at once. As [`answered`](Self::answered) otherwise.
    async fn answered_large<T, M, B, S>(&self, may_wait: bool, begin: B, search: S) -> Result<M, Status>
    where
        T: Send + 'static,
        M: Message + Send + 'static,
        B: FnOnce(&Rag) -> Result<T, Refused> + Send + 'static,
        S: FnOnce(T) -> Result<M, Refused> + Send + 'static,
    {
        // Of both steps: what the first one found is wanted until the second one is done.
        let (rag, _end_with_call) = self.wanted_rag();
        if may_wait {
            let begin = move || begin(&rag).map_err(|refused| refused.0);
            let begun = self.work().run(begin).await??;
            self.held_in_large_turn(move || search(begun)).await
        } else {
            self.held_in_large_turn(move || search(begin(&rag)?)).await
        }
    }

    async fn held_in_large_turn<M, F>(&self, job: F) -> Result<M, Status>
    where
        M: Message + Send + 'static,
        F: FnOnce() -> Result<M, Refused> + Send + 'static,
    {
        let turn = self.work().large_reads().take().await?;
        let job = move || {
            let _turn = turn;
            job()
        };
        self.held(job).await
    }

    /// The message that a job makes on a thread that may block, if it fits.
    async fn held<M, F>(&self, job: F) -> Result<M, Status>
    where
        M: Message + Send + 'static,
        F: FnOnce() -> Result<M, Refused> + Send + 'static,
    {
        let (whole, place) = (self.budget(), Place::current());
        let held = self.work().run(move || {
            let message = job().map_err(|refused| refused.0)?;
            whole.hold(message, place.as_ref())
        });
        held.await?
    }

    /// Answers a request where it is, if that is likely to be short and if there is a turn for it; none if not, or if the closure has none. As
    /// [`answered`](Self::answered) otherwise.
    fn answered_here<M: Message>(
        &self,
        operation: impl FnOnce(&Rag) -> Result<Option<M>, Refused>,
    ) -> Result<Option<M>, Status> {
        let Some(_turn) = self.shared.work.turn_here() else { return Ok(None) };
        // Nobody can leave before it returns.
        let message = operation(&self.shared.access.seen(&self.shared.rag)).map_err(|refused| refused.0)?;
        message.map(|message| self.budget().hold(message, Place::current().as_ref())).transpose()
    }

    /// How a read of this request finds the collection that it is about, once the log has come to what it asks for at least. Who asks for a collection
    /// that they do not see does not wait. To be called before any turn is taken.
    async fn reading(&self, collection: &str, at_least: &str) -> Result<Reading, Status> {
        let patience = self.shared.read_wait;
        if at_least.is_empty() {
            return Ok(Reading { reached: None, patience });
        }
        let rag = self.rag();
        let is_shown = rag.db().collection(collection).is_ok();
        let log_patience = if is_shown { patience } else { Duration::ZERO };
        // Few reads wait, and none of the others has room for it.
        match Box::pin(token::reached(rag.db(), at_least, log_patience)).await {
            // What the read tells is that there is no such collection.
            Err(status) if !is_shown && status.code() == Code::Unavailable => {
                Ok(Reading { reached: None, patience })
            }
            reached => Ok(Reading { reached: reached?, patience }),
        }
    }

    /// How long a caller may take nothing of an answer that streams.
    pub(crate) fn answer_stall_timeout(&self) -> Duration {
        self.shared.answer_stall_timeout
    }

    /// What a response may hold.
    fn budget(&self) -> Budget {
        Budget::new(self.shared.response_bytes_max)
    }
}

/// Finds collections for reads.
#[derive(Clone, Copy, Debug)]
struct Reading {
    /// Where the log has come to, if the read asks for that.
    reached: Option<u64>,
    patience: Duration,
}

impl Reading {
    /// The collection, which shows what the write token stands for.
    fn collection(self, rag: &Rag, name: &str) -> Result<Collection, Status> {
        token::collection(rag.db(), name, self.reached, self.patience)
    }
}

/// A collection that is written to tells where its writes are in the log.
fn token_of(rag: &Rag, receipt: &WriteReceipt) -> String {
    token::at(rag.db(), receipt.position)
}
