//! The public keys of an identity provider (JWKS), from a file or a URL that the operator names.
//!
//! **Problem.** Providers change their keys, and tell nobody: a token comes that is signed by a key which was not there before.
//!
//! **Idea.** The set is read when the first token comes, again once it is old, and when a token names a key that is not in it. The last at most every ten seconds,
//! so that nobody can make the server ask the provider by sending nonsense. While the set cannot be had, the keys that are known go on.
//!
//! **Invariants.** One is reading at a time. Who has a key that is known waits for nobody, though the set be old, but where nobody has asked for it for as
//! long again: a key may have been taken back since. Who has another one waits for what is read, and is told that it could not be read rather than
//! that their key is none. Few wait, as anybody can name a key that there is not.

use std::io::Read as _;
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::{Duration, Instant};

use jsonwebtoken::Header;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use tokio::sync::{Mutex, OwnedMutexGuard, Semaphore};
use tokio::task::JoinHandle;
use ureq::{Agent, Proxy};

use crate::limits::KEY_SET_BYTES_MAX;
use crate::settings::without_secrets;

/// Between two readings for keys that are not in the set.
const PAUSE: Duration = Duration::from_secs(10);
/// How long reading may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Calls that wait for what is read.
const WAITING_MAX: usize = 64;

/// What was read last, and when.
#[derive(Debug, Default)]
struct State {
    keys: Arc<Vec<Arc<Jwk>>>,
    /// When these were read.
    read: Option<Instant>,
    /// When reading was last begun, whatever came of it.
    tried: Option<Instant>,
    /// Whether nothing came of it.
    has_failed: bool,
}

/// What is known of a token's key.
struct Known {
    key: Option<Arc<Jwk>>,
    /// Whether the set is to be read again.
    is_old: bool,
    /// Whether it may be.
    may_read: bool,
    /// Whether nobody asked for it since it became old, for as long again.
    has_rested: bool,
    /// Whether it could not be read.
    has_failed: bool,
}

/// The set could not be read, so that nothing is known of a key that is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotRead;

/// The keys of a provider.
#[derive(Debug)]
pub(super) struct KeySet {
    shared: Arc<Shared>,
    /// Those who may wait.
    waiting: Semaphore,
}

#[derive(Debug)]
struct Shared {
    source: String,
    refresh: Duration,
    state: RwLock<State>,
    /// Held by who reads.
    reading: Arc<Mutex<()>>,
}

impl KeySet {
    pub(super) fn new(source: String, refresh: Duration) -> KeySet {
        let shared = Shared { source, refresh, state: RwLock::default(), reading: Arc::default() };
        KeySet { shared: Arc::new(shared), waiting: Semaphore::new(WAITING_MAX) }
    }

    /// The key that a token says it is signed by, if the set has it and it may sign so.
    ///
    /// # Errors
    /// It is not in the set that is known, and the provider's cannot be had, or too many wait for that.
    pub(super) async fn find(&self, header: &Header) -> Result<Option<Arc<Jwk>>, NotRead> {
        let known = self.shared.known(header);
        if known.key.is_some() && !(known.is_old && known.has_rested) {
            if known.is_old
                && known.may_read
                && let Ok(turn) = Arc::clone(&self.shared.reading).try_lock_owned()
            {
                // Nobody waits for it.
                drop(Arc::clone(&self.shared).read(turn));
            }
            return Ok(known.key);
        }
        let Ok(_waiting) = self.waiting.try_acquire() else { return known.key.map(Some).ok_or(NotRead) };
        let turn = Arc::clone(&self.shared.reading).lock_owned().await;
        // Somebody else may have read it meanwhile.
        let known = self.shared.known(header);
        if (known.key.is_none() || known.is_old) && known.may_read {
            // What went wrong is in the state, and the log.
            let _ = Arc::clone(&self.shared).read(turn).await;
        }
        let known = self.shared.known(header);
        match known.key {
            None if known.has_failed => Err(NotRead),
            key => Ok(key),
        }
    }
}

impl Shared {
    /// Reads the set, in a task of its own: who waits for it may leave.
    fn read(self: Arc<Self>, turn: OwnedMutexGuard<()>) -> JoinHandle<()> {
        tokio::spawn(async move {
            let _turn = turn;
            self.state().tried = Some(Instant::now());
            let source = self.source.clone();
            let outcome = tokio::task::spawn_blocking(move || read(&source)).await;
            let mut state = self.state();
            state.has_failed = !matches!(outcome, Ok(Ok(_)));
            match outcome {
                Ok(Ok(keys)) => (state.keys, state.read) = (Arc::new(keys), Some(Instant::now())),
                Ok(Err(error)) => {
                    // A URL may have a token of the operator's in it.
                    let (error, source) = (without_secrets(&error), without_secrets(&self.source));
                    tracing::warn!(
                        error,
                        source,
                        "the keys for tokens cannot be read; those that are known hold on"
                    );
                }
                Err(error) => tracing::error!(%error, "reading the keys for tokens"),
            }
        })
    }

    fn known(&self, header: &Header) -> Known {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let is_past =
            |since: Option<Instant>, time: Duration| since.is_none_or(|since| since.elapsed() >= time);
        Known {
            key: of(&state.keys, header),
            is_old: is_past(state.read, self.refresh),
            may_read: is_past(state.tried, PAUSE),
            has_rested: state.tried.is_some() && is_past(state.tried, self.refresh.saturating_mul(2)),
            has_failed: state.has_failed,
        }
    }

    fn state(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
impl KeySet {
    /// As after the pause.
    pub(super) fn forget_the_pause(&self) {
        self.shared.state().tried = None;
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

/// Who asks for a set at a URL. One without TLS is of this machine (`JwtConfig::keys`), and is asked for here: through a proxy it would be the proxy's machine, and
/// whoever answers there makes tokens.
fn agent(source: &str, proxy: Option<Proxy>) -> Agent {
    let proxy = proxy.filter(|_| source.starts_with("https://"));
    let config = Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .max_redirects(0)
        .accept_encoding("identity")
        .proxy(proxy)
        .build();
    Agent::new_with_config(config)
}

/// Reads the set.
fn read(source: &str) -> Result<Vec<Arc<Jwk>>, String> {
    let bytes = if source.starts_with("https://") || source.starts_with("http://") {
        let response = agent(source, Proxy::try_from_env()).get(source).call();
        limited(response.map_err(|error| error.to_string())?.into_body().into_reader())?
    } else {
        limited(std::fs::File::open(source).map_err(|error| error.to_string())?)?
    };
    if bytes.len() > KEY_SET_BYTES_MAX {
        return Err(format!("it is beyond the limit KEY_SET_BYTES_MAX = {KEY_SET_BYTES_MAX}"));
    }
    let set: JwkSet = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    Ok(set.keys.into_iter().map(Arc::new).collect())
}

/// All of it, or one byte more than a set may have: of what it becomes, as a provider may compress what nobody asked it to.
fn limited(reader: impl std::io::Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = reader.take(KEY_SET_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With `HTTPS_PROXY` in the environment, the proxy was asked to connect to its own 127.0.0.1, and could say which keys there are.
    #[test]
    fn a_set_of_this_machine_is_asked_for_without_a_proxy() {
        let goes_through_proxy = |source: &str| {
            let proxy = Proxy::new("http://192.0.2.1:3128").unwrap();
            agent(source, Some(proxy)).config().proxy().is_some()
        };
        assert!(
            !goes_through_proxy("http://127.0.0.1:8080/keys") && !goes_through_proxy("http://localhost/keys")
        );
        assert!(goes_through_proxy("https://id.example/keys"));
    }
}
