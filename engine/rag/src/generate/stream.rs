//! One answer over HTTP: tries, deadlines, and events out of bytes.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::{Agent, BodyReader};

use super::models::{GenerateModel, Patience};
use super::watch::{Over, Phase, Stopper, Watch};
use super::wire::{Bad, Said, said};
use super::{FinishReason, Usage, sse};
use crate::error::{Error, GenerateFailure, Result};
use crate::limits::{GENERATE_REQUESTS_MAX, STREAM_BYTES_MAX, STREAM_EVENT_BYTES_MAX};
use crate::waiting;

/// Times that a request is sent.
const TRIES_MAX: u32 = 3;
/// Pause before the second try; doubled for each further one.
const PAUSE_FIRST: Duration = Duration::from_millis(500);
/// A longer pause is not waited for, whatever the service asks.
const PAUSE_MAX: Duration = Duration::from_secs(60);
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
struct Failure {
    failure: GenerateFailure,
    reason: String,
    /// Whether another try may succeed.
    again: bool,
    /// What the service asked to wait.
    pause: Option<Duration>,
}

impl Failure {
    fn new(failure: GenerateFailure, reason: impl Into<String>) -> Failure {
        Failure { failure, reason: reason.into(), again: false, pause: None }
    }

    /// One that may pass.
    fn passing(reason: impl Into<String>) -> Failure {
        Failure { again: true, ..Failure::new(GenerateFailure::Unavailable, reason) }
    }
}

/// An answer under way.
pub(super) struct Stream {
    request: Request,
    watch: Watch,
    /// When the answer is of no use to its caller any more, who is the one to end it then.
    deadline: Option<Instant>,
    tries: u32,
    /// The connection that is read; none before the first try and between two.
    connection: Option<Connection>,
    /// Whether a token has come: from then on nothing is tried again.
    begun: bool,
}

/// What is sent, and with what; cheap to clone.
#[derive(Clone)]
struct Request {
    model: Arc<GenerateModel>,
    body: Arc<[u8]>,
    agent: Agent,
}

struct Connection {
    reader: BodyReader<'static>,
    parser: sse::Parser,
    bytes: usize,
    /// Events that are read and not given out yet.
    events: VecDeque<String>,
    finish_reason: Option<FinishReason>,
    usage: Option<Usage>,
    /// The end of the bytes, or the closing event.
    ended: bool,
    closed: bool,
}

impl Stream {
    pub(super) fn new(model: Arc<GenerateModel>, body: Vec<u8>, deadline: Option<Instant>) -> Result<Stream> {
        let Patience { connect, first_token, total, .. } = model.patience();
        // Nothing interrupts a connection that is being made, though nobody may wait for it any more, so it takes no longer than what it
        // is part of.
        let connect = connect.min(first_token).min(total);
        // One client for each answer: shutting it down ends this answer and no other.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_resolve(Some(connect))
            .timeout_connect(Some(connect))
            .build()
            .new_agent();
        let watch = Watch::start(agent.clone(), total).map_err(|error| Error::Generate {
            model: model.name().to_owned(),
            failure: GenerateFailure::Unavailable,
            reason: format!("no thread can be started: {error}"),
        })?;
        let request = Request { model, body: body.into(), agent };
        Ok(Stream { request, watch, deadline, tries: 0, connection: None, begun: false })
    }

    pub(super) fn model(&self) -> &GenerateModel {
        &self.request.model
    }

    pub(super) fn stopper(&self) -> Stopper {
        self.watch.stopper()
    }

    /// Waits for what comes next.
    pub(super) fn next(&mut self) -> Result<Heard> {
        loop {
            let patience = self.model().patience();
            match (self.begun, &self.connection) {
                (true, _) => self.watch.begin(Phase::NextToken, patience.next_token),
                (false, None) => self.watch.begin(Phase::FirstToken, patience.first_token),
                // The deadline of the first token goes on from the request.
                (false, Some(_)) => {}
            }
            let heard = self.try_next();
            if self.begun {
                self.watch.rest();
            }
            match heard {
                Ok(heard) => return Ok(heard),
                Err(failure) => self.again(failure)?,
            }
        }
    }

    /// Prepares another try after a failure, or makes an error of it.
    fn again(&mut self, failure: Failure) -> Result<()> {
        self.connection = None;
        let error =
            |failure, reason| Error::Generate { model: self.model().name().to_owned(), failure, reason };
        let Patience { first_token, next_token, total, .. } = self.model().patience();
        // Whoever ends the connection makes the read fail; what counts is why it was ended.
        match self.watch.over() {
            Some(Over::Stopped) => return Err(error(GenerateFailure::Stopped, "it was stopped".to_owned())),
            Some(Over::TimedOut(phase)) => {
                let (setting, limit) = match phase {
                    Phase::FirstToken => ("first_token_s", first_token),
                    Phase::NextToken => ("next_token_s", next_token),
                    Phase::Whole => ("total_s", total),
                };
                let reason = format!("took longer than {setting} = {}", limit.as_secs());
                return Err(error(GenerateFailure::TimedOut, reason));
            }
            None => {}
        }
        let pause = failure.pause.unwrap_or_else(|| PAUSE_FIRST.saturating_mul(1 << (self.tries.max(1) - 1)));
        let may = failure.again && !self.begun && self.tries < TRIES_MAX && pause <= PAUSE_MAX;
        if !may || !self.has_time_for(pause) {
            // What the operator has to look after; the service's words may be of the question.
            tracing::warn!(model = self.model().name(), failure = ?failure.failure, tries = self.tries, "a model gave no answer");
            let tries = if self.tries > 1 { format!(" ({} tries)", self.tries) } else { String::new() };
            return Err(error(failure.failure, self.request.redact(failure.reason) + &tries));
        }
        tracing::warn!(model = self.model().name(), try = self.tries, ?pause, "the request for an answer is sent again");
        self.watch.rest();
        self.watch.pause(pause);
        Ok(())
    }

    /// Whether so long a pause would end before the deadlines of the whole.
    fn has_time_for(&self, pause: Duration) -> bool {
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        left.is_none_or(|left| pause < left) && self.watch.has_time_for(pause)
    }

    fn try_next(&mut self) -> Result<Heard, Failure> {
        if self.watch.over().is_some() {
            return Err(Failure::new(GenerateFailure::Stopped, "it is over"));
        }
        if self.connection.is_none() {
            let Some(counted) = self.model().begin_request() else {
                let busy = GenerateFailure::Busy { retry_after: None };
                let reason =
                    format!("GENERATE_REQUESTS_MAX = {GENERATE_REQUESTS_MAX} requests are under way");
                return Err(Failure::new(busy, reason));
            };
            self.tries += 1;
            let request = self.request.clone();
            let connect = move || {
                let _counted = counted;
                request.connect()
            };
            // On another thread, as nothing interrupts a name that is being resolved or a connection that is being made.
            let connected = waiting::wait_for(connect, || self.watch.over());
            let connected = connected.map_err(|error| {
                Failure::new(GenerateFailure::Unavailable, format!("no thread can be started: {error}"))
            })?;
            let over = |_| Failure::new(GenerateFailure::Stopped, "it is over");
            self.connection = Some(connected.map_err(over)??);
        }
        let Some(connection) = &mut self.connection else { unreachable!("it was made just now") };
        loop {
            if let Some(said) = connection.next_said()? {
                // What a model thinks is a token too, and the next one has its own deadline.
                if said.token && (!self.begun || said.text.is_none()) {
                    self.begun = true;
                    self.watch.begin(Phase::NextToken, self.request.model.patience().next_token);
                }
                if let Some(text) = said.text {
                    return Ok(Heard::Text(text));
                }
            } else if connection.ended {
                return connection.end();
            } else {
                connection.read()?;
            }
        }
    }
}

impl Request {
    /// A service may repeat the key that it refuses.
    fn redact(&self, reason: String) -> String {
        match &self.model.key {
            Some(key) => reason.replace(&key.0, "…"),
            None => reason,
        }
    }

    /// Sends the request; returns once an event stream has begun.
    fn connect(&self) -> Result<Connection, Failure> {
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
            let mut body = Vec::new();
            let _ = response.body_mut().as_reader().take(REFUSAL_BYTES_MAX).read_to_end(&mut body);
            return Err(refused(
                status.as_u16(),
                after,
                &self.redact(String::from_utf8_lossy(&body).into_owned()),
            ));
        }
        let media =
            response.headers().get("content-type").and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        if !media.trim().to_ascii_lowercase().starts_with("text/event-stream") {
            let reason =
                format!("answers with {:.100}, not with a stream of events (text/event-stream)", media);
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
    fn next_said(&mut self) -> Result<Option<Said>, Failure> {
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
    fn read(&mut self) -> Result<(), Failure> {
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

    /// The answer's end. Some services close without the closing event, but not without a reason to finish.
    fn end(&mut self) -> Result<Heard, Failure> {
        match self.finish_reason.take() {
            Some(finish_reason) => Ok(Heard::End { finish_reason, usage: self.usage, is_told: true }),
            None if self.closed => {
                Ok(Heard::End { finish_reason: FinishReason::Stop, usage: self.usage, is_told: false })
            }
            None => Err(Failure::passing("the answer broke off")),
        }
    }
}

/// A service that answers with an error.
fn refused(status: u16, after: Option<u64>, body: &str) -> Failure {
    let words = words(body);
    match status {
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
    }
}

/// The service's own words: the message of an error in JSON, else the beginning of what it sent.
fn words(body: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(body).ok();
    let named = json.as_ref().and_then(|json| {
        ["/error/message", "/message", "/error", "/detail"]
            .iter()
            .find_map(|path| json.pointer(path)?.as_str())
    });
    let text = named.unwrap_or(body).to_owned();
    if text.trim().is_empty() { "no message".to_owned() } else { shortened(&text) }
}

fn shortened(text: &str) -> String {
    text.trim().chars().take(REFUSAL_CHARACTERS_MAX).collect()
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
