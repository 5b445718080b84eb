//! What the server counts and times, and the text that Prometheus scrapes.
//!
//! Names follow the [conventions of Prometheus](https://prometheus.io/docs/practices/naming/): one prefix, base units, the unit last, `_total`
//! for what only grows. Labels have values from closed sets (the API's methods, the port's routes, the operator's models),
//! so that no caller can make the server keep a series for each request, and are no longer than 128 bytes; collections are counted together, as there may be
//! thousands, but for the recall that is measured, of which [`RECALL_COLLECTIONS_MAX`](crate::limits::RECALL_COLLECTIONS_MAX) have their own.
//!
//! `server/monitoring/README.md` has the table of all metrics, which a test compares with what is there, a dashboard and alerts.
//!
//! - `database.rs`, `engine.rs`: what is read off the database, operations, certificates, the gates and the process when somebody asks;
//! - `grpc.rs`, `generating.rs`: what requests and answers add to.

mod database;
mod engine;
mod generating;
mod grpc;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::encoding::{EncodeLabelSet, prometheus_text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use ragstone_proto::v1::ErrorReason;
use ragstone_rag::Rag;

use self::database::Database;
pub(crate) use self::generating::Generating;
pub(crate) use self::grpc::{GrpcMetrics, Rpc, Series};
use crate::late::Late;
use crate::operations::Operations;
use crate::recall::Recall;
use crate::telemetry::{Activity, Call};
use crate::tls::Tls;
use crate::work::Work;

/// What a scrape is answered with.
pub(crate) const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Upper ends of a histogram's buckets, in seconds: from a search, which takes tens of microseconds, to an answer of half an hour.
pub(crate) const SECONDS: [f64; 21] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0, 60.0, 300.0, 1_800.0,
];

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

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Found {
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Stage {
    activity: &'static str,
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct Reason {
    reason: String,
}

/// Everything that is counted; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    registry: Registry,
    families: Families,
    opened: Late<Opened>,
    tls: Late<Tls>,
    recall: Recall,
}

/// What metrics tell of once the database is open.
#[derive(Clone)]
struct Opened {
    rag: Rag,
    operations: Operations,
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
    stage_seconds: Histograms<Stage>,
    /// The one of these that short queries are timed by, which make no labels and take no lock for them.
    query_search_seconds: OnceLock<Histogram>,
    errors: Family<Reason, Counter>,
    generations: Family<ModelOutcome, Counter>,
    generation_tokens: Family<ModelTokens, Counter>,
    first_token_seconds: Histograms<Model>,
    generation_seconds: Histograms<Model>,
    answer_lookups: Family<Found, Counter>,
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
            stage_seconds: Family::new_with_constructor(InSeconds),
            query_search_seconds: OnceLock::new(),
            errors: Family::default(),
            generations: Family::default(),
            generation_tokens: Family::default(),
            first_token_seconds: Family::new_with_constructor(InSeconds),
            generation_seconds: Family::new_with_constructor(InSeconds),
            answer_lookups: Family::default(),
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
        registry.register_with_unit(
            "stage_duration",
            "Stages of requests, as their answers have them in `timings`",
            Unit::Seconds,
            self.stage_seconds.clone(),
        );
        registry.register("errors", "Requests that failed, by the reason for programs", self.errors.clone());
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
        registry.register(
            "answer_cache_lookups",
            "Questions that were looked for among answers that are kept",
            self.answer_lookups.clone(),
        );
    }
}

impl Metrics {
    /// Without a database, of which nothing is told until it has [come](Self::open).
    pub(crate) fn new(work: Work, recall: Recall) -> Metrics {
        let (families, opened, tls) = (Families::default(), Late::default(), Late::default());
        let mut registry = Registry::with_prefix("ragstone");
        registry.register(
            "build",
            "The version that runs",
            Info::new([("version", env!("CARGO_PKG_VERSION"))]),
        );
        let began: Gauge = Gauge::default();
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        began.set(i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX));
        registry.register_with_unit(
            "start_timestamp",
            "When the server began, since 1970",
            Unit::Seconds,
            began,
        );
        families.register(&mut registry);
        // What an alert asks the rate of is there from the first scrape: a counter that comes into being at 1 has none until it is 2.
        for reason in ["STORE_IO", "STORE_CORRUPT"] {
            families.errors.get_or_create(&Reason { reason: reason.to_owned() }).inc_by(0);
        }
        let read = Database::new((opened.clone(), tls.clone()), work, recall.clone());
        registry.register_collector(Box::new(read));
        Metrics { shared: Arc::new(Shared { registry, families, opened, tls, recall }) }
    }

    /// The database is open, and it is known what it remembers of operations.
    pub(crate) fn open(&self, rag: Rag, operations: Operations) {
        self.shared.opened.come(Opened { rag, operations });
    }

    /// The ports have TLS, of whose certificates is told from now on.
    pub(crate) fn shown(&self, tls: Tls) {
        self.shared.tls.come(tls);
    }

    /// What measures queries.
    pub(crate) fn recall(&self) -> &Recall {
        &self.shared.recall
    }

    /// The text of now. Blocks: it looks through the collections and the data directory.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string fails only where a metric's own encoding does, which none here can.
        if prometheus_text::encode(&mut text, &self.shared.registry).is_err() {
            tracing::error!("a metric could not be encoded");
        }
        text
    }

    /// A request to the HTTP port begins, and its span has.
    pub(crate) fn http(&self, route: &'static str, call: Call) -> HttpRequest {
        self.shared.families.http_in_flight.inc();
        HttpRequest { metrics: self.clone(), route, status: STATUS_LEFT, started: Instant::now(), call }
    }

    /// A stage of a request is over.
    pub(crate) fn stage(&self, activity: Activity, stage: &'static str, took: Duration) {
        let families = &self.shared.families;
        let find = || families.stage_seconds.get_or_create_owned(&Stage { activity: activity.name(), stage });
        let seconds = took.as_secs_f64();
        match (activity, stage) {
            (Activity::Query, "search") => families.query_search_seconds.get_or_init(find).observe(seconds),
            _ => find().observe(seconds),
        }
    }

    /// A request failed for a reason, as `google.rpc.ErrorInfo` has it. One that is none of the API's is counted as `OTHER`.
    pub(crate) fn failed(&self, reason: &str) {
        let is_known = ErrorReason::from_str_name(&format!("ERROR_REASON_{reason}")).is_some();
        let reason = if is_known { reason } else { "OTHER" }.to_owned();
        self.shared.families.errors.get_or_create(&Reason { reason }).inc();
    }
}

/// What a request is counted under whose caller left before the answer's end; nginx has the number.
pub(crate) const STATUS_LEFT: u16 = 499;

/// A request to the HTTP port; it ends with the value.
pub(crate) struct HttpRequest {
    metrics: Metrics,
    route: &'static str,
    status: u16,
    started: Instant,
    call: Call,
}

impl HttpRequest {
    /// The whole answer has gone, with this status.
    pub(crate) fn answered(&mut self, status: u16) {
        self.status = status;
    }

    /// It failed for a reason of the API.
    pub(crate) fn failed(&self, reason: &str) {
        self.metrics.failed(reason);
    }
}

impl Drop for HttpRequest {
    fn drop(&mut self) {
        let families = &self.metrics.shared.families;
        families.http_in_flight.dec();
        self.call.answered_http(self.status);
        families.http_requests.get_or_create(&RouteStatus { route: self.route, status: self.status }).inc();
        families
            .http_seconds
            .get_or_create(&Route { route: self.route })
            .observe(self.started.elapsed().as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first bucket ended at a millisecond once: searches of twenty microseconds and of nine hundred lay in it together, and the median of
    /// whatever was quick was drawn at half a millisecond.
    #[test]
    fn short_searches_are_told_apart() {
        assert!(SECONDS.is_sorted(), "{SECONDS:?}");
        let bucket = |seconds: f64| SECONDS.partition_point(|end| *end < seconds);
        let buckets = [20e-6, 80e-6, 200e-6, 400e-6, 900e-6, 0.004, 1_799.0].map(bucket);
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{buckets:?}");
        assert!(buckets.iter().all(|bucket| *bucket < SECONDS.len()), "{buckets:?}");
    }
}
