//! API keys as texts: `rsk_<id>_<secret>`.
//!
//! The id tells which key it is, and may be shown. The secret is 32 bytes of the system's random numbers, so that a plain hash of it is as good as
//! it is: there is nothing to be guessed by trying. What is kept is that hash; the text is shown once, to who makes the key.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom as _, SystemRandom};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::key::KeyError;

/// How every key begins, so that it is found where it should not be, and tells itself from a token.
const PREFIX: &str = "rsk_";
/// Bytes of an id.
const ID_BYTES: usize = 8;
/// Bytes of a secret.
const SECRET_BYTES: usize = 32;

/// A new id.
pub(super) fn new_id() -> Result<String, KeyError> {
    Ok(hex(&random::<ID_BYTES>()?))
}

/// A new key of an id.
pub(super) fn new_key(id: &str) -> Result<String, KeyError> {
    let secret = URL_SAFE_NO_PAD.encode(random::<SECRET_BYTES>()?);
    Ok(format!("{PREFIX}{id}_{secret}"))
}

/// The id of a text that looks like a key.
pub(super) fn id_of(key: &str) -> Option<&str> {
    let (id, secret) = key.strip_prefix(PREFIX)?.split_once('_')?;
    let is_id = id.len() == 2 * ID_BYTES && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && !secret.is_empty()).then_some(id)
}

/// What is kept of a key.
pub(super) fn hash(key: &str) -> String {
    hex(Sha256::digest(key.as_bytes()).as_slice())
}

/// Whether two hashes are the same, in a time that does not tell where they differ.
pub(super) fn is_same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

/// In lower case. Every call with a key has one made, so each digit is looked up rather than formatted.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(2 * bytes.len());
    for digit in bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]) {
        text.push(char::from(DIGITS[usize::from(digit)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_another_and_tells_its_id() {
        let id = new_id().unwrap();
        let (first, second) = (new_key(&id).unwrap(), new_key(&id).unwrap());
        assert_ne!(first, second);
        assert_eq!((id_of(&first), id_of(&second)), (Some(id.as_str()), Some(id.as_str())));
        assert!(is_same(&hash(&first), &hash(&first)) && !is_same(&hash(&first), &hash(&second)));
        assert_eq!(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        for other in ["", "rsk_", "rsk_12_x", "rsk_0123456789abcdef_", "rsk_0123456789abcdeg_x", "a.b.c"] {
            assert_eq!(id_of(other), None, "{other}");
        }
    }
}
