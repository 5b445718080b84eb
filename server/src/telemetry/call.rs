//! The spans of one call.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Array, Context, KeyValue, Value};
use ragstone_rag::generate::Usage;

use super::{Exporting, names};

/// Spans of a call, beside its own: a stream of documents would have five for each.
const SPANS_MAX: usize = 1_000;

tokio::task_local! {
    /// The call that the task answers. Handlers are tonic's to call, and pass nothing on.
    static CALL: Call;
}

/// A call, or a part of it that has parts; nothing if it is not traced. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Call(Option<Arc<Recorded>>);

struct Recorded {
    exporting: Arc<Exporting>,
    /// With the span in it.
    context: Context,
    /// Spans that were asked for, of the whole call.
    spans: Arc<AtomicUsize>,
}

/// Something that is over: a span.
pub(crate) struct Finished {
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) from: SystemTime,
    pub(crate) until: SystemTime,
    pub(crate) attributes: Vec<KeyValue>,
    /// What it failed with, if it did: one of few words.
    pub(crate) failed: Option<&'static str>,
}

impl Finished {
    /// Within this process, and well.
    pub(crate) fn new(name: impl Into<Cow<'static, str>>, from: SystemTime, until: SystemTime) -> Finished {
        let kind = SpanKind::Internal;
        Finished { name: name.into(), kind, from, until, attributes: Vec::new(), failed: None }
    }
}

/// What a language model answered, in numbers.
pub(crate) struct Answered<'a> {
    /// As it was asked for.
    pub(crate) model: &'a str,
    pub(crate) took: Duration,
    /// Until the first piece, if one came.
    pub(crate) first_token: Option<Duration>,
    pub(crate) usage: Option<Usage>,
    pub(crate) finish_reason: Option<&'static str>,
    /// What it failed with, if it did.
    pub(crate) failed: Option<&'static str>,
}

impl Call {
    pub(super) fn of(exporting: &Arc<Exporting>, context: Context) -> Call {
        let (exporting, spans) = (Arc::clone(exporting), Arc::default());
        Call(Some(Arc::new(Recorded { exporting, context, spans })))
    }

    /// The call that this task answers.
    pub(crate) fn current() -> Call {
        CALL.try_with(Call::clone).unwrap_or_default()
    }

    /// The future, which finds the call, and so does what it runs in its own task.
    pub(crate) fn hold<F: Future>(self, future: F) -> impl Future<Output = F::Output> {
        CALL.scope(self, future)
    }

    /// Whether anybody will see it.
    pub(crate) fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// The trace that it belongs to, as log lines have it.
    pub(crate) fn trace_id(&self) -> Option<String> {
        let recorded = self.0.as_ref()?;
        Some(recorded.context.span().span_context().trace_id().to_string())
    }

    /// Puts a part to it, which is over, and may be given parts of its own.
    pub(crate) fn part(&self, finished: Finished) -> Call {
        let Some(recorded) = &self.0 else { return Call::default() };
        if recorded.spans.fetch_add(1, Ordering::Relaxed) >= SPANS_MAX {
            return Call::default();
        }
        let Finished { name, kind, from, until, mut attributes, failed } = finished;
        attributes.extend(failed.map(|failed| KeyValue::new(names::ERROR_TYPE, failed)));
        let mut span = SpanBuilder::from_name(name)
            .with_kind(kind)
            .with_start_time(from)
            .with_attributes(attributes)
            .start_with_context(&recorded.exporting.tracer, &recorded.context);
        if failed.is_some() {
            span.set_status(Status::error(""));
        }
        span.end_with_timestamp(until);
        let context = recorded.context.with_span(span);
        let (exporting, spans) = (Arc::clone(&recorded.exporting), Arc::clone(&recorded.spans));
        Call(Some(Arc::new(Recorded { exporting, context, spans })))
    }

    /// It waited so long for its turn of a kind, until now.
    pub(crate) fn queued(&self, kind: &'static str, waited: Duration) {
        if !self.is_recorded() {
            return;
        }
        let until = SystemTime::now();
        let mut queue = Finished::new("queue", earlier(until, waited), until);
        queue.attributes.push(KeyValue::new(names::KIND, kind));
        self.part(queue);
    }

    /// A language model has answered, or has not, until now.
    pub(crate) fn generated(&self, told: &Answered<'_>) {
        if !self.is_recorded() {
            return;
        }
        let until = SystemTime::now();
        let mut chat = Finished::new(format!("chat {}", told.model), earlier(until, told.took), until);
        chat.kind = SpanKind::Client;
        chat.failed = told.failed;
        let attributes = &mut chat.attributes;
        attributes.push(KeyValue::new(names::OPERATION, "chat"));
        attributes.push(KeyValue::new(names::PROVIDER, names::BY_PROTOCOL));
        attributes.push(KeyValue::new(names::MODEL, told.model.to_owned()));
        attributes.push(KeyValue::new(names::IS_STREAMED, true));
        let tokens = told.usage.into_iter().flat_map(|usage| {
            [(names::INPUT_TOKENS, usage.prompt_tokens), (names::OUTPUT_TOKENS, usage.completion_tokens)]
        });
        attributes.extend(tokens.map(|(name, tokens)| KeyValue::new(name, number(tokens))));
        attributes.extend(told.finish_reason.map(|reason| {
            KeyValue::new(names::FINISH_REASONS, Value::Array(Array::String(vec![reason.into()])))
        }));
        attributes
            .extend(told.first_token.map(|first| KeyValue::new(names::FIRST_TOKEN, first.as_secs_f64())));
        self.part(chat);
    }

    /// The answer of this model was kept from an earlier question: looking for it took so long, until now, and was all there was to do.
    pub(crate) fn kept_answer(&self, (collection, model): (&str, &str), took: Duration) {
        if !self.is_recorded() {
            return;
        }
        let until = SystemTime::now();
        let mut looked_up = Finished::new("answer_cache", earlier(until, took), until);
        looked_up.attributes.extend([
            KeyValue::new(names::ANSWER_CACHE, "hit"),
            KeyValue::new(names::DATA_SOURCE, collection.to_owned()),
            KeyValue::new(names::MODEL, model.to_owned()),
        ]);
        self.part(looked_up);
    }

    /// A call of gRPC is over, with this code.
    pub(crate) fn answered_rpc(&self, code: &'static str) {
        // Of the others the caller is at fault.
        let is_failure = matches!(
            code,
            "UNKNOWN" | "DEADLINE_EXCEEDED" | "UNIMPLEMENTED" | "INTERNAL" | "UNAVAILABLE" | "DATA_LOSS"
        );
        self.end(KeyValue::new(names::RPC_STATUS, code), is_failure.then(|| code.to_owned()));
    }

    /// A request to the HTTP port is over, with this status.
    pub(crate) fn answered_http(&self, status: u16) {
        let failed = (status >= 500).then(|| status.to_string());
        self.end(KeyValue::new(names::HTTP_STATUS, i64::from(status)), failed);
    }

    /// Its answer broke off through the server's fault, for a reason of the API, behind a status that knew nothing of it.
    pub(crate) fn broke_off(&self, reason: &str) {
        let Some(recorded) = &self.0 else { return };
        let span = recorded.context.span();
        span.set_attribute(KeyValue::new(names::ERROR_TYPE, reason.to_owned()));
        span.set_status(Status::error(""));
    }

    fn end(&self, status: KeyValue, failed: Option<String>) {
        let Some(recorded) = &self.0 else { return };
        let span = recorded.context.span();
        span.set_attribute(status);
        let left_out = recorded.spans.load(Ordering::Relaxed).saturating_sub(SPANS_MAX);
        if left_out > 0 {
            span.set_attribute(KeyValue::new(names::LEFT_OUT, number(left_out as u64)));
        }
        if let Some(failed) = failed {
            span.set_attribute(KeyValue::new(names::ERROR_TYPE, failed));
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// A moment so long before another.
pub(super) fn earlier(moment: SystemTime, by: Duration) -> SystemTime {
    moment.checked_sub(by).unwrap_or(moment)
}

/// A number as attributes have them.
pub(super) fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
