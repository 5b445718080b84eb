//! One try at an answer: a request over HTTP, and events out of the bytes that come.
//!
//! What is read is bounded, and what the service says of itself is not trusted: it may repeat the operator's key, or speak another protocol. Deadlines are not
//! known here: whoever has them ends the connection from outside, and a read fails (`stream.rs`).

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use ureq::{Agent, Body, BodyReader};

use super::models::GenerateModel;
use super::wire::{Bad, Said, USAGE, said};
use super::{FinishReason, Usage, sse};
use crate::error::{GenerateFailure, Result};
use crate::limits::{STREAM_BYTES_MAX, STREAM_EVENT_BYTES_MAX};

/// Bytes of an answer that is an error, decompressed; what is behind them is not read.
const REFUSAL_BYTES_MAX: u64 = 64 << 10;
/// Characters of it that are repeated.
const REFUSAL_CHARACTERS_MAX: usize = 500;
/// Bytes that are read at once.
const READ_BYTES: usize = 8 << 10;

/// What comes of an answer.
pub(super) enum Heard {
    Text(String),
    End {
        finish_reason: FinishReason,
        usage: Option<Usage>,
        /// Whether the service gave the reason; where it only closed, it may have been cut off itself.
        is_told: bool,
    },
}

/// Why a try failed.
pub(super) struct Failure {
    pub(super) failure: GenerateFailure,
    pub(super) reason: String,
    /// The status that the service answered with, if it answered and that was an error.
    pub(super) status: Option<u16>,
    /// Whether another try may succeed.
    pub(super) again: bool,
    /// What the service asked to wait.
    pub(super) pause: Option<Duration>,
    /// Whether it refuses to be asked for the tokens that were taken.
    pub(super) refuses_usage: bool,
}

impl Failure {
    pub(super) fn new(failure: GenerateFailure, reason: impl Into<String>) -> Failure {
        let reason = reason.into();
        Failure { failure, reason, status: None, again: false, pause: None, refuses_usage: false }
    }

    /// One that may pass.
    fn passing(reason: impl Into<String>) -> Failure {
        Failure { again: true, ..Failure::new(GenerateFailure::Unavailable, reason) }
    }
}

/// What is sent, and with what; cheap to clone.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) model: Arc<GenerateModel>,
    pub(super) body: Arc<[u8]>,
    pub(super) agent: Agent,
}

/// An answer that has begun to come.
pub(super) struct Connection {
    reader: BodyReader<'static>,
    parser: sse::Parser,
    bytes: usize,
    /// Events that are read and not given out yet.
    events: VecDeque<String>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    /// The end of the bytes, or the closing event.
    pub(super) ended: bool,
    /// The closing event came.
    closed: bool,
}

impl Request {
    /// A service may repeat the key that it refuses.
    pub(super) fn redact(&self, reason: String) -> String {
        match &self.model.key {
            Some(key) => reason.replace(&key.0, "…"),
            None => reason,
        }
    }

    /// Sends the request; returns once an event stream has begun.
    pub(super) fn connect(&self) -> Result<Connection, Failure> {
        let mut request = self
            .agent
            .post(self.model.url())
            .header("content-type", "application/json")
            .header("accept", "text/event-stream")
            // What is compressed comes when there is enough of it to compress, not when it is there.
            .header("accept-encoding", "identity");
        if let Some(key) = &self.model.key {
            request = request.header("authorization", format!("Bearer {}", key.0));
        }
        let mut response = request.send(&self.body[..]).map_err(|error| match error {
            ureq::Error::Io(_) | ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => {
                Failure::passing(error.to_string())
            }
            ureq::Error::Timeout(_) => {
                Failure { failure: GenerateFailure::TimedOut, ..Failure::passing(error.to_string()) }
            }
            other => Failure::new(GenerateFailure::Unavailable, other.to_string()),
        })?;
        let status = response.status();
        if !status.is_success() {
            let after = response
                .headers()
                .get("retry-after")
                .and_then(|value| value.to_str().ok()?.trim().parse().ok());
            return Err(refused(status.as_u16(), after, &self.redact(beginning(response.body_mut()))));
        }
        let media =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        let media = media.trim().to_ascii_lowercase();
        if !media.starts_with("text/event-stream") {
            let mut reason =
                format!("answers with {media:.100}, not with a stream of events (text/event-stream)");
            // Some services say in JSON what is wrong, under a status that says nothing is.
            if media.contains("json")
                && let Some(words) = named(&self.redact(beginning(response.body_mut())))
            {
                reason = format!("{reason}: {}", shortened(&words));
            }
            return Err(Failure::new(GenerateFailure::Foreign, reason));
        }
        Ok(Connection {
            reader: response.into_body().into_reader(),
            parser: sse::Parser::default(),
            bytes: 0,
            events: VecDeque::new(),
            finish_reason: None,
            usage: None,
            ended: false,
            closed: false,
        })
    }
}

impl Connection {
    /// What the next event says, if one is here.
    pub(super) fn next_said(&mut self) -> Result<Option<Said>, Failure> {
        let Some(event) = self.events.pop_front() else { return Ok(None) };
        let mut said = said(&event).map_err(|bad| match bad {
            Bad::Foreign(reason) => Failure::new(
                GenerateFailure::Foreign,
                format!("sent an event of another protocol: {}", shortened(&reason)),
            ),
            Bad::Failed(reason) => Failure::passing(format!("failed: {}", shortened(&reason))),
        })?;
        self.finish_reason = said.finish.take().or(self.finish_reason.take());
        self.usage = said.usage.or(self.usage);
        if said.done {
            (self.ended, self.closed) = (true, true);
            self.events.clear();
        }
        Ok(Some(said))
    }

    /// Waits for more bytes.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        let mut bytes = [0; READ_BYTES];
        let read = match self.reader.read(&mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            Err(error) => return Err(Failure::passing(format!("the answer broke off: {error}"))),
        };
        self.bytes += read;
        if self.bytes > STREAM_BYTES_MAX {
            let reason = format!("sent more than STREAM_BYTES_MAX = {STREAM_BYTES_MAX} bytes");
            return Err(Failure::new(GenerateFailure::Foreign, reason));
        }
        let events = &mut self.events;
        if read == 0 {
            self.ended = true;
            self.parser.finish(|event| events.push_back(event));
            return Ok(());
        }
        self.parser.feed(&bytes[..read], |event| events.push_back(event)).map_err(|sse::TooLarge| {
            let reason =
                format!("sent an event of more than STREAM_EVENT_BYTES_MAX = {STREAM_EVENT_BYTES_MAX} bytes");
            Failure::new(GenerateFailure::Foreign, reason)
        })
    }

    /// Whether the reason to finish has come.
    pub(super) fn is_whole(&self) -> bool {
        self.finish_reason.is_some()
    }

    /// The answer's end. Some services close without the closing event, but not without a reason to finish.
    pub(super) fn end(&mut self) -> Result<Heard, Failure> {
        match self.finish_reason.take() {
            Some(finish_reason) => Ok(Heard::End { finish_reason, usage: self.usage, is_told: true }),
            None if self.closed => {
                Ok(Heard::End { finish_reason: FinishReason::Stop, usage: self.usage, is_told: false })
            }
            None => Err(Failure::passing("the answer broke off")),
        }
    }
}

/// The beginning of what came instead of an answer.
fn beginning(body: &mut Body) -> String {
    let mut bytes = Vec::new();
    let _ = body.as_reader().take(REFUSAL_BYTES_MAX).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A service that answers with an error.
fn refused(status: u16, after: Option<u64>, body: &str) -> Failure {
    let words = words(body);
    let failure = match status {
        // The key is the operator's concern, and services repeat parts of it.
        401 | 403 => Failure::new(
            GenerateFailure::Unavailable,
            format!("HTTP {status}: the service refuses the operator's key"),
        ),
        300..=399 => {
            Failure::new(GenerateFailure::Unavailable, format!("HTTP {status}: redirects are not followed"))
        }
        // Whoever asked may come back, and when is the service's to say.
        429 => Failure {
            failure: GenerateFailure::Busy { retry_after: after.map(Duration::from_secs) },
            pause: after.map(Duration::from_secs),
            ..Failure::passing(format!("HTTP {status}: {words}"))
        },
        408 | 500.. => Failure {
            pause: after.map(Duration::from_secs),
            ..Failure::passing(format!("HTTP {status}: {words}"))
        },
        _ => Failure::new(GenerateFailure::Refused, format!("HTTP {status}: {words}")),
    };
    // Wherever it says so: Mistral names the field deep in a list, and not in words.
    let refuses_usage = matches!(status, 400 | 422) && body.contains(USAGE);
    Failure { status: Some(status), refuses_usage, ..failure }
}

/// The service's own words: the message of an error in JSON, else the beginning of what it sent.
fn words(body: &str) -> String {
    let text = named(body).unwrap_or_else(|| body.to_owned());
    if text.trim().is_empty() { "no message".to_owned() } else { shortened(&text) }
}

/// The message of an error in JSON, if there is one.
fn named(body: &str) -> Option<String> {
    let json: serde_json::Value = serde_json::from_str(body).ok()?;
    // Gemini's services put the error into a list.
    let mut paths = ["/error/message", "/0/error/message", "/message", "/error", "/detail"].iter();
    paths.find_map(|path| json.pointer(path)?.as_str()).map(str::to_owned)
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(REFUSAL_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log had `Unavailable` for a key that is refused as for a service that is gone, and nothing to tell them apart.
    #[test]
    fn a_failure_has_the_status_that_the_service_answered_with() {
        for status in [302, 401, 404, 429, 503] {
            assert_eq!(refused(status, None, "{}").status, Some(status));
        }
        assert_eq!(Failure::passing("it broke off").status, None);
        let listed = refused(400, None, r#"[{"error":{"code":400,"message":"no such model"}}]"#);
        assert_eq!(listed.reason, "HTTP 400: no such model");
        assert!(!refused(401, None, "sk-1 is no key").reason.contains("sk-1"));
    }
}
