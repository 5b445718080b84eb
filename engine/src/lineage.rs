//! Which history of a database its log positions belong to.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;
use std::time::SystemTime;

use crate::db::Db;

/// Bytes of a lineage.
pub(crate) const LINEAGE_BYTES: usize = 16;

/// Tells a database apart from every other, and from what it was before it was restored: within one lineage a log position
/// stands for one write. Shown as 32 hexadecimal digits.
///
/// ```
/// # let directory = tempfile::tempdir()?;
/// let db = ragstone::Db::open(directory.path())?;
/// let lineage = db.lineage();
/// assert_eq!(lineage.to_string().parse(), Ok(lineage));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage(pub(crate) [u8; LINEAGE_BYTES]);

/// A text that is no [`Lineage`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a lineage is 32 hexadecimal digits")]
pub struct InvalidLineage;

impl Lineage {
    /// One that nobody else has. The standard library seeds its hashers from the system's random numbers; the time and the
    /// process are for systems where those are poor.
    pub(crate) fn new() -> Self {
        let mut bytes = [0; LINEAGE_BYTES];
        for half in bytes.chunks_mut(8) {
            let seen = (SystemTime::now(), std::process::id(), half.as_ptr() as usize);
            half.copy_from_slice(&RandomState::new().hash_one(seen).to_le_bytes());
        }
        Self(bytes)
    }
}

impl Db {
    /// Which history its log positions belong to.
    pub fn lineage(&self) -> Lineage {
        self.any_store().manifest.lineage()
    }

    /// The position in the log of the last durable write, of whatever collection.
    pub fn log_position(&self) -> u64 {
        self.any_store().log.mark().position
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Lineage {
    type Err = InvalidLineage;

    fn from_str(text: &str) -> Result<Self, InvalidLineage> {
        let is_ours = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 2 * LINEAGE_BYTES || !text.bytes().all(is_ours) {
            return Err(InvalidLineage);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| InvalidLineage)?;
        Ok(Self(number.to_be_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_comes_back_from_its_text() {
        let (first, second) = (Lineage::new(), Lineage::new());
        assert_ne!(first, second);
        assert_eq!(first.to_string().parse(), Ok(first));
        let text = second.to_string();
        for wrong in
            ["", "x", &text[1..], &text.to_uppercase().replace('0', "G"), &text.replace(&text[..1], "+")]
        {
            assert_eq!(wrong.parse::<Lineage>(), Err(InvalidLineage), "{wrong}");
        }
    }
}
