//! Requests to a service, tried again where another try may succeed, and what may be wrong with its answers.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use ureq::Agent;

use crate::error::{Error, Result};

/// Times that a request is sent.
const TRIES_MAX: u32 = 5;
/// Waiting between the tries of one request, all together.
const WAIT_MAX: Duration = Duration::from_secs(60);
/// Waiting before the second try; doubled for each further one.
const WAIT_FIRST: Duration = Duration::from_millis(500);
/// Bytes of a response.
pub(super) const RESPONSE_BYTES_MAX: u64 = 256 << 20;
/// Components of a vector.
pub(super) const DIMENSION_MAX: usize = 1 << 16;

/// Where and how requests are sent.
pub(super) struct Endpoint {
    pub(super) agent: Agent,
    pub(super) url: String,
    pub(super) model: String,
    pub(super) key: Option<String>,
    /// Asked for in every request.
    pub(super) dimensions: Option<usize>,
    /// Bytes of a response: [`RESPONSE_BYTES_MAX`], fewer in tests.
    pub(super) response_bytes_max: u64,
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
    /// Whether another try may succeed.
    again: bool,
    /// What the service asked to wait.
    wait: Option<Duration>,
}

impl Endpoint {
    /// The vectors of some texts, and the tokens that the service counted in all of them.
    pub(super) fn request(
        &self,
        texts: &[&str],
        dimension: Option<usize>,
    ) -> Result<(Vec<Vec<f32>>, Option<usize>)> {
        let error = |reason| Error::Remote { url: self.url.clone(), reason };
        let body = RequestBody {
            model: &self.model,
            input: texts.to_vec(),
            encoding_format: "float",
            dimensions: self.dimensions,
        };
        let body = serde_json::to_vec(&body).map_err(|reason| error(reason.to_string()))?;
        let (mut waited, mut wait) = (Duration::ZERO, WAIT_FIRST);
        let mut tried = 0;
        loop {
            tried += 1;
            let failure = match self.send(&body) {
                Ok(response) => {
                    let tokens =
                        response.usage.as_ref().and_then(|usage| usage.prompt_tokens.or(usage.total_tokens));
                    return Ok((check(response, texts.len(), dimension).map_err(error)?, tokens));
                }
                Err(failure) => failure,
            };
            let pause = failure.wait.unwrap_or(wait);
            if !failure.again || tried >= TRIES_MAX || waited.saturating_add(pause) > WAIT_MAX {
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
    }

    fn send(&self, body: &[u8]) -> Result<ResponseBody, Failure> {
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body).map_err(on_the_way)?;
        let status = response.status();
        let seconds =
            response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
        let bytes_max = self.response_bytes_max;
        let bytes = response.body_mut().with_config().limit(bytes_max).read_to_vec().map_err(on_the_way)?;
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

/// What went wrong before an answer was there whole. Only what another try may mend is tried again: an answer that is too large
/// would be so once more.
fn on_the_way(error: ureq::Error) -> Failure {
    use ureq::Error as Ureq;
    let again = matches!(error, Ureq::Io(_) | Ureq::Timeout(_) | Ureq::ConnectionFailed);
    let reason = match error {
        Ureq::BodyExceedsLimit(max) => format!("the answer is beyond RESPONSE_BYTES_MAX = {max} bytes"),
        other => other.to_string(),
    };
    Failure { reason, again, wait: None }
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
