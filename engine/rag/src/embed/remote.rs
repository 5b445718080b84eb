//! Models behind an OpenAI-compatible `POST …/embeddings`.
//!
//! A name is the service's base URL and the model's name: `https://host/v1#text-embedding-3-small`. In the URL's query,
//! `dimensions=N` asks for shorter vectors (and spares the probe at load that otherwise learns their length), and
//! `max_tokens=N` states what the model reads (8191 otherwise); neither is sent on in the URL. The key comes from
//! `RAGSTONE_EMBED_API_KEY`.
//!
//! What differs from a local model:
//! - The service counts tokens. A count is its own where one text was asked for, else an upper estimate. Whether a text
//!   is too long, it decides; neither [`Overflow`] changes what is sent, and a refusal is [`Error::Remote`].
//! - An empty text is sent as one space, since services refuse the empty string.
//!
//! A request that fails by 408, 429, 5xx or on the way is tried again, at most five times and within
//! a minute of waiting; `Retry-After` in seconds is honoured within that.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;

use super::{Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role};
use crate::error::{Error, Result};
use crate::limits::TEXT_BYTES_MAX;

/// The environment variable that holds the service's key.
const API_KEY_VARIABLE: &str = "RAGSTONE_EMBED_API_KEY";

/// Texts of one request.
const BATCH_TEXTS_MAX: usize = 128;
/// Bytes of the texts of one request, unless a single one is longer.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Tokens that a model reads unless its name says otherwise.
const MAX_TOKENS_DEFAULT: usize = 8_191;
/// Times that a request is sent.
const TRIES_MAX: u32 = 5;
/// Waiting between the tries of one request, all together.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Waiting before the second try; doubled for each further one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Bytes of a response.
const RESPONSE_BYTES_MAX: u64 = 256 << 20;
/// Components of a vector.
const DIMENSION_MAX: usize = 1 << 16;

/// A model behind an OpenAI-compatible service.
pub struct RemoteEmbedder {
    info: ModelInfo,
    endpoint: Endpoint,
}

/// Where and how requests are sent.
struct Endpoint {
    agent: Agent,
    url: String,
    model: String,
    key: Option<String>,
    /// Asked for in every request.
    dimensions: Option<usize>,
}

/// Whether a model's name is that of a remote one.
pub(super) fn is_remote(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// A name, taken apart.
#[derive(Debug, PartialEq)]
struct Name<'a> {
    base: &'a str,
    model: &'a str,
    dimensions: Option<usize>,
    max_tokens: usize,
}

impl Name<'_> {
    fn parse(name: &str) -> Result<Name<'_>> {
        let wrong =
            |reason: &str| Error::Invalid { field: "model".to_owned(), reason: format!("`{name}` {reason}") };
        let (url, model) = name.split_once('#').unwrap_or((name, ""));
        if model.is_empty() {
            return Err(wrong("names no model; a remote model is named https://host/v1#model-name"));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let host = base.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        if !is_remote(base) || host.is_empty() {
            return Err(wrong("has no host"));
        }
        let (mut dimensions, mut max_tokens) = (None, MAX_TOKENS_DEFAULT);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number = value.parse().ok().filter(|number| (1..=10_000_000).contains(number));
            let number = number.ok_or_else(|| wrong(&format!("has no positive number as {key}")))?;
            match key {
                "dimensions" if number <= DIMENSION_MAX => dimensions = Some(number),
                "dimensions" => return Err(wrong(&format!("asks for more than {DIMENSION_MAX} dimensions"))),
                "max_tokens" => max_tokens = number,
                _ => {
                    return Err(wrong(&format!(
                        "has the unknown setting {key}; known are dimensions, max_tokens"
                    )));
                }
            }
        }
        Ok(Name { base: base.trim_end_matches('/'), model, dimensions, max_tokens })
    }
}

impl RemoteEmbedder {
    /// Connects to the model of a name, with the key of the environment.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none; [`Error::Remote`] if the probe fails.
    pub fn connect(name: &str) -> Result<RemoteEmbedder> {
        let key = std::env::var(API_KEY_VARIABLE).ok().filter(|key| !key.is_empty());
        RemoteEmbedder::connect_with_key(name, key)
    }

    /// Connects with a key, or without one.
    ///
    /// # Errors
    /// As [`RemoteEmbedder::connect`].
    pub fn connect_with_key(name: &str, key: Option<String>) -> Result<RemoteEmbedder> {
        let parsed = Name::parse(name)?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_resolve(Some(Duration::from_secs(10)))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_call(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        let endpoint = Endpoint {
            agent,
            url: format!("{}/embeddings", parsed.base),
            model: parsed.model.to_owned(),
            key,
            dimensions: parsed.dimensions,
        };
        let (dimension, normalize) = match parsed.dimensions {
            Some(dimensions) => (dimensions, false),
            None => {
                let (vectors, _) = endpoint.request(&["dimension"], None)?;
                let vector = vectors.first().map(Vec::as_slice).unwrap_or_default();
                let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                (vector.len(), (square - 1.0).abs() < 1e-3)
            }
        };
        let info = ModelInfo {
            name: name.to_owned(),
            sha256: None,
            dimension,
            max_tokens: parsed.max_tokens,
            pooling: Pooling::Remote,
            normalize,
            query_prefix: String::new(),
            passage_prefix: String::new(),
        };
        Ok(RemoteEmbedder { info, endpoint })
    }
}

impl Embedder for RemoteEmbedder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], _role: Role, _overflow: Overflow) -> Result<Embeddings> {
        if let Some((index, text)) = texts.iter().enumerate().find(|(_, text)| text.len() > TEXT_BYTES_MAX) {
            return Err(Error::Limit {
                field: format!("texts[{index}]"),
                limit: "TEXT_BYTES_MAX",
                max: TEXT_BYTES_MAX as u64,
                actual: text.len() as u64,
            });
        }
        let mut embeddings = Embeddings::default();
        let mut rest = texts;
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_len(rest));
            rest = behind;
            let (vectors, tokens) = self.endpoint.request(batch, Some(self.info.dimension))?;
            embeddings.vectors.extend(vectors);
            embeddings.token_counts.extend(match (batch, tokens) {
                ([_], Some(tokens)) => vec![tokens],
                _ => batch.iter().map(|text| self.count_tokens(text)).collect(),
            });
        }
        embeddings.truncated = vec![false; texts.len()];
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        estimate_tokens(text)
    }

    fn overhead_tokens(&self, _role: Role) -> usize {
        // Room for the special tokens of any service.
        2
    }
}

/// Texts that go into the next request.
fn batch_len(texts: &[&str]) -> usize {
    let mut bytes = 0;
    let fits = |text: &&&str| {
        bytes += text.len();
        bytes <= BATCH_BYTES_MAX
    };
    texts.iter().take(BATCH_TEXTS_MAX).take_while(fits).count().max(1)
}

/// Tokens of a text, more rather than fewer, for the usual byte-level and word-piece vocabularies: three letters or
/// one digit or sign to a token, and every byte of what is not ASCII.
fn estimate_tokens(text: &str) -> usize {
    let (mut tokens, mut letters) = (0_usize, 0_usize);
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            letters += 1;
            continue;
        }
        tokens += letters.div_ceil(3);
        letters = 0;
        tokens += if character == ' ' { 0 } else { character.len_utf8() };
    }
    tokens + letters.div_ceil(3) + text.split("  ").count() - 1
}

#[derive(Serialize)]
struct RequestBody<'a> {
    model: &'a str,
    input: Vec<&'a str>,
    encoding_format: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
}

#[derive(Deserialize)]
struct ResponseBody {
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
    /// Whether another try may succeed.
    again: bool,
    /// What the service asked to wait.
    wait: Option<Duration>,
}

impl Endpoint {
    /// The vectors of some texts, and the tokens that the service counted in all of them.
    fn request(&self, texts: &[&str], dimension: Option<usize>) -> Result<(Vec<Vec<f32>>, Option<usize>)> {
        let error = |reason| Error::Remote { url: self.url.clone(), reason };
        let body = RequestBody {
            model: &self.model,
            input: texts.iter().map(|text| if text.is_empty() { " " } else { text }).collect(),
            encoding_format: "float",
            dimensions: self.dimensions,
        };
        let body = serde_json::to_vec(&body).map_err(|reason| error(reason.to_string()))?;
        let (mut waited, mut wait) = (Duration::ZERO, WAIT_FIRST);
        for tried in 1.. {
            let failure = match self.send(&body) {
                Ok(response) => {
                    let tokens =
                        response.usage.as_ref().and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
                    return Ok((check(response, texts.len(), dimension).map_err(error)?, tokens));
                }
                Err(failure) => failure,
            };
            let pause = failure.wait.unwrap_or(wait);
            if !failure.again || tried >= TRIES_MAX || waited + pause > WAIT_MAX {
                let tries = if tried == 1 { String::new() } else { format!(" ({tried} tries)") };
                return Err(error(failure.reason + &tries));
            }
            tracing::warn!(
                url = self.url,
                reason = failure.reason,
                ?pause,
                "embedding request is tried again"
            );
            std::thread::sleep(pause);
            waited += pause;
            wait *= 2;
        }
        unreachable!("the loop ends by returning")
    }

    fn send(&self, body: &[u8]) -> Result<ResponseBody, Failure> {
        let on_the_way = |error: ureq::Error| Failure { reason: error.to_string(), again: true, wait: None };
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body).map_err(|error| match error {
            ureq::Error::Io(_) | ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed => on_the_way(error),
            other => Failure { again: false, ..on_the_way(other) },
        })?;
        let status = response.status();
        let seconds =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let bytes =
            response.body_mut().with_config().limit(RESPONSE_BYTES_MAX).read_to_vec().map_err(on_the_way)?;
        if !status.is_success() {
            return Err(Failure {
                reason: format!("HTTP {status}: {}", message(&bytes)),
                again: matches!(status.as_u16(), 408 | 429 | 500..),
                wait: seconds.map(Duration::from_secs),
            });
        }
        serde_json::from_slice(&bytes).map_err(|error| Failure {
            reason: format!("the answer is no list of embeddings: {error}"),
            again: false,
            wait: None,
        })
    }
}

/// The service's own words: `error.message` of JSON, else the beginning of what it sent.
fn message(bytes: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 500;
    let json: Option<serde_json::Value> = serde_json::from_slice(bytes).ok();
    let named = json.as_ref().and_then(|json| {
        ["/error/message", "/message", "/error", "/detail"]
            .iter()
            .find_map(|path| json.pointer(path)?.as_str())
    });
    let text = named.map_or_else(|| String::from_utf8_lossy(bytes).into_owned(), str::to_owned);
    let text = text.trim();
    if text.is_empty() { "no message".to_owned() } else { text.chars().take(CHARACTERS_MAX).collect() }
}

/// The vectors in the order of the texts, if the answer holds exactly them.
fn check(response: ResponseBody, texts: usize, dimension: Option<usize>) -> Result<Vec<Vec<f32>>, String> {
    if response.data.len() != texts {
        return Err(format!("the answer holds {} embeddings for {texts} texts", response.data.len()));
    }
    let mut vectors = vec![Vec::new(); texts];
    let mut expected = dimension;
    for (place, item) in response.data.into_iter().enumerate() {
        let index = item.index.unwrap_or(place);
        let len = item.embedding.len();
        let dimension = *expected.get_or_insert(len);
        if len == 0 || len > DIMENSION_MAX || len != dimension {
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

#[cfg(test)]
#[path = "remote_tests.rs"]
mod tests;
