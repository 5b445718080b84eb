//! `POST /v1/chat/completions`: a question, enriched from a collection, and a model's answer with citations.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, StatusCode};
use ragstone_rag::generate::GenerateEvent;
use ragstone_rag::prompt::Citation;
use serde_json::Value;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Status;

use super::chat_body::{Chat, ChatBody, DEFAULT_COLLECTION};
use super::chat_chunks::Frame;
use crate::access::{Access, Call};
use crate::generation::Events;
use crate::http::answer::{ApiError, answer as answer_of};
use crate::http::port::Port;
use crate::http::sending::{counted_json, json_within};
use crate::layer::later;
use crate::metrics::Metrics;
use crate::status;
use crate::telemetry;
use crate::work::Kind;

/// How often a stream that has nothing to say says so: proxies give up connections that rest for a minute or less.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(in crate::http) async fn complete(State(port): State<Port>, request: Request<Body>) -> Response {
    let deadline = later(Instant::now(), port.request_timeout);
    port.admitted(Kind::Generate, async {
        let Chat { model, collection, request, stream, include_usage } =
            port.json(request, ChatBody::understood).await?;
        let is_default = collection == DEFAULT_COLLECTION;
        let events = port.services.generate_events(collection, request).await.map_err(|refused| {
            let error = ApiError::from(refused);
            // Who picks a model off the list need not know that there are collections.
            match is_default && error.reason() == "COLLECTION_NOT_FOUND" {
                true => error.with_advice("another one is named behind the model's @, as in small@notes"),
                false => error,
            }
        })?;
        let frame = Frame::new(model);
        if !stream {
            return whole(&port, events, frame).await;
        }
        let closing = Box::pin(port.closing());
        let caller = Call::current().map(|call| (port.services.access().clone(), call));
        Ok(streamed(Streaming {
            events,
            frame: Arc::new(frame),
            include_usage,
            citations: Arc::default(),
            deadline,
            closing,
            caller,
            traced: telemetry::Call::current(),
            metrics: port.services.metrics().clone(),
            over: false,
        }))
    })
    .await
}

/// The whole answer at once.
async fn whole(port: &Port, mut events: Events, frame: Frame) -> Result<Response, ApiError> {
    let mut citations = Vec::new();
    while let Some(event) = events.next().await {
        match event? {
            GenerateEvent::Evidence(enriched) => citations = enriched.citations,
            GenerateEvent::Delta(_) => {}
            GenerateEvent::Done(answer) => {
                // Written on a thread that may block: passages may be megabytes.
                let bytes_max = port.response_bytes_max;
                let write = move || json_within(&frame.whole(&citations, &answer), bytes_max);
                return counted_json(port.services.work().run(write).await??);
            }
        }
    }
    Err(status::fault().into())
}

/// An answer as it comes.
struct Streaming {
    events: Events,
    frame: Arc<Frame>,
    include_usage: bool,
    citations: Arc<[Citation]>,
    deadline: Instant,
    closing: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Whose it is, where callers are told apart.
    caller: Option<(Access, Call)>,
    /// The request, which is sent outside of its task.
    traced: telemetry::Call,
    metrics: Metrics,
    over: bool,
}

fn streamed(streaming: Streaming) -> Response {
    let pieces = stream::unfold(streaming, |mut streaming| async move {
        if streaming.over {
            return None;
        }
        let piece = streaming.next_piece().await;
        Some((Ok::<_, Infallible>(Bytes::from(piece)), streaming))
    });
    let mut response = answer_of(StatusCode::OK, "text/event-stream", Body::from_stream(pieces));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // What nginx is told by who does not want an answer held back until it is whole.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

impl Streaming {
    /// The next bytes of the stream. An error is its last event: its status has long gone.
    async fn next_piece(&mut self) -> String {
        let next = tokio::select! {
            event = self.events.next() => event.unwrap_or_else(|| Err(status::fault())),
            () = tokio::time::sleep_until(self.deadline) => Err(status::stream_deadline_exceeded()),
            () = &mut self.closing => Err(status::shutting_down()),
            () = tokio::time::sleep(KEEP_ALIVE) => return ": keep-alive\n\n".to_owned(),
        };
        match next.and_then(|event| self.goes_on().map(|()| event)) {
            Ok(GenerateEvent::Evidence(enriched)) => {
                self.citations = enriched.citations.into();
                let (frame, citations) = (Arc::clone(&self.frame), Arc::clone(&self.citations));
                self.written(move || event(&frame.first(&citations))).await
            }
            Ok(GenerateEvent::Delta(text)) => event(&self.frame.piece(&text)),
            Ok(GenerateEvent::Done(answer)) => {
                self.over = true;
                let (frame, citations) = (Arc::clone(&self.frame), Arc::clone(&self.citations));
                let include_usage = self.include_usage;
                let write = move || {
                    let last = frame.last(&citations, &answer, include_usage);
                    last.iter().map(event).collect::<String>() + "data: [DONE]\n\n"
                };
                self.written(write).await
            }
            Err(status) => self.failed(status),
        }
    }

    /// Whether the key or token of its caller is good still: as over gRPC, it ends with that.
    fn goes_on(&self) -> Result<(), Status> {
        self.caller.as_ref().map_or(Ok(()), |(access, call)| access.goes_on(call))
    }

    /// What is written on a thread that may block: passages may be megabytes. Pieces of the answer are small.
    async fn written(&mut self, write: impl FnOnce() -> String + Send + 'static) -> String {
        match tokio::task::spawn_blocking(write).await {
            Ok(written) => written,
            Err(_) => self.failed(status::fault()),
        }
    }

    /// The last event of a stream that fails, which is counted and logged now: the status that is counted with its headers was a good one.
    fn failed(&mut self, status: Status) -> String {
        self.over = true;
        let error = ApiError::from(status);
        let reason = error.reason();
        tracing::info!(route = "/v1/chat/completions", reason, "the stream of an answer failed");
        self.metrics.failed(&reason);
        if error.status().is_server_error() {
            self.traced.broke_off(&reason);
        }
        event(&error.body())
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}
