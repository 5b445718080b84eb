//! Who may do what.
//!
//! ```text
//! credentials -> who it is (keys, jwt) -> may they make this call (rules), and now (limiter)?
//!             -> what they see (caller: grants and claims) -> the database within it (`ragstone::Db::within`)
//! ```
//! Credentials are a header, `authorization: Bearer KEY`, the same on both ports. An API key (`keys.rs`) has its grants with it; a token of an identity
//! provider (`jwt.rs`) has roles, whose grants are configured. A [`Grant`] is an action on collections, and perhaps on some of their rows.
//!
//! Whether a call is begun is decided in one place (`Access::admit`) by one table (`rules.rs`). Which collections and rows it then comes to is no
//! decision of its handler: that has a handle on the database that shows what the caller may see, and nothing else, in every way to a row. So a
//! handler that is added cannot forget it.
//!
//! Without credentials, and whatever they are: gRPC health, `/healthz` and `/readyz`. They tell how the process is. Reflection tells what anybody can read
//! in the API's description, and needs `read` on something all the same, as it costs more. Metrics need `observe`.
//!
//! Invariants:
//! * What has no rule is not done. A task that does not know whose call it answers sees no collection.
//! * Why credentials are refused is told to the log and to nobody else.
//! * Neither keys nor tokens, nor claims or filters, are in any line of a log.
//!
//! What is begun goes on: an operation whose key is taken back meanwhile comes to its end, and so does the answer to a single message. A stream does not:
//! whether its key or token is good is asked for each of its messages, and each that the caller sends, but the first, takes of what they may ask for, and
//! waits for it (`Access::next_message`); of reflection, whose messages pass no handler of ours, the call alone counts.

mod action;
mod audit;
mod caller;
mod claims;
mod config;
mod grant;
mod guard;
mod jwt;
mod key;
mod keys;
mod limiter;
mod rules;
mod secret;
mod streaming;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ragstone::Db;
use ragstone_rag::Rag;
use tonic::Status;

pub use self::action::Action;
use self::audit::{Asked, Noted};
pub(crate) use self::caller::{Call, carried, within};
use self::caller::{Caller, Credentials, Nothing};
pub use self::claims::Claims;
pub use self::config::{AccessConfig, JwtConfig};
pub use self::grant::{Grant, InvalidGrant};
pub(crate) use self::guard::Guarded;
use self::jwt::Jwt;
pub use self::key::{Key, KeyError, NewKey};
pub use self::keys::Keys;
pub use self::limiter::Limits;
use self::limiter::{Exceeded, Limiter, Moment};
use crate::status;

/// Who may do what, over an open database; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Access(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    is_on: bool,
    keys: Keys,
    jwt: Option<Jwt>,
    jwt_limits: Limits,
    limiter: Limiter,
}

impl Access {
    /// Over a database, which has the keys, by a configuration that was checked.
    pub(crate) fn new(config: &AccessConfig, db: Db) -> Access {
        let jwt = Jwt::new(&config.jwt);
        let keys = Keys::new(db);
        if config.is_on() && jwt.is_none() && keys.list().is_empty() {
            tracing::warn!("every call needs an API key, and there is none: `ragstone key create` makes one");
        }
        let (jwt_limits, limiter) = (config.jwt.limits, Limiter::default());
        Access(Arc::new(Shared { is_on: config.is_on(), keys, jwt, jwt_limits, limiter }))
    }

    /// The API keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.0.keys
    }

    /// Whether a call, or a request to the HTTP port, may be begun, by its path; and as whose call. `None` where callers are not told apart. The address
    /// that it comes from is for the log.
    ///
    /// # Errors
    /// UNIMPLEMENTED for what has no rule; UNAUTHENTICATED; UNAVAILABLE, with RetryInfo, where the keys of tokens cannot be read; PERMISSION_DENIED;
    /// RESOURCE_EXHAUSTED, with RetryInfo.
    pub(crate) async fn admit(
        &self,
        path: &str,
        headers: &HeaderMap,
        peer: Option<SocketAddr>,
    ) -> Result<Option<Call>, Status> {
        if !self.0.is_on {
            return Ok(None);
        }
        let rule = rules::of(path).ok_or_else(status::unknown_method)?;
        // For the log: what stands behind a route is the caller's, and may be long.
        let path = rules::listed(path);
        let (caller, limits) = match self.authenticate(headers).await {
            Ok(known) => known,
            Err(reason) => {
                audit::denied(Asked { caller: "", call: path, peer }, reason);
                return Err(match reason {
                    jwt::NOT_READ => status::key_set_not_read(),
                    reason => status::unauthenticated(reason == MISSING),
                });
            }
        };
        let asked = Asked { caller: &caller.name, call: path, peer };
        self.0.limiter.take(&caller.name, &limits, now()).map_err(|exceeded| {
            audit::denied(asked, "too many calls");
            refused(exceeded)
        })?;
        if !caller.may(rule) {
            audit::denied(asked, "action not granted");
            return Err(status::permission_denied(rule.action.name()));
        }
        let noted = Arc::new(Noted::new(asked, rule.action));
        Ok(Some(Call { caller, action: rule.action, limits, noted }))
    }

    /// Who has these credentials, and what they may ask for in some time.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<(Caller, Limits), &'static str> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = values.next().ok_or(MISSING)?;
        if values.next().is_some() {
            return Err("credentials more than once");
        }
        let value = value.to_str().map_err(|_| "credentials not readable")?;
        let (scheme, credentials) = value.split_once(' ').ok_or("credentials not readable")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("credentials of another scheme");
        }
        let shown = credentials.trim();
        match &self.0.jwt {
            Some(jwt) if secret::id_of(shown).is_none() => Ok((jwt.verify(shown).await?, self.0.jwt_limits)),
            _ => match self.0.keys.find(shown, keys::now_us()) {
                Ok((credentials, known)) => {
                    let (name, grants) = (Arc::clone(&known.caller), Arc::clone(&known.grants));
                    Ok((Caller { name, grants, credentials }, known.limits()))
                }
                Err(no_key) => Err(no_key.reason()),
            },
        }
    }

    /// Returns when a further message of the stream that this task answers may be done, or its first one, which the call itself was counted for.
    ///
    /// # Errors
    /// As [`goes_on`](Self::goes_on); RESOURCE_EXHAUSTED, with RetryInfo, beyond the quota of the day. A rate is waited for: nothing is read meanwhile,
    /// which holds the caller back.
    pub(crate) async fn next_message(&self, is_first: bool) -> Result<(), Status> {
        let Some(call) = Call::current() else { return Ok(()) };
        loop {
            self.goes_on(&call)?;
            if is_first {
                return Ok(());
            }
            match self.0.limiter.take(&call.caller.name, &call.limits, now()) {
                Ok(()) => return Ok(()),
                Err(Exceeded::Rate { retry, .. }) => {
                    tokio::time::sleep(retry.clamp(RATE_LOOK_MIN, RATE_LOOK_MAX)).await;
                }
                Err(exceeded) => {
                    audit::denied(call.noted.asked(), "too many messages");
                    return Err(refused(exceeded));
                }
            }
        }
    }

    /// Whether the key or token that a call was begun with is good still. It costs as much as looking a key up.
    ///
    /// # Errors
    /// UNAUTHENTICATED.
    pub(crate) fn goes_on(&self, call: &Call) -> Result<(), Status> {
        let now_us = keys::now_us();
        let reason = match &call.caller.credentials {
            Credentials::Token { until_us } if *until_us > now_us => return Ok(()),
            Credentials::Token { .. } => "token ended",
            Credentials::Key { id, hash } => match self.0.keys.find_by(id, hash, now_us) {
                Ok(_) => return Ok(()),
                Err(no_key) => no_key.reason(),
            },
        };
        audit::denied(call.noted.asked(), reason);
        Err(status::unauthenticated(false))
    }

    /// What the caller of this task sees.
    pub(crate) fn seen<'a>(&self, rag: &'a Rag) -> Cow<'a, Rag> {
        match Call::current() {
            Some(call) => Cow::Owned(rag.asked_by(Arc::clone(&call.caller.name)).within(Arc::new(call))),
            None if self.0.is_on => Cow::Owned(rag.within(Arc::new(Nothing))),
            None => Cow::Borrowed(rag),
        }
    }

    /// Whether the caller of this task may manage a collection; without one, whether they may do everything.
    pub(crate) fn manages(&self, collection: Option<&str>) -> bool {
        match (Call::current(), collection) {
            (Some(call), Some(collection)) => call.caller.has_whole(Action::Manage, collection),
            (Some(call), None) => call.caller.is_admin(),
            (None, _) => !self.0.is_on,
        }
    }

    /// What notes that the caller of this task has changed a key: for who changes it, who goes on though the caller leaves.
    pub(crate) fn noting_key(&self, change: &'static str) -> impl FnOnce(&str) + Send + use<> {
        let call = Call::current();
        move |id: &str| audit::key(call.as_ref().map_or("", |call| &call.caller.name), change, id)
    }
}

/// There are no credentials: the one reason that is told.
const MISSING: &str = "no credentials";

/// How long a stream waits for its rate before it looks again, also whether its key is good: at least, and at most.
const RATE_LOOK_MIN: Duration = Duration::from_millis(1);
const RATE_LOOK_MAX: Duration = Duration::from_secs(1);

fn refused(exceeded: Exceeded) -> Status {
    match exceeded {
        Exceeded::Rate { per_second, retry } => status::rate_limited(per_second, retry),
        Exceeded::Day { per_day, retry } => status::quota_exceeded(per_day, retry),
    }
}

fn now() -> Moment {
    Moment { at: Instant::now(), unix_s: keys::now_us() / 1_000_000 }
}
