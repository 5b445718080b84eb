//! What an API key is, to who makes and lists them.

use serde::Serialize;

use super::claims::Claims;
use super::limiter::Limits;
#[cfg(doc)]
use crate::limits::{GRANTS_MAX, KEY_NAME_BYTES_MAX};

/// Why a key is not made, changed or found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// A part of it is not acceptable.
    #[error("{field}: {reason}")]
    Invalid {
        /// The part.
        field: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A part of it is beyond a limit.
    #[error("{field}: {actual} is beyond the limit {limit} = {max}")]
    Limit {
        /// The part.
        field: &'static str,
        /// The limit's name.
        limit: &'static str,
        /// The largest value allowed.
        max: u64,
        /// The value given.
        actual: u64,
    },
    /// There is no such key.
    #[error("key `{id}` does not exist")]
    NotFound {
        /// Its id.
        id: String,
    },
    /// The system gives no random numbers.
    #[error("the system gives no random numbers")]
    Random,
    /// The database refused.
    #[error(transparent)]
    Engine(#[from] ragstone::Error),
}

/// A key, without its secret.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Key {
    /// Names it; a part of the key itself.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// What it allows.
    pub grants: Vec<String>,
    /// What its row filters know of its holder.
    pub claims: Claims,
    /// What it may be used for in some time.
    pub limits: Limits,
    /// When it was made, in microseconds since 1970 (UTC).
    pub created_us: u64,
    /// When it ends, if it does.
    pub expires_us: Option<u64>,
    /// Until when the key before the last rotation is taken as well.
    pub previous_until_us: Option<u64>,
}

/// A key that is to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewKey {
    /// What it is for: 1 to [`KEY_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// What it allows: 1 to [`GRANTS_MAX`] grants.
    pub grants: Vec<String>,
    /// What its row filters know of its holder.
    pub claims: Claims,
    /// What it may be used for in some time.
    pub limits: Limits,
    /// When it ends, in microseconds since 1970 (UTC), if it does.
    pub expires_us: Option<u64>,
}
