//! A collector of traces: a real OTLP receiver on the loopback interface, which keeps what it is told.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::task::JoinHandle;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::fixture::eventually;

/// Receives traces until it is dropped.
pub(crate) struct Collector {
    address: SocketAddr,
    told: Told,
    receiving: JoinHandle<()>,
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Told {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Collector {
    pub(crate) async fn start() -> Collector {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, told) = (listener.local_addr().unwrap(), Told::default());
        let service = TraceServiceServer::new(told.clone());
        let receiving = tokio::spawn(async move {
            let server = tonic::transport::Server::builder().add_service(service);
            server.serve_with_incoming(TcpIncoming::from(listener)).await.unwrap();
        });
        Collector { address, told, receiving }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that was told, as it came.
    pub(crate) fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.told.0.lock().unwrap().clone()
    }

    /// All spans so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|resource| resource.scope_spans).flat_map(|scope| scope.spans).collect()
    }

    /// The spans of the only trace with a root of this name, once that is there.
    pub(crate) async fn trace(&self, root: &str) -> Trace {
        let named = || self.spans().into_iter().filter(|span| span.name == root).collect::<Vec<_>>();
        eventually(&format!("{root} is told"), || !named().is_empty()).await;
        let roots = named();
        assert_eq!(roots.len(), 1, "{root}: {roots:?}");
        let root = roots.into_iter().next().unwrap();
        let of_trace = |span: &Span| span.trace_id == root.trace_id;
        let spans = self.spans().into_iter().filter(of_trace).collect();
        Trace { root, spans }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

/// A call, and all of its spans.
pub(crate) struct Trace {
    pub(crate) root: Span,
    spans: Vec<Span>,
}

impl Trace {
    /// The parent's and the span's name of each that is not the root, in the order of their beginning; what waited is left out, as it
    /// depends on how a handler is made how often it does.
    pub(crate) fn tree(&self) -> Vec<(String, String)> {
        let names: HashMap<&[u8], &str> =
            self.spans.iter().map(|span| (&span.span_id[..], span.name.as_str())).collect();
        let mut spans: Vec<&Span> = self.spans.iter().filter(|span| **span != self.root).collect();
        // A parent begins with its first part.
        spans.sort_by_key(|span| {
            (span.start_time_unix_nano, std::cmp::Reverse(span.end_time_unix_nano), span.name != "retrieval")
        });
        let named = |span: &Span| {
            let parent = names.get(&span.parent_span_id[..]).copied().unwrap_or("none");
            (parent.to_owned(), span.name.clone())
        };
        spans.into_iter().filter(|span| span.name != "queue").map(named).collect()
    }

    pub(crate) fn all(&self, name: &str) -> Vec<&Span> {
        self.spans.iter().filter(|span| span.name == name).collect()
    }

    /// The only span of this name.
    pub(crate) fn span(&self, name: &str) -> &Span {
        let spans = self.all(name);
        assert_eq!(spans.len(), 1, "{name}: {spans:?}");
        spans[0]
    }
}

/// An attribute of a span as text: `a`, `7`, `["stop"]`.
pub(crate) fn attribute(span: &Span, name: &str) -> Option<String> {
    let found: Vec<&KeyValue> = span.attributes.iter().filter(|attribute| attribute.key == name).collect();
    assert!(found.len() <= 1, "{found:?}");
    found.first().map(|found| shown(found.value.as_ref()))
}

fn shown(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is_so)) => is_so.to_string(),
        Some(Value::ArrayValue(array)) => {
            format!("{:?}", array.values.iter().map(|value| shown(Some(value))).collect::<Vec<_>>())
        }
        other => format!("{other:?}"),
    }
}
