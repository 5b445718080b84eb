//! Many documents at once, bound by embedding.
//!
//! **Problem.** Reading, extracting, splitting and writing a document take little beside embedding it, but one after the other they leave
//! the model idle, and a document of few chunks does not fill its passes.
//!
//! **Idea.** Three stages, each on threads of its own, joined by channels whose load is bounded by the bytes under way ([`Room`]):
//!
//! ```text
//! iterator -> prepare (some threads) -> embed (one) -> commit (some threads, whose writes share an fsync) -> done (the caller's)
//! ```
//!
//! The embedder takes documents in the order of the iterator and fills each call with chunks of as many as it needs, but never waits for
//! more while it has any. A document of an id that is under way is not looked at before the earlier one is done, so that each is
//! compared with what it replaces.
//!
//! **Ends.** A document's own error is its report. Any other error, a panic and a cancellation close the room: readers stop, what is
//! embedded whole is written (after an error: dropped), the rest is dropped, all threads end.

use std::collections::{BTreeMap, VecDeque};
use std::iter::{Enumerate, Peekable};
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Mutex, PoisonError};

use super::embed::{EMBED_TEXTS, embed};
use super::prepare::{Pending, Preparation, Prepared};
use super::room::{Room, Taken};
use super::{Ended, IngestOptions};
use crate::embed::{Overflow, Role};
use crate::error::{Error, Result};
use crate::ingest::{DocumentInput, IngestReport};
use crate::rag::timing::Stages;

/// Threads that prepare documents, at most: they are many times as fast as a model is.
const PREPARERS_MAX: usize = 4;
/// Threads that write documents: so many share an fsync.
const COMMITTERS: usize = 4;

pub(super) fn run<T: Send>(
    preparation: &Preparation,
    documents: impl Iterator<Item = (T, Result<DocumentInput>)> + Send,
    options: &IngestOptions,
    mut done: impl FnMut(T, Result<IngestReport>),
) -> Result<Ended> {
    let work = Work {
        preparation,
        options,
        room: Room::new(options.ahead_bytes),
        failure: Mutex::new(None),
        is_left: AtomicBool::new(false),
    };
    work.run(documents, &mut done);
    let is_left = work.is_left.into_inner();
    match work.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None if is_left => Ok(Ended::Cancelled),
        None => Ok(Ended::Complete),
    }
}

struct Work<'a> {
    preparation: &'a Preparation,
    options: &'a IngestOptions,
    room: Room,
    /// What ended it. Held to put it there.
    failure: Mutex<Option<Error>>,
    /// Whether documents were dropped or not asked for.
    is_left: AtomicBool,
}

/// A document under way.
struct Job<'a, T> {
    tag: T,
    state: State,
    /// `None` for what the iterator could not give.
    taken: Option<Taken<'a>>,
}

enum State {
    /// There is nothing left to do.
    Over(Result<IngestReport>),
    Pending(Box<Pending>),
}

type Reports<T> = Sender<(T, Result<IngestReport>)>;

impl Work<'_> {
    /// Runs the stages until they end.
    fn run<T: Send>(
        &self,
        documents: impl Iterator<Item = (T, Result<DocumentInput>)> + Send,
        done: &mut impl FnMut(T, Result<IngestReport>),
    ) {
        let source = Mutex::new(documents.enumerate().peekable());
        let (prepared_in, prepared) = channel();
        let (embedded_in, embedded) = channel();
        let (reports_in, reports) = channel();
        let embedded = Mutex::new(embedded);
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        std::thread::scope(|scope| {
            let (source, embedded) = (&source, &embedded);
            for _ in 0..processors.min(PREPARERS_MAX) {
                let prepared_in = prepared_in.clone();
                scope.spawn(move || self.prepare(source, &prepared_in));
            }
            for _ in 0..COMMITTERS {
                let reports_in = reports_in.clone();
                scope.spawn(move || self.commit(embedded, &reports_in));
            }
            // The threads' own ends of the channels are the last ones: with them the stages end.
            drop(prepared_in);
            scope.spawn(move || self.embed(Ordered::new(prepared), &embedded_in, &reports_in));
            let _stop = StopOnPanic(self);
            for (tag, report) in reports {
                done(tag, report);
            }
        });
    }

    /// Takes documents from the iterator until there are none, one after the other, and prepares them beside other threads.
    fn prepare<'w, T, I>(
        &'w self,
        source: &Mutex<Peekable<Enumerate<I>>>,
        prepared: &Sender<(usize, Job<'w, T>)>,
    ) where
        I: Iterator<Item = (T, Result<DocumentInput>)>,
    {
        let _stop = StopOnPanic(self);
        loop {
            // Held while a document is read, so that each is read with room and they are numbered in their order. If the iterator
            // panicked, there is nothing more to take.
            let Ok(mut documents) = source.lock() else { return };
            if !self.room.wait() || self.options.cancel.is_cancelled() {
                if documents.peek().is_some() {
                    self.is_left.store(true, Ordering::Relaxed);
                }
                return;
            }
            let Some((number, (tag, document))) = documents.next() else { return };
            let document = match document {
                Ok(document) => document,
                Err(error) => {
                    drop(documents);
                    let job = Job { tag, state: State::Over(Err(error)), taken: None };
                    if prepared.send((number, job)).is_err() {
                        return;
                    }
                    continue;
                }
            };
            let Some(mut taken) = self.room.enter(&document.id, document.content.len()) else {
                self.is_left.store(true, Ordering::Relaxed);
                return;
            };
            drop(documents);
            let check_wanted = || self.check_wanted();
            let wanted = self.preparation.wanted(&check_wanted);
            let state = match self.preparation.prepare(document, Stages::begin(), wanted) {
                Ok(Prepared::Unchanged(report)) => State::Over(Ok(report)),
                Ok(Prepared::New(pending)) => {
                    taken.set(pending.bytes(self.preparation.dimension()));
                    State::Pending(pending)
                }
                Err(error) if error.is_about_document() => State::Over(Err(error)),
                // Whoever is behind it in the order would wait for it.
                Err(Error::Engine(ragstone::Error::Cancelled)) if self.options.cancel.is_cancelled() => {
                    self.is_left.store(true, Ordering::Relaxed);
                    return self.room.close();
                }
                Err(error) => return self.fail(error),
            };
            // The receiver is gone where the embedder ended, which closed the room.
            if prepared.send((number, Job { tag, state, taken: Some(taken) })).is_err() {
                return;
            }
        }
    }

    /// Embeds documents in their order until there are no more.
    fn embed<'w, T>(
        &'w self,
        mut prepared: Ordered<Job<'w, T>>,
        embedded: &Sender<Job<'w, T>>,
        reports: &Reports<T>,
    ) {
        let _stop = StopOnPanic(self);
        let mut open: VecDeque<Job<'w, T>> = VecDeque::new();
        loop {
            let mut texts: usize = open.iter().map(|job| job.texts_left().len()).sum();
            while texts < EMBED_TEXTS {
                let Some(job) = prepared.next(open.is_empty()) else { break };
                texts += job.texts_left().len();
                open.push_back(job);
                // What has nothing to embed goes on at once, if nothing before it has.
                self.pass_on(&mut open, embedded, reports);
            }
            if open.is_empty() {
                return;
            }
            if self.options.cancel.is_cancelled() || self.has_failed() {
                // Dropping the jobs gives back their room, so that the readers come to look, too.
                self.is_left.store(true, Ordering::Relaxed);
                self.room.close();
                return;
            }
            match self.embed_batch(&mut open) {
                Ok(()) => {}
                // The token ended what was waited for, and is looked at above.
                Err(Error::Engine(ragstone::Error::Cancelled)) if self.options.cancel.is_cancelled() => {
                    continue;
                }
                Err(error) => return self.fail(error),
            }
            self.pass_on(&mut open, embedded, reports);
        }
    }

    /// Embeds the next texts of all in one call.
    fn embed_batch<T>(&self, open: &mut VecDeque<Job<'_, T>>) -> Result<()> {
        let embedder = self.preparation.embedder()?;
        let check_wanted = || self.check_wanted();
        let wanted = self.preparation.wanted(&check_wanted);
        wanted.check()?;
        let texts: Vec<&str> =
            open.iter().flat_map(Job::texts_left).take(EMBED_TEXTS).map(String::as_str).collect();
        let embedded = embedder.embed_wanted(&texts, Role::Passage, Overflow::Error, wanted);
        let embeddings = match embedded {
            Ok(embeddings) => embeddings,
            Err(error) => return embed_each(self.preparation, open, error),
        };
        let mut made = embeddings.vectors.into_iter().zip(embeddings.token_counts).peekable();
        for job in open {
            let State::Pending(pending) = &mut job.state else { continue };
            let left = pending.texts.len() - pending.embedded.len();
            for (vector, tokens) in made.by_ref().take(left) {
                pending.embedded.push(vector);
                pending.tokens += tokens;
            }
            if made.peek().is_none() {
                break;
            }
        }
        Ok(())
    }

    /// Hands on the first documents as far as they need no more embedding.
    fn pass_on<'w, T>(
        &self,
        open: &mut VecDeque<Job<'w, T>>,
        embedded: &Sender<Job<'w, T>>,
        reports: &Reports<T>,
    ) {
        while let Some(mut job) = open.pop_front_if(|job| job.texts_left().is_empty()) {
            if let State::Pending(pending) = &mut job.state {
                pending.stages.end("embed");
                // Committers end after this thread; if they panicked, the failure is seen before the next call.
                let _ = embedded.send(job);
            } else {
                report(job, reports);
            }
        }
    }

    /// Writes documents until there are no more.
    fn commit<T>(&self, embedded: &Mutex<Receiver<Job<'_, T>>>, reports: &Reports<T>) {
        let _stop = StopOnPanic(self);
        loop {
            let next = embedded.lock().unwrap_or_else(PoisonError::into_inner).recv();
            let Ok(Job { tag, state, taken }) = next else { return };
            let State::Pending(pending) = state else { continue };
            if self.has_failed() {
                continue;
            }
            let state = match self.preparation.commit(*pending) {
                Err(error) if !error.is_about_document() => {
                    self.fail(error);
                    continue;
                }
                outcome => State::Over(outcome),
            };
            report(Job { tag, state, taken }, reports);
        }
    }

    /// Whether what is under way is still to be done.
    fn check_wanted(&self) -> Result<()> {
        self.preparation.collection.check_wanted()?;
        match self.options.cancel.is_cancelled() || self.has_failed() {
            true => Err(ragstone::Error::Cancelled.into()),
            false => Ok(()),
        }
    }

    fn fail(&self, error: Error) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.room.close();
    }

    fn has_failed(&self) -> bool {
        self.room.is_closed()
    }
}

/// After a call that failed: each document by itself, so that the error is that of its own.
fn embed_each<T>(preparation: &Preparation, open: &mut VecDeque<Job<'_, T>>, error: Error) -> Result<()> {
    if !error.is_about_document() {
        return Err(error);
    }
    for job in open {
        let State::Pending(pending) = &mut job.state else { continue };
        match embed(preparation, pending) {
            Err(error) if error.is_about_document() => job.state = State::Over(Err(error)),
            outcome => outcome?,
        }
    }
    Ok(())
}

fn report<T>(job: Job<'_, T>, reports: &Reports<T>) {
    let Job { tag, state, taken } = job;
    if let State::Over(outcome) = state {
        // The receiver is gone only if `done` panicked, which ends everything.
        let _ = reports.send((tag, outcome));
    }
    // Only now, so that the next document of this id is reported behind it.
    drop(taken);
}

impl<T> Job<'_, T> {
    fn texts_left(&self) -> &[String] {
        match &self.state {
            State::Over(_) => &[],
            State::Pending(pending) => &pending.texts[pending.embedded.len()..],
        }
    }
}

/// Numbered things that come in any order, in the order of their numbers.
struct Ordered<J> {
    source: Receiver<(usize, J)>,
    early: BTreeMap<usize, J>,
    next: usize,
}

impl<J> Ordered<J> {
    fn new(source: Receiver<(usize, J)>) -> Self {
        Self { source, early: BTreeMap::new(), next: 0 }
    }

    /// The next one, if it is there or, if it may take time, comes.
    fn next(&mut self, may_wait: bool) -> Option<J> {
        loop {
            if let Some(next) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(next);
            }
            let (number, job) = match self.source.try_recv() {
                Ok(job) => job,
                Err(TryRecvError::Empty) if may_wait => self.source.recv().ok()?,
                Err(_) => return None,
            };
            self.early.insert(number, job);
        }
    }
}

/// A thread that panics ends the others; the panic goes on when all have ended.
struct StopOnPanic<'w, 'a>(&'w Work<'a>);

impl Drop for StopOnPanic<'_, '_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.room.close();
        }
    }
}
