//! Answers of `POST /v1/chat/completions`: whole, or as chunks of a stream.
//!
//! Both have the passages under `citations`, and numbers that the model made up under `unknown_citations`; `cached` says
//! whether it was kept from an earlier question. A stream has them in
//! its first chunk already, before it is known which are cited, so that a reader has the evidence before the first word; then in
//! the chunk with the reason to finish, and in the one with the usage, if that was asked for, each the last of its stream.

use ragstone_rag::generate::{Answer, Usage};
use ragstone_rag::prompt::Citation;
use serde_json::{Value, json};

use super::now;

/// What all chunks of an answer, or the whole one, have in common.
pub(super) struct Frame {
    id: String,
    created: u64,
    model: String,
}

impl Frame {
    pub(super) fn new(model: String) -> Frame {
        use std::hash::{BuildHasher as _, Hasher as _, RandomState};
        // The standard library keys every `RandomState` differently.
        let id = format!("chatcmpl-{:016x}", RandomState::new().build_hasher().finish());
        Frame { id, created: now(), model }
    }

    fn chunk(&self, choices: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    /// The first chunk: who speaks, and what the answer is to rest on.
    pub(super) fn first(&self, citations: &[Citation]) -> Value {
        let delta = json!({"role": "assistant", "content": "", "refusal": null});
        let mut chunk =
            self.chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]));
        chunk["citations"] = cited(citations, None);
        chunk
    }

    /// More of the answer.
    pub(super) fn piece(&self, text: &str) -> Value {
        self.chunk(
            &json!([{"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": null}]),
        )
    }

    /// The last chunks.
    pub(super) fn last(&self, citations: &[Citation], answer: &Answer, include_usage: bool) -> Vec<Value> {
        let finish = answer.finish_reason.as_str();
        let choices = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": finish}]);
        let mut chunks = vec![self.chunk(&choices)];
        if include_usage {
            let mut chunk = self.chunk(&json!([]));
            chunk["usage"] = usage(answer.usage);
            chunks.push(chunk);
        }
        for chunk in &mut chunks {
            chunk["citations"] = cited(citations, Some(answer));
            chunk["unknown_citations"] = json!(answer.citations.unknown);
            chunk["cached"] = answer.cached.into();
        }
        chunks
    }

    /// The whole answer at once.
    pub(super) fn whole(&self, citations: &[Citation], answer: &Answer) -> Value {
        let message = json!({"role": "assistant", "content": answer.text, "refusal": null});
        let finish = answer.finish_reason.as_str();
        json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish}],
            "usage": usage(answer.usage),
            "citations": cited(citations, Some(answer)),
            "unknown_citations": answer.citations.unknown,
            "cached": answer.cached,
        })
    }
}

/// Null where the model's service does not tell.
fn usage(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |Usage { prompt_tokens, completion_tokens }| {
        json!({
            "prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens,
            "total_tokens": prompt_tokens.saturating_add(completion_tokens),
        })
    })
}

/// The passages; with the answer also whether it cites them.
fn cited(citations: &[Citation], answer: Option<&Answer>) -> Value {
    let one = |citation: &Citation| {
        let mut value = json!({
            "index": citation.index, "document": citation.document, "heading": citation.heading,
            "start": citation.start, "end": citation.end, "score": citation.score, "text": citation.text,
        });
        if let Some(answer) = answer {
            value["cited"] = answer.citations.cited.contains(&citation.index).into();
        }
        value
    };
    citations.iter().map(one).collect()
}
