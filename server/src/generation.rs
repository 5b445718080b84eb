//! Answers of language models, as streams.
//!
//! The library's iterator blocks, so it runs on a thread of its own ([`Work::wait`](crate::work::Work::wait)) and hands its events over a
//! channel that holds a few: a caller who reads slowly slows the model's service down instead of filling memory, and one who takes nothing
//! for too long ([`ServerConfig::answer_stall_timeout`](crate::ServerConfig::answer_stall_timeout)) gives the answer up. When the
//! stream is dropped, because the caller left or the request was given up, the connection to the service is closed at once,
//! however silent it is.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use ragstone_rag::Rag;
use ragstone_rag::generate::{GenerateEvent, GenerateRequest, Generation, Lookup, StopOnDrop};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::Stream;
use tonic::Status;

use crate::metrics::Generating;
use crate::rpc::Services;
use crate::status;
use crate::telemetry::{Call, Figures};

/// Events that wait for the caller.
const EVENTS_WAITING_MAX: usize = 16;

/// What comes of a question, in order: evidence, deltas, the answer; or an error, which is the last.
pub(crate) struct Events {
    receiver: mpsc::Receiver<Result<GenerateEvent, Status>>,
    /// Whether the last event has come.
    over: bool,
    /// Stops the generation when the stream is dropped; after its end that changes nothing.
    _stop: StopOnDrop,
}

impl Stream for Events {
    type Item = Result<GenerateEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.over {
            return Poll::Ready(None);
        }
        // A channel that is closed before the last event: its thread panicked.
        let event = ready!(self.receiver.poll_recv(context)).unwrap_or_else(|| Err(status::fault()));
        self.over = matches!(event, Err(_) | Ok(GenerateEvent::Done(_)));
        Poll::Ready(Some(event))
    }
}

impl Services {
    /// Begins to answer a question. The evidence is found before this returns, so that what is wrong with the request is known before a
    /// stream begins.
    ///
    /// # Errors
    /// As `RagService.Generate`.
    pub(crate) async fn generate_events(
        &self,
        collection: String,
        mut request: GenerateRequest,
    ) -> Result<Events, Status> {
        self.rag().check_generate(&request.options).map_err(status::rag)?;
        let stages = self.enriching(&collection, &mut request.enrich).await?;
        let asked = collection.clone();
        let generate = move |rag: &Rag| {
            let began = Instant::now();
            let generation = rag.generate_telling(&asked, &request, |enriched| {
                let results = Some(enriched.citations.len());
                stages.were(&enriched.timings_ms, Figures { results, ..Figures::default() });
            })?;
            Ok((generation, began.elapsed()))
        };
        let (generation, took) = self.apply(generate).await?;
        let stop = generation.stopper().stop_on_drop();
        let (sender, receiver) = mpsc::channel(EVENTS_WAITING_MAX);
        let lookup = generation.lookup();
        self.metrics().looked_up(lookup);
        // An answer that was kept is none of its model's.
        let measured = match lookup {
            Lookup::Hit => {
                Call::current().kept_answer((collection.as_str(), generation.model()), took);
                None
            }
            Lookup::Miss | Lookup::NotMade => Some(self.metrics().generating(generation.model())),
        };
        let taker = Taker { sender, patience: self.answer_stall_timeout(), runtime: Handle::current() };
        self.work().wait(move || hand_over(generation, &taker, measured))?;
        Ok(Events { receiver, over: false, _stop: stop })
    }
}

/// Who takes the events of an answer.
struct Taker {
    sender: mpsc::Sender<Result<GenerateEvent, Status>>,
    /// For how long nothing may be taken.
    patience: Duration,
    /// Its timers.
    runtime: Handle,
}

impl Taker {
    /// Whether the event found its place; not if the caller has left, or has taken nothing for too long.
    fn take(&self, event: Result<GenerateEvent, Status>) -> bool {
        match self.sender.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Closed(_)) => false,
            Err(TrySendError::Full(event)) => {
                self.runtime.block_on(self.sender.send_timeout(event, self.patience)).is_ok()
            }
        }
    }
}

/// Hands over each event, until the last one or until nobody takes them.
fn hand_over(generation: Generation, taker: &Taker, mut measured: Option<Generating>) {
    for event in generation {
        match (&event, &mut measured) {
            (_, None) | (Ok(GenerateEvent::Evidence(_)), _) => {}
            (Ok(GenerateEvent::Delta(_)), Some(measured)) => measured.token(),
            (Ok(GenerateEvent::Done(answer)), Some(measured)) => measured.done(answer),
            (Err(error), Some(measured)) => measured.failed(error),
        }
        if !taker.take(event.map_err(status::rag)) {
            return;
        }
    }
}
