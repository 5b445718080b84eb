"""What points are ranked by: a tree of at most 8 levels and 64 sources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from ragstone import v1
from ragstone._enums import number
from ragstone._values import set_id, several
from ragstone._vectors import MultiVector, SparseVector, VectorLike, set_dense, set_multi, set_sparse
from ragstone.filters import FilterLike, as_wire

Strategy: TypeAlias = Literal["average_vector", "best_score"]


@dataclass(slots=True, kw_only=True)
class Source:
    """What points are ranked by; the classes derived from it."""

    weight: float | None = None
    """In a `Fuse`, how much the source counts: 0, or from 1e-30 to 1e30, and not 0 for all; 1 if None."""

    def weighted(self, weight: float) -> Source:
        """The same source with this weight."""
        return replace(self, weight=weight)

    def wire(self) -> v1.Source:
        """For the client itself."""
        wire = v1.Source()
        if self.weight is not None:
            wire.weight = self.weight
        self._fill(wire)
        return wire

    def _fill(self, wire: v1.Source) -> None:
        raise NotImplementedError


@dataclass(slots=True)
class Nearest(Source):
    """The points whose vectors are nearest to one, scored as the vector's metric has it."""

    query: VectorLike | str | SparseVector | MultiVector
    """A vector; or a text, embedded by the collection's model."""
    by: str = ""
    """Name of the vector that is compared; empty for the default one."""
    ef: int | None = None
    """Width of the walk over the graph, 1 to 100,000: larger finds more of the true neighbours and takes longer."""
    exact: bool = False
    """Compare with every point instead of walking the graph."""

    def _fill(self, wire: v1.Source) -> None:
        nearest = wire.nearest
        nearest.vector, nearest.exact = self.by, self.exact
        if self.ef is not None:
            nearest.ef = self.ef
        if isinstance(self.query, str):
            nearest.text = self.query
        elif isinstance(self.query, SparseVector):
            set_sparse(nearest.sparse, self.query)
        elif isinstance(self.query, MultiVector):
            set_multi(nearest.multi, self.query)
        else:
            set_dense(nearest.dense, self.query)


@dataclass(slots=True)
class TextQuery(Source):
    """The points whose texts have the words of a query, scored by BM25."""

    text: str
    """The words, analysed as each field is."""
    fields: Sequence[str] | Mapping[str, float] | None = None
    """The text fields to look into, 256 at most, with what each counts (0.001 to 1,000) if it is a mapping; all if None."""
    all_terms: bool = False
    """Whether one field must have all words; else one of them is enough."""

    def _fill(self, wire: v1.Source) -> None:
        wire.text.query, wire.text.all_terms = self.text, self.all_terms
        for name in several(self.fields or (), "fields"):
            field = wire.text.fields.add(field=name)
            if isinstance(self.fields, Mapping):
                field.boost = self.fields[name]


@dataclass(slots=True)
class Recommend(Source):
    """The points like some examples and unlike others, at most 256 together: ids of points, which are not in the answer, and vectors."""

    positive: Sequence[Any]
    negative: Sequence[Any] = ()
    by: str = ""
    """Name of the vector that is compared; empty for the default one."""
    strategy: Strategy = "average_vector"
    """By nearness to twice the average of the positive examples less that of the negative ones; or by the nearest example."""
    ef: int | None = None
    exact: bool = False

    def _fill(self, wire: v1.Source) -> None:
        recommend = wire.recommend
        recommend.vector, recommend.exact = self.by, self.exact
        recommend.strategy = number(v1.RecommendStrategy, "RECOMMEND_STRATEGY", self.strategy, "strategy")
        if self.ef is not None:
            recommend.ef = self.ef
        for example in several(self.positive, "positive"):
            _set_example(recommend.positive.add(), example)
        for example in several(self.negative, "negative"):
            _set_example(recommend.negative.add(), example)


def _set_example(wire: v1.Example, example: Any) -> None:
    if isinstance(example, str) or (hasattr(example, "__index__") and not hasattr(example, "__len__")):
        set_id(wire.id, example)
    else:
        set_dense(wire.vector, example)


@dataclass(slots=True)
class OrderBy(Source):
    """Points by the values of a field: bool, int, float, string or timestamp. Those without it come last."""

    field: str
    descending: bool = False
    """Greatest first."""

    def _fill(self, wire: v1.Source) -> None:
        wire.order_by.field, wire.order_by.descending = self.field, self.descending


@dataclass(slots=True)
class Fuse(Source):
    """One ranking of 1 to 16 sources. A point that is in several of them comes once."""

    sources: Sequence[Source]
    method: Literal["rrf", "weighted"] = "rrf"
    """By reciprocal ranks: `weight / (rrf_k + place)` in each source; or by scores, stretched to 0 … 1 in each, times its weight."""
    rrf_k: float | None = None
    """How little first places count above others, 0 to a million; 60 if None. Of reciprocal ranks alone."""
    candidates: int | None = None
    """How many points each source is asked for, at most 10,000; 100 if None."""

    def _fill(self, wire: v1.Source) -> None:
        wire.fuse.sources.extend(source.wire() for source in self.sources)
        if self.method == "weighted":
            if self.rrf_k is not None:
                raise ValueError("`rrf_k` is of reciprocal ranks, and `method` is weighted")
            wire.fuse.weighted.SetInParent()
        elif self.method != "rrf":
            raise ValueError(f"`method` is one of rrf, weighted, and not {self.method!r}")
        elif self.rrf_k is not None:
            wire.fuse.reciprocal_rank.k = self.rrf_k
        if self.candidates is not None:
            wire.fuse.candidates = self.candidates
        wire.fuse.SetInParent()


@dataclass(slots=True)
class Rescore(Source):
    """The best points of one source, ranked by another: exactly."""

    source: Source
    """What gives the candidates."""
    by: Source
    """What ranks them."""
    candidates: int | None = None
    """How many, at most 10,000; 100 if None."""

    def _fill(self, wire: v1.Source) -> None:
        getattr(wire.rescore, "from").CopyFrom(self.source.wire())
        wire.rescore.by.CopyFrom(self.by.wire())
        if self.candidates is not None:
            wire.rescore.candidates = self.candidates


SourceLike: TypeAlias = Source | VectorLike | str | SparseVector | MultiVector
"""A source; or what is searched for by the default vector: a vector, or a text that the collection's model embeds."""


def as_source(source: SourceLike) -> Source:
    """A source of whatever form."""
    return source if isinstance(source, Source) else Nearest(source)


@dataclass(slots=True)
class Query:
    """A question for points, as `query_batch` takes them; the fields are the arguments of `Collection.query`."""

    source: SourceLike
    k: int = 10
    filter: FilterLike = None
    threshold: float | None = None
    fields: Sequence[str] | None = None
    with_payload: bool = True
    with_vectors: bool | Sequence[str] = False
    budget_ms: int | None = None
    explain: bool = False

    def wire(self, collection: str = "", at_least: str = "") -> v1.QueryRequest:
        """For the client itself."""
        wire = v1.QueryRequest(collection=collection, k=self.k, at_least=at_least)
        if isinstance(self.source, str):
            wire.text = self.source
        elif isinstance(self.source, Source):
            wire.source.CopyFrom(self.source.wire())
        elif isinstance(self.source, (SparseVector, MultiVector)):
            wire.source.CopyFrom(Nearest(self.source).wire())
        else:
            set_dense(wire.vector, self.source)
        filter = as_wire(self.filter)
        if filter is not None:
            wire.filter.CopyFrom(filter)
        if self.threshold is not None:
            wire.threshold = self.threshold
        if self.fields is not None:
            wire.fields.extend(several(self.fields, "fields"))
        wire.without_payload = not self.with_payload or (self.fields is not None and not self.fields)
        if self.with_vectors is True:
            wire.with_vectors = True
        elif self.with_vectors:
            wire.vectors.extend(several(self.with_vectors, "with_vectors"))
        if self.budget_ms is not None:
            wire.budget_ms = self.budget_ms
        wire.explain = self.explain
        return wire
