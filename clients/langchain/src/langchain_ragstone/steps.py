"""What the store asks of its collection, for either client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, TypeAlias

from langchain_core.documents import Document
from ragstone import CollectionNotFound, Hit, Point, TextQuery
from ragstone.frameworks import EVERYTHING, Rows, Schema, Steps

from langchain_ragstone import filters
from langchain_ragstone.documents import TEXT, document, points
from langchain_ragstone.filters import FilterLike
from langchain_ragstone.relevance import FUNCTIONS

Mode: TypeAlias = Literal["dense", "text", "hybrid"]
"""How texts are found: by the nearness of their vectors, by their words, or by both."""
IDS_MAX = 10_000


@dataclass
class Question:
    """A search: what for, how, and how many are wanted."""

    text: str
    vector: Sequence[float] | None
    k: int
    mode: Mode
    filter: FilterLike
    options: Mapping[str, Any]

    def with_vectors(self) -> Question:
        """The same search, whose hits come with their vectors."""
        return replace(self, options={**self.options, "with_vectors": True})


class StoreSteps:
    """What the store's methods do."""

    def __init__(self, schema: Schema) -> None:
        """Of how the collection is made."""
        self._rows = Rows(schema, TEXT)

    def forget(self) -> None:
        """The collection is another one from here on."""
        self._rows.forget()

    def add(
        self,
        rows: Sequence[tuple[str, str, Mapping[str, Any]]],
        vectors: Sequence[Sequence[float]],
        options: Mapping[str, Any],
    ) -> Steps[list[str]]:
        """Stores rows, each an id, a text and metadata."""
        yield from self._rows.upsert(lambda known: points(rows, vectors, known), options)
        return [id for id, _, _ in rows]

    def relevance(self) -> Steps[Callable[[float], float]]:
        """What makes a relevance from 0 to 1 of a score of the collection's metric."""
        return FUNCTIONS[(yield from self._rows.metric())]

    def delete(self, ids: Sequence[str] | None, filter: FilterLike, options: Mapping[str, Any]) -> Steps[bool]:
        """Removes rows by id or filter, or all."""
        if ids is not None and filter is not None:
            raise ValueError("either ids or a filter")
        try:
            if ids is not None:
                if ids:
                    yield lambda collection: collection.delete(ids, **options)
                return True
            condition = EVERYTHING if filter is None else (yield from filters.of_rows(filter, self._rows))
            yield lambda collection: collection.delete(filter=condition, **options)
        except CollectionNotFound:
            pass
        return True

    def get(self, ids: Sequence[str]) -> Steps[list[Document]]:
        """Reads rows by id."""
        found: list[Point] = []
        try:
            for start in range(0, len(ids), IDS_MAX):
                found += yield partial(_get, ids[start : start + IDS_MAX])
        except CollectionNotFound:
            pass
        return [document(point) for point in found]

    def search(self, question: Question) -> Steps[list[Hit]]:
        """Finds rows; none in a collection that is not there yet."""
        k, options = question.k, question.options
        try:
            condition = yield from filters.of_rows(question.filter, self._rows)
            if question.mode == "dense":
                found = yield lambda collection: collection.search(question.vector, k, filter=condition, **options)
            elif question.mode == "text":
                words = TextQuery(question.text, [TEXT])
                found = yield lambda collection: collection.query(words, k, filter=condition, **options)
            elif question.mode == "hybrid":
                options = {"fields_searched": [TEXT], **options, "vector": question.vector}
                found = yield lambda collection: collection.hybrid(question.text, k, filter=condition, **options)
            else:
                raise ValueError(f"the modes are dense, text and hybrid, and this is {question.mode!r}")
        except CollectionNotFound:
            return []
        return list(found)


def _get(ids: Sequence[str], collection: Any) -> Any:
    return collection.get(ids)
