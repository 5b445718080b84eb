//! Embedding models.

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::rerank::RerankerInfo;

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
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

impl Pooling {
    fn from_wire(wire: i32) -> Result<Pooling> {
        match v1::Pooling::try_from(wire) {
            Ok(v1::Pooling::Cls) => Ok(Pooling::Cls),
            Ok(v1::Pooling::Mean) => Ok(Pooling::Mean),
            Ok(v1::Pooling::Max) => Ok(Pooling::Max),
            Ok(v1::Pooling::MeanSqrtLen) => Ok(Pooling::MeanSqrtLen),
            Ok(v1::Pooling::LastToken) => Ok(Pooling::LastToken),
            Ok(v1::Pooling::WeightedMean) => Ok(Pooling::WeightedMean),
            Ok(v1::Pooling::Remote) => Ok(Pooling::Remote),
            Ok(v1::Pooling::Unspecified) | Err(_) => Err(Error::missing("pooling")),
        }
    }
}

/// How a model's products are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Arithmetic {
    /// In single precision.
    Float,
    /// In integers of eight bits.
    Int8,
}

impl Arithmetic {
    fn from_wire(wire: i32) -> Result<Arithmetic> {
        match v1::Arithmetic::try_from(wire) {
            Ok(v1::Arithmetic::Float) => Ok(Arithmetic::Float),
            Ok(v1::Arithmetic::Int8) => Ok(Arithmetic::Int8),
            Ok(v1::Arithmetic::Unspecified) | Err(_) => Err(Error::missing("arithmetic")),
        }
    }
}

/// The contract between a model and the vectors made with it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// How the model is asked for.
    pub name: String,
    /// SHA-256 of the weights, in hex; none for a remote model.
    pub sha256: Option<String>,
    /// Components of a vector.
    pub dimension: usize,
    /// Tokens that the model reads of one text, special tokens included.
    pub max_tokens: usize,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Whether vectors are of unit length.
    pub normalize: bool,
    /// Put before a query.
    pub query_prefix: String,
    /// Put before a passage.
    pub passage_prefix: String,
    /// How the model computes.
    pub arithmetic: Arithmetic,
}

impl ModelInfo {
    pub(crate) fn from_wire(wire: v1::ModelInfo) -> Result<ModelInfo> {
        Ok(ModelInfo {
            pooling: Pooling::from_wire(wire.pooling)?,
            name: wire.name,
            sha256: Some(wire.sha256).filter(|sha256| !sha256.is_empty()),
            dimension: wire.dimension as usize,
            max_tokens: wire.max_tokens as usize,
            normalize: wire.normalize,
            query_prefix: wire.query_prefix,
            passage_prefix: wire.passage_prefix,
            arithmetic: Arithmetic::from_wire(wire.arithmetic)?,
        })
    }
}

/// What a text is to retrieval; a model may have a prefix for each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TextRole {
    /// A question.
    Query,
    /// A piece of a document.
    Passage,
    /// Neither: no prefix is put before it.
    #[default]
    Plain,
}

/// What happens to a text with more tokens than the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnOverflow {
    /// The whole call fails with [`Code::InvalidArgument`](crate::Code::InvalidArgument).
    #[default]
    Error,
    /// The text is cut at the limit.
    Truncate,
}

impl OnOverflow {
    pub(crate) fn into_wire(self) -> v1::OnOverflow {
        match self {
            OnOverflow::Error => v1::OnOverflow::Error,
            OnOverflow::Truncate => v1::OnOverflow::Truncate,
        }
    }
}

/// Texts to embed.
#[derive(Clone, Debug, PartialEq)]
pub struct Embed {
    wire: v1::EmbedRequest,
}

impl Embed {
    /// At most 2,048 texts of at most 1 MiB each, with the server's default model.
    pub fn new<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts = texts.into_iter().map(Into::into).collect();
        Self { wire: v1::EmbedRequest { texts, ..Default::default() } }
    }

    /// Another model than the server's default.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.wire.model = model.into();
        self
    }

    /// What the texts are to retrieval; plain by default.
    #[must_use]
    pub fn role(mut self, role: TextRole) -> Self {
        let role = match role {
            TextRole::Query => v1::TextRole::Query,
            TextRole::Passage => v1::TextRole::Passage,
            TextRole::Plain => v1::TextRole::Plain,
        };
        self.wire.role = role.into();
        self
    }

    /// What happens to a text with more tokens than the model reads; an error by default.
    #[must_use]
    pub fn on_overflow(mut self, on_overflow: OnOverflow) -> Self {
        self.wire.on_overflow = on_overflow.into_wire().into();
        self
    }

    pub(crate) fn into_wire(self) -> v1::EmbedRequest {
        self.wire
    }
}

/// The vectors of some texts, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One vector a text, each of the model's dimension.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens read of each text, special tokens and prefix included.
    pub token_counts: Vec<usize>,
    /// Whether the text was cut.
    pub truncated: Vec<bool>,
    /// The contract of the model that made them.
    pub model: ModelInfo,
}

impl Embeddings {
    pub(crate) fn from_wire(wire: v1::EmbedResponse) -> Result<Embeddings> {
        let model = ModelInfo::from_wire(wire.model.ok_or_else(|| Error::missing("model"))?)?;
        let mut embeddings =
            Embeddings { vectors: Vec::new(), token_counts: Vec::new(), truncated: Vec::new(), model };
        for embedding in wire.embeddings {
            let vector = embedding.vector.ok_or_else(|| Error::missing("embeddings.vector"))?;
            embeddings.vectors.push(vector.values);
            embeddings.token_counts.push(embedding.tokens as usize);
            embeddings.truncated.push(embedding.truncated);
        }
        Ok(embeddings)
    }
}

/// A model that the server has without a download.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// How it is asked for.
    pub name: String,
    /// Whether it is in the server's memory.
    pub loaded: bool,
    /// Whether it is used where none is named.
    pub default: bool,
    /// Its contract, if it is an embedding model, complete and readable.
    pub info: Option<ModelInfo>,
    /// What there is to know of it, if it is a re-ranker.
    pub reranker: Option<RerankerInfo>,
}

impl Model {
    pub(crate) fn from_wire(wire: v1::Model) -> Result<Model> {
        Ok(Model {
            name: wire.name,
            loaded: wire.loaded,
            default: wire.default,
            info: wire.info.map(ModelInfo::from_wire).transpose()?,
            reranker: wire.reranker.map(RerankerInfo::from_wire).transpose()?,
        })
    }
}

/// A model that is in the server's cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PulledModel {
    /// How it is asked for.
    pub name: String,
    /// Where it came from: `cache`, `Hugging Face hub` …
    pub source: String,
    /// SHA-256 of the weights, in hex.
    pub sha256: String,
}
