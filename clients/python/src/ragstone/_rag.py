"""Questions: what is found for them, the prompts made of it, and the answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

from ragstone import v1
from ragstone._documents import Chunk, read_chunk
from ragstone._enums import number, word
from ragstone._found import Found, read_timings
from ragstone._values import several
from ragstone.filters import FilterLike, as_wire

Mode: TypeAlias = Literal["hybrid", "dense", "text"]
"""How chunks are found: by the nearness of their vectors, by the words of their texts and headings, or by both."""
DataMarking: TypeAlias = Literal["off", "lines", "words"]
"""How passages are marked as quoted in a prompt."""
Role: TypeAlias = Literal["system", "user", "assistant"]


@dataclass(slots=True)
class Message:
    """A message of a conversation, as OpenAI's clients take it: `dataclasses.asdict` has the keys `role` and `content`."""

    role: Role
    content: str


MessageLike: TypeAlias = Message | tuple[str, str] | Mapping[str, str]


@dataclass(slots=True)
class Reranking:
    """Ranks the best of what is found anew, by a model that reads question and chunk together."""

    model: str
    candidates: int | None = None
    """How many of the chunks that are found, 1 to 1,000; 50 if None."""


@dataclass(slots=True)
class Expansion:
    """What is added to the chunks that were found, as far as there is room."""

    before: int = 0
    """Chunks before each, 32 at most."""
    after: int = 0
    """Chunks after each, 32 at most."""
    section: bool = False
    """The section of each: all chunks around it that stand under the same headings."""
    parents: int = 0
    """Sections around that one, 16 at most."""


@dataclass(slots=True)
class StageScores:
    """The scores of a chunk, by the stages that gave it one."""

    nearness: float | None
    words: float | None
    hybrid: float | None
    mmr: float | None
    rerank: float | None


@dataclass(slots=True)
class RetrievedChunk:
    """A chunk that was found."""

    chunk: Chunk
    score: float
    """What it is ranked by: in mode `dense` its nearness, in mode `text` BM25, in mode `hybrid` one made of both, 0 to 1."""
    scores: StageScores


@dataclass(slots=True)
class DroppedChunk:
    """A chunk that was found and left out."""

    document: str
    ordinal: int
    start: int
    end: int
    score: float
    tokens: int
    reason: str
    """Why: `budget`, `duplicate`, `score`, `mmr` or `per_document`."""
    beside: int | None


class Retrieved(Found[RetrievedChunk]):
    """The chunks that a question is about, best first."""

    __slots__ = ("dropped", "rerank_truncated", "timings")

    def __init__(self, wire: v1.RetrieveResponse) -> None:
        """Of the answer."""
        items = [RetrievedChunk(read_chunk(one.chunk), one.score, _scores(one.scores)) for one in wire.chunks]
        super().__init__(items)
        self.dropped = [_dropped(one) for one in wire.dropped]
        self.timings = read_timings(wire.timings)
        self.rerank_truncated = wire.rerank_truncated


@dataclass(slots=True)
class CitedChunk:
    """A chunk that a citation consists of."""

    ordinal: int
    start: int
    end: int
    score: float
    scores: StageScores | None
    """None if it was not found, but stands beside one that was."""
    beside: int | None


@dataclass(slots=True)
class Citation:
    """A passage that the prompt contains under `[index]`."""

    index: int
    document: str
    heading: str
    start: int
    end: int
    score: float
    text: str
    """Exactly `document.text[start:end]`."""
    chunks: list[CitedChunk]


@dataclass(slots=True)
class TokenReport:
    """What the tokens of a prompt are spent on; the parts add up to the total."""

    instructions: int
    context: int
    history: int
    question: int
    total: int
    budget: int
    history_messages_dropped: int
    counted_with: str


@dataclass(slots=True)
class Enriched:
    """A question made answerable."""

    messages: list[Message]
    """What to send to a language model."""
    query: str
    """What was searched for."""
    citations: list[Citation]
    """What the prompt's `[n]` stand for, in order."""
    dropped: list[DroppedChunk]
    tokens: TokenReport
    timings: dict[str, float]
    template: str
    rerank_truncated: int

    @property
    def prompt(self) -> str:
        """All messages as one text."""
        return "\n\n".join(message.content for message in self.messages)


@dataclass(slots=True)
class CitationUse:
    """A place of an answer that cites: its number, and where its bracket stands in the answer."""

    index: int
    start: int
    end: int


@dataclass(slots=True)
class CheckedCitations:
    """What an answer cites, compared with what it was given."""

    uses: list[CitationUse]
    cited: list[int]
    """Indexes of citations that it uses."""
    unknown: list[int]
    """Numbers that it cites and that no citation has."""
    unused: list[int]


@dataclass(slots=True)
class TokenUsage:
    """Tokens as the model's service counts them."""

    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True)
class Evidence:
    """The first event of a generation: what the answer is to rest on."""

    enriched: Enriched


@dataclass(slots=True)
class Delta:
    """More of an answer."""

    text: str


@dataclass(slots=True)
class Answer:
    """A whole answer: the last event of a generation."""

    text: str
    model: str
    finish_reason: str
    """`stop`, `length`, `content_filter`, or the word of the model's service."""
    citations: CheckedCitations
    usage: TokenUsage | None
    timings: dict[str, float]
    cached: bool
    evidence: Enriched | None = None
    """What it rests on."""


Event: TypeAlias = Evidence | Delta | Answer


def chat(messages: Iterable[MessageLike]) -> list[v1.ChatMessage]:
    """Messages of whatever form on the wire."""
    return [_message(message) for message in several(messages, "messages")]


def _message(message: MessageLike) -> v1.ChatMessage:
    if isinstance(message, Message):
        role, content = message.role, message.content
    elif isinstance(message, Mapping):
        role, content = cast(Role, message["role"]), message["content"]
    else:
        role, content = cast(Role, message[0]), message[1]
    return v1.ChatMessage(role=number(v1.ChatRole, "CHAT_ROLE", role, "role"), content=content)


def read_messages(wire: Iterable[v1.ChatMessage]) -> list[Message]:
    """Messages that were read."""
    return [Message(word(v1.ChatRole, "CHAT_ROLE", message.role), message.content) for message in wire]


def mode_number(mode: Mode | None) -> v1.RetrievalMode:
    """A way to find chunks on the wire."""
    return number(v1.RetrievalMode, "RETRIEVAL_MODE", mode, "mode")  # type: ignore[no-any-return]


def marking_number(marking: DataMarking | None) -> v1.DataMarking:
    """A way to mark on the wire."""
    return number(v1.DataMarking, "DATA_MARKING", marking, "data_marking")  # type: ignore[no-any-return]


def reranking(rerank: Reranking | None) -> v1.Reranking | None:
    """A re-ranking on the wire."""
    return None if rerank is None else v1.Reranking(model=rerank.model, candidates=rerank.candidates)


def enrich_request(collection: str, at_least: str, options: Mapping[str, Any]) -> v1.EnrichRequest:
    """The request of the arguments of `Collection.enrich`."""
    question: str | None = options["question"]
    messages: Sequence[MessageLike] | None = options["messages"]
    if (question is None) == (messages is None):
        raise TypeError("either a question or messages")
    expand: Expansion | None = options["expand"]
    filter: FilterLike = options["filter"]
    plain = ("k", "token_budget", "template", "template_source", "min_score", "mmr", "per_document", "tokens_of")
    return v1.EnrichRequest(
        collection=collection,
        question=question or "",
        messages=chat(messages or ()),
        filter=as_wire(filter),
        mode=mode_number(options["mode"]),
        data_marking=marking_number(options["data_marking"]),
        rerank=reranking(options["rerank"]),
        expand=None
        if expand is None
        else v1.Expansion(before=expand.before, after=expand.after, section=expand.section, parents=expand.parents),
        at_least=at_least,
        **{name: options[name] for name in plain},
    )


def _optional(wire: Any, name: str) -> Any:
    return getattr(wire, name) if wire.HasField(name) else None


def _scores(wire: v1.StageScores) -> StageScores:
    return StageScores(*(_optional(wire, name) for name in ("nearness", "words", "hybrid", "mmr", "rerank")))


def _dropped(wire: v1.DroppedChunk) -> DroppedChunk:
    reason = word(v1.DropReason, "DROP_REASON", wire.reason)
    beside = _optional(wire, "beside")
    return DroppedChunk(wire.document, wire.ordinal, wire.start, wire.end, wire.score, wire.tokens, reason, beside)


def _cited(wire: v1.CitedChunk) -> CitedChunk:
    scores = _scores(wire.scores) if wire.HasField("scores") else None
    return CitedChunk(wire.ordinal, wire.start, wire.end, wire.score, scores, _optional(wire, "beside"))


def read_enriched(wire: v1.EnrichResponse) -> Enriched:
    """A prompt that was read."""
    citations = [
        Citation(
            one.index, one.document, one.heading, one.start, one.end, one.score, one.text, list(map(_cited, one.chunks))
        )
        for one in wire.citations
    ]
    tokens = wire.tokens
    return Enriched(
        messages=read_messages(wire.messages),
        query=wire.query,
        citations=citations,
        dropped=[_dropped(one) for one in wire.dropped],
        tokens=TokenReport(
            instructions=tokens.instructions,
            context=tokens.context,
            history=tokens.history,
            question=tokens.question,
            total=tokens.total,
            budget=tokens.budget,
            history_messages_dropped=tokens.history_messages_dropped,
            counted_with=tokens.counted_with,
        ),
        timings=read_timings(wire.timings),
        template=wire.template,
        rerank_truncated=wire.rerank_truncated,
    )


def read_answer(wire: v1.Answer, evidence: Enriched | None) -> Answer:
    """An answer that was read."""
    reason = word(v1.FinishReason, "FINISH_REASON", wire.finish_reason) if wire.finish_reason else wire.finish_word
    cited = wire.citations
    usage = TokenUsage(wire.usage.prompt_tokens, wire.usage.completion_tokens) if wire.HasField("usage") else None
    return Answer(
        text=wire.text,
        model=wire.model,
        finish_reason=reason,
        citations=CheckedCitations(
            uses=[CitationUse(use.index, use.start, use.end) for use in cited.uses],
            cited=list(cited.cited),
            unknown=list(cited.unknown),
            unused=list(cited.unused),
        ),
        usage=usage,
        timings=read_timings(wire.timings),
        cached=wire.cached,
        evidence=evidence,
    )
