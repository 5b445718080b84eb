//! The public keys of an identity provider (JWKS), from a file or a URL that the operator names.
//!
//! **Problem.** Providers change their keys, and tell nobody: a token comes that is signed by a key which was not there before.
//!
//! **Idea.** The set is read when the first token comes, again once it is old, and when a token names a key that is not in it. The last at most every ten seconds,
//! so that nobody can make the server ask the provider by sending nonsense. While the set cannot be had, the keys that are known go on.
//!
//! **Invariant.** One is reading at a time; those that need what is read wait for it, and others do not.

use std::io::Read as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use tokio::sync::Mutex;

use crate::limits::KEY_SET_BYTES_MAX;

/// Between two readings for keys that are not in the set.
const PAUSE: Duration = Duration::from_secs(10);
/// How long reading may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What was read last, and when.
#[derive(Debug, Default)]
struct State {
    keys: Arc<Vec<Arc<Jwk>>>,
    /// When these were read.
    read: Option<Instant>,
    /// When reading was last begun, whatever came of it.
    tried: Option<Instant>,
}

/// The keys of a provider.
#[derive(Debug)]
pub(super) struct KeySet {
    source: String,
    refresh: Duration,
    state: RwLock<State>,
    /// Held by who reads.
    reading: Mutex<()>,
}

impl KeySet {
    pub(super) fn new(source: String, refresh: Duration) -> KeySet {
        KeySet { source, refresh, state: RwLock::default(), reading: Mutex::default() }
    }

    /// The key that a token says it is signed by, if the set has it and it may sign so.
    pub(super) async fn find(&self, header: &Header) -> Option<Arc<Jwk>> {
        let (found, is_old, tried) = self.known(header);
        let may_read = tried.is_none_or(|tried| tried.elapsed() >= PAUSE);
        if (found.is_some() && !is_old) || !may_read {
            return found;
        }
        let _reading = self.reading.lock().await;
        // Somebody else may have read it meanwhile.
        let (found, _, tried_since) = self.known(header);
        if tried_since != tried {
            return found;
        }
        self.state.write().unwrap_or_else(PoisonError::into_inner).tried = Some(Instant::now());
        let source = self.source.clone();
        match tokio::task::spawn_blocking(move || read(&source)).await {
            Ok(Ok(keys)) => {
                let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
                (state.keys, state.read) = (Arc::new(keys), Some(Instant::now()));
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, source = self.source, "the keys for tokens cannot be read")
            }
            Err(error) => tracing::error!(%error, "reading the keys for tokens"),
        }
        self.known(header).0
    }

    /// What is known: the key, whether the set is old, and when it was last tried to read it.
    fn known(&self, header: &Header) -> (Option<Arc<Jwk>>, bool, Option<Instant>) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let is_old = state.read.is_none_or(|read| read.elapsed() >= self.refresh);
        (of(&state.keys, header), is_old, state.tried)
    }
}

#[cfg(test)]
impl KeySet {
    /// As after the pause.
    pub(super) fn forget_the_pause(&mut self) {
        self.state.get_mut().unwrap_or_else(PoisonError::into_inner).tried = None;
    }
}

/// The key of a set that a token is signed by.
fn of(keys: &[Arc<Jwk>], header: &Header) -> Option<Arc<Jwk>> {
    let mut fitting = keys.iter().filter(|key| may_sign(key, header));
    match &header.kid {
        Some(id) => fitting.find(|key| key.common.key_id.as_ref() == Some(id)).cloned(),
        // Without a name, it is plain which one is meant if there is one alone.
        None => fitting.next().filter(|_| fitting.next().is_none()).cloned(),
    }
}

fn may_sign(key: &Jwk, header: &Header) -> bool {
    let is_public =
        !matches!(key.algorithm, AlgorithmParameters::OctetKey(_) | AlgorithmParameters::Other(_));
    let is_for_signatures = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    let algorithm = key.common.key_algorithm;
    is_public && is_for_signatures && algorithm.is_none_or(|known| known == KeyAlgorithm::from(header.alg))
}

/// Reads the set.
fn read(source: &str) -> Result<Vec<Arc<Jwk>>, String> {
    let bytes = if source.starts_with("https://") || source.starts_with("http://") {
        let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).max_redirects(0).build();
        let response = ureq::Agent::new_with_config(config).get(source).call();
        let mut body = response.map_err(|error| error.to_string())?.into_body();
        let limited = body.with_config().limit(KEY_SET_BYTES_MAX as u64);
        limited.read_to_vec().map_err(|error| error.to_string())?
    } else {
        let mut bytes = Vec::new();
        let file = std::fs::File::open(source).map_err(|error| error.to_string())?;
        let mut limited = file.take(KEY_SET_BYTES_MAX as u64 + 1);
        limited.read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        bytes
    };
    if bytes.len() > KEY_SET_BYTES_MAX {
        return Err(format!("it is beyond the limit KEY_SET_BYTES_MAX = {KEY_SET_BYTES_MAX}"));
    }
    let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(set.keys.into_iter().map(Arc::new).collect())
}
