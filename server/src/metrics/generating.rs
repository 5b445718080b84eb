//! Answers of language models, counted.

use std::time::{Duration, Instant};

use ragstone_rag::generate::{Answer, FinishReason, Lookup, Usage};
use ragstone_rag::{Error, GenerateFailure};

use super::{Found, Metrics, Model, ModelOutcome, ModelTokens};
use crate::telemetry::{Answered, Call};

/// An answer under way; it ends with the value, as stopped unless it was told otherwise.
pub(crate) struct Generating {
    metrics: Metrics,
    model: String,
    call: Call,
    started: Instant,
    first_token: Option<Duration>,
    usage: Option<Usage>,
    finish_reason: Option<&'static str>,
    outcome: &'static str,
    failed: Option<&'static str>,
}

impl Metrics {
    /// A question was looked for among the answers that are kept, or was not.
    pub(crate) fn looked_up(&self, lookup: Lookup) {
        let outcome = match lookup {
            Lookup::NotMade => return,
            Lookup::Miss => "miss",
            Lookup::Hit => "hit",
        };
        self.shared.families.answer_lookups.get_or_create(&Found { outcome }).inc();
    }

    /// An answer of this model begins, for the call that this task answers.
    pub(crate) fn generating(&self, model: &str) -> Generating {
        Generating {
            metrics: self.clone(),
            model: model.to_owned(),
            call: Call::current(),
            started: Instant::now(),
            first_token: None,
            usage: None,
            finish_reason: None,
            outcome: "stopped",
            failed: None,
        }
    }
}

impl Generating {
    fn model(&self) -> Model {
        Model { model: self.model.clone() }
    }

    /// A piece has come.
    pub(crate) fn token(&mut self) {
        if self.first_token.is_none() {
            let took = self.started.elapsed();
            self.first_token = Some(took);
            let seconds = took.as_secs_f64();
            self.metrics.shared.families.first_token_seconds.get_or_create(&self.model()).observe(seconds);
        }
    }

    /// It is whole.
    pub(crate) fn done(&mut self, answer: &Answer) {
        self.outcome = "done";
        self.usage = answer.usage;
        // A service's own word may be anything.
        self.finish_reason = Some(match answer.finish_reason {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ContentFilter => "content_filter",
            _ => "other",
        });
        let Some(usage) = answer.usage else { return };
        for (kind, tokens) in [("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)] {
            let labels = ModelTokens { model: self.model.clone(), kind };
            self.metrics.shared.families.generation_tokens.get_or_create(&labels).inc_by(tokens);
        }
    }

    /// It failed, or was stopped.
    pub(crate) fn failed(&mut self, error: &Error) {
        let Error::Generate { failure, .. } = error else {
            (self.outcome, self.failed) = ("failed", Some("other"));
            return;
        };
        self.failed = match failure {
            GenerateFailure::Stopped => return,
            GenerateFailure::Refused => Some("refused"),
            GenerateFailure::Unavailable => Some("unavailable"),
            GenerateFailure::Busy { .. } => Some("busy"),
            GenerateFailure::TimedOut => Some("timeout"),
            GenerateFailure::Foreign => Some("foreign"),
            _ => Some("other"),
        };
        self.outcome = "failed";
    }
}

impl Drop for Generating {
    fn drop(&mut self) {
        let (families, took) = (&self.metrics.shared.families, self.started.elapsed());
        families.generation_seconds.get_or_create(&self.model()).observe(took.as_secs_f64());
        let labels = ModelOutcome { model: self.model.clone(), outcome: self.outcome };
        families.generations.get_or_create(&labels).inc();
        self.call.generated(&Answered {
            model: &self.model,
            took,
            first_token: self.first_token,
            usage: self.usage,
            finish_reason: self.finish_reason,
            failed: self.failed,
        });
    }
}
