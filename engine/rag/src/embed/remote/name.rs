//! The names of remote models, taken apart.

use super::endpoint::DIMENSION_MAX;
use crate::error::{Error, Result};
use crate::limits::EMBED_TEXTS_MAX;

/// Texts of one request, unless the name says otherwise.
const BATCH_TEXTS_DEFAULT: usize = 128;
/// Tokens that a model reads unless its name says otherwise.
const MAX_TOKENS_DEFAULT: usize = 8_191;
/// Tokens that a model may be said to read.
const MAX_TOKENS_MAX: usize = 10_000_000;
/// Seconds for one try, unless the name says otherwise, and at most.
const TIMEOUT_DEFAULT: usize = 120;
const TIMEOUT_MAX: usize = 3_600;
/// What may stand in a name's query.
const SETTINGS: &str = "dimensions, max_tokens, query_prefix, passage_prefix, batch, timeout";

/// Whether a model's name is that of a remote one.
pub(in crate::embed) fn is_remote(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// A name, taken apart.
#[derive(Debug, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) base: &'a str,
    pub(super) model: &'a str,
    pub(super) dimensions: Option<usize>,
    pub(super) max_tokens: usize,
    pub(super) query_prefix: String,
    pub(super) passage_prefix: String,
    pub(super) batch: usize,
    pub(super) timeout: usize,
}

impl Name<'_> {
    pub(super) fn parse(name: &str) -> Result<Name<'_>> {
        let wrong =
            |reason: &str| Error::Invalid { field: "model".to_owned(), reason: format!("`{name}` {reason}") };
        let (url, model) = name.split_once('#').unwrap_or((name, ""));
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let host = base.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
        if host.contains('@') {
            // Not repeated: whoever is told of a model reads its name.
            let reason = "a user or password in a remote model's name would be read by everybody who sees the model; its key is in a variable \
                          of the environment";
            return Err(Error::Invalid { field: "model".to_owned(), reason: reason.to_owned() });
        }
        if model.is_empty() {
            return Err(wrong("names no model; a remote model is named https://host/v1#model-name"));
        }
        if !is_remote(base) || host.is_empty() {
            return Err(wrong("has no host"));
        }
        let mut parsed = Name {
            base: base.trim_end_matches('/'),
            model,
            dimensions: None,
            max_tokens: MAX_TOKENS_DEFAULT,
            query_prefix: String::new(),
            passage_prefix: String::new(),
            batch: BATCH_TEXTS_DEFAULT,
            timeout: TIMEOUT_DEFAULT,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            parsed.set(key, value).map_err(|reason| wrong(&reason))?;
        }
        Ok(parsed)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number = |max: usize| match value.parse().ok().filter(|number| (1..=max).contains(number)) {
            Some(number) => Ok(number),
            None => Err(format!("has no number from 1 to {max} as {key}")),
        };
        let text = || decoded(value).ok_or_else(|| format!("has a {key} that is not percent-encoded UTF-8"));
        match key {
            "dimensions" => self.dimensions = Some(number(DIMENSION_MAX)?),
            "max_tokens" => self.max_tokens = number(MAX_TOKENS_MAX)?,
            "query_prefix" => self.query_prefix = text()?,
            "passage_prefix" => self.passage_prefix = text()?,
            "batch" => self.batch = number(EMBED_TEXTS_MAX)?,
            "timeout" => self.timeout = number(TIMEOUT_MAX)?,
            _ => return Err(format!("has the unknown setting {key}; known are {SETTINGS}")),
        }
        Ok(())
    }
}

/// Whether two names are of one model: the same, or such of remote models that differ in nothing but in how requests are sent.
pub(crate) fn same_model(one: &str, other: &str) -> bool {
    let parsed = |name| Some(Name { batch: 0, timeout: 0, ..Name::parse(name).ok()? });
    one == other || parsed(one).is_some_and(|one| parsed(other).is_some_and(|other| one == other))
}

/// A text whose bytes may be given as `%20`.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}
