//! Filters as people write them: `lang = "en" and year >= 2020 and not (draft = true or title in ("Re:", "Fwd:"))`.
//!
//! **Problem.** Whoever asks by hand, on a command line or in a configuration, needs conditions in a form that can be read, and
//! mistakes in it shown where they are. And a filter that a program made should be readable in a log.
//!
//! **Idea.** Two steps. The text becomes a tree of names and literals with their places (`lexer.rs`, `parser.rs`); then the
//! tree meets the fields of a collection (`resolve.rs`), where `1` becomes a float for a float field, and an unknown field, a
//! value of another type or a place that there is none of is an error that points at the place in the text. A parser generator would save little of so small
//! a grammar and cost its errors; recursive descent by hand says what it expects.
//!
//! ```text
//! filter      = and-chain ("or" and-chain)*
//! and-chain   = term ("and" term)*
//! term        = "not" term | "(" filter ")" | ("all" | "any") "of" "(" [filter ("," filter)*] ")" | condition
//! condition   = field ("=" | "==" | "!=" | "<>") value
//!             | field comparison value ("and" comparison value)*        comparison = "<" | "<=" | ">" | ">="
//!             | field ["not"] ("in" "(" [value ("," value)*] ")" | "between" value "and" value)
//!             | field ["not"] ("contains" (text | "any" "(" texts ")") | "prefix" text | "match" text | "exists")
//!             | field "is" ["not"] "null" | field ["not"] "within" number ("m" | "km") "of" "(" lat "," lon ")" | "all" "tenants"
//! field       = a word, or anything in backquotes
//! value       = "true" | "false" | number | text in " or ' | "timestamp" (text | microseconds)
//! ```
//! Keywords are in any case. `and` binds more strongly than `or`; `year > 2000 and <= 2020` is one range. `all of ()` is
//! everything, `any of ()` nothing.
//!
//! **Invariants.** A filter that a collection accepts, printed and read again, is the same filter (`display.rs`), with the
//! collection's fields or without. Depth and terms are bounded as those of any filter, the text by
//! [`FILTER_TEXT_BYTES_MAX`], so reading takes bounded time, memory and stack. It never panics: `tests/fuzz` looks for it.
//!
//! **Cost.** Linear in the text; a few hundred nanoseconds for a condition.

mod display;
mod error;
mod lexer;
mod nearest;
mod parser;
mod resolve;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

pub use error::ParseError;

use self::error::Problem;
use self::resolve::Fields;
use super::{FieldType, Filter, time};
use crate::limits::FILTER_TEXT_BYTES_MAX;

impl Filter {
    /// Reads a filter as it is printed and as people write it. Its values have the types that they look like; to give them those
    /// of a collection's fields, use [`parse_for`](Self::parse_for).
    ///
    /// | condition | what passes |
    /// |---|---|
    /// | `lang = "en"`, `lang != "en"` | rows with this value; all others, also those without one |
    /// | `year >= 2020`, `year > 2000 and <= 2020` | rows in a range |
    /// | `year between 2000 and 2020` | the same with both ends |
    /// | `lang in ("en", "de")`, `lang not in ("en")` | rows with one of the values; all others |
    /// | `tags contains "x"`, `tags contains any ("x", "y")` | rows whose list holds it, or one of them |
    /// | `title prefix "Re:"`, `title match "green tea"` | texts that start so; texts with all these terms |
    /// | `year exists`, `year is null` | rows that have the field; rows that do not |
    /// | `place within 2 km of (48.2, 16.37)` | places near this latitude and longitude |
    /// | `at >= timestamp "2024-05-01T12:00:00Z"` | moments (with the fields known, the word may be left out) |
    /// | `all tenants` | rows of whatever tenant |
    /// | `a and b`, `a or b`, `not a`, `(a)` | `and` binds more strongly than `or` |
    ///
    /// Keywords are in any case; texts stand in `"` or `'` with the escapes of Rust, names with spaces or odd characters in
    /// backquotes.
    ///
    /// ```
    /// use ragstone::Filter;
    ///
    /// let filter = Filter::parse(r#"lang in ("en", "de") and not (year < 2020 or `my tag` = 'x')"#)?;
    /// assert_eq!(filter.to_string(), r#"lang in ("en", "de") and not (year < 2020 or `my tag` = "x")"#);
    /// assert_eq!(Filter::parse(&filter.to_string())?, filter);
    /// # Ok::<(), ragstone::ParseError>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseError`], which points at what is wrong.
    pub fn parse(text: &str) -> Result<Filter, ParseError> {
        read(text, Fields { types: None, is_text: None })
    }

    /// Reads a filter for a collection with these fields ([`Schema::fields`](crate::Schema::fields)): a number takes the type
    /// of its field, and a field that is not there or a value that does not fit is an error at its place.
    ///
    /// ```
    /// use ragstone::{Db, FieldType, Filter, Schema};
    ///
    /// let schema = Schema::builder(2).field("score", FieldType::Float).build()?;
    /// let notes = Db::in_memory()?.create_collection("notes", schema)?;
    /// let fields = notes.schema().fields().clone();
    /// assert_eq!(Filter::parse_for("score = 1", &fields)?, Filter::eq("score", 1.0));
    /// let error = Filter::parse_for("score > 1 and scroe < 9", &fields).unwrap_err();
    /// assert_eq!((error.column, &*error.reason), (15, "the collection has no field of this name; did you mean `score`?"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseError`], which points at what is wrong.
    pub fn parse_for(text: &str, fields: &BTreeMap<String, FieldType>) -> Result<Filter, ParseError> {
        read(text, Fields { types: Some(fields), is_text: None })
    }

    /// As [`parse_for`](Self::parse_for), knowing also which fields are searched by word ([`Schema::texts`](crate::Schema::texts)):
    /// `match` of another one is an error at its place, and not only when the collection is asked.
    ///
    /// ```
    /// use ragstone::{Analyzer, FieldType, Filter, Schema};
    ///
    /// let schema =
    ///     Schema::builder(2).field("lang", FieldType::String).text("title", Analyzer::default()).build()?;
    /// let is_text = |field: &str| schema.texts().contains_key(field);
    /// assert!(Filter::parse_for_texts("title match 'tea'", schema.fields(), is_text).is_ok());
    /// let error = Filter::parse_for_texts("title match 'tea' and lang match 'en'", schema.fields(), is_text);
    /// assert_eq!(error.unwrap_err().column, 23);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`ParseError`], which points at what is wrong.
    pub fn parse_for_texts(
        text: &str,
        fields: &BTreeMap<String, FieldType>,
        is_text: impl Fn(&str) -> bool,
    ) -> Result<Filter, ParseError> {
        read(text, Fields { types: Some(fields), is_text: Some(&is_text) })
    }
}

impl std::str::FromStr for Filter {
    type Err = ParseError;

    /// As [`Filter::parse`].
    fn from_str(text: &str) -> Result<Self, ParseError> {
        Filter::parse(text)
    }
}

fn read(text: &str, fields: Fields<'_>) -> Result<Filter, ParseError> {
    if text.len() > FILTER_TEXT_BYTES_MAX {
        let reason = format!("the text is beyond the limit FILTER_TEXT_BYTES_MAX = {FILTER_TEXT_BYTES_MAX}");
        return Err(Problem::new(&(0..0), reason).within(text));
    }
    parser::parse(text)
        .and_then(|node| resolve::resolve(node, fields))
        .map_err(|problem| problem.within(text))
}

impl From<ParseError> for crate::Error {
    fn from(error: ParseError) -> Self {
        crate::Error::invalid("filter", error.to_string())
    }
}
