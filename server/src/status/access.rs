//! What callers are refused with who are not known, or may not do what they ask for.

use std::time::Duration;

use ragstone_proto::v1::ErrorReason;
use tonic::{Code, Status};

use super::{Problem, beyond_limit, engine, fault, invalid};
use crate::access::KeyError;

/// When a call may come back whose token could not be checked.
const KEY_SET_RETRY: Duration = Duration::from_secs(1);

/// The caller is not known. Why that is so is not told: they may be anybody.
pub(crate) fn unauthenticated(is_missing: bool) -> Status {
    let message = match is_missing {
        true => "this server asks who calls: send `authorization: Bearer` with an API key or a token",
        false => "the API key or token is not good, or not any more",
    };
    Problem::new(Code::Unauthenticated, ErrorReason::Unauthenticated, message).status()
}

/// The caller has a token, and the keys of its provider cannot be had.
pub(crate) fn key_set_not_read() -> Status {
    let message =
        "the keys of the identity provider, by which tokens are checked, cannot be read now; try again";
    Problem::new(Code::Unavailable, ErrorReason::KeySetNotRead, message).retry(KEY_SET_RETRY).status()
}

/// The caller may not do this, to whatever it is done.
pub(crate) fn permission_denied(action: &'static str) -> Status {
    let message = format!("the call needs `{action}`, which is not granted");
    Problem::new(Code::PermissionDenied, ErrorReason::PermissionDenied, message)
        .with("action", action)
        .status()
}

/// The caller may do this, and not to what they named.
pub(super) fn out_of_scope(field: &str, message: String) -> Status {
    Problem::new(Code::PermissionDenied, ErrorReason::PermissionDenied, message).with("field", field).status()
}

/// A key is not made, changed or found.
pub(crate) fn key(error: KeyError) -> Status {
    let message = error.to_string();
    match error {
        KeyError::Invalid { field, reason } => invalid(&field, &reason),
        KeyError::Limit { field, limit, max, actual } => beyond_limit(field, limit, max, actual),
        KeyError::NotFound { id } => {
            Problem::new(Code::NotFound, ErrorReason::KeyNotFound, message).with("key", id).status()
        }
        KeyError::Random => {
            tracing::error!(error = message, "making an API key");
            fault()
        }
        KeyError::Engine(error) => engine(error),
    }
}

/// The caller makes more calls a second than are granted.
pub(crate) fn rate_limited(per_second: f64, retry: Duration) -> Status {
    let message = format!("more than {per_second} calls a second; try again");
    Problem::new(Code::ResourceExhausted, ErrorReason::RateLimited, message.clone())
        .with("limit", "per_second")
        .with("max", per_second)
        .quota("per_second", message)
        .retry(retry)
        .status()
}

/// The caller has made as many calls as a day has.
pub(crate) fn quota_exceeded(per_day: u64, retry: Duration) -> Status {
    let message = format!("more than {per_day} calls a day; the next one begins at midnight, UTC");
    Problem::new(Code::ResourceExhausted, ErrorReason::QuotaExceeded, message.clone())
        .with("limit", "per_day")
        .with("max", per_day)
        .quota("per_day", message)
        .retry(retry)
        .status()
}
