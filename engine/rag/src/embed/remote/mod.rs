//! Models behind an OpenAI-compatible `POST …/embeddings`.
//!
//! A name is the service's base URL and the model's name: `https://host/v1#text-embedding-3-small`. Settings stand in the URL's
//! query, which is not sent on ([`Name`]), and are part of the name, which a collection's contract has whole, so that they hold whenever it
//! is opened. `batch` and `timeout` say how requests are sent, and nothing of the vectors: names that differ in them alone are of one
//! model ([`same_model`]).
//!
//! | setting | what it says | otherwise |
//! |---|---|---|
//! | `dimensions=N` | ask for vectors of N components, without a probe at load | the probe's |
//! | `max_tokens=N` | tokens that the model reads of a text | 8191 |
//! | `query_prefix=TEXT`, `passage_prefix=TEXT` | put before queries, before passages; `%20` is a space | nothing |
//! | `batch=N` | texts of one request, at most 2,048 | 128 |
//! | `timeout=N` | seconds for one try of a request, at most 3,600 | 120 |
//!
//! The key comes from `RAGSTONE_EMBED_API_KEY`, and goes to one service alone, whoever names another: the one whose base URL is that of
//! `RAGSTONE_EMBED_API_URL`, by default OpenAI's. No redirect is followed.
//!
//! What differs from a local model:
//! - Tokens are counted by OpenAI's tables if the model is one of theirs, else by a high estimate (a token for every three letters of a
//!   word, for every capital within it, for every other sign and for every byte beyond ASCII), which is no bound.
//!   A text that counts more than `max_tokens` is refused or cut, as [`Overflow`] says, before anything is sent; a
//!   service whose models read more than the estimate grants is given a larger `max_tokens`.
//!   What is reported of a text is the service's own count where one was asked for alone.
//! - An empty text is sent as one space, since services refuse the empty string.
//!
//! A request that fails by 408, 429, 5xx or on the way is tried again, at most five times and within
//! a minute of waiting; `Retry-After` in seconds is honoured within that. Of a 429 that stays, the error has that pause
//! ([`Error::RemoteBusy`]). A service that refuses `encoding_format` and takes the same without is asked without from then on.
//! Who stops waiting ([`Wanted`]) is let go within milliseconds, whatever the request is at.

mod endpoint;
mod name;

use std::borrow::Cow;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ureq::Agent;

use endpoint::{Endpoint, RESPONSE_BYTES_MAX};
use name::Name;
pub(in crate::embed) use name::is_remote;
pub(crate) use name::same_model;

use super::{Arithmetic, Embedder, Embeddings, ModelInfo, Overflow, Pooling, Role, Wanted};
use crate::error::{Error, Result};
use crate::limits::{REMOTE_LOADS_MAX, TEXT_BYTES_MAX};
use crate::tokens::{Estimate, OpenAi, TokenCounter};

/// The environment variable that holds the service's key.
const API_KEY_VARIABLE: &str = "RAGSTONE_EMBED_API_KEY";
/// The environment variable that holds the base URL of the service that the key is for.
const API_URL_VARIABLE: &str = "RAGSTONE_EMBED_API_URL";
/// What it is where nothing is said.
const API_URL_DEFAULT: &str = "https://api.openai.com/v1";

/// Bytes of the texts of one request, unless a single one is longer.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Room for the special tokens of any service.
const SPECIAL_TOKENS: usize = 2;

/// Loads that ask a service, counted: those too whose callers have left, as the thread of a request may go on for seconds with a name or a
/// connection that is not made.
#[derive(Default)]
pub(in crate::embed) struct RemoteLoads(Arc<()>);

impl RemoteLoads {
    /// Counts a load while what it returns is there; none where [`REMOTE_LOADS_MAX`] are.
    fn begin(&self) -> Option<Arc<()>> {
        // It has one itself. That two may pass at once here is no harm.
        (Arc::strong_count(&self.0) <= REMOTE_LOADS_MAX).then(|| Arc::clone(&self.0))
    }
}

/// A model behind an OpenAI-compatible service.
pub struct RemoteEmbedder {
    info: ModelInfo,
    endpoint: Arc<Endpoint>,
    counter: Box<dyn TokenCounter>,
    batch_texts_max: usize,
}

impl RemoteEmbedder {
    /// Connects to the model of a name, with the key of the environment if it is for that service.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a name that is none; [`Error::Remote`] and [`Error::RemoteBusy`] if the probe fails.
    pub fn connect(name: &str) -> Result<RemoteEmbedder> {
        RemoteEmbedder::connect_wanted(name, Wanted::always())
    }

    /// The same for somebody who may stop waiting.
    ///
    /// # Errors
    /// As [`RemoteEmbedder::connect`] and [`Wanted::check`].
    pub fn connect_wanted(name: &str, wanted: Wanted<'_>) -> Result<RemoteEmbedder> {
        RemoteEmbedder::connect_counted(name, wanted, &RemoteLoads::default())
    }

    /// The same, counted among others.
    pub(in crate::embed) fn connect_counted(
        name: &str,
        wanted: Wanted<'_>,
        loads: &RemoteLoads,
    ) -> Result<RemoteEmbedder> {
        let variable = |variable: &str| std::env::var(variable).ok().filter(|value| !value.is_empty());
        let service = variable(API_URL_VARIABLE);
        let service = service.as_deref().unwrap_or(API_URL_DEFAULT);
        let base = Name::parse(name)?.base;
        let key = variable(API_KEY_VARIABLE).filter(|_| is_of(base, service));
        RemoteEmbedder::connect_as(name, key, (wanted, loads))
    }

    /// Connects with a key, or without one.
    ///
    /// # Errors
    /// As [`RemoteEmbedder::connect`].
    pub fn connect_with_key(name: &str, key: Option<String>) -> Result<RemoteEmbedder> {
        RemoteEmbedder::connect_as(name, key, (Wanted::always(), &RemoteLoads::default()))
    }

    fn connect_as(
        name: &str,
        key: Option<String>,
        (wanted, loads): (Wanted<'_>, &RemoteLoads),
    ) -> Result<RemoteEmbedder> {
        let parsed = Name::parse(name)?;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // The key is for one service, and so are the texts, wherever that would have them sent on.
            .max_redirects(0)
            .accept_encoding("identity")
            .timeout_resolve(Some(Duration::from_secs(10)))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_per_call(Some(Duration::from_secs(parsed.timeout as u64)))
            .build();
        let url = format!("{}/embeddings", parsed.base);
        let busy = || Error::RemoteBusy {
            url: url.clone(),
            reason: format!("REMOTE_LOADS_MAX = {REMOTE_LOADS_MAX} loads of remote models are under way"),
            retry_after: None,
        };
        let load = match parsed.dimensions {
            Some(_) => None,
            None => Some(loads.begin().ok_or_else(busy)?),
        };
        let endpoint = Arc::new(Endpoint {
            config,
            clients: Mutex::default(),
            load: Mutex::new(load),
            url,
            model: parsed.model.to_owned(),
            key,
            refused_format: AtomicBool::new(false),
            dimensions: parsed.dimensions,
            response_bytes_max: RESPONSE_BYTES_MAX,
        });
        let (dimension, normalize) = match parsed.dimensions {
            Some(dimensions) => (dimensions, false),
            None => {
                let (vectors, _) = endpoint.request(&["dimension"], None, wanted)?;
                let vector = vectors.first().map(Vec::as_slice).unwrap_or_default();
                let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
                (vector.len(), (square - 1.0).abs() < 1e-3)
            }
        };
        // It is loaded: no thread of its requests is left.
        *endpoint.load.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let info = ModelInfo {
            name: name.to_owned(),
            sha256: None,
            dimension,
            max_tokens: parsed.max_tokens,
            pooling: Pooling::Remote,
            normalize,
            query_prefix: parsed.query_prefix,
            passage_prefix: parsed.passage_prefix,
            arithmetic: Arithmetic::Float,
        };
        let counter = counter(name, parsed.model);
        Ok(RemoteEmbedder { info, endpoint, counter, batch_texts_max: parsed.batch })
    }

    fn prefix(&self, role: Role) -> &str {
        match role {
            Role::Query => &self.info.query_prefix,
            Role::Passage => &self.info.passage_prefix,
            Role::Plain => "",
        }
    }

    /// What is sent for a text, and whether it was cut.
    fn prepare<'a>(
        &self,
        (index, text): (usize, &'a str),
        role: Role,
        overflow: Overflow,
    ) -> Result<(Cow<'a, str>, bool)> {
        let field = || format!("texts[{index}]");
        if text.len() > TEXT_BYTES_MAX {
            let (max, actual) = (TEXT_BYTES_MAX as u64, text.len() as u64);
            return Err(Error::Limit { field: field(), limit: "TEXT_BYTES_MAX", max, actual });
        }
        let (max, overhead) = (self.info.max_tokens, self.overhead_tokens(role));
        let tokens = self.count_tokens(text) + overhead;
        let truncated = tokens > max;
        if truncated && (overflow == Overflow::Error || overhead >= max) {
            return Err(Error::TokenLimit { field: field(), model: self.info.name.clone(), tokens, max });
        }
        let text = if truncated { self.cut(text, max - overhead) } else { text };
        let whole = match self.prefix(role) {
            // Services refuse the empty string.
            "" if text.is_empty() => Cow::Borrowed(" "),
            "" => Cow::Borrowed(text),
            prefix => Cow::Owned(format!("{prefix}{text}")),
        };
        Ok((whole, truncated))
    }

    /// The longest beginning of a text that counts at most so many tokens, found by halving.
    fn cut<'a>(&self, text: &'a str, tokens_max: usize) -> &'a str {
        let mut ends: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        ends.push(text.len());
        let fitting = ends.partition_point(|end| self.count_tokens(&text[..*end]) <= tokens_max);
        &text[..ends[fitting.saturating_sub(1)]]
    }
}

/// Whether a model's base URL is that of a service, or below it. A path that climbs is not, nor one that may be read as if it did (encoded,
/// with backslashes, with parameters behind the dots): who reads it may come out elsewhere.
fn is_of(base: &str, service: &str) -> bool {
    let climbs = |part: &str| matches!(part.split(';').next(), Some("." | ".."));
    let below = base.strip_prefix(service.trim_end_matches('/'));
    below.is_some_and(|below| {
        (below.is_empty() || below.starts_with('/'))
            && !below.contains(['%', '\\'])
            && !below.split('/').any(climbs)
    })
}

/// What counts tokens for a service's model.
fn counter(name: &str, model: &str) -> Box<dyn TokenCounter> {
    match OpenAi::named(model) {
        Some(counter) => Box::new(counter),
        None => Box::new(Estimate { model: name.to_owned() }),
    }
}

impl Embedder for RemoteEmbedder {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings> {
        self.embed_wanted(texts, role, overflow, Wanted::always())
    }

    fn embed_wanted(
        &self,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
        wanted: Wanted<'_>,
    ) -> Result<Embeddings> {
        let mut embeddings = Embeddings::default();
        let mut whole = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let (text, truncated) = self.prepare((index, *text), role, overflow)?;
            whole.push(text);
            embeddings.truncated.push(truncated);
        }
        let whole: Vec<&str> = whole.iter().map(|text| &**text).collect();
        let mut rest = whole.as_slice();
        while !rest.is_empty() {
            let (batch, behind) = rest.split_at(batch_len(rest, self.batch_texts_max));
            rest = behind;
            wanted.check()?;
            let (vectors, tokens) = self.endpoint.request(batch, Some(self.info.dimension), wanted)?;
            embeddings.vectors.extend(vectors);
            embeddings.token_counts.extend(match (batch, tokens) {
                ([_], Some(tokens)) => vec![tokens],
                _ => batch.iter().map(|text| self.count_tokens(text)).collect(),
            });
        }
        Ok(embeddings)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.counter.count(text)
    }

    fn texts_at_a_time(&self) -> usize {
        self.batch_texts_max
    }

    fn counts_exactly(&self) -> bool {
        self.counter.is_exact()
    }

    fn overhead_tokens(&self, role: Role) -> usize {
        match self.prefix(role) {
            "" => SPECIAL_TOKENS,
            // The first word may be split otherwise behind a prefix.
            prefix => SPECIAL_TOKENS + self.count_tokens(prefix) + 1,
        }
    }
}

/// Texts that go into the next request.
fn batch_len(texts: &[&str], texts_max: usize) -> usize {
    let mut bytes = 0;
    let fits = |text: &&&str| {
        bytes += text.len();
        bytes <= BATCH_BYTES_MAX
    };
    texts.iter().take(texts_max).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests;
