//! SHA-256 of contents.

use std::fmt;
use std::io::Read;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::progress::Meter;

/// Bytes that are read at once.
const STEP_BYTES: usize = 1 << 20;

/// A SHA-256, shown as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Hash([u8; 32]);

/// A hash over what came so far.
#[derive(Clone, Default)]
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(crate) fn finish(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Of a file of this length.
    pub(crate) fn of_reader(
        reader: &mut dyn Read,
        (file, size_bytes): (&str, u64),
        meter: &mut Meter<'_>,
    ) -> Result<Self> {
        let (mut hasher, mut buffer, mut read_bytes) = (Hasher::default(), vec![0; STEP_BYTES], 0);
        loop {
            meter.advance(0)?;
            let read = reader.read(&mut buffer);
            match read.map_err(|source| Error::File { file: file.to_owned(), source })? {
                0 => break,
                read => {
                    hasher.update(&buffer[..read]);
                    read_bytes += read as u64;
                }
            }
        }
        if read_bytes == size_bytes {
            Ok(hasher.finish())
        } else {
            Err(was_cut(file, read_bytes, size_bytes))
        }
    }
}

/// A local file is shorter than it was.
pub(crate) fn was_cut(file: &str, read_bytes: u64, size_bytes: u64) -> Error {
    let reason = format!("it had {size_bytes} bytes and now has {read_bytes}");
    Error::File { file: file.to_owned(), source: std::io::Error::other(reason) }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a SHA-256 is 64 hexadecimal digits";
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(WRONG);
        }
        let value = |digit: u8| match digit {
            b'0'..=b'9' => Ok(digit - b'0'),
            b'a'..=b'f' => Ok(digit - b'a' + 10),
            _ => Err(WRONG),
        };
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = value(pair[0])? << 4 | value(pair[1])?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Hash {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> Self {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_and_comes_back_from_its_text() {
        let empty = Hash::of(b"");
        assert_eq!(empty.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(empty.to_string().parse(), Ok(empty));
        assert!("e3".parse::<Hash>().is_err() && "E".repeat(64).parse::<Hash>().is_err());
    }
}
