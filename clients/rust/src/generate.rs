//! Questions answered by a language model of the server's.

use std::time::Duration;

use ragstone_proto::v1;
use ragstone_proto::v1::generate_response::Event;
use tokio::time::{Instant, timeout_at};
use tonic::Streaming;

use crate::enrich::{Enrich, Enriched};
use crate::error::{Error, Result};
use crate::point::{StageTiming, timings_from_wire};

/// Asks for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Generate {
    wire: v1::GenerateRequest,
}

impl Generate {
    /// What is asked, and how its evidence is found; of the first model that the server's operator listed, everything else by its default.
    pub fn new(enrich: Enrich) -> Self {
        Self { wire: v1::GenerateRequest { enrich: Some(enrich.into_wire()), ..Default::default() } }
    }

    /// The model, by the name that the server's operator gave it.
    #[must_use]
    pub fn model(mut self, name: impl Into<String>) -> Self {
        self.wire.model = name.into();
        self
    }

    /// Tokens that the answer may have, 1 to 1,000,000.
    #[must_use]
    pub fn max_tokens(mut self, max_tokens: u32) -> Self {
        self.wire.max_tokens = Some(max_tokens);
        self
    }

    /// How much is left to chance, 0 to 2.
    #[must_use]
    pub fn temperature(mut self, temperature: f32) -> Self {
        self.wire.temperature = Some(temperature);
        self
    }

    /// Only the likeliest tokens that have this probability together, above 0 to 1.
    #[must_use]
    pub fn top_p(mut self, top_p: f32) -> Self {
        self.wire.top_p = Some(top_p);
        self
    }

    /// A further text that ends the answer before it; at most 4 of at most 256 bytes.
    #[must_use]
    pub fn stop(mut self, text: impl Into<String>) -> Self {
        self.wire.stop.push(text.into());
        self
    }

    /// The same seed gives the same answer, as far as the model can.
    #[must_use]
    pub fn seed(mut self, seed: i64) -> Self {
        self.wire.seed = Some(seed);
        self
    }

    pub(crate) fn into_wire(self) -> v1::GenerateRequest {
        self.wire
    }
}

/// What comes of a question, in this order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum GenerateEvent {
    /// What the answer is to rest on: once, first.
    Evidence(Enriched),
    /// More of the answer.
    Delta(String),
    /// The end: once, last.
    Done(Answer),
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or a text of [`Generate::stop`] came.
    Stop,
    /// [`Generate::max_tokens`], or all that the model can hold, were used up.
    Length,
    /// The model's service held something back.
    ContentFilter,
    /// Another reason, in the service's word.
    Other(String),
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its text: all deltas together.
    pub text: String,
    /// The name of the model that gave it.
    pub model: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it cites, compared with the citations of the evidence.
    pub citations: CheckedCitations,
    /// Tokens; none where the model's service does not tell.
    pub usage: Option<TokenUsage>,
    /// Milliseconds until the first delta (`first_token`) and to the end (`generate`).
    pub timings: Vec<StageTiming>,
    /// Whether it was kept from an earlier question of the same caller, the same or one that is taken for it: evidence, citations and usage are of
    /// that time.
    pub cached: bool,
}

/// What an answer cites, compared with what it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedCitations {
    /// Every place that cites, in the order of the answer; a bracket of several numbers once for each.
    pub uses: Vec<CitationUse>,
    /// Indexes of citations that the answer uses, in the order of their first use.
    pub cited: Vec<usize>,
    /// Numbers that the answer cites and that no citation has, in the order of their first use.
    pub unknown: Vec<usize>,
    /// Indexes of citations that the answer does not use, in order.
    pub unused: Vec<usize>,
}

/// A place of an answer that cites.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CitationUse {
    /// The number that stands there.
    pub index: usize,
    /// The bracket's first code point in the answer, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
}

/// Tokens of an answer, as its model's service counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenUsage {
    /// Of what the model was sent.
    pub prompt_tokens: u64,
    /// Of what it answered.
    pub completion_tokens: u64,
}

/// An answer as it comes. Dropping it tells the server to stop, which closes the connection to the model.
#[derive(Debug)]
pub struct Generation {
    messages: Streaming<v1::GenerateResponse>,
    deadline: Instant,
    timeout: Duration,
    over: bool,
}

impl Generation {
    pub(crate) fn new(
        messages: Streaming<v1::GenerateResponse>,
        deadline: Instant,
        timeout: Duration,
    ) -> Self {
        Self { messages, deadline, timeout, over: false }
    }

    /// Waits for what comes next; none after the end, or after an error.
    ///
    /// # Errors
    /// `Code::Unavailable` when the model's service fails, or the connection breaks; `Code::DeadlineExceeded`;
    /// `Code::FailedPrecondition` when the model refuses the request; `Code::ResourceExhausted` when its service has no room now.
    pub async fn next(&mut self) -> Option<Result<GenerateEvent>> {
        if self.over {
            return None;
        }
        let event = self.wait().await;
        self.over = matches!(event, Err(_) | Ok(GenerateEvent::Done(_)));
        Some(event)
    }

    async fn wait(&mut self) -> Result<GenerateEvent> {
        let message = match timeout_at(self.deadline, self.messages.message()).await {
            Ok(Ok(message)) => message.ok_or_else(|| Error::missing("answer"))?,
            Ok(Err(status)) => return Err(Error::from_status(&status)),
            Err(_) => return Err(Error::deadline("Generate", self.timeout)),
        };
        Ok(match message.event.ok_or_else(|| Error::missing("event"))? {
            Event::Evidence(enriched) => GenerateEvent::Evidence(Enriched::from_wire(enriched)?),
            Event::Delta(text) => GenerateEvent::Delta(text),
            Event::Answer(answer) => GenerateEvent::Done(answer_from_wire(answer)),
        })
    }
}

fn answer_from_wire(wire: v1::Answer) -> Answer {
    let finish_reason = match wire.finish_reason() {
        v1::FinishReason::Stop => FinishReason::Stop,
        v1::FinishReason::Length => FinishReason::Length,
        v1::FinishReason::ContentFilter => FinishReason::ContentFilter,
        v1::FinishReason::Unspecified => FinishReason::Other(wire.finish_word),
    };
    let numbers = |numbers: Vec<u32>| numbers.into_iter().map(|number| number as usize).collect();
    let checked = wire.citations.unwrap_or_default();
    let place = |place: v1::CitationUse| CitationUse {
        index: place.index as usize,
        start: place.start as usize,
        end: place.end as usize,
    };
    Answer {
        text: wire.text,
        model: wire.model,
        finish_reason,
        citations: CheckedCitations {
            uses: checked.uses.into_iter().map(place).collect(),
            cited: numbers(checked.cited),
            unknown: numbers(checked.unknown),
            unused: numbers(checked.unused),
        },
        usage: wire.usage.map(|usage| TokenUsage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }),
        timings: timings_from_wire(wire.timings),
        cached: wire.cached,
    }
}
