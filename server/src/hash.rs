//! A hash that stays what it is: of what clients are given and send back, perhaps to a later version of the server. Those of the standard library may be others in
//! another release of Rust.

use sha2::{Digest as _, Sha256};

/// The first 8 bytes, little-endian, of the SHA-256 of all parts, each behind its length as a u64, so that they are told apart and not only their
/// concatenation.
pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    u64::from_le_bytes(digest.as_chunks::<8>().0[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed by another program (Python's `struct` and `hashlib`).
    const GOLDEN: u64 = 0xc80a_1e85_5f6b_594b;

    #[test]
    fn it_is_the_same_for_all_time() {
        assert_eq!(of([&b"ListDocuments"[..], b"notes"]), GOLDEN);
        assert_ne!(of([&b"ListDocumentsnotes"[..]]), GOLDEN);
        assert_ne!(of([&b"ListDocument"[..], b"snotes"]), GOLDEN);
    }
}
