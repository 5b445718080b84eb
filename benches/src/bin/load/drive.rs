//! The loops: callers who wait for their answers, and calls that are due whether anything was answered or not.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ragstone_benches::Failure;
use ragstone_benches::latencies::Latencies;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::workload::Kind;

/// Calls of an open loop that are under way at a time. One more is begun late, and its latency counts from when it was due all the same.
const UNDER_WAY_MAX: u32 = 10_000;

/// What became of a call: answered, or the name of what it failed with.
pub(crate) type Outcome = Result<(), String>;

/// What is called.
pub(crate) trait Callee: Send + Sync + 'static {
    /// The call of a number, by one of several callers.
    fn call(&self, caller: usize, number: u64) -> impl Future<Output = (Kind, Outcome)> + Send;
}

/// What a loop found.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// Of calls that were answered. One that is refused may be quick, which is no merit.
    pub(crate) latencies: BTreeMap<Kind, Latencies>,
    /// How many failed, by kind and code.
    pub(crate) failures: BTreeMap<(Kind, String), u64>,
    /// From the first call to the last answer.
    pub(crate) seconds: f64,
    /// How long after they were due calls of an open loop were begun, which is part of their latencies; none in a closed loop, in which
    /// nothing is due.
    pub(crate) late: Option<Latencies>,
}

impl Measured {
    fn count(&mut self, (kind, outcome): (Kind, Outcome), latency: Duration) -> Result<(), Failure> {
        let latencies = match self.latencies.entry(kind) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(free) => free.insert(Latencies::new()?),
        };
        match outcome {
            Ok(()) => latencies.record(latency),
            Err(code) => *self.failures.entry((kind, code)).or_default() += 1,
        }
        Ok(())
    }

    /// Adds what another caller, or another round, found; the times of rounds add up, those of callers who were there together do not.
    pub(crate) fn add(&mut self, others: Measured) -> Result<(), Failure> {
        for (kind, latencies) in others.latencies {
            match self.latencies.entry(kind) {
                Entry::Occupied(there) => there.into_mut().add(&latencies)?,
                Entry::Vacant(free) => drop(free.insert(latencies)),
            }
        }
        for (failed, count) in others.failures {
            *self.failures.entry(failed).or_default() += count;
        }
        self.seconds += others.seconds;
        Ok(())
    }

    /// Calls answered.
    pub(crate) fn answered(&self) -> u64 {
        self.latencies.values().map(Latencies::count).sum()
    }

    /// Calls that failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }
}

/// So many callers, each with one call at a time.
pub(crate) async fn closed<C: Callee>(
    callee: &Arc<C>,
    concurrency: usize,
    lasting: Duration,
) -> Result<Measured, Failure> {
    let numbers = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut callers = JoinSet::new();
    for caller in 0..concurrency {
        let (callee, numbers) = (Arc::clone(callee), Arc::clone(&numbers));
        callers.spawn(async move {
            let mut measured = Measured::default();
            while begun.elapsed() < lasting {
                let number = numbers.fetch_add(1, Ordering::Relaxed);
                let called = Instant::now();
                let outcome = callee.call(caller, number).await;
                measured.count(outcome, called.elapsed())?;
            }
            Ok::<Measured, Failure>(measured)
        });
    }
    let mut all = Measured::default();
    while let Some(caller) = callers.join_next().await {
        all.add(caller??)?;
    }
    all.seconds = begun.elapsed().as_secs_f64();
    Ok(all)
}

/// The same of calls that block, each caller a thread.
pub(crate) fn closed_on_threads(
    call: impl Fn(u64) -> (Kind, Outcome) + Sync,
    concurrency: usize,
    lasting: Duration,
) -> Result<Measured, Failure> {
    let (numbers, begun) = (AtomicU64::new(0), Instant::now());
    let caller = || {
        let mut measured = Measured::default();
        while begun.elapsed() < lasting {
            let number = numbers.fetch_add(1, Ordering::Relaxed);
            let called = Instant::now();
            let outcome = call(number);
            measured.count(outcome, called.elapsed())?;
        }
        Ok::<Measured, Failure>(measured)
    };
    let mut all = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..concurrency).map(|_| scope.spawn(caller)).collect();
        let mut all = Measured::default();
        for caller in callers {
            all.add(caller.join().map_err(|_| "a caller panicked")??)?;
        }
        Ok::<Measured, Failure>(all)
    })?;
    all.seconds = begun.elapsed().as_secs_f64();
    Ok(all)
}

/// Calls at even times, so many a second, each timed from when it was due.
pub(crate) async fn open<C: Callee>(
    callee: &Arc<C>,
    rate: f64,
    lasting: Duration,
) -> Result<Measured, Failure> {
    let late = Some(Latencies::new()?);
    let measured = Arc::new(Mutex::new(Measured { late, ..Measured::default() }));
    let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX as usize));
    let begun = Instant::now();
    let sender = Sender {
        callee: Arc::clone(callee),
        measured: Arc::clone(&measured),
        under_way: Arc::clone(&under_way),
        runtime: Handle::current(),
    };
    // A thread of its own: the runtime's timers have a resolution of a millisecond, which would be part of every latency.
    tokio::task::spawn_blocking(move || sender.send(begun, rate, lasting)).await??;
    // Those that are still under way end by their own deadline at the latest.
    let _all = under_way.acquire_many(UNDER_WAY_MAX).await?;
    let mut measured = std::mem::take(&mut *lock(&measured));
    measured.seconds = begun.elapsed().as_secs_f64();
    Ok(measured)
}

/// What begins the calls of an open loop.
struct Sender<C> {
    callee: Arc<C>,
    measured: Arc<Mutex<Measured>>,
    under_way: Arc<Semaphore>,
    runtime: Handle,
}

impl<C: Callee> Sender<C> {
    /// Begins them, and returns when the last one is begun. Blocks.
    fn send(self, begun: Instant, rate: f64, lasting: Duration) -> Result<(), Failure> {
        for number in 0_u64.. {
            let after = Duration::from_secs_f64(number as f64 / rate);
            if after >= lasting {
                break;
            }
            let due = begun + after;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            let place = self.runtime.block_on(Arc::clone(&self.under_way).acquire_owned())?;
            if let Some(late) = &mut lock(&self.measured).late {
                late.record(due.elapsed());
            }
            let (callee, measured) = (Arc::clone(&self.callee), Arc::clone(&self.measured));
            self.runtime.spawn(async move {
                let outcome = callee.call(number as usize, number).await;
                let latency = due.elapsed();
                // It fails for no reason that occurs: all histograms have the same bounds.
                let _ = lock(&measured).count(outcome, latency);
                drop(place);
            });
        }
        Ok(())
    }
}

fn lock(measured: &Mutex<Measured>) -> MutexGuard<'_, Measured> {
    measured.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each call after a while, but for one, whose server stalls meanwhile for all who come.
    struct Stalling {
        turn: tokio::sync::Mutex<()>,
        stalls_at: u64,
        stall: Duration,
    }

    impl Callee for Stalling {
        async fn call(&self, _: usize, number: u64) -> (Kind, Outcome) {
            let _turn = self.turn.lock().await;
            if number == self.stalls_at {
                tokio::time::sleep(self.stall).await;
            }
            match number % 10 {
                9 => (Kind::Search, Err("Unavailable".to_owned())),
                _ => (Kind::Search, Ok(())),
            }
        }
    }

    fn stalling(stalls_at: u64) -> Arc<Stalling> {
        Arc::new(Stalling {
            turn: tokio::sync::Mutex::default(),
            stalls_at,
            stall: Duration::from_millis(400),
        })
    }

    /// A hundred calls are due while the server stalls, and each is charged with what is left of the stall then.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_stall_counts_for_every_call_that_was_due_in_it() {
        let measured = open(&stalling(20), 250.0, Duration::from_secs(1)).await.unwrap();
        let latencies = &measured.latencies[&Kind::Search];
        assert_eq!(measured.answered() + measured.failed(), 250);
        assert_eq!(measured.late.map(|late| late.count()), Some(250));
        // A closed loop, or one that times from when a call is begun, would have one slow call here.
        assert!(latencies.us(0.8) > 50e3, "p80 {} us", latencies.us(0.8));
        assert!(latencies.us(1.0) >= 399e3, "max {} us", latencies.us(1.0));
    }

    #[tokio::test]
    async fn callers_of_a_closed_loop_wait_for_their_answers() {
        let measured = closed(&stalling(3), 2, Duration::from_millis(500)).await.unwrap();
        let (answered, failed) = (measured.answered(), measured.failed());
        assert!(answered > 10 && failed > 0, "{measured:?}");
        assert_eq!(measured.failures.keys().next(), Some(&(Kind::Search, "Unavailable".to_owned())));
        assert!(measured.seconds >= 0.5 && measured.late.is_none());
    }

    #[test]
    fn threads_find_what_tasks_find() {
        let call = |number: u64| (Kind::Upsert, if number == 0 { Err("x".to_owned()) } else { Ok(()) });
        let measured = closed_on_threads(call, 3, Duration::from_millis(20)).unwrap();
        assert!(measured.answered() > 3, "{measured:?}");
        assert_eq!(measured.failed(), 1);
    }
}
