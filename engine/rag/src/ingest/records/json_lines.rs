//! Lines of JSON.

use std::io::{BufRead, Read};
use std::path::PathBuf;

use super::{Field, Fields, at};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;

/// A line, its end included, has at most so many bytes.
const LINE_BYTES_MAX: u64 = DOCUMENT_BYTES_MAX as u64 + 2;

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
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line)
            .map_err(|error| at(self.line, &format!("it is no object of JSON: {error}")))?;
        let fields = object.into_iter().map(|(name, value)| (name, Field::Json(value))).collect();
        Ok(Fields { line: self.line, fields })
    }

    fn broken(&mut self, error: std::io::Error) -> Error {
        broken(&mut self.is_over, error)
    }
}

/// A file that cannot be read on.
pub(super) fn broken(is_over: &mut bool, source: std::io::Error) -> Error {
    *is_over = true;
    Error::Io { operation: "read the records of", path: PathBuf::from("the file"), source }
}
