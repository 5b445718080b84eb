# Made of _aio/search.py by scripts/unasync.py: change that one.
"""What a collection finds: by meaning, by word, by order and by condition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ragstone import _methods as methods
from ragstone import v1
from ragstone._found import Explain, HitGroup, QueryResult, RangeResult, read_explain, read_groups, read_result
from ragstone._sources import (
    Fuse,
    Nearest,
    Query,
    Recommend,
    SourceLike,
    Strategy,
    TextQuery,
)
from ragstone._sync.core import Core
from ragstone._vectors import MultiVector, SparseVector, VectorLike, rows, set_dense
from ragstone.filters import FilterLike, as_wire


class Search:
    """The part of a collection that searches."""

    name: str
    _core: Core

    def search(
        self,
        query: VectorLike | str | SparseVector | MultiVector,
        k: int = 10,
        *,
        by: str = "",
        filter: FilterLike = None,
        ef: int | None = None,
        exact: bool = False,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        budget_ms: int | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> QueryResult:
        """The `k` (1 to 10,000) points nearest to a vector, best first; a text is embedded by the collection's model.

        `by` names a further vector, `ef` (1 to 100,000) is the width of the walk over the graph, `exact` compares with every point, `threshold` is the
        least score (the greatest distance under `l2`). `fields` and `with_vectors` say what comes with the hits. After `budget_ms`
        milliseconds what was found until then is returned, and `stats.interrupted` says so.

        >>> from ragstone import F
        >>> notes = client.create_collection("found", dimension=2)
        >>> _ = notes.upsert([("a", [1.0, 0.1], {"year": 2024}), ("b", [1.0, 0.2], {"year": 2019})])
        >>> hits = notes.search([1.0, 0.15], k=1, filter=F.year >= 2020)
        >>> [(hit.id, hit.payload) for hit in hits]
        [('a', {'year': 2024})]

        Raises `CollectionNotFound`; `InvalidArgument`, naming the field (`k`, `vector`, `filter.and[1].field`); for a text
        `CollectionWithoutModel`, and `ModelLoading` when it takes longer than the deadline.
        """
        request = Query(query, k, filter, threshold, fields, with_payload, with_vectors, budget_ms, explain)
        if by or isinstance(query, (SparseVector, MultiVector)):
            request.source = Nearest(query, by, ef, exact)
            return self._query(request, timeout)
        return self._query(request, timeout, ef, exact)

    def hybrid(
        self,
        text: str,
        k: int = 10,
        *,
        vector: VectorLike | None = None,
        weights: tuple[float, float] = (1.0, 1.0),
        candidates: int | None = None,
        fields_searched: Sequence[str] | Mapping[str, float] | None = None,
        by: str = "",
        filter: FilterLike = None,
        ef: int | None = None,
        exact: bool = False,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        budget_ms: int | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> QueryResult:
        """The points that are nearest to a vector and have the words of a text (BM25), fused by reciprocal rank.

        Without a vector the text is embedded by the collection's model. `weights` are those of nearness and of words; each gives
        `candidates` points (100 by default). Raises what `search` does.
        """
        nearest = Nearest(text if vector is None else vector, by, ef, exact, weight=weights[0])
        words = TextQuery(text, fields_searched, weight=weights[1])
        fused = Fuse([nearest, words], candidates=max(candidates or 100, k) if k > 100 or candidates else None)
        query = Query(fused, k, filter, threshold, fields, with_payload, with_vectors, budget_ms, explain)
        return self._query(query, timeout)

    def query(
        self,
        source: SourceLike,
        k: int = 10,
        *,
        filter: FilterLike = None,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        budget_ms: int | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> QueryResult:
        """The `k` best points of a source: `Nearest`, `TextQuery`, `Recommend`, `OrderBy`, and `Fuse` and `Rescore` of these.

        Raises what `search` does, naming `source.fuse.sources[1].nearest.query` and so on.
        """
        query = Query(source, k, filter, threshold, fields, with_payload, with_vectors, budget_ms, explain)
        return self._query(query, timeout)

    def recommend(
        self,
        positive: Sequence[Any],
        negative: Sequence[Any] = (),
        k: int = 10,
        *,
        by: str = "",
        strategy: Strategy = "average_vector",
        filter: FilterLike = None,
        ef: int | None = None,
        exact: bool = False,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        budget_ms: int | None = None,
        timeout: float | None = None,
    ) -> QueryResult:
        """The points like some examples and unlike others: ids of points, which are not in the answer, and vectors. Raises what `search` does."""
        source = Recommend(positive, negative, by, strategy, ef, exact)
        query = Query(source, k, filter, threshold, fields, with_payload, with_vectors, budget_ms)
        return self._query(query, timeout)

    def _query(self, query: Query, timeout: float | None, ef: int | None = None, exact: bool = False) -> QueryResult:
        request = query.wire(self.name, self._core.written.at_least)
        if ef is not None:
            request.ef = ef
        request.exact = exact
        return read_result(self._core.call(methods.QUERY, request, v1.QueryResponse, timeout))

    def group(
        self,
        source: SourceLike,
        by: str,
        *,
        groups: int = 10,
        per_group: int = 3,
        filter: FilterLike = None,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        budget_ms: int | None = None,
        timeout: float | None = None,
    ) -> list[HitGroup]:
        """The best points of each value of a field, 1 to 1,000 groups in the order of their best points. Raises what `search` does."""
        query = Query(source, groups, filter, threshold, fields, with_payload, with_vectors, budget_ms)
        request = query.wire(self.name, self._core.written.at_least)
        request.group.field, request.group.per_group = by, per_group
        return read_groups(self._core.call(methods.QUERY, request, v1.QueryResponse, timeout))

    def query_batch(self, queries: Sequence[Query], *, timeout: float | None = None) -> list[QueryResult]:
        """Answers many queries, at most 10,000 that ask for 1,000,000 points together, on one state of the collection, in their order.

        Raises what `search` does, naming `queries[3].source` and so on; one that is wrong refuses all.
        """
        request = v1.BatchQueryRequest(
            collection=self.name,
            queries=[query.wire() for query in queries],
            at_least=self._core.written.at_least,
        )
        answer = self._core.call(methods.BATCH_QUERY, request, v1.BatchQueryResponse, timeout)
        return [read_result(response) for response in answer.responses]

    def search_batch(
        self,
        vectors: Any,
        k: int = 10,
        *,
        by: str = "",
        filter: FilterLike = None,
        ef: int | None = None,
        exact: bool = False,
        threshold: float | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool | Sequence[str] = False,
        timeout: float | None = None,
    ) -> list[QueryResult]:
        """The `k` nearest points of each row of an array of shape (queries, dimension), or of each of a sequence of vectors. As `query_batch`;
        the arguments are those of `search`.
        """
        is_plain = not by and ef is None and not exact
        asked = (memoryview(row).cast("f") for row in rows(vectors))
        sources = asked if is_plain else (Nearest(vector, by, ef, exact) for vector in asked)
        queries = [Query(one, k, filter, threshold, fields, with_payload, with_vectors) for one in sources]
        return self.query_batch(queries, timeout=timeout)

    def explain(
        self, source: SourceLike, k: int = 10, *, filter: FilterLike = None, timeout: float | None = None
    ) -> Explain:
        """Tells how a query is answered, without its points; `explain=True` of `query` has both. Raises what `search` does."""
        query = Query(source, k, filter).wire(self.name, self._core.written.at_least)
        request = v1.ExplainRequest(query=query)
        answer = self._core.call(methods.EXPLAIN, request, v1.ExplainResponse, timeout)
        return read_explain(answer.explain)

    def search_range(
        self,
        query: VectorLike | str,
        threshold: float,
        *,
        by: str = "",
        filter: FilterLike = None,
        limit: int | None = None,
        exact: bool = False,
        with_payload: bool = True,
        budget_ms: int | None = None,
        explain: bool = False,
        timeout: float | None = None,
    ) -> RangeResult:
        """All points at least as near to a vector or a text as a threshold, nearest first, at most `limit` (1 to 100,000).

        The threshold is a score as the metric has it: at least this cosine or inner product, at most this Euclidean distance. Raises
        what `search` does.
        """
        request = v1.SearchRangeRequest(
            collection=self.name,
            by=by,
            threshold=threshold,
            filter=as_wire(filter),
            limit=limit,
            exact=exact,
            without_payload=not with_payload,
            budget_ms=budget_ms,
            explain=explain,
            at_least=self._core.written.at_least,
        )
        if isinstance(query, str):
            request.text = query
        else:
            set_dense(request.vector, query)
        return RangeResult(self._core.call(methods.SEARCH_RANGE, request, v1.SearchRangeResponse, timeout))
