"""What searches find."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar, overload

from ragstone import v1
from ragstone._enums import word
from ragstone._values import Id, Value, moment, read_id, read_payload, read_value
from ragstone._vectors import any_vector, dense

T = TypeVar("T")


class Found(Sequence[T], Generic[T]):
    """A list of what was found, best first, with how it was."""

    __slots__ = ("_items",)

    def __init__(self, items: list[T]) -> None:
        """Of the items."""
        self._items = items

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        """The item at a place, or those of a slice."""
        return self._items[index]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        """Best first."""
        return iter(self._items)

    def __repr__(self) -> str:
        """The items."""
        return f"{type(self).__name__}({self._items!r})"


@dataclass(slots=True)
class Hit:
    """A point found."""

    id: Id
    score: float | None
    """By the root of the source: of a vector its metric, cosine or inner product (larger is nearer) or Euclidean distance (smaller is nearer);
    of a fusion its sum. None where points are in the order of a field.
    """
    payload: dict[str, Value] = field(default_factory=dict)
    """Its fields, as far as they were asked for."""
    vector: array[float] | None = None
    """Its vector, if that was asked for."""
    vectors: dict[str, Any] = field(default_factory=dict)
    """Its further vectors, as far as they were asked for."""
    expires_at: datetime | None = None
    """When it is gone; never if None."""
    etag: int | None = None
    """The number of the write that last changed it: see `Precondition.etag`."""


@dataclass(slots=True)
class HitGroup:
    """Points that have a value in common, best first."""

    value: Value
    hits: list[Hit]


@dataclass(slots=True)
class QueryStats:
    """How a search was done."""

    segments: int
    """Segments looked at."""
    distances: int
    """Vectors compared."""
    exact: bool
    """Whether every matching point was compared."""
    interrupted: str | None
    """Why it ended early, if it did: `cancelled` or `out_of_time`; then better points may be missing."""


@dataclass(slots=True)
class SegmentReport:
    """What was done in one segment."""

    segment: int
    sealed: bool
    rows: int
    matching: int
    """Live points that the stage may return. 0 of what is not `exact` says that they were not counted before the search
    was interrupted, and not that none matches."""
    plans: list[str]
    """The ways taken, in order: `walk`, `filtered_walk`, `scan_rows`, `postings` …"""
    distances: int
    found: int
    exact: bool
    micros: int


@dataclass(slots=True)
class Stage:
    """One stage: a source, or what is done with its points."""

    path: str
    """Which, as errors name it: `source.fuse.sources[0].nearest`; `range` for a range."""
    runs: int
    wanted: int
    rows: int
    exact: bool
    micros: int
    postings: int
    segments: list[SegmentReport]


@dataclass(slots=True)
class Explain:
    """How an answer came about."""

    exact: bool
    """Whether no stage took a way that may miss points, and none was interrupted."""
    micros: int
    stages: list[Stage]
    """What was done, each stage before those that read its points."""


class QueryResult(Found[Hit]):
    """Hits, best first: a sequence, with `stats`, `timings` and, if it was asked for, `explain`."""

    __slots__ = ("explain", "stats", "timings")

    def __init__(
        self, hits: list[Hit], stats: QueryStats, timings: dict[str, float], explain: Explain | None = None
    ) -> None:
        """Of hits and how they were found."""
        super().__init__(hits)
        self.stats = stats
        self.timings = timings
        """Milliseconds of each stage: `embed`, `search`."""
        self.explain = explain

    @property
    def hits(self) -> list[Hit]:
        """The hits as a list."""
        return self._items


class RangeResult(Found[Hit]):
    """Hits within a threshold, nearest first, with `explain` if it was asked for; `truncated` says whether there are more than the limit."""

    __slots__ = ("explain", "stats", "timings", "truncated")

    def __init__(self, wire: v1.SearchRangeResponse) -> None:
        """Of the answer."""
        super().__init__([read_hit(hit) for hit in wire.hits])
        self.truncated = wire.truncated
        self.stats = read_stats(wire.stats)
        self.timings = read_timings(wire.timings)
        self.explain = read_explain(wire.explain) if wire.HasField("explain") else None


def read_hit(wire: v1.Hit) -> Hit:
    """A hit that was read."""
    return Hit(
        read_id(wire.id),
        wire.score if wire.HasField("score") else None,
        read_payload(wire.payload),
        dense(wire.vector) if wire.HasField("vector") else None,
        {name: any_vector(vector) for name, vector in wire.vectors.items()} if len(wire.vectors) else {},
        moment(wire.expires_at) if wire.HasField("expires_at") else None,
        wire.etag if wire.HasField("etag") else None,
    )


def read_stats(wire: v1.QueryStats) -> QueryStats:
    """Statistics that were read."""
    interrupted = word(v1.Interrupted, "INTERRUPTED", wire.interrupted) if wire.interrupted else None
    return QueryStats(wire.segments, wire.distances, wire.exact, interrupted)


def read_timings(wire: Iterable[v1.StageTiming]) -> dict[str, float]:
    """Milliseconds by stage; `total`, where given, comes last."""
    return {timing.stage: timing.milliseconds for timing in wire}


def read_result(wire: v1.QueryResponse) -> QueryResult:
    """An answer that was read."""
    explain = read_explain(wire.explain) if wire.HasField("explain") else None
    return QueryResult(
        [read_hit(hit) for hit in wire.hits], read_stats(wire.stats), read_timings(wire.timings), explain
    )


def read_groups(wire: v1.QueryResponse) -> list[HitGroup]:
    """Groups that were read."""
    return [HitGroup(read_value(group.value), [read_hit(hit) for hit in group.hits]) for group in wire.groups]


def read_explain(wire: v1.Explain) -> Explain:
    """An explanation that was read."""
    stages = [
        Stage(
            path=stage.path,
            runs=stage.runs,
            wanted=stage.wanted,
            rows=stage.rows,
            exact=stage.exact,
            micros=stage.micros,
            postings=stage.postings,
            segments=[_segment(segment) for segment in stage.segments],
        )
        for stage in wire.stages
    ]
    return Explain(wire.exact, wire.micros, stages)


def _segment(wire: v1.SegmentReport) -> SegmentReport:
    return SegmentReport(
        segment=wire.segment,
        sealed=wire.sealed,
        rows=wire.rows,
        matching=wire.matching,
        plans=[word(v1.SegmentPlan, "SEGMENT_PLAN", plan) for plan in wire.plans],
        distances=wire.distances,
        found=wire.found,
        exact=wire.exact,
        micros=wire.micros,
    )
