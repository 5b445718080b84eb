//! The process that is killed.
//!
//! It says on its standard output, a line each and out at once:
//!
//! ```text
//! open                 the database is open
//! s THREAD NUMBER      the thread submits its operation with this number
//! a THREAD NUMBER      it was acknowledged
//! l THREAD TEXT        what it wrote is not there
//! x THREAD TEXT        it failed: as little as that may it happen
//! p POINT              some thread is at the fail point that was asked for, and stays there
//! ```

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};

use ragstone::faults::{self, Mutant};
use ragstone::{Db, Error, PointId};

use super::THREADS;
use super::workload::{Operation, Row, Workload, batch, options, schema};

/// What the process is told on its command line.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The database.
    pub dir: PathBuf,
    /// Of the workload.
    pub seed: u64,
    /// Each thread's first operation.
    pub first: Vec<u64>,
    /// The work to stop in, and at the how manieth of its points; none to go on until killed.
    pub stop: Option<(String, i64)>,
    /// How the store is wrong.
    pub mutant: Option<Mutant>,
}

thread_local! {
    /// What this thread is at.
    static WORK: Cell<&'static str> = const { Cell::new("write") };
}

impl Writer {
    /// The arguments that say all this.
    pub(super) fn arguments(&self) -> Vec<String> {
        let first: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let mut words = vec!["writer".to_owned(), self.dir.display().to_string(), self.seed.to_string()];
        words.push(first.join(","));
        words.push(self.stop.as_ref().map_or("-".into(), |(work, count)| format!("{work}:{count}")));
        words.push(self.mutant.map_or("-", Mutant::name).to_owned());
        words
    }

    /// What such arguments say.
    pub fn parse(words: &[String]) -> Option<Self> {
        let [dir, seed, first, stop, mutant] = words else { return None };
        let stop = match stop.split_once(':') {
            Some((work, count)) => Some((work.to_owned(), count.parse().ok()?)),
            None => None,
        };
        Some(Self {
            dir: dir.into(),
            seed: seed.parse().ok()?,
            first: first.split(',').map(|number| number.parse().ok()).collect::<Option<_>>()?,
            stop,
            mutant: Mutant::ALL.into_iter().find(|known| known.name() == mutant),
        })
    }

    /// Writes until it is killed. One that is to stop in its recovery does nothing else.
    ///
    /// # Errors
    /// Whatever goes wrong, which nothing should.
    pub fn run(self) -> Result<(), Error> {
        if let Some(mutant) = self.mutant {
            faults::choose(mutant);
        }
        let only_opens = self.stop.as_ref().is_some_and(|(work, _)| work == "recovery");
        if let Some((work, count)) = self.stop {
            stop_at(work, count);
        }
        let db = Db::open_with(&self.dir, options())?;
        say("open");
        if only_opens {
            stay();
        }
        let workload = Workload { seed: self.seed };
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (db, first) = (&db, self.first[thread as usize]);
                scope.spawn(move || {
                    for number in first.. {
                        step(db, workload, thread, number);
                    }
                });
            }
        });
        Ok(())
    }
}

/// Stops the thread that comes to a point of a work for the last of so many times, for ever.
fn stop_at(work: String, count: i64) {
    let left = AtomicI64::new(count);
    faults::on_point(move |name| {
        let (own, _) = name.split_once('.').unwrap_or((name, ""));
        if !matches!(own, "commit" | "manifest") {
            WORK.set(own);
        }
        if WORK.get() == work && left.fetch_sub(1, Ordering::SeqCst) == 1 {
            say(&format!("p {name}"));
            stay();
        }
    });
}

/// Waits to be killed.
fn stay() -> ! {
    loop {
        std::thread::park();
    }
}

fn step(db: &Db, workload: Workload, thread: u64, number: u64) {
    let operation = workload.operation(thread, number, |name| db.collection(name).is_ok());
    say(&format!("s {thread} {number}"));
    if let Err(error) = perform(db, thread, number, &operation) {
        return say(&format!("x {thread} {number} {operation:?}: {error}"));
    }
    say(&format!("a {thread} {number}"));
    match operation {
        Operation::Write { collection, changes } => {
            if let Err(reason) = read_back(db, thread, number, &collection, &changes) {
                say(&format!("l {thread} {number} {reason}"));
            }
        }
        Operation::Create(_) | Operation::Remove(_) | Operation::Flush | Operation::Compact => {}
    }
}

fn perform(db: &Db, thread: u64, number: u64, operation: &Operation) -> Result<(), Error> {
    match operation {
        Operation::Write { collection, changes } => {
            db.collection(collection)?.write(batch(thread, number, changes)).map(drop)
        }
        Operation::Create(name) => db.create_collection(name, schema(name)?).map(drop),
        Operation::Remove(name) => db.delete_collection(name),
        Operation::Flush => db.flush(),
        Operation::Compact => db.compact(),
    }
}

/// Reads what was just written; nobody else writes these rows.
fn read_back(
    db: &Db,
    thread: u64,
    number: u64,
    collection: &str,
    changes: &[(u64, bool)],
) -> Result<(), String> {
    let last: BTreeMap<u64, bool> = changes.iter().copied().collect();
    let rows: Vec<Row> = last.keys().map(|&index| Row { thread, index }).collect();
    let ids: Vec<PointId> = rows.iter().map(|row| row.id()).collect();
    let found = db.collection(collection).and_then(|found| found.get(&ids));
    let found = found.map_err(|error| error.to_string())?;
    for ((row, is_there), found) in rows.iter().zip(last.values()).zip(&found) {
        let expected = is_there.then(|| row.point(number));
        if *found != expected {
            return Err(format!("{row:?} is {found:?} right after {expected:?} was written"));
        }
    }
    Ok(())
}

/// One line. That nobody listens any more means that this process is about to be killed.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
