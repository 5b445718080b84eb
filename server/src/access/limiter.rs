//! How much each caller may ask for: calls a second, and calls a day.
//!
//! A rate is a bucket of tokens that fills steadily; each call takes one. What is used is counted in memory, by who calls: a server that starts anew
//! begins with full buckets, and days are those of UTC. Of a call that streams each message counts that its caller sends.
//!
//! So many callers are remembered at most ([`CALLERS_REMEMBERED_MAX`]). Beyond, some are forgotten, and begin anew when they come back: first those to whom that
//! makes no difference, then those who called the longest ago.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::limits::CALLERS_REMEMBERED_MAX;

/// The part of them that is forgotten at a time, so that few calls look through all.
const FORGOTTEN_PART: usize = 8;
/// After so long most buckets are full again.
const FULL_AGAIN: Duration = Duration::from_secs(60);
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// What somebody may ask for in some time; nothing that is not set is bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Calls a second, on average; of a call that streams each message that its caller sends counts as one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_second: Option<f64>,
    /// Calls that may come at once; as many as in a second, and one at least, if it is not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
    /// Calls a day, of UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_day: Option<u64>,
}

impl Limits {
    /// What is wrong with them: the field, and the reason.
    pub(super) fn check(&self) -> Result<(), (&'static str, &'static str)> {
        match self {
            Limits { per_second: Some(rate), .. } if !rate.is_finite() || *rate <= 0.0 => {
                Err(("limits.per_second", "it is a number above 0"))
            }
            Limits { burst: Some(0), .. } => Err(("limits.burst", "it is 1 at least")),
            Limits { burst: Some(_), per_second: None, .. } => {
                Err(("limits.burst", "it is of a rate: set per_second"))
            }
            _ => Ok(()),
        }
    }

    fn is_unbounded(&self) -> bool {
        self.per_second.is_none() && self.per_day.is_none()
    }

    /// What a bucket holds.
    fn capacity(&self, rate: f64) -> f64 {
        self.burst.map_or_else(|| rate.max(1.0), f64::from)
    }
}

/// Which limit a call is beyond, and when another one may come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Exceeded {
    Rate { per_second: f64, retry: Duration },
    Day { per_day: u64, retry: Duration },
}

/// A moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) at: Instant,
    /// Seconds since 1970 (UTC).
    pub(super) unix_s: u64,
}

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
    day: u64,
    used: u64,
}

/// What callers have used.
#[derive(Debug)]
pub(super) struct Limiter {
    /// 1 at least.
    callers_max: usize,
    /// Locked for a look-up, and now and then for a look through all.
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Default for Limiter {
    fn default() -> Limiter {
        Limiter { callers_max: CALLERS_REMEMBERED_MAX, buckets: Mutex::default() }
    }
}

impl Limiter {
    /// Counts a call.
    ///
    /// # Errors
    /// It is one too many, and does not count.
    pub(super) fn take(&self, caller: &str, limits: &Limits, now: Moment) -> Result<(), Exceeded> {
        if limits.is_unbounded() {
            return Ok(());
        }
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= self.callers_max && !buckets.contains_key(caller) {
            forget_some(&mut buckets, self.callers_max, now);
        }
        let day = now.unix_s / DAY_S;
        let full = limits.per_second.map_or(0.0, |rate| limits.capacity(rate));
        let bucket =
            buckets.entry(caller.to_owned()).or_insert(Bucket { tokens: full, at: now.at, day, used: 0 });
        if let Some(rate) = limits.per_second {
            let waited = now.at.saturating_duration_since(bucket.at).as_secs_f64();
            bucket.tokens = (bucket.tokens + waited * rate).min(full);
        }
        bucket.at = bucket.at.max(now.at);
        if bucket.day != day {
            (bucket.day, bucket.used) = (day, 0);
        }
        if let Some(per_day) = limits.per_day.filter(|per_day| bucket.used >= *per_day) {
            let retry = Duration::from_secs(DAY_S - now.unix_s % DAY_S);
            return Err(Exceeded::Day { per_day, retry });
        }
        if let Some(rate) = limits.per_second {
            if bucket.tokens < 1.0 {
                let wait = ((1.0 - bucket.tokens) / rate).min(DAY_S as f64);
                return Err(Exceeded::Rate { per_second: rate, retry: Duration::from_secs_f64(wait) });
            }
            bucket.tokens -= 1.0;
        }
        if limits.per_day.is_some() {
            bucket.used += 1;
        }
        Ok(())
    }
}

/// Makes room among as many callers as may be remembered.
fn forget_some(buckets: &mut HashMap<String, Bucket>, callers_max: usize, now: Moment) {
    let day = now.unix_s / DAY_S;
    // Those go first that have the least: what a new one begins with is about what they have.
    let rank = |bucket: &Bucket| {
        let rests = now.at.saturating_duration_since(bucket.at) >= FULL_AGAIN;
        let has_used = bucket.day == day && bucket.used > 0;
        (has_used || !rests, bucket.at)
    };
    let mut ranks: Vec<(bool, Instant)> = buckets.values().map(rank).collect();
    let mut forgotten = callers_max / FORGOTTEN_PART + 1;
    let (_, last, _) = ranks.select_nth_unstable(forgotten - 1);
    let last = *last;
    buckets.retain(|_, bucket| {
        let goes = forgotten > 0 && rank(bucket) <= last;
        forgotten -= usize::from(goes);
        !goes
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_lets_a_burst_through_and_then_what_comes_in_time() {
        let (limiter, begin) = (Limiter::default(), Instant::now());
        let limits = Limits { per_second: Some(2.0), burst: Some(3), per_day: None };
        let at = |ms: u64| Moment { at: begin + Duration::from_millis(ms), unix_s: 1_000 };
        for _ in 0..3 {
            assert_eq!(limiter.take("a", &limits, at(0)), Ok(()));
        }
        let beyond = Exceeded::Rate { per_second: 2.0, retry: Duration::from_millis(500) };
        assert_eq!(limiter.take("a", &limits, at(0)), Err(beyond));
        assert_eq!(limiter.take("b", &limits, at(0)), Ok(()), "another one");
        assert!(limiter.take("a", &limits, at(400)).is_err());
        assert_eq!(limiter.take("a", &limits, at(600)), Ok(()));
        assert!(limiter.take("a", &limits, at(700)).is_err());
        // However long it rests, the bucket holds no more than a burst.
        for _ in 0..3 {
            assert_eq!(limiter.take("a", &limits, at(100_000)), Ok(()));
        }
        assert!(limiter.take("a", &limits, at(100_000)).is_err());
    }

    #[test]
    fn a_quota_is_of_a_day() {
        let (limiter, begin) = (Limiter::default(), Instant::now());
        let limits = Limits { per_day: Some(2), ..Limits::default() };
        let at = |unix_s: u64| Moment { at: begin, unix_s };
        assert!((0..2).all(|_| limiter.take("a", &limits, at(DAY_S - 10)).is_ok()));
        let beyond = Exceeded::Day { per_day: 2, retry: Duration::from_secs(10) };
        assert_eq!(limiter.take("a", &limits, at(DAY_S - 10)), Err(beyond));
        assert_eq!(limiter.take("a", &limits, at(DAY_S)), Ok(()));
        assert_eq!(limiter.take("a", &Limits::default(), at(DAY_S)), Ok(()));
    }

    #[test]
    fn no_more_callers_are_remembered_than_there_is_room_for() {
        let (limiter, begin) = (Limiter { callers_max: 8, ..Limiter::default() }, Instant::now());
        let once_a_day = Limits { per_day: Some(1), ..Limits::default() };
        let at = |second: u64| Moment { at: begin + Duration::from_secs(second), unix_s: 1_000 + second };
        let remembered = || limiter.buckets.lock().unwrap().len();
        for second in 0..100 {
            assert_eq!(limiter.take(&format!("{second}"), &once_a_day, at(second)), Ok(()));
            assert!(remembered() <= 8, "{} at {second} s", remembered());
        }
        assert!(limiter.take("99", &once_a_day, at(100)).is_err(), "whoever called just now has not been");
        assert_eq!(limiter.take("0", &once_a_day, at(100)), Ok(()), "who called the longest ago begins anew");
        // Whom it makes no difference to goes before: their buckets are full again.
        let limiter = Limiter { callers_max: 8, ..Limiter::default() };
        assert_eq!(limiter.take("quota", &once_a_day, at(0)), Ok(()));
        let by_rate = Limits { per_second: Some(1.0), ..Limits::default() };
        for number in 0..7 {
            assert_eq!(limiter.take(&format!("{number}"), &by_rate, at(1)), Ok(()));
        }
        assert_eq!(limiter.take("another", &by_rate, at(100)), Ok(()));
        assert!(limiter.take("quota", &once_a_day, at(100)).is_err());
    }

    #[test]
    fn limits_are_checked() {
        let of = |per_second: f64| Limits { per_second: Some(per_second), ..Limits::default() };
        assert!(of(0.1).check().is_ok() && Limits::default().check().is_ok());
        for wrong in [of(0.0), of(-1.0), of(f64::NAN), of(f64::INFINITY)] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
        assert!(Limits { burst: Some(0), ..of(1.0) }.check().is_err());
        assert!(Limits { burst: Some(2), ..Limits::default() }.check().is_err());
    }
}
