//! Templates: what becomes of passages and a question when they are put into messages.
//!
//! A source has two parts, each begun by a line of its own: `{% system %}`, what the model is told, and `{% user %}`, what the user is taken to say. A
//! source without such lines is the user's part alone. **The system's part sees neither passages nor question**, so that no text of
//! a document can come to speak with the system's authority, whatever the template says.
//!
//! A template may come from whoever asks, so rendering is bounded: in time by minijinja's fuel, in memory by the prompt's
//! size, and, since a template that builds strings could need far more memory than it prints, by its language
//! ([`language`](super::language)), which bounds the stack as well.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, ErrorKind, UndefinedBehavior, Value};

use super::language::{self, Part, Sections};
use super::marking::Spotlight;
use super::response::Citation;
use crate::error::{Error, Result};
use crate::limits::{PROMPT_BYTES_MAX, TEMPLATE_FILTER_BYTES_MAX, TEMPLATE_FUEL_MAX};

const DEFAULT_TEMPLATE: &str = include_str!("default.jinja");
/// The limit that rendering has reached when it has taken too many instructions.
pub(crate) const FUEL_LIMIT: &str = "TEMPLATE_FUEL_MAX";
const SYSTEM: &str = "system";
const USER: &str = "user";

/// The template that is used where none is given, as a starting point for one's own.
///
/// After a line `{% system %}` stands what the model is told: there a template sees `delimiter`, a random word that occurs in no text, and `marking`
/// (`off`, `lines`, `words`) and `mark`, by which passages and their headings are marked, wherever a template puts them. After a line `{% user %}` stands what the user is taken to say:
/// there it also sees `question` and `citations`, each with `index`, `document`, `heading`, `start`, `end`, `score` and `text`.
/// Templates are [minijinja](https://docs.rs/minijinja)'s with the statements `for` and `if`, comparisons, and the filters `trim`,
/// `upper`, `lower`, `length`, `first`, `last` and `round`.
pub fn default_template() -> &'static str {
    DEFAULT_TEMPLATE
}

/// What the parts of a template see.
pub(crate) struct Input<'a> {
    pub(crate) question: &'a str,
    pub(crate) citations: &'a [Citation],
    pub(crate) spotlight: &'a Spotlight,
}

/// What a template makes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rendered {
    /// Empty if the template has no such part.
    pub(crate) system: String,
    pub(crate) user: String,
}

/// A template that was checked and compiled.
pub(crate) struct Template<'a> {
    environment: Environment<'a>,
    sections: Sections<'a>,
    /// Bytes that filters have read.
    read: Arc<AtomicU64>,
}

impl<'a> Template<'a> {
    /// Compiles a template, the built-in one when there is none.
    ///
    /// # Errors
    /// [`Error::Template`], with the line.
    pub(crate) fn new(source: Option<&'a str>) -> Result<Template<'a>> {
        let sections = language::sections(source.unwrap_or(DEFAULT_TEMPLATE))?;
        let read = Arc::new(AtomicU64::new(0));
        let mut environment = environment(&read)?;
        for (name, part) in [(SYSTEM, &sections.system), (USER, &sections.user)] {
            language::check(part)?;
            environment.add_template(name, part.source).map_err(|error| failed(part, &error))?;
        }
        Ok(Template { environment, sections, read })
    }

    /// Renders both parts.
    ///
    /// # Errors
    /// [`Error::Template`], with the line; [`Error::Limit`] beyond [`PROMPT_BYTES_MAX`].
    pub(crate) fn render(&self, input: &Input<'_>) -> Result<Rendered> {
        self.read.store(0, Ordering::Relaxed);
        let Spotlight { delimiter, marking, mark } = input.spotlight;
        let trusted = BTreeMap::from([
            ("delimiter", Value::from(delimiter.as_str())),
            ("marking", Value::from(marking.as_str())),
            ("mark", Value::from(mark.to_string())),
        ]);
        let citations = input.citations.iter().map(|citation| value(citation, input.spotlight));
        let mut all = trusted.clone();
        all.insert("question", Value::from(input.question));
        all.insert("citations", Value::from(citations.collect::<Vec<_>>()));
        let system = self.part(SYSTEM, &self.sections.system, trusted, 0).map_err(|error| match error {
            Error::Template { reason } if reason.contains("undefined") => Error::Template {
                reason: format!("{reason}; the system's part has neither question nor citations"),
            },
            other => other,
        })?;
        let user = self.part(USER, &self.sections.user, all, system.len())?;
        Ok(Rendered { system: system.trim().to_owned(), user: user.trim().to_owned() })
    }

    fn part(
        &self,
        name: &str,
        part: &Part<'_>,
        context: BTreeMap<&str, Value>,
        bytes_before: usize,
    ) -> Result<String> {
        let mut prompt =
            Bounded { bytes: Vec::new(), bytes_max: PROMPT_BYTES_MAX - bytes_before, over: false };
        let template = self.environment.get_template(name).map_err(|error| failed(part, &error))?;
        match template.render_captured_to(context, &mut prompt) {
            Err(_) if prompt.over => {
                return Err(Error::Limit {
                    field: "prompt".to_owned(),
                    limit: "PROMPT_BYTES_MAX",
                    max: PROMPT_BYTES_MAX as u64,
                    actual: (bytes_before + prompt.bytes.len()) as u64 + 1,
                });
            }
            outcome => outcome.map(drop).map_err(|error| failed(part, &error))?,
        }
        String::from_utf8(prompt.bytes).map_err(|error| Error::Template { reason: error.to_string() })
    }
}

fn environment<'a>(read: &Arc<AtomicU64>) -> Result<Environment<'a>> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL_MAX));
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| Error::Template { reason: error.to_string() })?);
    // What a filter reads costs no fuel, so it is counted here.
    let text_filter = |change: fn(&str) -> String| {
        let read = read.clone();
        move |text: &str| spend(&read, text.len()).map(|()| change(text))
    };
    environment.add_filter("trim", text_filter(|text| text.trim().to_owned()));
    environment.add_filter("upper", text_filter(str::to_uppercase));
    environment.add_filter("lower", text_filter(str::to_lowercase));
    let of_length = read.clone();
    environment.add_filter("length", move |value: Value| {
        spend(&of_length, size(&value)).map(|()| value.len().unwrap_or(0))
    });
    let of_first = read.clone();
    environment.add_filter("first", move |value: Value| {
        spend(&of_first, size(&value))?;
        value.try_iter().map(|mut items| items.next().unwrap_or_default())
    });
    let of_last = read.clone();
    environment.add_filter("last", move |value: Value| {
        spend(&of_last, size(&value))?;
        value.try_iter().map(|items| items.last().unwrap_or_default())
    });
    environment.add_filter("round", |number: f64, digits: Option<u32>| {
        let scale = 10f64.powi(digits.unwrap_or(0).min(12) as i32);
        (number * scale).round() / scale
    });
    Ok(environment)
}

fn value(citation: &Citation, spotlight: &Spotlight) -> Value {
    // The shortest digits that mean this f32, not those of the f64 it converts to.
    let score = citation.score.to_string().parse().unwrap_or(f64::from(citation.score));
    Value::from(BTreeMap::from([
        ("index", Value::from(citation.index)),
        ("document", Value::from(spotlight.document(&citation.document))),
        ("heading", Value::from(spotlight.heading(&citation.heading))),
        ("start", Value::from(citation.start)),
        ("end", Value::from(citation.end)),
        ("score", Value::from(score)),
        ("text", Value::from(spotlight.apply(&citation.text))),
    ]))
}

/// Bytes of a text, or items of a list.
fn size(value: &Value) -> usize {
    value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len)
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

/// An error of a part, by its line in the whole source.
fn failed(part: &Part<'_>, error: &minijinja::Error) -> Error {
    if error.kind() == ErrorKind::OutOfFuel {
        return Error::Limit {
            field: "template".to_owned(),
            limit: FUEL_LIMIT,
            max: TEMPLATE_FUEL_MAX,
            actual: TEMPLATE_FUEL_MAX + 1,
        };
    }
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let line = error.line().map(|line| format!("line {}: ", line + part.lines_before));
    Error::Template { reason: format!("{}{what}", line.unwrap_or_default()) }
}

/// A buffer that refuses to outgrow the limit.
struct Bounded {
    bytes: Vec<u8>,
    bytes_max: usize,
    over: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > self.bytes_max {
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

#[cfg(test)]
#[path = "template_tests.rs"]
mod tests;
