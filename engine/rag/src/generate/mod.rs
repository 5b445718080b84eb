//! Answers from a language model, and whether their citations hold.
//!
//! A question's evidence ([`Enriched`]) goes to a model behind an OpenAI-compatible endpoint, which streams its answer back:
//! first comes the evidence, so that a reader has the passages before the first word, then pieces of the answer, and at its end
//! what it cites, compared with what it was given ([`CheckedCitations`]), and the tokens that it took.
//!
//! What holds of every generation:
//! * It is asked of a model on the list of whoever runs the process ([`GenerateModels`]); no request names an address, no redirect is
//!   followed.
//! * It ends: each token has a deadline, and so has the whole ([`Patience`]); [`Generation::stopper`] ends it from another
//!   thread, and with it the connection. Behind a reason to finish that comes by itself two seconds are waited for the rest, and the answer is whole.
//! * A request that fails by 408, 429, 5xx or on the way is sent again, three times at most, after a pause that doubles or that
//!   `Retry-After` asks for, but never once a token has come: an answer is not begun twice. Of a 429 that stays, or whose pause is longer
//!   than somebody waits, the error has that pause ([`GenerateFailure::Busy`](crate::GenerateFailure::Busy)).
//! * A service that refuses to be asked for the tokens that were taken (`stream_options`) is asked without, at the cost of one more request.
//! * What comes back is bounded ([`ANSWER_BYTES_MAX`](crate::limits::ANSWER_BYTES_MAX), [`STREAM_EVENT_BYTES_MAX`](crate::limits::STREAM_EVENT_BYTES_MAX),
//!   [`STREAM_BYTES_MAX`](crate::limits::STREAM_BYTES_MAX)).
//! * Neither keys nor questions nor answers are logged.

mod cite;
mod connection;
mod generation;
mod models;
mod sse;
mod stream;
mod watch;
mod wire;

pub use cite::{CheckedCitations, CitationUse};
pub use generation::{Generation, Lookup};
pub use models::{GenerateModel, GenerateModels, Patience};
pub use watch::{StopOnDrop, Stopper};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::limits::{ANSWER_TOKENS_MAX, RESPONSE_FORMAT_BYTES_MAX, STOP_BYTES_MAX, STOPS_MAX};
use crate::prompt::{EnrichRequest, Enriched, check_max, check_range};

/// How an answer is generated; every default is the model's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateOptions {
    /// The model, by its name in [`GenerateModels`]; empty for the first one there.
    pub model: String,
    /// Tokens that the answer may have, 1 to [`ANSWER_TOKENS_MAX`].
    pub max_tokens: Option<u32>,
    /// How much is left to chance, 0 to 2.
    pub temperature: Option<f32>,
    /// Only the likeliest tokens that have this probability together, above 0 to 1.
    pub top_p: Option<f32>,
    /// Texts that end the answer before them: at most [`STOPS_MAX`] of at most [`STOP_BYTES_MAX`] bytes.
    pub stop: Vec<String>,
    /// The same seed gives the same answer, as far as the model can.
    pub seed: Option<i64>,
    /// The same as [`max_tokens`](Self::max_tokens), under the name that newer models know it by; under the same limit.
    pub max_completion_tokens: Option<u32>,
    /// How much less likely a token becomes each time it came, -2 to 2.
    pub frequency_penalty: Option<f32>,
    /// How much less likely a token becomes once it came, -2 to 2.
    pub presence_penalty: Option<f32>,
    /// The form of the answer, such as a JSON schema, as the protocol has it; at most [`RESPONSE_FORMAT_BYTES_MAX`] bytes.
    pub response_format: Option<Value>,
    /// How long a model that reasons may do so, in its service's word: at most 32 lower-case letters.
    pub reasoning_effort: Option<String>,
}

impl GenerateOptions {
    /// Refuses what no model could be asked.
    ///
    /// # Errors
    /// [`Error::Invalid`] and [`Error::Limit`], naming the option.
    pub fn validate(&self) -> Result<()> {
        if let Some(tokens) = self.max_tokens {
            check_range("max_tokens", tokens as usize, "ANSWER_TOKENS_MAX", ANSWER_TOKENS_MAX)?;
        }
        if let Some(tokens) = self.max_completion_tokens {
            check_range("max_completion_tokens", tokens as usize, "ANSWER_TOKENS_MAX", ANSWER_TOKENS_MAX)?;
        }
        if self.temperature.is_some_and(|temperature| !(0.0..=2.0).contains(&temperature)) {
            return Err(invalid("temperature", "it must be 0 to 2"));
        }
        if self.top_p.is_some_and(|top_p| !(top_p > 0.0 && top_p <= 1.0)) {
            return Err(invalid("top_p", "it must be above 0 and at most 1"));
        }
        check_max("stop", self.stop.len(), "STOPS_MAX", STOPS_MAX)?;
        for (at, text) in self.stop.iter().enumerate() {
            check_range(&format!("stop[{at}]"), text.len(), "STOP_BYTES_MAX", STOP_BYTES_MAX)?;
        }
        let penalties =
            [("frequency_penalty", self.frequency_penalty), ("presence_penalty", self.presence_penalty)];
        for (field, penalty) in penalties {
            if penalty.is_some_and(|penalty| !(-2.0..=2.0).contains(&penalty)) {
                return Err(invalid(field, "it must be -2 to 2"));
            }
        }
        let format_bytes = self.response_format.as_ref().map_or(0, |format| format.to_string().len());
        check_max("response_format", format_bytes, "RESPONSE_FORMAT_BYTES_MAX", RESPONSE_FORMAT_BYTES_MAX)?;
        let is_word = |word: &String| {
            (1..=32).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase())
        };
        if self.reasoning_effort.as_ref().is_some_and(|word| !is_word(word)) {
            return Err(invalid("reasoning_effort", "it must be a word of at most 32 lower-case letters"));
        }
        Ok(())
    }
}

fn invalid(field: &str, reason: &str) -> Error {
    Error::Invalid { field: field.to_owned(), reason: reason.to_owned() }
}

/// Asks for an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateRequest {
    /// What is asked, and how its evidence is found.
    pub enrich: EnrichRequest,
    /// How the answer is generated.
    pub options: GenerateOptions,
}

impl GenerateRequest {
    /// A question with every default.
    pub fn new(question: impl Into<String>) -> Self {
        Self { enrich: EnrichRequest::new(question), options: GenerateOptions::default() }
    }
}

/// Tokens, as the model's service counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of what it was sent.
    pub prompt_tokens: u64,
    /// Of what it answered.
    pub completion_tokens: u64,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishReason {
    /// The model was done, or a text of [`stop`](GenerateOptions::stop) came.
    Stop,
    /// [`max_tokens`](GenerateOptions::max_tokens), or all that the model can hold, were used up.
    Length,
    /// The service held something back.
    ContentFilter,
    /// Another reason, in the service's word.
    Other(String),
}

impl FinishReason {
    fn of(word: &str) -> FinishReason {
        match word {
            // Of TGI, Together and those that pass on what Anthropic's say: clients of the protocol may know its own words only.
            "stop" | "eos" | "eos_token" | "stop_sequence" | "end_turn" => FinishReason::Stop,
            // And of Mistral, where all that the model can hold is used up.
            "length" | "model_length" | "max_tokens" => FinishReason::Length,
            "content_filter" => FinishReason::ContentFilter,
            other => FinishReason::Other(other.to_owned()),
        }
    }

    /// The word that the OpenAI protocol has for it.
    pub fn as_str(&self) -> &str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Other(word) => word,
        }
    }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its text: all pieces together.
    pub text: String,
    /// The name of the model that gave it, as it was asked for.
    pub model: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What it cites, compared with what it was given.
    pub citations: CheckedCitations,
    /// Tokens; none where the service does not tell.
    pub usage: Option<Usage>,
    /// Milliseconds until the first piece (`first_token`) and to the end (`generate`).
    pub timings_ms: Vec<(&'static str, f64)>,
    /// Whether it was kept from an earlier question, the same or one that is taken for it ([`answers`](crate::answers)): the usage is of that time then, and
    /// nothing was spent on it now.
    pub cached: bool,
}

/// What comes of a generation, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum GenerateEvent {
    /// What the answer is to rest on: once, first.
    Evidence(Enriched),
    /// More of the answer.
    Delta(String),
    /// The end: once, last.
    Done(Answer),
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Strict clients of the protocol failed at the end of each answer, and none was kept.
    #[test]
    fn services_words_for_the_usual_ends_are_understood() {
        for (word, expected) in [
            ("stop", "stop"),
            ("eos", "stop"),
            ("eos_token", "stop"),
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("length", "length"),
            ("model_length", "length"),
            ("max_tokens", "length"),
            ("content_filter", "content_filter"),
            ("tool_calls", "tool_calls"),
        ] {
            assert_eq!(FinishReason::of(word).as_str(), expected, "{word}");
        }
        assert_eq!(FinishReason::of("eos"), FinishReason::Stop);
    }

    #[test]
    fn options_beyond_what_a_model_takes_are_refused_by_name() {
        let good = GenerateOptions {
            max_tokens: Some(1),
            temperature: Some(2.0),
            top_p: Some(1.0),
            stop: vec!["x".repeat(STOP_BYTES_MAX); STOPS_MAX],
            ..GenerateOptions::default()
        };
        good.validate().unwrap();
        let bad = |change: fn(&mut GenerateOptions)| {
            let mut options = good.clone();
            change(&mut options);
            options.validate().unwrap_err().to_string()
        };
        assert!(bad(|options| options.max_tokens = Some(0)).starts_with("max_tokens: "));
        let tokens = bad(|options| options.max_tokens = Some(ANSWER_TOKENS_MAX as u32 + 1));
        assert!(tokens.contains("ANSWER_TOKENS_MAX"), "{tokens}");
        for temperature in [-0.1, 2.1, f32::NAN, f32::INFINITY] {
            let options = GenerateOptions { temperature: Some(temperature), ..good.clone() };
            assert!(options.validate().unwrap_err().to_string().starts_with("temperature: "));
        }
        for top_p in [0.0, 1.1, f32::NAN] {
            let options = GenerateOptions { top_p: Some(top_p), ..good.clone() };
            assert!(options.validate().unwrap_err().to_string().starts_with("top_p: "));
        }
        assert!(bad(|options| options.stop.push("y".into())).contains("STOPS_MAX"));
        assert!(
            bad(|options| options.stop[1].push('y'))
                .contains("stop[1]: 257 is beyond the limit STOP_BYTES_MAX")
        );
        assert!(bad(|options| options.stop[0].clear()).starts_with("stop[0]: "));
        for penalty in [-2.1, 2.1, f32::NAN] {
            let options = GenerateOptions { frequency_penalty: Some(penalty), ..good.clone() };
            assert!(options.validate().unwrap_err().to_string().starts_with("frequency_penalty: "));
            let options = GenerateOptions { presence_penalty: Some(penalty), ..good.clone() };
            assert!(options.validate().unwrap_err().to_string().starts_with("presence_penalty: "));
        }
        assert!(
            bad(|options| options.max_completion_tokens = Some(0)).starts_with("max_completion_tokens: ")
        );
        let tokens = bad(|options| options.max_completion_tokens = Some(ANSWER_TOKENS_MAX as u32 + 1));
        assert!(tokens.contains("ANSWER_TOKENS_MAX"), "{tokens}");
        let format =
            bad(|options| options.response_format = Some(json!("x".repeat(RESPONSE_FORMAT_BYTES_MAX))));
        assert!(format.contains("RESPONSE_FORMAT_BYTES_MAX"), "{format}");
        for word in ["", "High", "not a word", "lowlowlowlowlowlowlowlowlowlowlow"] {
            let options = GenerateOptions { reasoning_effort: Some(word.to_owned()), ..good.clone() };
            assert!(options.validate().unwrap_err().to_string().starts_with("reasoning_effort: "), "{word}");
        }
    }
}
