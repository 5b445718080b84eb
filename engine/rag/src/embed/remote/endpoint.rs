//! Requests to a service, tried again where another try may succeed, and what may be wrong with its answers.
//!
//! Each request has a client of its own while it is under way, so that shutting that down, which ends a request whose caller has left, ends no
//! other; clients are kept for the next requests, and with each its connection.

use std::io::Read as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;
use ureq::config::Config;

use crate::embed::Wanted;
use crate::error::{Error, Result};
use crate::limits::EMBED_REQUESTS_MAX;

/// Times that a request is sent.
const TRIES_MAX: u32 = 5;
/// Waiting between the tries of one request, all together.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Waiting before the second try; doubled for each further one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Clients that are kept, each with a connection.
const CLIENTS_KEPT_MAX: usize = 16;
/// The field that asks for numbers and not for base64.
const FORMAT: &str = "encoding_format";
/// HTTP's word for a service that has no room now.
const TOO_MANY_REQUESTS: u16 = 429;
/// Bytes of a response, decompressed.
pub(super) const RESPONSE_BYTES_MAX: u64 = 256 << 20;
/// Bytes of an answer that is looked through for what went wrong, where its status says nothing did.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Components of a vector.
pub(super) const DIMENSION_MAX: usize = 1 << 16;

/// Where and how requests are sent.
pub(super) struct Endpoint {
    pub(super) config: Config,
    /// Clients that no request has. Locked for a look or a change.
    pub(super) clients: Mutex<Vec<Agent>>,
    /// Counts the load of the model, until it is loaded or the last request of that has ended. Locked for a change.
    pub(super) load: Mutex<Option<Arc<()>>>,
    pub(super) url: String,
    pub(super) model: String,
    pub(super) key: Option<String>,
    /// Whether the service took a request without `encoding_format` that it had refused with it, as Voyage's does: from then on none has it.
    pub(super) refused_format: AtomicBool,
    /// Asked for in every request.
    pub(super) dimensions: Option<usize>,
    /// Bytes of a response: [`RESPONSE_BYTES_MAX`], fewer in tests.
    pub(super) response_bytes_max: u64,
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    input: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding_format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
pub(super) struct ResponseBody {
    data: Vec<Item>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<usize>,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct Usage {
    prompt_tokens: Option<usize>,
    total_tokens: Option<usize>,
}

/// Why a try failed.
struct Failure {
    reason: String,
    /// With what the service answered, if it did: then the reason has its words, which may repeat the texts.
    status: Option<u16>,
    /// Whether another try may succeed.
    again: bool,
    /// What the service asked to wait.
    wait: Option<Duration>,
    /// Whether it has no room now.
    busy: bool,
    /// Whether it refuses [`FORMAT`].
    refuses_format: bool,
}

impl Failure {
    /// One that is final.
    fn new(reason: String) -> Failure {
        Failure { reason, status: None, again: false, wait: None, busy: false, refuses_format: false }
    }
}

impl Endpoint {
    /// The vectors of some texts, and the tokens that the service counted in all of them.
    pub(super) fn request(
        self: &Arc<Self>,
        texts: &[&str],
        dimension: Option<usize>,
        wanted: Wanted<'_>,
    ) -> Result<(Vec<Vec<f32>>, Option<usize>)> {
        let error = |reason| Error::Remote { url: self.url.clone(), reason };
        let mut format = (!self.refused_format.load(Ordering::Relaxed)).then_some("float");
        let mut body = self.body(texts, format)?;
        let (mut waited, mut wait) = (Duration::ZERO, WAIT_FIRST);
        let mut tried = 0;
        loop {
            tried += 1;
            let failure = match self.send_wanted(&body, wanted)? {
                Ok(response) => {
                    // Known only now: a refusal that repeats a text may name the field, too.
                    if format.is_none() {
                        self.refused_format.store(true, Ordering::Relaxed);
                    }
                    let tokens =
                        response.usage.as_ref().and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
                    return Ok((check(response, texts.len(), dimension).map_err(error)?, tokens));
                }
                Err(failure) => failure,
            };
            if failure.refuses_format && format.is_some() {
                // It is another request, and so no further try of the same one.
                (format, tried) = (None, tried - 1);
                body = self.body(texts, format)?;
                continue;
            }
            let pause = failure.wait.unwrap_or(wait);
            let may = failure.again && tried < TRIES_MAX && waited.saturating_add(pause) <= WAIT_MAX;
            if !may || !wanted.has_time_for(pause) {
                let tries = if tried == 1 { String::new() } else { format!(" ({tried} tries)") };
                let (url, reason) = (self.url.clone(), failure.reason + &tries);
                return Err(match failure.busy {
                    true => Error::RemoteBusy { url, reason, retry_after: failure.wait },
                    false => Error::Remote { url, reason },
                });
            }
            // The service's words are for who asked.
            let reason = failure.status.is_none().then_some(failure.reason.as_str());
            tracing::warn!(
                url = self.url,
                status = failure.status,
                reason,
                ?pause,
                "embedding request is tried again"
            );
            wanted.pause(pause)?;
            waited += pause;
            wait *= 2;
        }
    }

    /// What is sent.
    fn body(&self, texts: &[&str], encoding_format: Option<&str>) -> Result<Arc<[u8]>> {
        let body =
            RequestBody { model: &self.model, input: texts, encoding_format, dimensions: self.dimensions };
        let written = serde_json::to_vec(&body)
            .map_err(|error| Error::Remote { url: self.url.clone(), reason: error.to_string() })?;
        Ok(written.into())
    }

    /// One try, which ends as soon as nobody waits for it: its connection is shut down, or if that is only being made, which takes seconds at
    /// most, given up when it is there.
    fn send_wanted(
        self: &Arc<Self>,
        body: &Arc<[u8]>,
        wanted: Wanted<'_>,
    ) -> Result<Result<ResponseBody, Failure>> {
        // Each request under way has the endpoint, and so has the embedder. That two may pass at once here is no harm.
        if Arc::strong_count(self) > EMBED_REQUESTS_MAX {
            let reason = format!("EMBED_REQUESTS_MAX = {EMBED_REQUESTS_MAX} requests are under way");
            return Ok(Err(Failure { again: true, busy: true, ..Failure::new(reason) }));
        }
        let kept = self.clients.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let client = kept.unwrap_or_else(|| self.config.new_agent());
        let (endpoint, used, body) = (Arc::clone(self), client.clone(), Arc::clone(body));
        let sent = wanted.wait_for(move || endpoint.send(&used, &body));
        let sent = sent.map_err(|system| Error::Remote {
            url: self.url.clone(),
            reason: format!("no thread can be started: {system}"),
        })?;
        let sent = match sent {
            Ok(sent) => sent,
            Err(unwanted) => {
                client.shutdown();
                return Err(unwanted);
            }
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() < CLIENTS_KEPT_MAX {
            clients.push(client);
        }
        Ok(sent)
    }

    fn send(&self, client: &Agent, body: &[u8]) -> Result<ResponseBody, Failure> {
        let mut request = client.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body).map_err(on_the_way)?;
        let status = response.status();
        let seconds =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let bytes_max = self.response_bytes_max;
        // Of what it becomes: a service may compress what nobody asked it to, and the client's own limit is on what comes.
        let mut bytes = Vec::new();
        let read = response.body_mut().as_reader().take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|error| on_the_way(error.into()))?;
        if bytes.len() as u64 > bytes_max {
            return Err(on_the_way(ureq::Error::BodyExceedsLimit(bytes_max)));
        }
        if !status.is_success() {
            return Err(Failure {
                reason: format!("HTTP {status}: {}", message(&bytes, self.key.as_deref())),
                status: Some(status.as_u16()),
                again: matches!(status.as_u16(), 408 | TOO_MANY_REQUESTS | 500..),
                wait: seconds.map(Duration::from_secs),
                busy: status.as_u16() == TOO_MANY_REQUESTS,
                refuses_format: matches!(status.as_u16(), 400 | 422)
                    && String::from_utf8_lossy(&bytes).contains(FORMAT),
            });
        }
        serde_json::from_slice(&bytes).map_err(|error| {
            // Some services say in JSON what is wrong, under a status that says nothing is.
            let told = match bytes.len() <= REFUSAL_BYTES_MAX && named(&bytes).is_some() {
                true => message(&bytes, self.key.as_deref()),
                false => error.to_string(),
            };
            let reason = format!("the answer is no list of embeddings: {told}");
            Failure { status: Some(status.as_u16()), ..Failure::new(reason) }
        })
    }
}

/// What went wrong before an answer was there whole. Only what another try may mend is tried again: an answer that is too large
/// would be so once more.
fn on_the_way(error: ureq::Error) -> Failure {
    use ureq::Error as Ureq;
    let again = matches!(error, Ureq::Io(_) | Ureq::Timeout(_) | Ureq::ConnectionFailed);
    let reason = match error {
        Ureq::BodyExceedsLimit(max) => format!("the answer is beyond RESPONSE_BYTES_MAX = {max} bytes"),
        other => other.to_string(),
    };
    Failure { again, ..Failure::new(reason) }
}

/// The service's own words, which may repeat the key that it refuses, without that: `error.message` of JSON, else the beginning of what it
/// sent.
fn message(bytes: &[u8], key: Option<&str>) -> String {
    const CHARACTERS_MAX: usize = 500;
    let text = named(bytes).unwrap_or_else(|| String::from_utf8_lossy(bytes).into_owned());
    let text = match key.filter(|key| !key.is_empty()) {
        Some(key) => text.replace(key, "…"),
        None => text,
    };
    let text = text.trim();
    if text.is_empty() { "no message".to_owned() } else { text.chars().take(CHARACTERS_MAX).collect() }
}

/// The message of an error in JSON, if there is one.
fn named(bytes: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    // Gemini's services put the error into a list.
    let mut paths = ["/error/message", "/0/error/message", "/message", "/error", "/detail"].iter();
    paths.find_map(|path| json.pointer(path)?.as_str()).map(str::to_owned)
}

/// The vectors in the order of the texts, if the answer holds exactly them.
pub(super) fn check(
    response: ResponseBody,
    texts: usize,
    dimension: Option<usize>,
) -> Result<Vec<Vec<f32>>, String> {
    if response.data.len() != texts {
        return Err(format!("the answer holds {} embeddings for {texts} texts", response.data.len()));
    }
    let mut vectors = vec![Vec::new(); texts];
    let mut expected = dimension;
    for (place, item) in response.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(place);
        let len = item.embedding.len();
        let dimension = *expected.get_or_insert(len);
        if len > DIMENSION_MAX {
            return Err(format!(
                "embedding {index} has {len} components, beyond DIMENSION_MAX = {DIMENSION_MAX}"
            ));
        }
        if len == 0 || len != dimension {
            return Err(format!("embedding {index} has {len} components, expected are {dimension}"));
        }
        if !item.embedding.iter().all(|x| x.is_finite()) {
            return Err(format!("embedding {index} is not finite"));
        }
        match vectors.get_mut(index) {
            Some(vector) if vector.is_empty() => *vector = item.embedding,
            _ => return Err(format!("the answer's index {index} is out of range or there twice")),
        }
    }
    Ok(vectors)
}
