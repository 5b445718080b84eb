//! The threads of a database: one links, one seals, one merges, one verifies.
//!
//! The first makes written rows nodes of their graphs. Of the others there are two, because a merge of large segments takes long and a seal must not wait for it: writers wait for seals. Each
//! looks through the collections, sleeps until something is due, and looks again; first of all when the database is
//! opened, since the log may hold more than one segment.
//!
//! A segment that could not be written (a full disk) leaves nothing unknown: its file is removed, the thread waits
//! twice as long as the last time, and tries again. A failure that poisoned the store ends the thread, and so does a
//! panic, which poisons it: nobody would do the work that writers wait for.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::dir::io_error;
use crate::error::Result;
use crate::signal::Signal;
use crate::store::Store;

/// What one thread does.
#[derive(Clone, Copy)]
struct Duty {
    name: &'static str,
    /// Does what is due, and says in what time at the latest there may be more.
    work: fn(&Store) -> Result<Option<Duration>>,
    /// What it is woken by.
    signal: fn(&Store) -> &Signal,
    /// How long it waits after its first failure, and at most.
    delays: (Duration, Duration),
}

/// It touches no disk and cannot fail.
const LINK: Duty = Duty {
    name: "ragstone-link",
    work: |store| {
        store.link_due();
        Ok(None)
    },
    signal: |store| &store.link_signal,
    delays: (Duration::ZERO, Duration::ZERO),
};

const SEAL: Duty = Duty {
    name: "ragstone-seal",
    work: |store| store.seal_due().map(|()| None),
    signal: |store| &store.signal,
    delays: (Duration::from_millis(500), Duration::from_secs(30)),
};
/// Merges can wait, and rows expire while nobody writes; each attempt may write as much as the disk still takes.
const MERGE: Duty = Duty {
    name: "ragstone-merge",
    work: Store::merge_due,
    signal: |store| &store.signal,
    delays: (Duration::from_secs(10), Duration::from_secs(600)),
};

/// Starts the threads, of a database that is only read just the one that touches no disk; they end after
/// [`Store::stop`].
pub(crate) fn start(store: &Arc<Store>) -> Result<Vec<JoinHandle<()>>> {
    let start_one = |duty: Duty| {
        let thread_store = store.clone();
        thread::Builder::new()
            .name(duty.name.into())
            .spawn(move || run(&thread_store, duty))
            .map_err(|source| io_error("start a thread for", store.dir.path(), source))
    };
    let mut threads = Vec::new();
    let duties: &[Duty] = if store.is_read_only() { &[LINK] } else { &[LINK, SEAL, MERGE] };
    for &duty in duties {
        match start_one(duty) {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                store.stop();
                for thread in threads {
                    // It was only just started, and ends without having worked or after one turn.
                    let _ = thread.join();
                }
                return Err(error);
            }
        }
    }
    Ok(threads)
}

/// Starts the thread that verifies what was opened unverified, if anything was; it ends when that is done, or after
/// [`Store::stop`].
pub(crate) fn start_verifier(store: &Arc<Store>) -> Result<Option<JoinHandle<()>>> {
    let segments = store.unverified();
    if segments.is_empty() {
        return Ok(None);
    }
    let thread_store = store.clone();
    thread::Builder::new()
        .name("ragstone-verify".into())
        .spawn(move || thread_store.verify_slowly(&segments))
        .map(Some)
        .map_err(|source| io_error("start a thread for", store.dir.path(), source))
}

fn run(store: &Store, duty: Duty) {
    let Duty { name, work, signal, delays: (first, longest) } = duty;
    let (mut next, mut delay) = (Some(0), first);
    while let Some(seen) = next {
        // What a panic leaves half-done is in memory only, and no write is taken after it.
        match catch_unwind(AssertUnwindSafe(|| work(store))) {
            Ok(Ok(latest)) => {
                delay = first;
                next = signal(store).next_work(seen, latest);
            }
            // What is ended half-way is done anew by the next one that opens it.
            Ok(Err(_)) if store.is_stopping() => return,
            Ok(Err(error)) if store.log.check().is_ok() => {
                tracing::warn!(%error, thread = name, ?delay, "background work failed; trying again later");
                next = signal(store).pause(delay);
                delay = (delay * 2).min(longest);
            }
            Ok(Err(error)) => {
                tracing::error!(%error, thread = name, "background work failed; reopen the database to write");
                return;
            }
            Err(_) => {
                tracing::error!(thread = name, "background work panicked; reopen the database to write");
                store.poison(&format!("the thread {name} panicked"));
                return;
            }
        }
    }
}
