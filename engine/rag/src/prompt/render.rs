//! Citations and question into a prompt.
//!
//! A template may come from whoever asks, so rendering is bounded: in time by minijinja's fuel, in memory by the prompt's
//! size, and, since a template that builds strings could need far more memory than it prints, by its language. It has
//! `for`, `if`, output, comparisons and the filters below, but nothing that assigns or concatenates: without doubling,
//! no value is larger than the input. [`check_language`] enforces that on the tags of the source before it is compiled;
//! a name that is not defined is an error, not an empty text.
//!
//! A template sees `question`, `citations` (each with `index`, `document`, `heading`, `start`, `end`, `score`, `text`)
//! and `delimiter`.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::Citation;
use crate::error::{Error, Result};
use crate::limits::{PROMPT_BYTES_MAX, TEMPLATE_FILTER_BYTES_MAX, TEMPLATE_FUEL_MAX};

const DEFAULT_TEMPLATE: &str = include_str!("default.jinja");
const NAME: &str = "template";

/// The template that is used where none is given, as a starting point for one's own.
///
/// It sees `question`, `citations` (each with `index`, `document`, `heading`, `start`, `end`, `score`, `text`) and
/// `delimiter`, a random word that occurs in none of them. Templates are [minijinja](https://docs.rs/minijinja)'s with
/// the statements `for` and `if`, comparisons, and the filters `trim`, `upper`, `lower`, `length`, `first`, `last` and
/// `round`.
pub fn default_template() -> &'static str {
    DEFAULT_TEMPLATE
}

/// A template that was checked and compiled.
pub(crate) struct Template<'a> {
    environment: Environment<'a>,
}

impl<'a> Template<'a> {
    /// Compiles a template, the built-in one when there is none.
    ///
    /// # Errors
    /// [`Error::Template`], with the line.
    pub(crate) fn new(source: Option<&'a str>) -> Result<Template<'a>> {
        let source = source.unwrap_or(DEFAULT_TEMPLATE);
        check_language(source)?;
        let mut environment = Environment::empty();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(TEMPLATE_FUEL_MAX));
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build().map_err(failed)?;
        environment.set_syntax(syntax);
        // What a filter reads costs no fuel, so it is counted here.
        let read = Arc::new(AtomicU64::new(0));
        let text_filter = |change: fn(&str) -> String| {
            let read = read.clone();
            move |text: &str| spend(&read, text.len()).map(|()| change(text))
        };
        environment.add_filter("trim", text_filter(|text| text.trim().to_owned()));
        environment.add_filter("upper", text_filter(str::to_uppercase));
        environment.add_filter("lower", text_filter(str::to_lowercase));
        environment.add_filter("length", move |value: Value| {
            let bytes = value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len);
            spend(&read, bytes).map(|()| value.len().unwrap_or(0))
        });
        environment.add_filter("first", |value: Value| {
            value.try_iter().map(|mut items| items.next().unwrap_or_default())
        });
        environment.add_filter("last", |value: Value| {
            value.try_iter().map(|items| items.last().unwrap_or_default())
        });
        environment.add_filter("round", |number: f64, digits: Option<u32>| {
            let scale = 10f64.powi(digits.unwrap_or(0).min(12) as i32);
            (number * scale).round() / scale
        });
        environment.add_template(NAME, source).map_err(failed)?;
        Ok(Template { environment })
    }

    /// Renders a prompt. `delimiters` gives candidates until one occurs in none of the texts.
    ///
    /// # Errors
    /// [`Error::Template`]; [`Error::Limit`] beyond [`PROMPT_BYTES_MAX`].
    pub(crate) fn render(
        &self,
        question: &str,
        citations: &[Citation],
        delimiters: impl IntoIterator<Item = String>,
    ) -> Result<String> {
        let quoted = || {
            let texts = citations.iter().flat_map(|c| [&c.text, &c.document, &c.heading].map(String::as_str));
            texts.chain([question])
        };
        let delimiter = delimiters
            .into_iter()
            .find(|delimiter| quoted().all(|text| !text.contains(delimiter.as_str())))
            .ok_or_else(|| Error::Template { reason: "every delimiter occurs in the texts".to_owned() })?;
        let context: BTreeMap<&str, Value> = BTreeMap::from([
            ("question", Value::from(question)),
            ("delimiter", Value::from(delimiter)),
            ("citations", Value::from(citations.iter().map(value).collect::<Vec<_>>())),
        ]);
        let mut prompt = Bounded { bytes: Vec::new(), over: false };
        let template = self.environment.get_template(NAME).map_err(failed)?;
        match template.render_captured_to(context, &mut prompt) {
            Err(_) if prompt.over => {
                return Err(Error::Limit {
                    field: "prompt".to_owned(),
                    limit: "PROMPT_BYTES_MAX",
                    max: PROMPT_BYTES_MAX as u64,
                    actual: prompt.bytes.len() as u64 + 1,
                });
            }
            outcome => outcome.map(drop).map_err(failed)?,
        }
        String::from_utf8(prompt.bytes).map_err(|error| Error::Template { reason: error.to_string() })
    }
}

/// Words that cannot be guessed: 64 bits each, from the randomness that the standard library keys its maps with.
pub(crate) fn random_delimiters() -> impl Iterator<Item = String> {
    std::iter::repeat_with(|| format!("passage-{:016x}", RandomState::new().build_hasher().finish()))
}

fn value(citation: &Citation) -> Value {
    // The shortest digits that mean this f32, not those of the f64 it converts to.
    let score = citation.score.to_string().parse().unwrap_or(f64::from(citation.score));
    Value::from(BTreeMap::from([
        ("index", Value::from(citation.index)),
        ("document", Value::from(citation.document.as_str())),
        ("heading", Value::from(citation.heading.as_str())),
        ("start", Value::from(citation.start)),
        ("end", Value::from(citation.end)),
        ("score", Value::from(score)),
        ("text", Value::from(citation.text.as_str())),
    ]))
}

/// Takes what a filter reads from what filters may read.
fn spend(read: &AtomicU64, bytes: usize) -> Result<(), minijinja::Error> {
    let before = read.fetch_add(bytes as u64, Ordering::Relaxed);
    if before.saturating_add(bytes as u64) > TEMPLATE_FILTER_BYTES_MAX {
        let reason =
            format!("filters read more than TEMPLATE_FILTER_BYTES_MAX = {TEMPLATE_FILTER_BYTES_MAX} bytes");
        return Err(minijinja::Error::new(ErrorKind::InvalidOperation, reason));
    }
    Ok(())
}

fn failed(error: minijinja::Error) -> Error {
    Error::Template { reason: error.to_string() }
}

/// A buffer that refuses to outgrow the limit.
struct Bounded {
    bytes: Vec<u8>,
    over: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > PROMPT_BYTES_MAX {
            self.over = true;
            return Err(io::Error::other("the prompt is too long"));
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Refuses what could build values larger than the input: statements but `for` and `if`, and the operators and the comma
/// that put values together. Outside of string literals these characters have no other use in the tags that are left.
fn check_language(source: &str) -> Result<()> {
    const STATEMENTS: [&str; 6] = ["for", "endfor", "if", "elif", "else", "endif"];
    let refuse = |at: usize, what: String| {
        let line = source[..at].bytes().filter(|byte| *byte == b'\n').count() + 1;
        Err(Error::Template {
            reason: format!(
                "line {line}: {what} is not available; templates have for, if, output, comparisons and filters"
            ),
        })
    };
    let mut at = 0;
    while let Some(open) = source[at..].find("{").map(|found| at + found) {
        let close = match source.as_bytes().get(open + 1) {
            Some(b'#') => {
                let Some(end) = source[open + 2..].find("#}") else { return Ok(()) };
                at = open + 2 + end + 2;
                continue;
            }
            Some(b'%') => "%}",
            Some(b'{') => "}}",
            _ => {
                at = open + 1;
                continue;
            }
        };
        let inside = &source[open + 2..];
        let tag = tag(inside, close);
        if let Some((offset, c)) = tag.forbidden {
            return refuse(open + 2 + offset, format!("`{c}`"));
        }
        let mut words = tag.text.trim_start_matches('-').split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let first = words.find(|word| !word.is_empty()).unwrap_or_default();
        if close == "%}" && !STATEMENTS.contains(&first) {
            return refuse(open, format!("statement `{first}`"));
        }
        if first == "for" && words.any(|word| word == "recursive") {
            return refuse(open, "`recursive`".to_owned());
        }
        at = open + 2 + tag.text.len();
    }
    Ok(())
}

struct Tag<'a> {
    text: &'a str,
    /// The first character that tags may not hold, and its place.
    forbidden: Option<(usize, char)>,
}

/// The inside of a tag, up to its end outside of string literals.
fn tag<'a>(inside: &'a str, close: &str) -> Tag<'a> {
    let (mut quote, mut escaped) = (None, false);
    for (at, c) in inside.char_indices() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if inside[at..].starts_with(close) => return Tag { text: &inside[..at], forbidden: None },
            None if c == '"' || c == '\'' => quote = Some(c),
            None if "~+*%,{}".contains(c) => return Tag { text: &inside[..at], forbidden: Some((at, c)) },
            None => {}
        }
    }
    Tag { text: inside, forbidden: None }
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
