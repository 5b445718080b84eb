//! Work that takes long, as resources: begun by one call, looked at, watched and cancelled by others, on after the caller has left.
//!
//! **Problem.** Re-embedding a collection takes hours, a connection does not last so long, and a server may be restarted meanwhile.
//!
//! **Idea.** Each is an [`Operation`]: a record with a state, kept in memory for whoever watches it ([`watch`]), and in an attribute of the
//! database at each change of its state, so that a restart finds it. Its job runs on a thread of its own, beside the gates of requests
//! ([`crate::work`]): it takes none of their places, and there are few of them ([`OPERATIONS_RUNNING_MAX`]).
//!
//! **States.** An operation begins in `Running`; the legal transitions are from there to `Succeeded`, `Failed` or `Cancelled`, once.
//!
//! | at a start of the server | becomes |
//! |---|---|
//! | a re-embedding in `Running` | runs on: the database knows how far it is |
//! | any other in `Running` | `Failed`, ABORTED: it was cut off |
//!
//! A snapshot has the operation that takes it in `Running`. In what is restored from it that one is `Failed` as well, but nothing failed there: by
//! the [lineage](ragstone::Lineage) that each keeps, what came with a copy is in no count of failures, and wakes nobody.
//!
//! **Invariants.** At most one operation of a kind runs on a target. What has ended never changes. The last [`OPERATIONS_KEPT_MAX`] that
//! ended are kept. Each that ends is told: to whoever watches it, to the log, and counted for metrics ([`Tallies`]).

mod job;
mod record;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use ragstone::{CancelToken, Db};
use tokio::sync::watch;
use tonic::{Code, Status};

pub(crate) use self::job::Report;
pub(crate) use self::record::{Asked, Failure, Kind, Operation, Problem, Progress, State};
pub(crate) use self::tally::Tallies;
use crate::limits::{OPERATIONS_KEPT_MAX, OPERATIONS_RUNNING_MAX};
use crate::status;

/// What the keys of the attributes begin with that keep operations.
const PREFIX: &str = "ragstone.operation/";

/// What a job came to, by name.
pub(crate) type Outcome = BTreeMap<String, String>;

/// The operations of a server; cheap to clone.
#[derive(Clone)]
pub(crate) struct Operations {
    shared: Arc<Shared>,
}

struct Shared {
    db: Db,
    lineage: String,
    /// Held for moments: whoever asks for an operation may be on a thread of the runtime.
    known: Mutex<Known>,
    changing: Mutex<()>,
    /// How many jobs there are, and how many are being begun: whoever stops waits until there are none.
    running: watch::Sender<usize>,
}

/// A job, or who begins one, for whoever stops.
struct Counted(Arc<Shared>);

impl Counted {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.running.send_modify(|running| *running += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.running.send_modify(|running| *running -= 1);
    }
}

#[derive(Default)]
struct Known {
    /// By id, so the oldest first.
    operations: BTreeMap<String, Entry>,
    /// How those ended that are over.
    tallies: Tallies,
    /// No operation is begun any more, and the state of those that end for it stays as it is.
    is_stopping: bool,
}

struct Entry {
    operation: watch::Sender<Operation>,
    cancel: CancelToken,
}

impl Operations {
    /// Those that the database remembers. Of those that ran when the last server stopped, the ones that can go on are returned:
    /// they are to be [resumed](Self::resume).
    pub(crate) fn open(db: Db) -> (Operations, Vec<Operation>) {
        let mut known = Known::default();
        let mut resumable = Vec::new();
        let lineage = db.lineage().to_string();
        for (key, attribute) in db.attributes(PREFIX) {
            let Some(mut operation) = Operation::read(&attribute.value) else {
                tracing::warn!(key, "an operation that cannot be read is passed over");
                continue;
            };
            let is_copied = operation.is_copied(&lineage);
            if operation.state == State::Running {
                if operation.asked.kind.resumes() && !db.is_read_only() {
                    // It is this database's from here on.
                    operation.lineage = Some(lineage.clone());
                    resumable.push(operation.clone());
                } else {
                    operation.cut_off(is_copied, now_us());
                    keep(&db, &operation);
                    if is_copied {
                        let (id, kind) = (&operation.id, operation.asked.kind.name());
                        tracing::info!(id, kind, "an operation came with the copy, and does not go on");
                    } else {
                        tell(&operation);
                        known.tallies.count(&operation);
                    }
                }
            }
            if !is_copied || operation.state == State::Succeeded {
                known.tallies.remember(&operation);
            }
            let (id, cancel) = (operation.id.clone(), CancelToken::new());
            if operation.cancel_requested {
                cancel.cancel();
            }
            let entry = Entry { operation: watch::Sender::new(operation), cancel };
            known.operations.insert(id, entry);
        }
        let (known, changing, running) = (Mutex::new(known), Mutex::new(()), watch::Sender::new(0));
        (Operations { shared: Arc::new(Shared { db, lineage, known, changing, running }) }, resumable)
    }

    /// Begins an operation. The job gets what it reports to, and ends early when its token is cancelled; what it fails with is
    /// what the operation fails with.
    ///
    /// # Errors
    /// ALREADY_EXISTS if one of this kind runs on the target; RESOURCE_EXHAUSTED beyond [`OPERATIONS_RUNNING_MAX`]; UNAVAILABLE
    /// while the server stops; what keeping it in the database gives.
    pub(crate) fn begin<F>(&self, asked: Asked, job: F) -> Result<Operation, Status>
    where
        F: FnOnce(&Report, &CancelToken) -> Result<Outcome, Status> + Send + 'static,
    {
        let _changing = self.changing();
        // Until it is among those that are known, so that who stops ends it, too, and finds all of them.
        let (operation, _begun) = self.next(asked)?;
        self.shared
            .db
            .set_attribute(&key(&operation.id), Some(&operation.write()))
            .map_err(status::engine)?;
        let entry = Entry { operation: watch::Sender::new(operation.clone()), cancel: CancelToken::new() };
        self.spawn(&entry, job);
        {
            let mut known = self.known();
            if known.is_stopping {
                entry.cancel.cancel();
            }
            known.operations.insert(operation.id.clone(), entry);
        }
        self.forget_old();
        Ok(operation)
    }

    /// What is asked for as an operation, if it may be begun; then whoever stops waits for it.
    fn next(&self, asked: Asked) -> Result<(Operation, Counted), Status> {
        let known = self.known();
        if known.is_stopping {
            return Err(status::shutting_down());
        }
        let running: Vec<Operation> = known.list().filter(|operation| !operation.has_ended()).collect();
        if let Some(other) = running.iter().find(|other| other.asked.is_for_the_same(&asked)) {
            return Err(status::operation_exists(&other.id, &asked.target));
        }
        if running.len() >= OPERATIONS_RUNNING_MAX {
            return Err(status::too_many_operations(OPERATIONS_RUNNING_MAX));
        }
        let now = now_us();
        let last = known.operations.last_key_value().and_then(|(id, _)| u64::from_str_radix(id, 16).ok());
        let id = format!("{:016x}", now.max(last.map_or(0, |last| last + 1)));
        let lineage = self.shared.lineage.clone();
        Ok((Operation::begun(id, asked, lineage, now), Counted::new(&self.shared)))
    }

    /// Goes on with an operation that ran when the last server stopped.
    pub(crate) fn resume<F>(&self, id: &str, job: F)
    where
        F: FnOnce(&Report, &CancelToken) -> Result<Outcome, Status> + Send + 'static,
    {
        if let Some(entry) = self.known().operations.get(id) {
            self.spawn(entry, job);
        }
    }

    /// An operation as it is now.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn get(&self, id: &str) -> Result<Operation, Status> {
        Ok(self.watch(id)?.borrow().clone())
    }

    /// An operation as it is, from now on.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn watch(&self, id: &str) -> Result<watch::Receiver<Operation>, Status> {
        let known = self.known();
        let entry = known.operations.get(id).ok_or_else(|| status::operation_not_found(id))?;
        Ok(entry.operation.subscribe())
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self) -> Vec<Operation> {
        self.known().list().collect()
    }

    /// How those of each kind ended.
    pub(crate) fn tallies(&self) -> Tallies {
        self.known().tallies.clone()
    }

    /// Asks an operation to end; as it is now.
    ///
    /// # Errors
    /// NOT_FOUND.
    pub(crate) fn cancel(&self, id: &str) -> Result<Operation, Status> {
        let _changing = self.changing();
        let (sender, cancel) = {
            let known = self.known();
            let entry = known.operations.get(id).ok_or_else(|| status::operation_not_found(id))?;
            (entry.operation.clone(), entry.cancel.clone())
        };
        let mut asked = sender.borrow().clone();
        if !asked.has_ended() {
            asked.cancel_requested = true;
            self.shared.db.set_attribute(&key(id), Some(&asked.write())).map_err(status::engine)?;
            sender.send_modify(|operation| operation.cancel_requested = true);
            cancel.cancel();
        }
        Ok(asked)
    }

    /// Does something about what an operation left, unless a newer one did the same to its target, or does: then it is that one's.
    pub(crate) fn if_newest<T>(&self, operation: &Operation, work: impl FnOnce() -> T) -> Option<T> {
        let _changing = self.changing();
        let is_newer =
            |other: Operation| other.id > operation.id && other.asked.is_for_the_same(&operation.asked);
        let has_newer = self.known().list().any(is_newer);
        (!has_newer).then(work)
    }

    /// Forgets an operation that has ended.
    ///
    /// # Errors
    /// NOT_FOUND; FAILED_PRECONDITION while it runs; what the database gives.
    pub(crate) fn delete(&self, id: &str) -> Result<(), Status> {
        let _changing = self.changing();
        if !self.get(id)?.has_ended() {
            return Err(status::operation_running(id));
        }
        self.shared.db.set_attribute(&key(id), None).map_err(status::engine)?;
        self.known().operations.remove(id);
        Ok(())
    }

    /// Ends what runs, for the server to stop; returns when it has ended. What resumes does so at the next start.
    pub(crate) async fn stop(&self) {
        {
            let mut known = self.known();
            known.is_stopping = true;
            known.operations.values().for_each(|entry| entry.cancel.cancel());
        }
        // An error means that nobody counts any more, so there is nothing to wait for.
        let _ = self.shared.running.subscribe().wait_for(|running| *running == 0).await;
        // Whoever watches one that is to go on at the next start sees no end of it.
        self.known().operations.clear();
    }

    /// The turn to begin or to forget operations, which waits for the disk.
    fn changing(&self) -> MutexGuard<'_, ()> {
        self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stopping(&self) -> bool {
        self.known().is_stopping
    }

    fn spawn<F>(&self, entry: &Entry, job: F)
    where
        F: FnOnce(&Report, &CancelToken) -> Result<Outcome, Status> + Send + 'static,
    {
        let (operations, sender, cancel) = (self.clone(), entry.operation.clone(), entry.cancel.clone());
        let counted = Counted::new(&self.shared);
        tokio::task::spawn_blocking(move || {
            let report = Report::new(sender.clone(), operations.clone());
            let outcome = job::caught(|| job(&report, &cancel));
            operations.end(&sender, outcome, &cancel);
            drop(counted);
        });
    }

    /// Notes how a job ended.
    fn end(&self, sender: &watch::Sender<Operation>, outcome: Result<Outcome, Status>, cancel: &CancelToken) {
        // Not between the two steps of a cancellation, which would say that it runs.
        let _changing = self.changing();
        let is_cancelled = cancel.is_cancelled() && outcome.as_ref().is_err_and(is_of_cancelling);
        let (kind, is_wanted) = (sender.borrow().asked.kind, !sender.borrow().cancel_requested);
        let is_for_stop = is_cancelled && is_wanted && self.is_stopping();
        if is_for_stop && kind.resumes() {
            return;
        }
        let outcome = match outcome {
            Err(_) if is_for_stop => Err(status::operation_cut_off().into()),
            Err(_) if is_cancelled => Err(Failure::Cancelled),
            outcome => outcome.map_err(Failure::from),
        };
        let mut ended = sender.borrow().clone();
        ended.end(outcome, now_us());
        keep(&self.shared.db, &ended);
        tell(&ended);
        // Before anybody can see that it has ended.
        self.known().tallies.count(&ended);
        sender.send_replace(ended);
    }

    /// Forgets the operations that ended before those that are kept.
    fn forget_old(&self) {
        let ended: Vec<Operation> = self.known().list().filter(Operation::has_ended).collect();
        for Operation { id, .. } in &ended[..ended.len().saturating_sub(OPERATIONS_KEPT_MAX)] {
            if let Err(error) = self.shared.db.set_attribute(&key(id), None) {
                tracing::warn!(%error, id, "an old operation is kept for longer");
                return;
            }
            self.known().operations.remove(id);
        }
    }
}

impl Known {
    /// As they are now, the oldest first.
    fn list(&self) -> impl Iterator<Item = Operation> + '_ {
        self.operations.values().map(|entry| entry.operation.borrow().clone())
    }
}

/// Whether an error is how a job says that it was ended.
fn is_of_cancelling(error: &Status) -> bool {
    matches!(error.code(), Code::Cancelled | Code::Aborted)
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// Keeps an operation in the database. One that is not kept was cut off, says the next start.
fn keep(db: &Db, operation: &Operation) {
    // To who only reads, what ran has ended; who may write finds it as it was left.
    if db.is_read_only() {
        return;
    }
    if let Err(error) = db.set_attribute(&key(&operation.id), Some(&operation.write())) {
        tracing::warn!(%error, id = operation.id, "an operation's end is not kept");
    }
}

/// The line that the log has of how an operation ended. What it failed for may have words of the caller's: they are in the operation.
/// Its target has a longer name there: `target` is what lines of JSON call the module that writes them.
fn tell(ended: &Operation) {
    let (id, kind, state) = (&ended.id, ended.asked.kind.name(), ended.state);
    let operation_target = &ended.asked.target;
    match &ended.error {
        Some(Problem { code, .. }) => {
            let code = Code::from_i32(*code);
            tracing::warn!(id, kind, operation_target, ?state, ?code, "operation");
        }
        None => tracing::info!(id, kind, operation_target, ?state, "operation"),
    }
}

fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
