//! Reading a model's small files, so that whatever is wrong with one is named.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::{Error, Result};

/// Bytes of a file of settings; a tokenizer's of a large vocabulary has some tens of MiB.
const SETTINGS_BYTES_MAX: u64 = 256 << 20;

/// [`Error::ModelInvalid`].
pub(crate) fn invalid(path: &Path, reason: impl Into<String>) -> Error {
    Error::ModelInvalid { path: path.to_owned(), reason: reason.into() }
}

/// The bytes of a file, if there is one.
pub(super) fn read_optional(path: &Path) -> Result<Option<Vec<u8>>> {
    let io = |source| Error::Io { operation: "read", path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(SETTINGS_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > SETTINGS_BYTES_MAX {
        return Err(invalid(path, format!("is larger than {SETTINGS_BYTES_MAX} bytes")));
    }
    Ok(Some(bytes))
}

/// The bytes of a file that a model cannot be without.
pub(crate) fn read_required(path: &Path) -> Result<Vec<u8>> {
    read_optional(path)?.ok_or_else(|| missing(path))
}

/// The error for a file that is not there: the directory, and the file's name.
pub(super) fn missing(path: &Path) -> Error {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    invalid(path.parent().unwrap_or(path), format!("{name} is missing"))
}

/// A file of JSON, if there is one.
pub(crate) fn read_json_optional<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let parse = |bytes: Vec<u8>| {
        serde_json::from_slice(&bytes).map_err(|error| invalid(path, format!("is not as expected: {error}")))
    };
    read_optional(path)?.map(parse).transpose()
}

/// A file of JSON that a model cannot be without.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<T> {
    read_json_optional(path)?.ok_or_else(|| missing(path))
}
