//! Where requests compute and wait for the disk: threads of the blocking pool, behind two gates.
//!
//! The problem: a search or an fsync on a thread of the async runtime stops every connection that this thread serves; and
//! a queue without a bound turns overload into memory and latency without bound. So a request first takes a place
//! ([`Work::admit`]: refused at once when there is none), before its body is read, so that bodies are bounded too; then
//! waits for a turn (`running`), then gets a thread of its own. It keeps both until its work is done, even when its caller
//! has left: what the gates count is work, not callers.
//!
//! Reads, writes, fetches of models and answers of language models have gates of their own: writers that wait for a slow disk, and
//! what waits for the network, leave search alive. So have calls that stream, of each kind: they may last for hours, most of the
//! time with nothing to do, and leave the places of short calls alone; their work takes its turn among all of its kind. What a call
//! asks of a store of snapshots takes its turn among the fetches ([`Work::beside`]), whatever the call's own kind. A model that is being
//! fetched takes none of these turns: models have their own ([`models`](crate::models)), so that no list of snapshots waits for a download.
//!
//! Reads that ask for much (many rows, many queries) compute for long, and as many of them at once as there are turns would leave a short one its share
//! of a processor only: so they wait for each other, too ([`Work::large_reads`]), but not
//! while a model embeds their texts, which comes before. Likewise long messages, which take a processor for as long as they are taken
//! apart, before any of this ([`Work::large_messages`]), and long answers, while they are put together as a message, behind it
//! ([`Work::large_answers`]). These turns are the same ones, and nobody has two: what is left is for short calls alone. Reads, messages and answers
//! have them by turns: otherwise as many large reads as there are places would keep everybody's messages waiting until these are given up. So have the callers
//! of each (`line.rs`): one who asks for much again and again does not keep another's single request waiting behind all of that.
//!
//! An answer is little work and much waiting, streamed or not: what it computes (finding its evidence) takes a turn among the reads, and while it
//! waits for its model it has a thread ([`Work::wait`]) and no turn, so its places bound those threads.
//!
//! No caller who is known has more than a share of the places (`shares.rs`), nor has any, or any connection, more than a share of the memory of messages
//! when that is short (`portions.rs`). What is refused for want of room is counted by what there was none in (`refused.rs`).
//!
//! One thing is computed on a thread of the runtime all the same: short queries, within a millisecond, where they are (`here.rs`).

mod here;
mod line;
mod place;
mod portions;
mod refused;
mod shares;
mod turns;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tonic::Status;

use crate::config::ServerConfig;
use crate::memory::Memory;
use crate::status;

pub(crate) use here::{HERE, Lately, Trial};
pub(crate) use place::Place;
use portions::Portions;
pub(crate) use refused::Refusal;
use refused::Refused;
use shares::{Share, Shares};
pub(crate) use turns::Turns;

/// How often somebody who gives way looks whether there is little else to do.
const SPARE_PAUSE: Duration = Duration::from_millis(20);

/// What a request does, which decides the gates that it passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Read,
    Write,
    /// Fetches a model: minutes at the network.
    Fetch,
    /// Waits for a language model's answer: seconds to minutes at the network.
    Generate,
}

impl Kind {
    /// Every kind.
    pub(crate) const ALL: [Kind; 4] = [Kind::Read, Kind::Write, Kind::Fetch, Kind::Generate];

    /// Its name, as metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Read => "read",
            Kind::Write => "write",
            Kind::Fetch => "fetch",
            Kind::Generate => "generate",
        }
    }

    /// By the path of a call, `/ragstone.v1.PointsService/UpsertPoints`; none for health and reflection, which do no
    /// work and must answer however busy the server is.
    pub(crate) fn of(path: &str) -> Option<Kind> {
        let (_, method) = path.strip_prefix("/ragstone.")?.split_once('/')?;
        Some(match method {
            "UpsertPoints" | "UpdatePoints" | "WritePoints" | "DeletePoints" | "UpdateCollection"
            | "IngestPoints" | "IngestDocument" | "IngestDocuments" | "IngestRecords" | "DeleteDocument"
            | "CreateCollection" | "DeleteCollection" | "SetAlias" | "DeleteAlias" | "ReembedCollection"
            | "ExportCollection" | "ImportCollection" | "RestoreCollection" | "TakeSnapshot"
            | "DeleteOperation" | "RegisterTemplate" | "DeleteTemplate" | "CreateKey" | "RevokeKey"
            | "RotateKey" => Kind::Write,
            "PullModel" => Kind::Fetch,
            "Generate" => Kind::Generate,
            _ => Kind::Read,
        })
    }
}

/// The gates of a kind.
#[derive(Debug)]
struct Gates {
    admitted: Arc<Semaphore>,
    /// As `admitted`, for calls that stream.
    streams: Arc<Semaphore>,
    turns: Turns,
    refused: Refused,
}

impl Gates {
    fn new(admitted: usize, streams: usize, turns: Turns) -> Gates {
        let [admitted, streams] = [admitted, streams].map(|permits| Arc::new(Semaphore::new(permits)));
        Gates { admitted, streams, turns, refused: Refused::default() }
    }
}

/// The gates; clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Work(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    reads: Gates,
    writes: Gates,
    fetches: Gates,
    generations: Gates,
    memory: Memory,
    shares: Shares,
    portions: Portions,
    lately: Lately,
    /// Of reads that ask for much, beside their own.
    large_reads: Turns,
    /// Of messages that take long to read, and of answers that take long to write: the same.
    large_messages: Turns,
    large_answers: Turns,
    concurrent_requests_max: usize,
    concurrent_streams_max: usize,
    concurrent_generations_max: usize,
    running_max: usize,
}

impl Work {
    pub(crate) fn new(config: &ServerConfig) -> Work {
        let concurrent_requests_max = config.concurrent_requests_max.min(Semaphore::MAX_PERMITS);
        let concurrent_streams_max = config.concurrent_streams_max.min(Semaphore::MAX_PERMITS);
        let running_max = config.worker_threads_max.min(Semaphore::MAX_PERMITS);
        let gates = |kind: Kind| {
            let turns = Turns::new(kind.name(), running_max);
            Gates::new(concurrent_requests_max, concurrent_streams_max, turns)
        };
        let (reads, writes, fetches) = (gates(Kind::Read), gates(Kind::Write), gates(Kind::Fetch));
        let concurrent_generations_max = config.concurrent_generations_max.min(Semaphore::MAX_PERMITS);
        let admitted = Arc::new(Semaphore::new(concurrent_generations_max));
        let generations = Gates {
            streams: Arc::clone(&admitted),
            admitted,
            // What an answer computes is reading.
            turns: reads.turns.shared_with(Kind::Generate.name()),
            refused: Refused::default(),
        };
        let large_reads = Turns::for_several("large_read", config.large_requests_max);
        Work(Arc::new(Shared {
            reads,
            writes,
            fetches,
            generations,
            memory: Memory::new(config.message_bytes_max),
            shares: Shares::new(config.caller_share_max),
            portions: Portions::new(config.caller_share_max, config.message_bytes_max),
            lately: Lately::default(),
            large_messages: large_reads.shared_with("large_message"),
            large_answers: large_reads.shared_with("large_answer"),
            large_reads,
            concurrent_requests_max,
            concurrent_streams_max,
            concurrent_generations_max,
            running_max,
        }))
    }

    fn gates(&self, kind: Kind) -> &Gates {
        match kind {
            Kind::Read => &self.0.reads,
            Kind::Write => &self.0.writes,
            Kind::Fetch => &self.0.fetches,
            Kind::Generate => &self.0.generations,
        }
    }

    /// The limit of a kind's places, and its value.
    fn limit(&self, kind: Kind, streams: bool) -> (&'static str, usize) {
        match (kind, streams) {
            (Kind::Generate, _) => ("CONCURRENT_GENERATIONS_MAX", self.0.concurrent_generations_max),
            (_, false) => ("CONCURRENT_REQUESTS_MAX", self.0.concurrent_requests_max),
            (_, true) => ("CONCURRENT_STREAMS_MAX", self.0.concurrent_streams_max),
        }
    }

    /// How many places of a kind are taken, and how many there are, those of calls that stream included.
    pub(crate) fn places(&self, kind: Kind) -> (usize, usize) {
        let gates = self.gates(kind);
        let taken = |gate: &Semaphore, max: usize| max.saturating_sub(gate.available_permits());
        let (_, max) = self.limit(kind, false);
        let admitted = taken(&gates.admitted, max);
        match self.limit(kind, true) {
            // The same places, whether the answer is streamed or not.
            _ if kind == Kind::Generate => (admitted, max),
            (_, streams_max) => {
                (admitted + taken(&gates.streams, streams_max), max.saturating_add(streams_max))
            }
        }
    }

    /// How many requests of a kind were refused for want of room in something, so far.
    pub(crate) fn refused(&self, kind: Kind, refusal: Refusal) -> u64 {
        self.gates(kind).refused.so_far(refusal)
    }

    /// The turns that are waited for.
    pub(crate) fn queues(&self) -> [&Turns; 7] {
        let [read, write, fetch, generate] = Kind::ALL.map(|kind| &self.gates(kind).turns);
        [read, write, fetch, generate, &self.0.large_reads, &self.0.large_messages, &self.0.large_answers]
    }

    /// Takes a place, of a call that streams or of one that does not.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when there is none.
    pub(crate) fn admit(&self, kind: Kind, streams: bool) -> Result<Place, Status> {
        let gates = self.gates(kind);
        let gate = if streams { &gates.streams } else { &gates.admitted };
        match Arc::clone(gate).try_acquire_owned() {
            Ok(permit) => Ok(Place::new(kind, streams, permit, self.clone())),
            Err(_) => {
                gates.refused.count(Refusal::Places);
                let (limit, max) = self.limit(kind, streams);
                Err(status::too_many_requests(limit, max))
            }
        }
    }

    /// Counts a place that is taken as one of a caller's.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED: they have as many of the kind as they may.
    fn share(&self, caller: &Arc<str>, kind: Kind, streams: bool) -> Result<Share, Status> {
        // The places of streams, unless they are the same ones.
        let of_streams = streams && kind != Kind::Generate;
        let (_, places) = self.limit(kind, streams);
        let share = self.0.shares.take((Arc::clone(caller), kind, of_streams), places);
        share.inspect_err(|_| self.gates(kind).refused.count(Refusal::CallerShare))
    }

    /// Counts bytes of messages of a call of a kind.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED when the messages of all calls take too much.
    fn hold(&self, kind: Kind, bytes: usize) -> Result<(), Status> {
        let held = self.0.memory.hold(bytes);
        held.inspect_err(|_| self.gates(kind).refused.count(Refusal::Memory))
    }

    /// Counts them no more.
    fn release(&self, bytes: usize) {
        self.0.memory.release(bytes);
    }

    /// Does the job on a thread that may block; the request's place ([`Place::hold`]) is held until it is done.
    ///
    /// # Errors
    /// INTERNAL when the job panics.
    pub(crate) async fn run<T, F>(&self, job: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Place::current().map_or_else(|| self.admit(Kind::Read, false), Ok)?;
        self.run_among(place.kind, place, job).await
    }

    /// Does a job that waits for the network more than it computes, in a turn among the fetches, which downloads of models do not take: who reads or
    /// writes does not wait for it. The request's place is held until it is done.
    ///
    /// # Errors
    /// INTERNAL when the job panics.
    pub(crate) async fn beside<T, F>(&self, job: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let place = Place::current().map_or_else(|| self.admit(Kind::Read, false), Ok)?;
        self.run_among(Kind::Fetch, place, job).await
    }

    /// Does a job in a turn among those of a kind.
    async fn run_among<T, F>(&self, kind: Kind, place: Place, job: F) -> Result<T, Status>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let running = self.gates(kind).turns.take().await?;
        let span = tracing::Span::current();
        let job = tokio::task::spawn_blocking(move || {
            let _gates = (place, running);
            span.in_scope(job)
        });
        job.await.map_err(|error| if error.is_panic() { status::fault() } else { status::shutting_down() })
    }

    /// A turn among the reads for a job that is done here, on this thread of the runtime: none where such jobs are not short, or there is no turn
    /// free.
    pub(crate) fn turn_here(&self) -> Option<SemaphorePermit<'_>> {
        if self.0.lately.are_short() { self.0.reads.turns.take_now() } else { None }
    }

    /// Turns of the reads that ask for much, which are fewer at a time than there are processors, so that others are answered meanwhile. One is
    /// taken before the read's own.
    pub(crate) fn large_reads(&self) -> &Turns {
        &self.0.large_reads
    }

    /// The same turns for messages that take long to read, each for as long as that takes.
    pub(crate) fn large_messages(&self) -> &Turns {
        &self.0.large_messages
    }

    /// The same turns for answers that take long to write, likewise.
    pub(crate) fn large_answers(&self) -> &Turns {
        &self.0.large_answers
    }

    /// How long jobs took lately that may be done where they are asked for.
    pub(crate) fn lately(&self) -> &Lately {
        &self.0.lately
    }

    /// A turn among the reads for something that nobody waits for, once fewer than so many are taken; none if that takes too long.
    pub(crate) async fn spare_turn(
        &self,
        fewer_than: usize,
        patience: Duration,
    ) -> Option<OwnedSemaphorePermit> {
        let (turns, began) = (&self.0.reads.turns, Instant::now());
        loop {
            let taken = self.0.running_max.saturating_sub(turns.free());
            if taken < fewer_than
                && let Some(turn) = turns.take_spare()
            {
                return Some(turn);
            }
            if began.elapsed() >= patience {
                return None;
            }
            tokio::time::sleep(SPARE_PAUSE).await;
        }
    }

    /// Begins a job that waits for the network more than it computes, on a thread of its own and without a turn. The request's place is held
    /// until the job is done.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED where the request has no place and there is none.
    pub(crate) fn wait<F>(&self, job: F) -> Result<(), Status>
    where
        F: FnOnce() + Send + 'static,
    {
        let place = Place::current().map_or_else(|| self.admit(Kind::Generate, false), Ok)?;
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || {
            let _place = place;
            span.in_scope(job);
        });
        Ok(())
    }

    /// Returns when nothing is being worked on.
    pub(crate) async fn idle(&self) {
        for kind in Kind::ALL {
            for streams in [false, true] {
                let gates = self.gates(kind);
                let gate = if streams { &gates.streams } else { &gates.admitted };
                let places = u32::try_from(self.limit(kind, streams).1).unwrap_or(u32::MAX);
                // An error means that the gate is closed for good, which it never is; then there is nothing to wait for.
                let _ = gate.acquire_many(places).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
