//! How long the disk and rewriting take, counted as it happens: for operators, and for whoever puts it on a histogram.
//!
//! A duration costs two atomic additions, beside an fsync or a rewrite. Nothing is handed over with them, so no order is needed; who reads
//! while others count may find one more in a bucket than in the sum.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::db::Db;

/// Upper ends of the buckets, in microseconds: from an fsync of fast flash to a merge of an hour.
const BUCKETS_US: [u64; 17] = [
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    1_000_000,
    5_000_000,
    30_000_000,
    120_000_000,
    600_000_000,
    3_600_000_000,
];

/// Durations of one kind, counted.
#[derive(Debug, Default)]
pub(crate) struct Durations {
    /// By the first bucket that they are in; the last is for those that are in none.
    counts: [AtomicU64; BUCKETS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Durations {
    /// What the closure returns; how long it takes is counted.
    pub(crate) fn of<T>(&self, timed: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let returned = timed();
        self.count(began.elapsed());
        returned
    }

    pub(crate) fn count(&self, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.partition_point(|end_us| *end_us < took_us);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Latencies {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        let ends = BUCKETS_US.iter().map(|end_us| *end_us as f64 / 1e6).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = ends.zip(counts).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Latencies { buckets, count, sum_seconds: self.sum_us.load(Ordering::Relaxed) as f64 / 1e6 }
    }
}

/// Durations of one kind, since the database was opened.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Latencies {
    /// The upper end of each bucket, in seconds, and how many durations are in it and not in the one before. The last has no end.
    pub buckets: Vec<(f64, u64)>,
    /// How many there were.
    pub count: u64,
    /// Their sum.
    pub sum_seconds: f64,
}

/// How long a database's work on the disk took so far: [`Db::latencies`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DbLatencies {
    /// Writing a frame of the log and syncing it, which all writers that wait at that moment share.
    pub log_syncs: Latencies,
    /// Sealing: rows in memory become a segment.
    pub seals: Latencies,
    /// Merging segments, or dropping what died or expired in one.
    pub merges: Latencies,
}

/// Rewrites of a store, counted.
#[derive(Debug, Default)]
pub(crate) struct Rewrites {
    pub(crate) seals: Durations,
    pub(crate) merges: Durations,
}

impl Db {
    /// How long its work on the disk took since it was opened, what is done in the background included. A database in memory has no log, and
    /// one that is only read does none of it.
    ///
    /// ```
    /// use ragstone::{Db, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// db.create_collection("notes", Schema::new(2)?)?.upsert(vec![Point::new(1, [1.0, 0.0])])?;
    /// db.flush()?;
    /// assert!(db.latencies().seals.count >= 1);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    pub fn latencies(&self) -> DbLatencies {
        let store = self.any_store();
        let Rewrites { seals, merges } = &store.rewrites;
        DbLatencies { log_syncs: store.log.latencies(), seals: seals.read(), merges: merges.read() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DbOptions, Point, Schema};

    #[test]
    fn durations_are_in_the_first_bucket_that_holds_them() {
        let durations = Durations::default();
        for us in [0, 100, 101, 3_600_000_000, 3_600_000_001] {
            durations.count(Duration::from_micros(us));
        }
        let read = durations.read();
        let filled: Vec<(f64, u64)> = read.buckets.iter().copied().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.0001, 2), (0.00025, 1), (3_600.0, 1), (f64::INFINITY, 1)]);
        assert_eq!(read.count, 5);
        assert!((read.sum_seconds - 7_200.000_202).abs() < 1e-6, "{}", read.sum_seconds);
    }

    #[test]
    fn writes_seals_and_merges_are_counted_apart() {
        let directory = tempfile::tempdir().unwrap();
        let options = DbOptions { background: false, ..DbOptions::default() };
        let db = Db::open_with(directory.path(), options).unwrap();
        let rows = db.create_collection("a", Schema::new(2).unwrap()).unwrap();
        let before = db.latencies();
        assert_eq!((before.seals.count, before.merges.count), (0, 0));
        for at in 0..2_u64 {
            rows.upsert((0..10).map(|id| Point::new(at * 10 + id, [1.0, id as f32])).collect()).unwrap();
            db.flush().unwrap();
        }
        let after = db.latencies();
        assert_eq!(after.log_syncs.count, before.log_syncs.count + 2);
        assert!(after.log_syncs.sum_seconds > 0.0);
        assert_eq!(after.seals.count, 2);
        let merged = after.merges.count;
        db.compact().unwrap();
        let compacted = db.latencies().merges.count;
        assert!(compacted > merged || merged > 0, "{merged} {compacted}");
    }
}
