//! Lines of JSON.
//!
//! A value takes thirty times its bytes once it is read. So a line is taken apart into its fields first, without copying them, and only then read: texts
//! take what they are long, and what is no text can only be stored with each chunk, of which there is little.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, Read};
use std::path::PathBuf;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{Field, Fields, at, bad, check_names};
use crate::error::{Error, Result};
use crate::limits::{DOCUMENT_BYTES_MAX, METADATA_BYTES_MAX, RECORD_NAMES_MAX};

/// A line, its end included, has at most so many bytes.
const LINE_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX as u64 + 2;

/// Bytes that the fields of a line have that are no texts: more than can be stored, since there may be spaces in them.
const OTHER_BYTES_MAX: usize = 4 * METADATA_BYTES_MAX;

pub(super) struct JsonLines<R> {
    file: R,
    /// The last one read.
    line: u64,
    is_over: bool,
}

impl<R: BufRead> JsonLines<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, line: 0, is_over: false }
    }

    /// The fields of the next line that is not empty.
    pub(super) fn next(&mut self) -> Option<Result<Fields>> {
        while !self.is_over {
            let bytes = match self.line() {
                Ok(bytes) => bytes?,
                Err(error) => return Some(Err(error)),
            };
            let mut content = bytes.as_slice();
            if self.line == 1 {
                content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
            }
            let content = content.trim_ascii();
            if !content.is_empty() {
                return Some(self.fields(content));
            }
        }
        None
    }

    /// The next line; a longer one than there may be is passed over and an error.
    fn line(&mut self) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        let read = self.file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| self.broken(error))?;
        if read == 0 {
            self.is_over = true;
            return Ok(None);
        }
        self.line += 1;
        if bytes.last() == Some(&b'\n') || (read as u64) < LINE_BYTES_MAX {
            return Ok(Some(bytes));
        }
        // In pieces: who wrote the line decides how long it is.
        drop(bytes);
        loop {
            let piece = self.file.fill_buf().map_err(|error| broken(&mut self.is_over, error))?;
            let end = piece.iter().position(|byte| *byte == b'\n');
            let length = piece.len();
            self.file.consume(end.map_or(length, |at| at + 1));
            if end.is_some() || length == 0 {
                break;
            }
        }
        Err(Error::Limit {
            field: format!("line {}", self.line),
            limit: "DOCUMENT_BYTES_MAX",
            max: DOCUMENT_BYTES_MAX as u64,
            actual: read as u64,
        })
    }

    fn fields(&self, line: &[u8]) -> Result<Fields> {
        let wrong = |error: serde_json::Error| {
            let hint = if error.is_eof() { "; an object is to be one line" } else { "" };
            at(self.line, &format!("it is no object of JSON: {}{hint}", told(&error)))
        };
        let mut reader = serde_json::Deserializer::from_slice(line);
        let (members, count) = reader.deserialize_map(Members).map_err(wrong)?;
        reader.end().map_err(wrong)?;
        check_names(self.line, count)?;
        let others = members.values().map(|value| value.get()).filter(|value| !value.starts_with('"'));
        let others: usize = others.map(str::len).sum();
        if others > OTHER_BYTES_MAX {
            return Err(Error::Limit {
                field: format!("line {}, fields that are no texts", self.line),
                limit: "METADATA_BYTES_MAX",
                max: METADATA_BYTES_MAX as u64,
                actual: others as u64,
            });
        }
        let field = |(name, value): (String, &RawValue)| match serde_json::from_str(value.get()) {
            Ok(value) => Ok((name, Field::Json(value))),
            Err(error) => Err(bad(self.line, &name, &format!("it is no JSON: {}", told(&error)))),
        };
        Ok(Fields { line: self.line, fields: members.into_iter().map(field).collect::<Result<_>>()? })
    }

    fn broken(&mut self, error: std::io::Error) -> Error {
        broken(&mut self.is_over, error)
    }
}

/// What the parser says, without the line that it counts: that of the file is told already.
fn told(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// A file that cannot be read on.
pub(super) fn broken(is_over: &mut bool, source: std::io::Error) -> Error {
    *is_over = true;
    Error::Io { operation: "read the records of", path: PathBuf::from("the file"), source }
}

/// Takes an object apart: its fields as they are written, the last of each name, and how many there are, of which only so many are kept.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = (BTreeMap<String, &'de RawValue>, usize);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut count) = (BTreeMap::new(), 0);
        while count < RECORD_NAMES_MAX
            && let Some(name) = map.next_key::<String>()?
        {
            members.insert(name, map.next_value()?);
            count += 1;
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((members, count))
    }
}
