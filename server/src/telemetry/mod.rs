//! Traces, told to a collector over OTLP (gRPC).
//!
//! ```text
//! ragstone.v1.RagService/Generate       a call, SERVER; or `POST /v1/chat/completions`
//! ├─ queue                              it waited for its turn among the reads
//! ├─ retrieval
//! │  ├─ embeddings MODEL                the stages, as answers have them in `timings`
//! │  ├─ search
//! │  ├─ rerank
//! │  └─ select
//! ├─ assemble
//! └─ chat MODEL                         CLIENT: the language model's answer
//! ```
//! An answer that was kept from an earlier question has none of these stages but `queue`, and `answer_cache` in their place.
//!
//! **Problem.** Stages are timed where they happen, in a library that knows of no server, and what one thread does is little: a span that is begun
//! and ended around each would time everything twice and tie the library to a tracing system.
//! **Idea.** A call has a [`Call`], which handlers find in their task. A stage becomes a span when it is over: the library says how long each
//! took, one after the other, and they end now. The same figures go to the histograms of the [metrics](crate::metrics), by
//! [`Stages`]. A call that is not sampled has none of this.
//!
//! Invariants:
//! * Nothing is told unless the operator names a collector ([`TelemetryConfig::otlp_endpoint`]).
//! * No text, question, prompt, payload, filter or id of a point is in a span: names, numbers and durations are.
//! * A collector that is slow or gone costs spans, never calls: they wait in a queue of fixed length (`OTEL_BSP_*`), and are dropped beyond it. The log says
//!   so once, and once again when it is back.
//! * A caller's `traceparent` (W3C) is the parent of the call, and its decision whether to sample is followed.
//! * Nothing is kept for the process: two servers in one tell two collectors.

mod call;
mod exporter;
mod names;
mod stages;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, TraceContextExt as _, TracerProvider as _};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::tonic_types::transport::ClientTlsConfig;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

pub(crate) use self::call::{Answered, Call, Finished};
use self::exporter::ToldOnce;
pub(crate) use self::stages::{About, Activity, Figures, Stages};
use crate::listen::ServeError;

/// How long the end of a server waits for its last spans to be told.
const LAST_EXPORT_WAIT: Duration = Duration::from_secs(2);

/// What a method or route is called that the server does not have: callers may name any.
const OTHER: &str = "_OTHER";

/// Bytes of a path that a span has; what is behind them is cut off, as callers may write any.
const PATH_BYTES_MAX: usize = 256;

/// What a server tells of itself, beside its metrics and logs. All of it is off by default.
#[derive(Clone, Debug, PartialEq)]
pub struct TelemetryConfig {
    /// The OTLP collector (gRPC) that traces go to, `http://127.0.0.1:4317` for instance, or `https://…`, whose certificate one of the public
    /// authorities vouches for. `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_RESOURCE_ATTRIBUTES` of the environment are heeded.
    pub otlp_endpoint: Option<String>,
    /// The share of calls that is traced, 0 to 1, of those whose caller has not decided it with a `traceparent`.
    pub trace_sample: f64,
    /// The share of dense queries that is answered a second time, exactly, to measure the recall of the first answer; 0 to 1.
    pub recall_sample: f64,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { otlp_endpoint: None, trace_sample: 1.0, recall_sample: 0.0 }
    }
}

impl TelemetryConfig {
    /// The first part that is not acceptable, and why.
    pub(crate) fn problem(&self) -> Option<(&'static str, &'static str)> {
        let has_host = |url: &String| url.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some());
        let is_url =
            |url: &String| (url.starts_with("http://") || url.starts_with("https://")) && has_host(url);
        if self.otlp_endpoint.as_ref().is_some_and(|endpoint| !is_url(endpoint)) {
            return Some(("otlp_endpoint", "is no URL that begins with http:// or https://"));
        }
        let shares = [("trace_sample", self.trace_sample), ("recall_sample", self.recall_sample)];
        let wrong = shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share));
        wrong.map(|(name, _)| (name, "is not between 0 and 1"))
    }
}

/// Where spans go, if anywhere; cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Traces(Option<Arc<Exporting>>);

struct Exporting {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Traces").field("is_on", &self.0.is_some()).finish_non_exhaustive()
    }
}

impl Traces {
    /// Begins to tell the collector, which need not be there yet. To be called on a runtime, which its connection lives on.
    ///
    /// # Errors
    /// [`ServeError::Telemetry`]: the address, or a variable of the environment, is not understood.
    pub(crate) fn start(config: &TelemetryConfig) -> Result<Traces, ServeError> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(Traces::default()) };
        let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint.as_str());
        if endpoint.starts_with("https://") {
            exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
        }
        let exporter = exporter.build().map_err(|error| ServeError::Telemetry(error.to_string()))?;
        let root = Sampler::TraceIdRatioBased(config.trace_sample);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(ToldOnce::new(exporter))
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_resource(resource())
            .build();
        let scope = InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
            .with_version(env!("CARGO_PKG_VERSION"))
            .with_schema_url(names::SCHEMA_URL)
            .build();
        let tracer = provider.tracer_with_scope(scope);
        Ok(Traces(Some(Arc::new(Exporting { provider, tracer }))))
    }

    /// A call of gRPC begins; without the path of a method that there is, of another one.
    pub(crate) fn rpc(&self, headers: &http::HeaderMap, method: Option<&str>) -> Call {
        if self.0.is_none() {
            return Call::default();
        }
        let method = method.unwrap_or(OTHER).to_owned();
        let attributes =
            vec![KeyValue::new(names::RPC_SYSTEM, "grpc"), KeyValue::new(names::RPC_METHOD, method.clone())];
        self.begin(headers, method, attributes)
    }

    /// A request to the HTTP port begins. Of its URL the path is told, which names a route or a model, and never the query behind it.
    pub(crate) fn http<B>(
        &self,
        request: &http::Request<B>,
        (route, scheme): (&'static str, &'static str),
    ) -> Call {
        if self.0.is_none() {
            return Call::default();
        }
        let known = [http::Method::GET, http::Method::HEAD, http::Method::POST];
        let method = known.iter().find(|known| *known == request.method());
        let method = method.map_or(OTHER, http::Method::as_str);
        let path = request.uri().path();
        let path = &path[..path.floor_char_boundary(PATH_BYTES_MAX)];
        let attributes = vec![
            KeyValue::new(names::HTTP_METHOD, method.to_owned()),
            KeyValue::new(names::HTTP_ROUTE, route),
            KeyValue::new(names::URL_PATH, path.to_owned()),
            KeyValue::new(names::URL_SCHEME, scheme),
        ];
        self.begin(request.headers(), format!("{method} {route}"), attributes)
    }

    fn begin(&self, headers: &http::HeaderMap, name: String, attributes: Vec<KeyValue>) -> Call {
        let Some(exporting) = &self.0 else { return Call::default() };
        let caller = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(headers));
        let span = SpanBuilder::from_name(name)
            .with_kind(SpanKind::Server)
            .with_attributes(attributes)
            .start_with_context(&exporting.tracer, &caller);
        // One that is not sampled is nobody's parent here.
        if !span.is_recording() {
            return Call::default();
        }
        Call::of(exporting, caller.with_span(span))
    }

    /// Tells what is left to tell, and ends. What does not reach the collector shortly is lost.
    pub(crate) async fn end(&self) {
        let Some(exporting) = &self.0 else { return };
        let provider = exporting.provider.clone();
        // It waits for a thread that in turn needs this runtime.
        let ended =
            tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(LAST_EXPORT_WAIT)).await;
        if let Ok(Err(error)) = ended {
            tracing::warn!(%error, "the last spans did not reach the collector");
        }
    }
}

/// What all spans have in common. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` say more, or otherwise.
fn resource() -> Resource {
    let ours = [
        KeyValue::new("service.name", "ragstone"),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    let given = Resource::builder().build();
    let name = given.get_ref(&opentelemetry::Key::from_static_str("service.name")).map(ToString::to_string);
    // Without a name of the operator's, the SDK makes one up.
    let is_named = name.is_some_and(|name| !name.starts_with("unknown_service"));
    let ours = ours.into_iter().filter(|ours| !(is_named && ours.key.as_str() == "service.name"));
    Resource::builder().with_attributes(ours).build()
}

/// Headers as a propagator reads them.
struct Headers<'a>(&'a http::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(http::HeaderName::as_str).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_acceptable_is_named() {
        assert_eq!(TelemetryConfig::default().problem(), None);
        let named = |config: TelemetryConfig| config.problem().map(|(name, _)| name);
        let endpoint = |url: &str| TelemetryConfig { otlp_endpoint: Some(url.into()), ..Default::default() };
        // The last two were found out by the server that did not start with them.
        for wrong in ["localhost:4317", "http://", "http://the collector:4317"] {
            assert_eq!(named(endpoint(wrong)), Some("otlp_endpoint"), "{wrong}");
        }
        assert_eq!(named(endpoint("http://localhost:4317")), None);
        for share in [-0.1, 1.1, f64::NAN] {
            let config = TelemetryConfig { trace_sample: share, ..Default::default() };
            assert_eq!(named(config), Some("trace_sample"));
            let config = TelemetryConfig { recall_sample: share, ..Default::default() };
            assert_eq!(named(config), Some("recall_sample"));
        }
    }

    #[tokio::test]
    async fn nothing_is_recorded_without_a_collector() {
        let traces = Traces::start(&TelemetryConfig::default()).unwrap();
        let call = traces.rpc(&http::HeaderMap::new(), Some("ragstone.v1.RagService/Retrieve"));
        assert!(!call.is_recorded() && call.trace_id().is_none());
        traces.end().await;
    }
}
