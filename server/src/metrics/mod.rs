//! What the server counts and times, and the text that Prometheus scrapes.
//!
//! Names follow the [conventions of Prometheus](https://prometheus.io/docs/practices/naming/): one prefix, base units, the unit last, `_total`
//! for what only grows. Labels have values from closed sets (the API's methods, the port's routes, the operator's models),
//! so that no caller can make the server keep a series for each request, and are no longer than 128 bytes; collections are counted together, as there may be
//! thousands.
//!
//! | metric | type | labels | what it is |
//! |---|---|---|---|
//! | `ragstone_build_info` | gauge | `version` | 1 |
//! | `ragstone_grpc_requests_total` | counter | `service`, `method`, `code` | requests whose answer has ended; CANCELLED: the caller left |
//! | `ragstone_grpc_request_duration_seconds` | histogram | `service`, `method` | from a request's headers to the end of its answer |
//! | `ragstone_grpc_requests_in_flight` | gauge | | requests whose answer has not ended |
//! | `ragstone_http_requests_total` | counter | `route`, `status` | the same of the HTTP port; 499: the caller left |
//! | `ragstone_http_request_duration_seconds` | histogram | `route` | |
//! | `ragstone_http_requests_in_flight` | gauge | | |
//! | `ragstone_requests_refused_total` | counter | `kind` | refused, as every place for reads, writes, fetches of models or answers was taken |
//! | `ragstone_places_taken` | gauge | `kind` | requests of both ports that arrive, wait or are being worked on, calls that stream included |
//! | `ragstone_places_max` | gauge | `kind` | how many there may be |
//! | `ragstone_collections` | gauge | | collections |
//! | `ragstone_collections_damaged` | gauge | | collections that could not be opened |
//! | `ragstone_points` | gauge | | live rows of all collections |
//! | `ragstone_points_unsealed` | gauge | | those that are only in memory and in the log |
//! | `ragstone_segments` | gauge | | segments of all collections |
//! | `ragstone_data_bytes` | gauge | | bytes of the data directory's files |
//! | `ragstone_models_loaded` | gauge | | models in memory |
//! | `ragstone_embedding_tokens_total` | counter | `model` | tokens that embedding models have read, for requests and for ingestion |
//! | `ragstone_generations_total` | counter | `model`, `outcome` | answers: `done`, `failed`, `stopped` (the caller left) |
//! | `ragstone_generation_tokens_total` | counter | `model`, `kind` | `prompt` and `completion` tokens, where the model's service tells |
//! | `ragstone_generation_first_token_seconds` | histogram | `model` | from the evidence to the first piece of the answer |
//! | `ragstone_generation_duration_seconds` | histogram | `model` | from the evidence to the end |

mod database;
mod generating;
mod grpc;

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use ragstone_rag::Rag;

use self::database::Database;
pub(crate) use self::generating::Generating;
pub(crate) use self::grpc::GrpcMetricsLayer;
use crate::late::Late;
use crate::work::Work;

/// What a scrape is answered with.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Upper ends of a histogram's buckets, in seconds: from a search to an answer of half an hour.
const SECONDS: [f64; 17] =
    [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0];

/// Makes a histogram over [`SECONDS`].
#[derive(Clone, Copy, Debug)]
struct InSeconds;

impl MetricConstructor<Histogram> for InSeconds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

type Histograms<L> = Family<L, Histogram, InSeconds>;

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Method {
    service: String,
    method: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct MethodCode {
    service: String,
    method: String,
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteStatus {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Model {
    model: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelOutcome {
    model: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ModelTokens {
    model: String,
    kind: &'static str,
}

/// Everything that is counted; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Arc<Registry>,
    families: Arc<Families>,
    database: Late<Rag>,
}

/// What requests add to; what is read off the server's state when it is asked for is [`Database`]'s.
#[derive(Debug)]
struct Families {
    grpc_requests: Family<MethodCode, Counter>,
    grpc_seconds: Histograms<Method>,
    grpc_in_flight: Gauge,
    http_requests: Family<RouteStatus, Counter>,
    http_seconds: Histograms<Route>,
    http_in_flight: Gauge,
    generations: Family<ModelOutcome, Counter>,
    generation_tokens: Family<ModelTokens, Counter>,
    first_token_seconds: Histograms<Model>,
    generation_seconds: Histograms<Model>,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            grpc_requests: Family::default(),
            grpc_seconds: Family::new_with_constructor(InSeconds),
            grpc_in_flight: Gauge::default(),
            http_requests: Family::default(),
            http_seconds: Family::new_with_constructor(InSeconds),
            http_in_flight: Gauge::default(),
            generations: Family::default(),
            generation_tokens: Family::default(),
            first_token_seconds: Family::new_with_constructor(InSeconds),
            generation_seconds: Family::new_with_constructor(InSeconds),
        }
    }
}

impl Families {
    fn register(&self, registry: &mut Registry) {
        registry.register(
            "grpc_requests",
            "gRPC requests whose answer has ended",
            self.grpc_requests.clone(),
        );
        registry.register_with_unit(
            "grpc_request_duration",
            "From a gRPC request's headers to the end of its answer",
            Unit::Seconds,
            self.grpc_seconds.clone(),
        );
        registry.register(
            "grpc_requests_in_flight",
            "gRPC requests whose answer has not ended",
            self.grpc_in_flight.clone(),
        );
        registry.register(
            "http_requests",
            "Requests to the HTTP port whose answer has ended",
            self.http_requests.clone(),
        );
        registry.register_with_unit(
            "http_request_duration",
            "From a request to the HTTP port to the end of its answer",
            Unit::Seconds,
            self.http_seconds.clone(),
        );
        registry.register(
            "http_requests_in_flight",
            "Requests to the HTTP port whose answer has not ended",
            self.http_in_flight.clone(),
        );
        registry.register(
            "generations",
            "Answers of language models that have ended",
            self.generations.clone(),
        );
        registry.register(
            "generation_tokens",
            "Tokens of answers, as the models' services count them",
            self.generation_tokens.clone(),
        );
        registry.register_with_unit(
            "generation_first_token",
            "From the evidence to the first piece of an answer",
            Unit::Seconds,
            self.first_token_seconds.clone(),
        );
        registry.register_with_unit(
            "generation_duration",
            "From the evidence to the end of an answer",
            Unit::Seconds,
            self.generation_seconds.clone(),
        );
    }
}

impl Metrics {
    /// Without a database, of which nothing is told until it has [come](Self::open).
    pub(crate) fn new(work: Work) -> Metrics {
        let (families, database) = (Families::default(), Late::default());
        let mut registry = Registry::with_prefix("ragstone");
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        families.register(&mut registry);
        registry.register_collector(Box::new(Database::new(database.clone(), work)));
        Metrics { registry: Arc::new(registry), families: Arc::new(families), database }
    }

    /// The database is open.
    pub(crate) fn open(&self, rag: Rag) {
        self.database.come(rag);
    }

    /// The text of now. Blocks: it looks through the collections and the data directory.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only where a metric's own encoding does, which none here can.
        if prometheus_text::encode(&mut text, &self.registry).is_err() {
            tracing::error!("a metric could not be encoded");
        }
        text
    }

    /// A request to the HTTP port begins.
    pub(crate) fn http(&self, route: &'static str) -> HttpRequest {
        self.families.http_in_flight.inc();
        HttpRequest { metrics: self.clone(), route, status: STATUS_LEFT, started: std::time::Instant::now() }
    }
}

/// What a request is counted under whose caller left before the answer's end; nginx has the number.
const STATUS_LEFT: u16 = 499;

/// A request to the HTTP port; it ends with the value.
pub(crate) struct HttpRequest {
    metrics: Metrics,
    route: &'static str,
    status: u16,
    started: std::time::Instant,
}

impl HttpRequest {
    /// The whole answer has gone, with this status.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let families = &self.metrics.families;
        families.http_in_flight.dec();
        families.http_requests.get_or_create(&RouteStatus { route: self.route, status: self.status }).inc();
        families
            .http_seconds
            .get_or_create(&Route { route: self.route })
            .observe(self.started.elapsed().as_secs_f64());
    }
}
