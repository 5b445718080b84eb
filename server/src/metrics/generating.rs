//! Answers of language models, counted.

use std::time::Instant;

use ragstone_rag::generate::Usage;
use ragstone_rag::{Error, GenerateFailure};

use super::{Metrics, Model, ModelOutcome, ModelTokens};

/// An answer under way; it ends with the value, as stopped unless it was told otherwise.
pub(crate) struct Generating {
    metrics: Metrics,
    model: String,
    started: Instant,
    begun: bool,
    outcome: &'static str,
}

impl Metrics {
    /// An answer of this model begins.
    pub(crate) fn generating(&self, model: &str) -> Generating {
        Generating {
            metrics: self.clone(),
            model: model.to_owned(),
            started: Instant::now(),
            begun: false,
            outcome: "stopped",
        }
    }
}

impl Generating {
    fn model(&self) -> Model {
        Model { model: self.model.clone() }
    }

    /// A piece has come.
    pub(crate) fn token(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            let seconds = self.started.elapsed().as_secs_f64();
            self.metrics.families.first_token_seconds.get_or_create(&self.model()).observe(seconds);
        }
    }

    /// It is whole.
    pub(crate) fn done(&mut self, usage: Option<Usage>) {
        self.outcome = "done";
        let Some(usage) = usage else { return };
        for (kind, tokens) in [("prompt", usage.prompt_tokens), ("completion", usage.completion_tokens)] {
            let labels = ModelTokens { model: self.model.clone(), kind };
            self.metrics.families.generation_tokens.get_or_create(&labels).inc_by(tokens);
        }
    }

    /// It failed, or was stopped.
    pub(crate) fn failed(&mut self, error: &Error) {
        if !matches!(error, Error::Generate { failure: GenerateFailure::Stopped, .. }) {
            self.outcome = "failed";
        }
    }
}

impl Drop for Generating {
    fn drop(&mut self) {
        let families = &self.metrics.families;
        families
            .generation_seconds
            .get_or_create(&self.model())
            .observe(self.started.elapsed().as_secs_f64());
        let labels = ModelOutcome { model: self.model.clone(), outcome: self.outcome };
        families.generations.get_or_create(&labels).inc();
    }
}
