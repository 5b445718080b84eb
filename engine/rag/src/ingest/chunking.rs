//! How large chunks are.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::limits::CHUNK_TOKENS_MAX;

/// Tokens of a chunk at least that may be asked for: fewer say nothing.
const TOKENS_MIN: usize = 16;

/// How documents are split; of a collection, from when it is made.
///
/// ```
/// use ragstone_rag::ingest::ChunkOptions;
///
/// let chunks: ChunkOptions = "128/16".parse()?;
/// assert_eq!((chunks.tokens, chunks.overlap), (128, 16));
/// assert_eq!("128".parse::<ChunkOptions>()?.overlap, 16, "an eighth, and no more than the default");
/// # Ok::<(), ragstone_rag::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChunkOptions {
    /// Tokens of a chunk at most; fewer where the model reads less, of which a document with headings leaves a fifth to these.
    pub tokens: usize,
    /// Tokens that neighbours share which were cut out of one long text, at most half of a chunk.
    pub overlap: usize,
}

impl Default for ChunkOptions {
    fn default() -> Self {
        Self { tokens: 240, overlap: 30 }
    }
}

impl ChunkOptions {
    /// Chunks of so many tokens at most, with the overlap that goes with them: an eighth, and no more than by default.
    pub fn of_tokens(tokens: usize) -> Self {
        Self { tokens, overlap: Self::default().overlap.min(tokens / 8) }
    }

    /// Refuses sizes that make no chunks.
    pub(crate) fn validate(&self, field: &str) -> Result<()> {
        let refuse =
            |part: &str, reason: String| Err(Error::Invalid { field: format!("{field}.{part}"), reason });
        match *self {
            Self { tokens, .. } if tokens < TOKENS_MIN => {
                refuse("tokens", format!("a chunk has {TOKENS_MIN} tokens at least, not {tokens}"))
            }
            Self { tokens, .. } if tokens > CHUNK_TOKENS_MAX => Err(Error::Limit {
                field: format!("{field}.tokens"),
                limit: "CHUNK_TOKENS_MAX",
                max: CHUNK_TOKENS_MAX as u64,
                actual: tokens as u64,
            }),
            Self { tokens, overlap } if overlap > tokens / 2 => {
                refuse("overlap", format!("{overlap} of {tokens} tokens are more than half"))
            }
            _ => Ok(()),
        }
    }
}

impl std::str::FromStr for ChunkOptions {
    type Err = Error;

    /// `TOKENS` or `TOKENS/OVERLAP`.
    fn from_str(text: &str) -> Result<Self> {
        let number = |part: &str| {
            part.parse::<usize>().map_err(|_| Error::Invalid {
                field: "chunk".to_owned(),
                reason: format!("`{text}` is not TOKENS or TOKENS/OVERLAP, as in 240/30"),
            })
        };
        let options = match text.split_once('/') {
            Some((tokens, overlap)) => Self { tokens: number(tokens)?, overlap: number(overlap)? },
            None => Self::of_tokens(number(text)?),
        };
        options.validate("chunk").map(|()| options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_or_refused() {
        let read = |text: &str| text.parse::<ChunkOptions>().map_err(|error| error.to_string());
        assert_eq!(read("240/30"), Ok(ChunkOptions::default()));
        assert_eq!(read("64"), Ok(ChunkOptions { tokens: 64, overlap: 8 }));
        assert_eq!(read("64/0"), Ok(ChunkOptions { tokens: 64, overlap: 0 }));
        for (text, part) in [
            ("", "chunk:"),
            ("a", "chunk:"),
            ("64/", "chunk:"),
            ("15", "chunk.tokens"),
            ("64/33", "chunk.overlap"),
            ("65537", "chunk.tokens"),
            ("18446744073709551615/9223372036854775807", "chunk.tokens"),
        ] {
            assert!(read(text).is_err_and(|error| error.starts_with(part)), "{text}");
        }
    }
}
