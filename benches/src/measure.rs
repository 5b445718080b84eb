//! Time, memory and recall.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::npy::Matrix;

/// Results that recall is computed on.
pub const K: usize = 10;
/// Queries before the first measurement of a setting.
const WARM_UP: usize = 100;
/// Measurements of a setting, of which the median counts.
const ROUNDS: usize = 3;

/// Bytes of this process in memory now (Linux; zero elsewhere).
pub fn resident_bytes() -> u64 {
    status_bytes("VmRSS:")
}

/// A line of the process's status (Linux; zero elsewhere).
fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kibibytes =
        line.and_then(|value| value.split_whitespace().next()).and_then(|value| value.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

/// How often memory that is no file's is looked at: the system keeps the peak of all memory alone.
const LOOK: Duration = Duration::from_millis(2);

/// Watches how much memory something takes at most (Linux; zero elsewhere).
#[derive(Debug)]
pub struct Memory {
    resident: u64,
    anonymous: u64,
    is_over: Arc<AtomicBool>,
    watch: JoinHandle<u64>,
}

/// Peaks of memory over what there was before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grown {
    /// Of all pages, those of mapped files included.
    pub resident_bytes: u64,
    /// Of pages that are no file's.
    pub anonymous_bytes: u64,
}

impl Memory {
    /// Begins.
    pub fn begin() -> Self {
        // Sets the peak to what there is (proc_pid_clear_refs(5)); where it cannot be set, the peak is that of the process.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let is_over = Arc::new(AtomicBool::new(false));
        let stop = is_over.clone();
        let watch = std::thread::spawn(move || {
            let mut most = 0;
            while !stop.load(Ordering::Relaxed) {
                most = status_bytes("RssAnon:").max(most);
                std::thread::sleep(LOOK);
            }
            status_bytes("RssAnon:").max(most)
        });
        Self { resident: resident_bytes(), anonymous: status_bytes("RssAnon:"), is_over, watch }
    }

    /// Ends, and tells.
    pub fn end(self) -> Grown {
        self.is_over.store(true, Ordering::Relaxed);
        let resident = status_bytes("VmHWM:");
        let anonymous = self.watch.join().unwrap_or(0);
        Grown {
            resident_bytes: resident.saturating_sub(self.resident),
            anonymous_bytes: anonymous.saturating_sub(self.anonymous),
        }
    }
}

/// What a build cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds.
    pub build_s: f64,
    /// Growth of the process's memory.
    pub resident_bytes: u64,
}

/// Builds something and measures what it costs.
pub fn build<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (before, start) = (resident_bytes(), Instant::now());
    let built = work();
    let build_s = start.elapsed().as_secs_f64();
    (built, Cost { build_s, resident_bytes: resident_bytes().saturating_sub(before) })
}

/// One point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Share of the true [`K`] nearest rows that were found, 0 to 1.
    pub recall: f64,
    /// Queries per second.
    pub qps: f64,
}

/// Runs every query on `threads` threads, three times, and takes the median. `search` is given a query's
/// number and returns the ids that it found, nearest first.
pub fn point(truth: &Matrix<u32>, threads: usize, search: impl Fn(usize) -> Vec<u64> + Sync) -> Point {
    let queries = truth.len();
    (0..queries.min(WARM_UP)).for_each(|query| drop(search(query)));
    let mut seconds = [0.0; ROUNDS];
    let mut found = Vec::new();
    for round in &mut seconds {
        let start = Instant::now();
        found = run(queries, threads, &search);
        *round = start.elapsed().as_secs_f64();
    }
    seconds.sort_by(f64::total_cmp);
    let hits: usize = found.iter().zip(truth.rows()).map(|(found, truth)| overlap(found, truth)).sum();
    let wanted = queries * K.min(truth.columns);
    Point { recall: hits as f64 / wanted.max(1) as f64, qps: queries as f64 / seconds[ROUNDS / 2] }
}

fn run(queries: usize, threads: usize, search: &(impl Fn(usize) -> Vec<u64> + Sync)) -> Vec<Vec<u64>> {
    if threads <= 1 {
        return (0..queries).map(search).collect();
    }
    let mut found = vec![Vec::new(); queries];
    let share = queries.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (thread, part) in found.chunks_mut(share).enumerate() {
            scope.spawn(move || {
                for (i, ids) in part.iter_mut().enumerate() {
                    *ids = search(thread * share + i);
                }
            });
        }
    });
    found
}

/// How many of the true [`K`] nearest rows are among the first [`K`] found.
pub fn overlap(found: &[u64], truth: &[u32]) -> usize {
    let truth = &truth[..truth.len().min(K)];
    found.iter().take(K).filter(|id| truth.iter().any(|row| u64::from(*row) == **id)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recall_counts_the_true_rows_among_the_first_ten() {
        let truth = Matrix { columns: 12, elements: (0..24).collect() };
        for threads in [1, 3] {
            let point = point(&truth, threads, |query| (query as u64 * 12..).step_by(2).take(10).collect());
            assert!((point.recall - 0.5).abs() < 1e-9, "{point:?}");
            assert!(point.qps > 0.0);
        }
    }

    #[test]
    fn memory_that_is_used_is_seen() {
        if !cfg!(target_os = "linux") {
            return;
        }
        let (kept, cost) = build(|| std::hint::black_box(vec![1_u8; 64 << 20]));
        assert!(cost.resident_bytes >= 60 << 20, "{cost:?} for {} bytes", kept.len());
        let memory = Memory::begin();
        drop(std::hint::black_box(vec![1_u8; 64 << 20]));
        let grown = memory.end();
        assert!(grown.resident_bytes >= 60 << 20, "{grown:?} of memory that was given back");
    }
}
