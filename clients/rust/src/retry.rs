//! When a failed call is repeated, and after what pause.
//!
//! The pause is "full jitter" (M. Brooker, "Exponential backoff and jitter", 2015): uniform between nothing and a bound
//! that doubles, so that clients which failed together do not come back together. A pause that the server asks for is a
//! lower bound to it, and where it is beyond [`PAUSE_ASKED_MAX`] the caller's to decide about.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use crate::error::{Code, Error};

const FIRST_PAUSE_MAX: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// A pause that the server asks for and that is waited here, at most: the service of a model may ask for a day, and streams have no deadline
/// by default.
const PAUSE_ASKED_MAX: Duration = Duration::from_secs(600);

/// Whether a call comes to the same when it is made twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It does: reads, fetching a model, and writes with a request id, which the server does once, or of what is passed over if it is there.
    Safe,
    /// It does not: only a call that was not begun may be repeated. So it is with writes that have no request id: a second
    /// time one could undo what another client wrote after the first, and its counts would be those of the second time.
    IfNotBegun,
}

/// Whether the call may be made again after this error.
pub(crate) fn may_repeat(error: &Error, repeat: Repeat) -> bool {
    if error.retry_after().is_some_and(|asked| asked > PAUSE_ASKED_MAX) {
        return false;
    }
    match error.code() {
        Code::Unavailable => repeat == Repeat::Safe || error.not_begun(),
        Code::ResourceExhausted => error.retry_after().is_some(),
        _ => false,
    }
}

/// The pause before the next attempt; `attempt` counts those made, from 1.
pub(crate) fn pause(attempt: u32, error: &Error) -> Duration {
    jittered(attempt, error.retry_after().unwrap_or_default(), random_fraction())
}

/// `fraction`, from 0 to 1, is the chance in it.
fn jittered(attempt: u32, asked: Duration, fraction: f64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    let bound = FIRST_PAUSE_MAX.saturating_mul(1 << doublings).min(PAUSE_MAX);
    asked + bound.mul_f64(fraction)
}

/// The standard library keys every `RandomState` differently: randomness enough to keep clients apart.
fn random_fraction() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

/// A request id that no other write has: 128 bits of chance, in hex.
pub(crate) fn request_id() -> String {
    let [high, low] = [(); 2].map(|()| RandomState::new().build_hasher().finish());
    format!("{high:016x}{low:016x}")
}

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, StatusExt as _};

    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_respect_the_server() {
        assert_eq!(jittered(1, Duration::ZERO, 1.0), Duration::from_millis(100));
        assert_eq!(jittered(2, Duration::ZERO, 1.0), Duration::from_millis(200));
        assert_eq!(jittered(4, Duration::ZERO, 0.5), Duration::from_millis(400));
        assert_eq!(jittered(60, Duration::ZERO, 1.0), PAUSE_MAX);
        assert_eq!(jittered(1, Duration::from_secs(2), 0.0), Duration::from_secs(2));
    }

    #[test]
    fn fractions_lie_between_0_and_1_and_differ() {
        let fractions: Vec<f64> = (0..100).map(|_| random_fraction()).collect();
        assert!(fractions.iter().all(|fraction| (0.0..1.0).contains(fraction)));
        assert!(fractions.iter().any(|fraction| *fraction != fractions[0]));
    }

    #[test]
    fn request_ids_differ() {
        let ids: std::collections::HashSet<String> = (0..1_000).map(|_| request_id()).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }

    #[test]
    fn a_write_is_repeated_only_if_it_was_not_begun() {
        let refused = tonic::ConnectError("connection refused".into());
        let mut never_sent = tonic::Status::unavailable("no connection");
        never_sent.set_source(std::sync::Arc::new(refused));
        assert!(may_repeat(&Error::from_status(&never_sent), Repeat::IfNotBegun));

        let mut lost = tonic::Status::unavailable("transport error");
        lost.set_source(std::sync::Arc::new(std::io::Error::other("connection reset")));
        assert!(!may_repeat(&Error::from_status(&lost), Repeat::IfNotBegun));
        assert!(may_repeat(&Error::from_status(&lost), Repeat::Safe));
    }

    #[test]
    fn a_pause_of_more_than_minutes_is_told_and_not_waited() {
        let asked = |seconds| {
            let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(seconds)));
            let status =
                tonic::Status::with_error_details(tonic::Code::ResourceExhausted, "slow down", details);
            may_repeat(&Error::from_status(&status), Repeat::Safe)
        };
        assert_eq!([0, 600, 601, 86_400, u64::MAX].map(asked), [true, true, false, false, false]);
    }

    #[test]
    fn only_what_is_safe_is_repeated() {
        let unavailable = Error::new(Code::Unavailable, "connection refused");
        assert!(may_repeat(&unavailable, Repeat::Safe));
        assert!(!may_repeat(&unavailable, Repeat::IfNotBegun));
        for code in [Code::Internal, Code::DeadlineExceeded, Code::InvalidArgument, Code::Cancelled] {
            assert!(!may_repeat(&Error::new(code, ""), Repeat::Safe));
        }
        // Too large a message is exhausted too, and stays so: no RetryInfo, no repetition.
        assert!(!may_repeat(&Error::new(Code::ResourceExhausted, ""), Repeat::Safe));
        // Nor is a write repeated whose precondition does not hold.
        assert!(!may_repeat(&Error::new(Code::Aborted, ""), Repeat::Safe));
    }
}
