//! An answer under way, event by event: from a model, or one that was kept.

use std::sync::Arc;
use std::time::Instant;

use super::connection::Heard;
use super::stream::Stream;
use super::wire::{self, Turn};
use super::{
    Answer, CheckedCitations, FinishReason, GenerateEvent, GenerateModels, GenerateOptions, Stopper,
};
use crate::answers::{Kept, Place};
use crate::error::{Error, GenerateFailure, Result};
use crate::limits::ANSWER_BYTES_MAX;
use crate::prompt::{ChatMessage, Enriched};

/// What the answers that are kept had for a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// None are kept, or it is none of those that are looked up.
    NotMade,
    /// Nothing: the model is asked.
    Miss,
    /// An answer: no model is asked.
    Hit,
}

/// An answer as it comes: an iterator that blocks. After [`GenerateEvent::Done`], or an error, there is nothing more.
/// Dropping it closes the connection to the model's endpoint.
pub struct Generation {
    state: State,
    source: Source,
    /// Numbers of the passages that the model was given.
    given: Vec<usize>,
    text: String,
    started: Instant,
    first_token_ms: Option<f64>,
    lookup: Lookup,
    /// Where it is kept once it is whole, and what it rests on.
    keeping: Option<Box<(Place, Enriched)>>,
}

enum State {
    Evidence(Box<Enriched>),
    Answering,
    Over,
}

/// Where the answer comes from.
enum Source {
    Model(Box<Stream>),
    Kept { answer: Box<Answer>, is_told: bool },
}

impl Generation {
    /// Begins a generation, for somebody who waits no longer than to a moment. Nothing is sent before the first event is asked for.
    pub(crate) fn begin(
        models: &GenerateModels,
        enriched: Enriched,
        options: &GenerateOptions,
        deadline: Option<Instant>,
    ) -> Result<Generation> {
        options.validate()?;
        let model = models.get(&options.model)?;
        let body = wire::request(&model, &turns(&enriched), options);
        let given = enriched.citations.iter().map(|citation| citation.index).collect();
        let source = Source::Model(Box::new(Stream::new(model, body, deadline)?));
        Ok(Generation { given, ..Generation::of(source, enriched) })
    }

    /// An answer that was kept, as one that comes in one piece.
    pub(crate) fn kept(kept: &Arc<Kept>) -> Generation {
        let source = Source::Kept { answer: Box::new(kept.answer.clone()), is_told: false };
        Generation { lookup: Lookup::Hit, ..Generation::of(source, kept.evidence.clone()) }
    }

    fn of(source: Source, evidence: Enriched) -> Generation {
        Generation {
            state: State::Evidence(Box::new(evidence)),
            source,
            given: Vec::new(),
            text: String::new(),
            started: Instant::now(),
            first_token_ms: None,
            lookup: Lookup::NotMade,
            keeping: None,
        }
    }

    /// The same, after a look-up that found nothing; its answer is kept, if there is a place for it.
    pub(crate) fn looked_up(mut self, place: Option<Place>) -> Generation {
        self.lookup = Lookup::Miss;
        if let (State::Evidence(evidence), Some(place)) = (&self.state, place) {
            self.keeping = Some(Box::new((place, Enriched::clone(evidence))));
        }
        self
    }

    /// The name of the model that is asked, or was.
    pub fn model(&self) -> &str {
        match &self.source {
            Source::Model(stream) => stream.model().name(),
            Source::Kept { answer, .. } => &answer.model,
        }
    }

    /// What the answers that are kept had for the question.
    pub fn lookup(&self) -> Lookup {
        self.lookup
    }

    /// What ends it from another thread.
    pub fn stopper(&self) -> Stopper {
        match &self.source {
            Source::Model(stream) => stream.stopper(),
            Source::Kept { .. } => Stopper::of_nothing(),
        }
    }

    fn elapsed_ms(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * 1e3
    }

    fn next_of_answer(&mut self) -> Result<GenerateEvent> {
        match &mut self.source {
            Source::Model(stream) => {
                let heard = stream.next()?;
                self.next_of_model(heard)
            }
            Source::Kept { answer, is_told } if !*is_told => {
                *is_told = true;
                Ok(GenerateEvent::Delta(answer.text.clone()))
            }
            Source::Kept { answer, .. } => {
                let answer = Answer::clone(answer);
                self.state = State::Over;
                let timings_ms = vec![("generate", self.elapsed_ms())];
                Ok(GenerateEvent::Done(Answer { timings_ms, cached: true, ..answer }))
            }
        }
    }

    fn next_of_model(&mut self, heard: Heard) -> Result<GenerateEvent> {
        match heard {
            Heard::Text(text) => {
                if self.first_token_ms.is_none() {
                    self.first_token_ms = Some(self.elapsed_ms());
                }
                self.text.push_str(&text);
                if self.text.len() > ANSWER_BYTES_MAX {
                    Err(self.beyond())
                } else {
                    Ok(GenerateEvent::Delta(text))
                }
            }
            Heard::End { finish_reason, usage, is_told } => {
                self.state = State::Over;
                let text = std::mem::take(&mut self.text);
                let first = self.first_token_ms.map(|ms| ("first_token", ms));
                let answer = Answer {
                    citations: CheckedCitations::of(&text, &self.given),
                    text,
                    model: self.model().to_owned(),
                    finish_reason,
                    usage,
                    timings_ms: first.into_iter().chain([("generate", self.elapsed_ms())]).collect(),
                    cached: false,
                };
                if is_told {
                    self.keep(&answer);
                }
                Ok(GenerateEvent::Done(answer))
            }
        }
    }

    /// Keeps a whole answer. One that was cut, held back or is empty may be another the next time.
    fn keep(&mut self, answer: &Answer) {
        let is_whole = answer.finish_reason == FinishReason::Stop && !answer.text.is_empty();
        if let Some(keeping) = self.keeping.take().filter(|_| is_whole) {
            let (place, evidence) = *keeping;
            place.keep(evidence, answer.clone());
        }
    }

    /// The answer is larger than one may be.
    fn beyond(&self) -> Error {
        Error::Generate {
            model: self.model().to_owned(),
            failure: GenerateFailure::Foreign,
            reason: format!("sent an answer of more than ANSWER_BYTES_MAX = {ANSWER_BYTES_MAX} bytes"),
        }
    }
}

impl Iterator for Generation {
    type Item = Result<GenerateEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        match std::mem::replace(&mut self.state, State::Answering) {
            State::Evidence(enriched) => {
                self.started = Instant::now();
                Some(Ok(GenerateEvent::Evidence(*enriched)))
            }
            State::Answering => {
                let event = self.next_of_answer();
                if event.is_err() {
                    self.state = State::Over;
                }
                Some(event)
            }
            State::Over => {
                self.state = State::Over;
                None
            }
        }
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("model", &self.model()).finish_non_exhaustive()
    }
}

/// What the model is sent.
fn turns(enriched: &Enriched) -> Vec<Turn> {
    let turn = |message: &ChatMessage| Turn { role: message.role.as_str(), content: message.content.clone() };
    enriched.messages.iter().map(turn).collect()
}
