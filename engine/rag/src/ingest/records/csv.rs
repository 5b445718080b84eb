//! Rows of comma-separated values.
//!
//! A quote that is never closed makes the rest of the file one field; so the reader is given as many bytes for a row as a record may
//! have, and the end of them ends the file.

use std::io::{BufRead, Read};

use csv::{ByteRecord, Reader, ReaderBuilder};

use super::json_lines::broken;
use super::{Field, Fields, at, check_names};
use crate::error::{Error, Result};
use crate::limits::DOCUMENT_BYTES_MAX;

/// Characters of a name that an error shows.
const NAME_CHARS_SHOWN: usize = 80;

pub(super) struct Rows<R> {
    reader: Reader<Allowance<R>>,
    /// The first row, once it is read.
    names: Option<Vec<String>>,
    is_over: bool,
}

/// Reads only so much.
struct Allowance<R> {
    file: R,
    left: usize,
}

impl<R: BufRead> Read for Allowance<R> {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other(RowTooLong));
        }
        let most = bytes.len().min(self.left);
        let read = self.file.read(&mut bytes[..most])?;
        self.left -= read;
        Ok(read)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a row is too long")]
struct RowTooLong;

impl<R: BufRead> Rows<R> {
    pub(super) fn new(file: R, delimiter: u8) -> Self {
        let file = Allowance { file, left: 0 };
        let reader =
            ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(file);
        Self { reader, names: None, is_over: false }
    }

    /// The fields of the next row.
    pub(super) fn next(&mut self) -> Option<Result<Fields>> {
        if self.names.is_none() {
            match self.row().map(|row| row.map(|(line, row)| names(line, &row))) {
                Some(Ok(Ok(names))) => self.names = Some(names),
                Some(Ok(Err(error)) | Err(error)) => {
                    self.is_over = true;
                    return Some(Err(error));
                }
                None => return None,
            }
        }
        let row = self.row()?;
        Some(row.and_then(|(line, row)| fields(line, self.names.as_deref().unwrap_or_default(), &row)))
    }

    /// The next row and the line that it begins on.
    fn row(&mut self) -> Option<Result<(u64, ByteRecord)>> {
        if self.is_over {
            return None;
        }
        self.reader.get_mut().left = DOCUMENT_BYTES_MAX;
        let mut row = ByteRecord::new();
        match self.reader.read_byte_record(&mut row) {
            Ok(false) => None,
            Ok(true) => Some(Ok((row.position().map_or(0, csv::Position::line), row))),
            Err(error) => {
                let line = self.reader.position().line();
                Some(Err(match error.into_kind() {
                    csv::ErrorKind::Io(error)
                        if error.get_ref().is_some_and(|error| error.is::<RowTooLong>()) =>
                    {
                        self.is_over = true;
                        Error::Limit {
                            field: format!("line {line}: a row whose quote is not closed, perhaps"),
                            limit: "DOCUMENT_BYTES_MAX",
                            max: DOCUMENT_BYTES_MAX as u64,
                            actual: DOCUMENT_BYTES_MAX as u64 + 1,
                        }
                    }
                    csv::ErrorKind::Io(error) => broken(&mut self.is_over, error),
                    other => {
                        self.is_over = true;
                        at(line, &format!("{other:?}"))
                    }
                }))
            }
        }
    }
}

fn names(line: u64, row: &ByteRecord) -> Result<Vec<String>> {
    // Each is compared with all before it.
    check_names(line, row.len())?;
    let mut names: Vec<String> = Vec::with_capacity(row.len());
    for name in row {
        let name =
            std::str::from_utf8(name).map_err(|_| at(line, "the names of the columns are not UTF-8"))?.trim();
        if name.is_empty() {
            return Err(at(
                line,
                &format!("column {} has no name; the first row has the names", names.len() + 1),
            ));
        }
        if names.iter().any(|known| known == name) {
            return Err(at(line, &format!("two columns are called `{name}`")));
        }
        names.push(name.to_owned());
    }
    // Spreadsheets write semicolons where a comma is part of numbers. Told once, here: each row would lack a text.
    if let [only] = names.as_slice()
        && let Some(other) = [';', '\t', '|'].into_iter().find(|other| only.contains(*other))
    {
        let only: String = only.chars().take(NAME_CHARS_SHOWN).collect();
        return Err(at(
            line,
            &format!(
                "it is one column, `{only}`; commas (csv) or tabs (tsv) are between columns, not {other:?}"
            ),
        ));
    }
    Ok(names)
}

fn fields(line: u64, names: &[String], row: &ByteRecord) -> Result<Fields> {
    if row.len() != names.len() {
        return Err(at(line, &format!("it has {} fields, the first row has {}", row.len(), names.len())));
    }
    let field = |(name, value): (&String, &[u8])| {
        let value = std::str::from_utf8(value).map_err(|_| super::bad(line, name, "it is not UTF-8"))?;
        Ok((name.clone(), Field::Text(value.to_owned())))
    };
    Ok(Fields { line, fields: names.iter().zip(row).map(field).collect::<Result<_>>()? })
}
