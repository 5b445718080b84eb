//! The OpenAI protocol, as far as it makes sense here, so that programs written for it get RAG by another base URL.
//!
//! What is Ragstone's own has one place in a request, the object `ragstone`, and few in an answer (`citations`,
//! `unknown_citations`); clients of the protocol send and keep fields that they do not know (`extra_body` in Python).

pub(super) mod chat;
mod chat_body;
mod chat_chunks;
pub(super) mod embeddings;
mod given;
pub(super) mod models;
mod texts;

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970, as the protocol has times.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
