//! Files of many documents: JSON Lines and CSV, taken apart record by record in bounded memory.
//!
//! A record becomes a document: one field (or several) is its text, one its title, one its id, and the others are its metadata, for
//! filters. Without a name for them, the id is the field `id` or `_id`, the title `title`, the text the first of `text`, `content`,
//! `body` that a record has. A record without an id is known by its number, so records before it had better stay.
//!
//! A record that does not fit is an error that names its line, and the next one is read; a file that cannot be read on, such as a CSV
//! file with a quote that is never closed, ends with an error.
//!
//! ```
//! use ragstone_rag::ingest::records::{RecordFormat, RecordOptions, read};
//!
//! let file = "id,title,text,year\n1,Tea,Green tea is steeped briefly.,2026\n2,Coffee\n";
//! let mut records = read(file.as_bytes(), RecordFormat::Csv, RecordOptions::default());
//! let tea = records.next().unwrap()?;
//! assert_eq!((tea.id.as_str(), tea.title.as_str(), tea.text.as_str()), ("1", "Tea", "Green tea is steeped briefly."));
//! assert_eq!(tea.metadata["year"], "2026".into());
//! let error = records.next().unwrap().unwrap_err();
//! assert!(error.to_string().starts_with("line 3: it has 2 fields"), "{error}");
//! assert!(records.next().is_none());
//! # Ok::<(), ragstone_rag::Error>(())
//! ```

mod csv;
mod json_lines;
mod value;

use std::collections::BTreeMap;
use std::io::BufRead;

use ragstone::{FieldType, Payload, Schema};

use super::{DocumentInput, MediaType};
use crate::error::{Error, Result};
use crate::limits::RECORD_NAMES_MAX;
use crate::prompt::check_max;

/// How a file of records is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// An object of JSON a line.
    JsonLines,
    /// Comma-separated values (RFC 4180), names in the first row.
    Csv,
    /// The same with tabs for commas.
    Tsv,
}

impl RecordFormat {
    const ALL: [(RecordFormat, &'static str, &'static [&'static str]); 3] = [
        (RecordFormat::JsonLines, "jsonl", &["jsonl", "ndjson"]),
        (RecordFormat::Csv, "csv", &["csv"]),
        (RecordFormat::Tsv, "tsv", &["tsv"]),
    ];

    /// The format of a name: `jsonl`, `csv`, `tsv`.
    pub fn parse(name: &str) -> Option<RecordFormat> {
        RecordFormat::ALL.into_iter().find(|(_, known, _)| *known == name).map(|(format, ..)| format)
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            RecordFormat::JsonLines => "jsonl",
            RecordFormat::Csv => "csv",
            RecordFormat::Tsv => "tsv",
        }
    }

    /// The format by the extension of a file, in any case of letters.
    pub(super) fn from_extension(extension: &str) -> Option<RecordFormat> {
        let lower = extension.to_ascii_lowercase();
        let mut all = RecordFormat::ALL.into_iter();
        all.find(|(.., known)| known.contains(&lower.as_str())).map(|(format, ..)| format)
    }
}

/// Which fields of a record are what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordOptions {
    /// The field of the id; `id` or `_id` by default, where a record may lack it.
    pub id: Option<String>,
    /// The field of the title; `title` by default. A record may lack it.
    pub title: Option<String>,
    /// The fields of the text, joined by blank lines; the first of `text`, `content` and `body` by default.
    pub text: Vec<String>,
    /// Types of other fields, as a collection declares them: texts are read as such, and whole numbers may be floats. Of fields that are
    /// not among these, JSON says the type, and CSV gives strings.
    pub types: BTreeMap<String, FieldType>,
}

impl RecordOptions {
    /// Has other fields read as a collection declares them.
    #[must_use]
    pub fn typed_by(mut self, schema: &Schema) -> Self {
        let own = schema.fields().iter().filter(|(name, _)| !name.starts_with('_'));
        self.types = own.map(|(name, kind)| (name.clone(), *kind)).collect();
        self
    }
}

/// A record as a document.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Where it begins in its file, from 1.
    pub line: u64,
    /// Its id in its file; the number of the record, from 1, if it has none of its own.
    pub id: String,
    /// Its title; may be empty.
    pub title: String,
    /// Its text.
    pub text: String,
    /// Its other fields.
    pub metadata: Payload,
}

impl Record {
    /// The document of a record of a file: `FILE#ID`, plain text.
    pub fn into_document(self, file: &str, source: &str) -> DocumentInput {
        DocumentInput {
            id: format!("{file}{ID_SEPARATOR}{}", self.id),
            title: self.title,
            source: source.to_owned(),
            media_type: Some(MediaType::Text),
            content: self.text.into_bytes(),
            metadata: self.metadata,
            request_id: None,
        }
    }
}

/// Between the id of a file and that of a record.
pub const ID_SEPARATOR: char = '#';
/// Names of fields where none are given.
const ID_FIELDS: [&str; 2] = ["id", "_id"];
const TITLE_FIELD: &str = "title";
const TEXT_FIELDS: [&str; 3] = ["text", "content", "body"];

/// The records of a file, one at a time. Memory is bounded by one record, of at most
/// [`DOCUMENT_BYTES_MAX`](crate::limits::DOCUMENT_BYTES_MAX) bytes.
///
/// Errors are [`Error::Invalid`] and [`Error::Limit`], naming the line and, where there is one, the field, after which it goes on;
/// [`Error::Io`] ends it.
pub fn read<R: BufRead>(file: R, format: RecordFormat, options: RecordOptions) -> Records<R> {
    let lines = match format {
        RecordFormat::JsonLines => Lines::Json(json_lines::JsonLines::new(file)),
        RecordFormat::Csv => Lines::Csv(csv::Rows::new(file, b',')),
        RecordFormat::Tsv => Lines::Csv(csv::Rows::new(file, b'\t')),
    };
    Records { lines, options, number: 0 }
}

/// The records of a file: [`read`].
pub struct Records<R> {
    lines: Lines<R>,
    options: RecordOptions,
    /// Of the last record.
    number: u64,
}

enum Lines<R> {
    Json(json_lines::JsonLines<R>),
    Csv(csv::Rows<R>),
}

/// A record's fields by name, and the line that it begins on.
struct Fields {
    line: u64,
    fields: BTreeMap<String, Field>,
}

/// The value of a field as a file has it.
enum Field {
    Json(serde_json::Value),
    /// In CSV, everything is text; nothing is an empty one.
    Text(String),
}

impl<R: BufRead> Iterator for Records<R> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Result<Record>> {
        let fields = match &mut self.lines {
            Lines::Json(lines) => lines.next()?,
            Lines::Csv(rows) => rows.next()?,
        };
        self.number += 1;
        Some(fields.and_then(|fields| self.record(fields)))
    }
}

impl<R> Records<R> {
    fn record(&self, Fields { line, mut fields }: Fields) -> Result<Record> {
        let options = &self.options;
        let id = match &options.id {
            Some(name) => {
                Some(value::id(take(&mut fields, name, line)?).map_err(|reason| bad(line, name, &reason))?)
            }
            None => {
                match ID_FIELDS.iter().find_map(|name| fields.remove(*name).map(|field| (*name, field))) {
                    Some((name, field)) => Some(value::id(field).map_err(|reason| bad(line, name, &reason))?),
                    None => None,
                }
            }
        };
        let text = |name: &str, field: Field| value::text(field).map_err(|reason| bad(line, name, &reason));
        let title = match &options.title {
            Some(name) => fields.remove(name).map(|field| text(name, field)).transpose()?,
            None => fields.remove(TITLE_FIELD).map(|field| text(TITLE_FIELD, field)).transpose()?,
        };
        let mut texts = Vec::new();
        if options.text.is_empty() {
            let found = TEXT_FIELDS.iter().find_map(|name| fields.remove(*name).map(|field| (*name, field)));
            let (name, field) = found.ok_or_else(|| {
                let known = TEXT_FIELDS.join("`, `");
                at(line, &format!("it has none of the fields `{known}`; say which one is the text"))
            })?;
            texts.push(text(name, field)?);
        }
        for name in &options.text {
            texts.push(text(name, take(&mut fields, name, line)?)?);
        }
        let mut metadata = Payload::new();
        for (name, field) in fields {
            let kind = options.types.get(&name).copied();
            let value = value::metadata(field, kind).map_err(|reason| bad(line, &name, &reason))?;
            metadata.extend(value.map(|value| (name, value)));
        }
        Ok(Record {
            line,
            id: id.unwrap_or_else(|| self.number.to_string()),
            title: title.unwrap_or_default(),
            text: texts.join("\n\n"),
            metadata,
        })
    }
}

fn take(fields: &mut BTreeMap<String, Field>, name: &str, line: u64) -> Result<Field> {
    fields.remove(name).ok_or_else(|| bad(line, name, "it is missing"))
}

/// What is wrong with a field of a record.
fn bad(line: u64, field: &str, reason: &str) -> Error {
    Error::Invalid { field: format!("line {line}, field `{field}`"), reason: reason.to_owned() }
}

/// What is wrong with a record.
fn at(line: u64, reason: &str) -> Error {
    Error::Invalid { field: format!("line {line}"), reason: reason.to_owned() }
}

/// Refuses more fields than a record may have.
fn check_names(line: u64, count: usize) -> Result<()> {
    check_max(&format!("line {line}, fields"), count, "RECORD_NAMES_MAX", RECORD_NAMES_MAX)
}

#[cfg(test)]
mod tests;
