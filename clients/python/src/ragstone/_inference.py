"""Models: what they are, and what they make of texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from ragstone import v1
from ragstone._enums import word
from ragstone._found import Found
from ragstone._vectors import Components, dense

TextRole: TypeAlias = Literal["plain", "query", "passage"]
"""What a text is to retrieval; a model may have a prefix for each."""


@dataclass(slots=True)
class ModelInfo:
    """The contract between an embedding model and the vectors made with it."""

    name: str
    sha256: str
    """Of the weights, in hex; empty for a remote model."""
    dimension: int
    max_tokens: int
    """Tokens that the model reads of one text, special tokens included."""
    pooling: str
    normalize: bool
    """Whether vectors are of unit length."""
    query_prefix: str
    passage_prefix: str
    arithmetic: str
    """`float` or `int8`."""


@dataclass(slots=True)
class RerankerInfo:
    """A re-ranker."""

    name: str
    sha256: str
    max_tokens: int
    """Tokens of a query and a passage that it reads together."""
    scale: str
    """What its scores are: `logit` or `probability`."""


@dataclass(slots=True)
class Model:
    """A model that is to be had without a download."""

    name: str
    loaded: bool
    default: bool
    info: ModelInfo | None
    """Its contract, if it is an embedding model."""
    reranker: RerankerInfo | None
    """What there is to know of it, if it is a re-ranker."""


@dataclass(slots=True)
class PulledModel:
    """A model in the server's cache, and where it came from."""

    name: str
    source: str
    sha256: str


class Embeddings(Found[Components]):
    """The vectors of texts, in their order: a sequence of `array.array('f')`."""

    __slots__ = ("model", "tokens", "truncated")

    def __init__(self, wire: v1.EmbedResponse) -> None:
        """Of the answer."""
        super().__init__([dense(embedding.vector) for embedding in wire.embeddings])
        self.tokens = [embedding.tokens for embedding in wire.embeddings]
        """Tokens read of each text."""
        self.truncated = [embedding.truncated for embedding in wire.embeddings]
        """Whether each text was cut."""
        self.model = read_model_info(wire.model)
        """The contract of the model that made them."""


@dataclass(slots=True)
class Reranked:
    """A passage and how well it answers the query."""

    index: int
    """Which of the request's passages it is, from 0."""
    score: float
    """Higher is better; scores of different models cannot be compared."""
    tokens: int
    truncated: bool


@dataclass(slots=True)
class TokenCounts:
    """The tokens of texts, one number a text."""

    tokens: list[int]
    estimated: bool
    """Whether the model's tokenizer is not to be had."""


def read_model_info(wire: v1.ModelInfo) -> ModelInfo:
    """A contract that was read."""
    return ModelInfo(
        name=wire.name,
        sha256=wire.sha256,
        dimension=wire.dimension,
        max_tokens=wire.max_tokens,
        pooling=word(v1.Pooling, "POOLING", wire.pooling),
        normalize=wire.normalize,
        query_prefix=wire.query_prefix,
        passage_prefix=wire.passage_prefix,
        arithmetic=word(v1.Arithmetic, "ARITHMETIC", wire.arithmetic),
    )


def read_model(wire: v1.Model) -> Model:
    """A model that was read."""
    reranker = None
    if wire.HasField("reranker"):
        scale = word(v1.ScoreScale, "SCORE_SCALE", wire.reranker.scale)
        reranker = RerankerInfo(wire.reranker.name, wire.reranker.sha256, wire.reranker.max_tokens, scale)
    info = read_model_info(wire.info) if wire.HasField("info") else None
    return Model(wire.name, wire.loaded, wire.default, info, reranker)
