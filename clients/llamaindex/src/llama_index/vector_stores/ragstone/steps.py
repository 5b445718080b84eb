"""What the store asks of its collection, for either client."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any

from llama_index.core.indices.query.embedding_utils import get_top_k_mmr_embeddings
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)

from llama_index.vector_stores.ragstone import filters
from llama_index.vector_stores.ragstone.nodes import DOCUMENT, ID, TEXT, node, points
from ragstone import CollectionNotFound, Filter, Fuse, Hit, Nearest, Page, Point, Rescore, Source, TextQuery
from ragstone.frameworks import EVERYTHING, Rows, Schema, Steps

IDS_MAX = 10_000
PAGE_SIZE = 1_000
CANDIDATES = 100
MMR_PREFETCH_FACTOR = 4
HYBRID = (VectorStoreQueryMode.HYBRID, VectorStoreQueryMode.SEMANTIC_HYBRID)
TEXT_MODES = (VectorStoreQueryMode.TEXT_SEARCH, VectorStoreQueryMode.SPARSE)


class StoreSteps:
    """What the store's methods do."""

    def __init__(self, schema: Schema) -> None:
        """Of how the collection is made."""
        self._rows = Rows(schema, TEXT)

    def add(self, nodes: Sequence[BaseNode], batch_size: int, options: Mapping[str, Any]) -> Steps[list[str]]:
        """Stores nodes; makes the collection if it is not there."""
        for start in range(0, len(nodes), batch_size):
            yield from self._rows.upsert(partial(points, nodes[start : start + batch_size]), options)
        return [one.node_id for one in nodes]

    def delete(self, condition: Filter, options: Mapping[str, Any]) -> Steps[None]:
        """Removes the rows that pass."""
        try:
            yield lambda collection: collection.delete(filter=condition, **options)
        except CollectionNotFound:
            pass

    def delete_document(self, document: str, options: Mapping[str, Any]) -> Steps[None]:
        """Removes the nodes of a document."""
        try:
            conditions = yield from self._rows.conditions([DOCUMENT])
        except CollectionNotFound:
            return
        yield from self.delete(conditions.equal(DOCUMENT, document), options)

    def delete_nodes(
        self, ids: Collection[str] | None, wanted: MetadataFilters | None, options: Mapping[str, Any]
    ) -> Steps[None]:
        """Removes nodes by id, by filter, or by both."""
        if ids is None and wanted is None:
            raise ValueError("either node_ids or filters; `clear` removes all")
        if isinstance(ids, str):
            raise TypeError("`node_ids` is a list, and not one text: write [...] around it")
        if ids is not None and wanted is None:
            # A filter has fewer values than there may be ids. Sets of them, too, come in parts.
            every = list(ids)
            try:
                for start in range(0, len(every), IDS_MAX):
                    yield partial(_delete, every[start : start + IDS_MAX], options)
            except CollectionNotFound:
                pass
            return
        try:
            condition = yield from self._condition(ids, None, wanted)
        except CollectionNotFound:
            return
        yield from self.delete(EVERYTHING if condition is None else condition, options)

    def clear(self) -> Steps[None]:
        """Removes all nodes."""
        yield from self.delete(EVERYTHING, {})

    def get(self, ids: Sequence[str] | None, wanted: MetadataFilters | None) -> Steps[list[BaseNode]]:
        """Reads nodes by id, in that order, or those that pass, or all."""
        found: list[Point] = []
        try:
            if ids is not None and wanted is None:
                for start in range(0, len(ids), IDS_MAX):
                    found += yield partial(_get, ids[start : start + IDS_MAX])
            else:
                condition = yield from self._condition(ids, None, wanted)
                page: Page[Point] | None = None
                while page is None or page.next_page_token:
                    page = yield partial(_page, condition, page.next_page_token if page else "")
                    found += page.items
        except CollectionNotFound:
            pass
        return [node(point) for point in found]

    def query(self, query: VectorStoreQuery, options: dict[str, Any]) -> Steps[VectorStoreQueryResult]:
        """Finds nodes; none in a collection that is not there yet."""
        prefetch = {name: options.pop(name, None) for name in ("mmr_prefetch_factor", "mmr_prefetch_k")}
        threshold = options.pop("mmr_threshold", query.mmr_threshold)
        is_mmr = query.mode == VectorStoreQueryMode.MMR
        k = result_count(query)
        fetched = k
        if is_mmr:
            fetched = prefetch["mmr_prefetch_k"] or k * (prefetch["mmr_prefetch_factor"] or MMR_PREFETCH_FACTOR)
        try:
            # An index that has no list of its nodes, as here they are in the store, asks with an empty one.
            condition = yield from self._condition(query.node_ids or None, query.doc_ids or None, query.filters)
            asked = {"filter": condition, "with_vectors": is_mmr, **options}
            wanted = source(query, max(k, fetched))
            hits: list[Hit] = list((yield lambda collection: collection.query(wanted, max(k, fetched), **asked)))
            # A semantic hybrid is ranked, and scored, by nearness as well.
            is_distance = isinstance(wanted, (Nearest, Rescore)) and (yield from self._rows.metric()) == "l2"
        except CollectionNotFound:
            hits, is_distance = [], False
        if is_mmr:
            return spread(query, hits, k, threshold)
        scores = [hit.score or 0.0 for hit in hits]
        return result(hits, [1.0 / (1.0 + score) for score in scores] if is_distance else scores)

    def _condition(
        self, ids: Collection[str] | None, documents: Collection[str] | None, wanted: MetadataFilters | None
    ) -> Steps[Filter | None]:
        """What rows have to fulfil; None if nothing."""
        parts: list[Filter] = []
        for name, values in ((ID, ids), (DOCUMENT, documents)):
            if values is not None:
                conditions = yield from self._rows.conditions([name])
                parts.append(conditions.one_of(name, values))
        if wanted is not None:
            parts.append((yield from filters.read(wanted, self._rows)))
        return Filter.all(parts) if parts else None


def result_count(query: VectorStoreQuery) -> int:
    """How many nodes a query is for."""
    if query.mode in TEXT_MODES:
        return query.sparse_top_k or query.similarity_top_k
    return (query.mode in HYBRID and query.hybrid_top_k) or query.similarity_top_k


def source(query: VectorStoreQuery, k: int) -> Source:
    """Where a query's nodes come from: nearness of vectors, words, or both.

    Both are fused by reciprocal rank, `alpha` being the weight of nearness (0.5 if there is none) and 1 less that the one of words. The semantic hybrid
    finds by both, and ranks what was found by nearness alone.
    """
    if query.mode in TEXT_MODES:
        return TextQuery(text_of(query), [TEXT])
    if query.mode not in (*HYBRID, VectorStoreQueryMode.DEFAULT, VectorStoreQueryMode.MMR):
        raise ValueError(f"Ragstone's store has no mode {query.mode.value}")
    if query.query_embedding is None:
        raise ValueError(f"the mode {query.mode.value} needs a `query_embedding`")
    nearest = Nearest(query.query_embedding, query.embedding_field or "")
    if query.mode not in HYBRID:
        return nearest
    alpha = 0.5 if query.alpha is None else query.alpha
    candidates = max(CANDIDATES, k, query.similarity_top_k, query.sparse_top_k or 0)
    words = TextQuery(text_of(query), [TEXT])
    fused = Fuse([nearest.weighted(alpha), words.weighted(1.0 - alpha)], candidates=candidates)
    return fused if query.mode == VectorStoreQueryMode.HYBRID else Rescore(fused, nearest, candidates)


def text_of(query: VectorStoreQuery) -> str:
    """The question's text."""
    if query.query_str is None:
        raise ValueError(f"the mode {query.mode.value} needs a `query_str`")
    return query.query_str


def result(hits: Sequence[Hit], scores: list[float]) -> VectorStoreQueryResult:
    """Nodes with their similarities and ids."""
    return VectorStoreQueryResult([node(hit) for hit in hits], scores, [str(hit.id) for hit in hits])


def spread(query: VectorStoreQuery, hits: Sequence[Hit], k: int, threshold: float | None) -> VectorStoreQueryResult:
    """Chooses those hits that are near the question and unlike each other, as LlamaIndex does it."""
    vectors = [list(hit.vector or ()) for hit in hits]
    if not vectors or query.query_embedding is None:
        return result([], [])
    scores, places = get_top_k_mmr_embeddings(
        query.query_embedding,
        vectors,
        similarity_top_k=k,
        embedding_ids=list(range(len(vectors))),
        mmr_threshold=threshold,
    )
    # LlamaIndex computes them with NumPy, and JSON has no numbers of NumPy's.
    return result([hits[place] for place in places], list(map(float, scores)))


def _get(ids: Sequence[str], collection: Any) -> Any:
    return collection.get(ids)


def _delete(ids: Sequence[str], options: Mapping[str, Any], collection: Any) -> Any:
    return collection.delete(ids, **options)


def _page(condition: Filter | None, token: str, collection: Any) -> Any:
    return collection.scroll_page(filter=condition, page_token=token, page_size=PAGE_SIZE)
