//! The process that is killed.
//!
//! It says on its standard output, a line each and out at once:
//!
//! ```text
//! open                 the database is open
//! s THREAD NUMBER      the thread submits its operation with this number
//! a THREAD NUMBER SEQ DELETED
//!                      it was acknowledged: of a write, its number and how many rows it deleted
//! b THREAD NUMBER      it gave way to what another thread does to the archive, and did nothing
//! d THREAD NAME        the thread is about to delete this snapshot
//! m THREAD POSITION    the log is archived up to there
//! l THREAD TEXT        what it wrote is not there
//! t THREAD TEXT        it was done, and should not have been
//! x THREAD TEXT        it failed: as little as that may it happen
//! p POINT              some thread is at the fail point that was asked for, and stays there if it is to
//! ```

use std::cell::Cell;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::{Db, faults};

use super::THREADS;
use super::archive::{Access, Archivist, Hook};
use super::mistake::Mistake;
use super::perform::{Done, perform, read_back};
use super::restored::archive_of;
use super::workload::{Workload, options};

/// What the process is told on its command line.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The database.
    pub dir: PathBuf,
    /// Of the workload.
    pub seed: u64,
    /// What time it is, as long as it runs.
    pub clock: i64,
    /// Each thread's first operation.
    pub first: Vec<u64>,
    /// Threads and numbers of operations that were under way when a process was killed, as far as they decide what is done.
    pub unanswered: Vec<(u64, u64)>,
    /// Where to stop; none to go on until killed.
    pub stop: Option<Stop>,
    /// How the store is wrong.
    pub mistake: Option<Mistake>,
}

/// Where a process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The work that it is at.
    pub work: String,
    /// At the how manieth point of it.
    pub count: i64,
    /// Whether it waits there; else it goes on, and is killed a little later, wherever it is by then.
    pub waits: bool,
}

impl Stop {
    fn word(&self) -> String {
        format!("{}:{}:{}", self.work, self.count, self.waits)
    }

    fn parse(word: &str) -> Option<Self> {
        let mut parts = word.split(':');
        let (work, count, waits) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { work: work.to_owned(), count: count.parse().ok()?, waits: waits.parse().ok()? })
    }
}

/// What keeps a writer from writing, and should never.
pub(super) type Failure = Box<dyn std::error::Error>;

thread_local! {
    /// What this thread is at.
    static WORK: Cell<&'static str> = const { Cell::new("write") };
}

impl Writer {
    /// The arguments that say all this.
    pub(super) fn arguments(&self) -> Vec<String> {
        let first: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let unanswered: Vec<String> =
            self.unanswered.iter().map(|(thread, number)| format!("{thread}/{number}")).collect();
        let mut words = vec!["writer".to_owned(), self.dir.display().to_string(), self.seed.to_string()];
        words.push(self.clock.to_string());
        words.push(first.join(","));
        words.push(if unanswered.is_empty() { "-".into() } else { unanswered.join(",") });
        words.push(self.stop.as_ref().map_or("-".into(), Stop::word));
        words.push(self.mistake.map_or("-", Mistake::name).to_owned());
        words
    }

    /// What such arguments say.
    pub fn parse(words: &[String]) -> Option<Self> {
        let [dir, seed, clock, first, unanswered, stop, mistake] = words else { return None };
        let unanswered = unanswered.split(',').filter(|word| *word != "-").map(|word| {
            let (thread, number) = word.split_once('/')?;
            Some((thread.parse().ok()?, number.parse().ok()?))
        });
        let stop = if stop == "-" { None } else { Some(Stop::parse(stop)?) };
        Some(Self {
            dir: dir.into(),
            seed: seed.parse().ok()?,
            clock: clock.parse().ok()?,
            unanswered: unanswered.collect::<Option<_>>()?,
            first: first.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?,
            stop,
            mistake: Mistake::named(mistake),
        })
    }

    /// Writes until it is killed. One that is to stop in its recovery does nothing else.
    ///
    /// # Errors
    /// Whatever goes wrong, which nothing should.
    pub fn run(self) -> Result<(), Failure> {
        if let Some(mistake) = self.mistake {
            mistake.make();
        }
        let only_opens = self.stop.as_ref().is_some_and(|stop| stop.work == "recovery");
        let hook = self.stop.map_or_else(|| Arc::new(|_: &'static str| ()) as Hook, hook);
        let of_engine = hook.clone();
        faults::on_point(move |name| of_engine(name));
        let db = Db::open_with(&self.dir, options(self.clock))?;
        say("open");
        if only_opens {
            stay();
        }
        let workload = Workload { seed: self.seed, unanswered: self.unanswered.into_iter().collect() };
        let access = Access { hook, manifest_first: self.mistake == Some(Mistake::ManifestBeforeFiles) };
        let archive = archive_of(&self.dir);
        let archivists = (0..THREADS).map(|thread| Archivist::new(&archive, thread, access.clone()));
        let archivists = archivists.collect::<Result<Vec<_>, _>>()?;
        std::thread::scope(|scope| {
            for (archivist, &first) in archivists.iter().zip(&self.first) {
                let (db, workload) = (&db, &workload);
                scope.spawn(move || {
                    for number in first.. {
                        step(db, archivist, (workload, self.clock), number);
                    }
                });
            }
        });
        Ok(())
    }
}

/// Says so when a thread comes to a point of a work for the last of so many times, and stops it for ever if it is to wait.
fn hook(stop: Stop) -> Hook {
    let left = AtomicI64::new(stop.count);
    Arc::new(move |name| {
        let (own, _) = name.split_once('.').unwrap_or((name, ""));
        if !matches!(own, "commit" | "manifest") {
            WORK.set(own);
        }
        if WORK.get() == stop.work && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            say(&format!("p {name}"));
            if stop.waits {
                stay();
            }
        }
    })
}

/// Waits to be killed.
fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

fn step(db: &Db, archivist: &Archivist, (workload, clock): (&Workload, i64), number: u64) {
    let thread = archivist.thread;
    let operation = workload.operation(thread, number, |name| db.collection(name).is_ok());
    say(&format!("s {thread} {number}"));
    match perform(db, archivist, number, &operation) {
        Ok(Done::Written { seq, deleted }) => say(&format!("a {thread} {number} {seq} {deleted}")),
        Ok(Done::Otherwise) => say(&format!("a {thread} {number}")),
        Ok(Done::GaveWay) => say(&format!("b {thread} {number}")),
        Ok(Done::Twice(story)) => return say(&format!("t {thread} {number} {story}")),
        Err(error) => return say(&format!("x {thread} {number} {operation:?}: {error}")),
    }
    if let Err(reason) = read_back(db, (thread, clock), &operation) {
        say(&format!("l {thread} {number} {reason}"));
    }
}

/// One line. That nobody listens any more means that this process is about to be killed.
pub(super) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_is_told_what_was_meant() {
        let stop = Stop { work: "snapshot".into(), count: 7, waits: false };
        let writer = Writer {
            dir: "a/b".into(),
            seed: 3,
            clock: 40,
            first: vec![1, 2, 3],
            unanswered: vec![(0, 17), (2, 9)],
            stop: Some(stop),
            mistake: Some(Mistake::ManifestBeforeFiles),
        };
        let words = writer.arguments();
        let again = Writer::parse(&words[1..]).unwrap();
        assert_eq!((again.stop, again.mistake, again.first), (writer.stop, writer.mistake, writer.first));
        assert_eq!((again.clock, again.unanswered), (40, vec![(0, 17), (2, 9)]));
        assert!(Writer::parse(&words[2..]).is_none());
        let words = Writer { unanswered: Vec::new(), ..Writer::parse(&words[1..]).unwrap() }.arguments();
        assert_eq!(Writer::parse(&words[1..]).unwrap().unanswered, []);
    }
}
