//! Latencies of many calls, as a histogram of high dynamic range: every quantile to three digits, in memory that does not grow with the calls.
//!
//! The idea is Gil Tene's ([HdrHistogram](https://hdrhistogram.org)). What is recorded is the caller's affair; where calls are due at set
//! times, it is the time from when each was due, not from when it could be begun, or a server that stalls would be measured by the few calls
//! that it let through ("coordinated omission").

use std::fmt::Write as _;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Value, json};

use crate::Failure;
use crate::index::rounded;

/// What is longer counts as this.
const LONGEST: Duration = Duration::from_secs(3_600);
/// Digits that are kept of each latency.
const DIGITS: u8 = 3;
/// Where the buckets that people are shown begin, in nanoseconds; each reaches twice as far as the one before.
const FIRST_BUCKET_NS: u64 = 1_000;
/// Characters of the longest bar.
const BAR: u64 = 40;

/// Latencies of calls.
#[derive(Clone, Debug)]
pub struct Latencies {
    nanoseconds: Histogram<u64>,
}

impl Latencies {
    /// None yet.
    ///
    /// # Errors
    /// None that occurs: the bounds are fixed and acceptable.
    pub fn new() -> Result<Self, Failure> {
        Ok(Self { nanoseconds: Histogram::new_with_bounds(1, LONGEST.as_nanos() as u64, DIGITS)? })
    }

    /// Adds one.
    pub fn record(&mut self, latency: Duration) {
        self.nanoseconds.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Adds others.
    ///
    /// # Errors
    /// None that occurs: all have the same bounds.
    pub fn add(&mut self, others: &Latencies) -> Result<(), Failure> {
        Ok(self.nanoseconds.add(&others.nanoseconds)?)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.nanoseconds.len()
    }

    /// What a share of them (0 to 1) does not exceed, in microseconds; 0 of none.
    pub fn us(&self, share: f64) -> f64 {
        self.nanoseconds.value_at_quantile(share) as f64 / 1e3
    }

    /// For machines: quantiles in microseconds, and how many lie in each bucket that any lies in, by the bucket's upper end.
    pub fn json(&self) -> Value {
        let us = |nanoseconds: f64| rounded(nanoseconds / 1e3, 2);
        let buckets: Vec<Value> =
            self.buckets().into_iter().map(|(end, count)| json!([us(end as f64), count])).collect();
        json!({
            "count": self.count(),
            "mean_us": us(self.nanoseconds.mean()),
            "p50_us": rounded(self.us(0.5), 2),
            "p90_us": rounded(self.us(0.9), 2),
            "p99_us": rounded(self.us(0.99), 2),
            "p999_us": rounded(self.us(0.999), 2),
            "max_us": us(self.nanoseconds.max() as f64),
            "histogram": buckets,
        })
    }

    /// For people: quantiles, and a bar for each bucket.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)] {
            // Writing to a string does not fail.
            let _ = write!(text, "  {name} {}", shown(self.us(share)));
        }
        text.push('\n');
        let buckets = self.buckets();
        let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        for (end, count) in buckets {
            let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
            let _ = writeln!(text, "  < {:>10} {count:>9} {bar}", shown(end as f64 / 1e3));
        }
        text
    }

    /// The buckets that any lies in: their upper ends in nanoseconds, and how many.
    fn buckets(&self) -> Vec<(u64, u64)> {
        let buckets = self.nanoseconds.iter_log(FIRST_BUCKET_NS, 2.0);
        let counted =
            buckets.map(|bucket| (bucket.value_iterated_to() + 1, bucket.count_since_last_iteration()));
        counted.filter(|(_, count)| *count > 0).collect()
    }
}

/// Microseconds in the unit that suits them.
fn shown(us: f64) -> String {
    match us {
        us if us < 1e3 => format!("{us:.0} us"),
        us if us < 1e6 => format!("{:.2} ms", us / 1e3),
        us => format!("{:.2} s", us / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(milliseconds: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        milliseconds.into_iter().for_each(|ms| latencies.record(Duration::from_millis(ms)));
        latencies
    }

    #[test]
    fn quantiles_are_kept_to_three_digits() {
        let latencies = of(1..=1_000);
        for (share, ms) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1_000.0)] {
            let found = latencies.us(share) / 1e3;
            assert!((found / ms - 1.0).abs() < 2e-3, "{share}: {found} instead of {ms}");
        }
        assert_eq!((latencies.count(), of([]).us(0.5)), (1_000, 0.0));
    }

    #[test]
    fn what_several_recorded_is_one_histogram() {
        let mut all = of([1, 2]);
        all.add(&of([400])).unwrap();
        assert_eq!(all.count(), 3);
        assert!(all.us(1.0) > 399e3, "{}", all.us(1.0));
    }

    #[test]
    fn what_is_beyond_all_bounds_is_recorded_as_the_longest() {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::ZERO);
        latencies.record(Duration::from_secs(1_000_000));
        assert_eq!(latencies.count(), 2);
        assert!(latencies.us(1.0) >= 3_600e6 * 0.999, "{}", latencies.us(1.0));
    }

    #[test]
    fn every_latency_is_in_one_bucket() {
        let latencies = of([1, 1, 1, 40, 5_000]);
        let buckets = latencies.buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 5, "{buckets:?}");
        assert!(buckets.is_sorted(), "{buckets:?}");
        let text = latencies.text();
        assert_eq!(text.lines().count(), 1 + buckets.len(), "{text}");
        assert!(text.contains(&"#".repeat(BAR as usize)), "{text}");
        assert_eq!(latencies.json()["count"], 5);
    }
}
