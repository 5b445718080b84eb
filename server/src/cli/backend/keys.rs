//! The part of the backend about API keys.

use std::time::{Duration, SystemTime};

use anyhow::Result;
use ragstone_server::access::{Claims, Limits};
use serde::Serialize;

/// A key that is to be made.
#[derive(Debug)]
pub(crate) struct KeyAsk {
    pub(crate) name: String,
    pub(crate) grants: Vec<String>,
    pub(crate) claims: Claims,
    pub(crate) limits: Limits,
    pub(crate) expires: Option<SystemTime>,
}

/// A key, without its secret.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) grants: Vec<String>,
    pub(crate) claims: Claims,
    pub(crate) limits: Limits,
    pub(crate) created: String,
    pub(crate) expires: Option<String>,
    pub(crate) previous_until: Option<String>,
}

/// A key with a new secret.
#[derive(Serialize)]
pub(crate) struct MadeKey {
    #[serde(flatten)]
    pub(crate) key: KeyView,
    pub(crate) secret: String,
}

/// Keeps API keys.
pub(crate) trait KeyKeeper {
    /// Makes a key.
    fn create_key(&self, ask: KeyAsk) -> Result<MadeKey>;
    /// The keys, by id.
    fn keys(&self) -> Result<Vec<KeyView>>;
    /// Takes a key back.
    fn revoke_key(&self, id: &str) -> Result<()>;
    /// Gives a key another secret; the one before is taken for so long as well.
    fn rotate_key(&self, id: &str, keep: Duration) -> Result<MadeKey>;
}
