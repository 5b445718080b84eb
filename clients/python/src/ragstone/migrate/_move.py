"""Moves collections, whatever store they come from: looks at their fields, makes what they go into, streams their rows, and counts."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ragstone._documents import RefusedItem
from ragstone._points import Point
from ragstone._schema import DenseVector, MultiVectors, VectorOptions
from ragstone._sync.client import Client
from ragstone._sync.collection import Collection
from ragstone._sync.points import UNDER_WAY_MAX
from ragstone.migrate._fields import Fields
from ragstone.migrate._model import MigrationError, Moved, Options, Row, Source
from ragstone.migrate._model import rows as in_words
from ragstone.migrate._names import collection_name, row_id

VECTORS_MAX = 16


def move_all(
    sources: Mapping[str, Source],
    client: Client,
    collections: Sequence[str] | Mapping[str, str] | None,
    options: Options,
) -> list[Moved]:
    """Moves those that are asked for, or all. What can be refused of any of them is, before the first row is moved."""
    asked = list(sources) if collections is None else list(collections)
    for name in asked:
        if name not in sources:
            raise MigrationError(f"there is no collection `{name}`; there are {', '.join(sources) or 'none'}")
    named = collections if isinstance(collections, Mapping) else {}
    targets = {name: named.get(name) or collection_name(name) for name in asked}
    _refuse(sources, targets, client, options)
    reports = []
    for name, target in targets.items():
        reports.append(_move(sources[name], target, client, options))
        if options.on_moved is not None:
            options.on_moved(reports[-1])
    return reports


def _refuse(sources: Mapping[str, Source], targets: Mapping[str, str], client: Client, options: Options) -> None:
    taken: dict[str, str] = {}
    for name, target in targets.items():
        if target in taken:
            raise MigrationError(f"`{taken[target]}` and `{name}` would both be called `{target}`: name their targets")
        taken[target] = name
        vectors = sources[name].vectors
        if len(vectors) > VECTORS_MAX:
            raise MigrationError(f"`{name}` has {len(vectors)} vectors, and a collection has {VECTORS_MAX} at most")
        if not client.has_collection(target):
            continue
        if not options.into_existing:
            raise MigrationError(f"there is a collection `{target}` already: name another, or allow to write into it")
        there = client.collection(target).info().vectors
        for vector, kind in vectors.items():
            if _essence(there.get(vector)) != _essence(kind):
                shown = f"vector `{vector}`" if vector else "default vector"
                raise MigrationError(
                    f"the {shown} of `{target}` is {there.get(vector)}, and that of `{name}` is {kind}"
                )


def _essence(kind: VectorOptions | None) -> tuple[Any, ...]:
    """What must be the same of two vectors."""
    if isinstance(kind, (DenseVector, MultiVectors)):
        return type(kind), kind.dimension, kind.metric
    return (type(kind),)


def _move(source: Source, target: str, client: Client, options: Options) -> Moved:
    moved = Moved(source.name, target, of=source.count(), vectors=source.vectors, notes=list(source.notes))
    if not source.vectors:
        moved.notes.append("it has no rows, so nothing says what its vectors are: no collection was made")
        return moved
    if target != source.name:
        moved.notes.append(f"`{source.name}` is called `{target}` here")
    fields = Fields.of(source.payloads(options.batch_size), source.called)
    texts, others = fields.texts(options.texts, source.texts)
    moved.fields, moved.texts = fields.types, texts
    moved.notes += fields.notes
    moved.notes += [
        f"`{name}` holds no texts, or not only: it is not searched by word"
        for name in others
        if name not in source.called
    ]
    collection, before = _target(client, moved)
    stream = Stream(fields, moved, options.batch_size)
    result = collection.ingest(
        stream.points(source.rows(options.batch_size)),
        batch_size=options.batch_size,
        progress=options.progress,
        on_refused=stream.refused,
    )
    moved.rows = result.stored
    stream.tell()
    twice = result.stored - collection.count() if before == 0 else 0
    if twice > 0:
        moved.rows -= twice
        moved.left["another row came later under the same id"] = []
        moved.left_counts["another row came later under the same id"] = twice
    _alias(source, client, moved)
    return moved


def _target(client: Client, moved: Moved) -> tuple[Collection, int]:
    """The collection that rows go into, and how many it has."""
    fields = {name: kind for name, kind in moved.fields.items() if name not in moved.texts}
    if client.has_collection(moved.target):
        collection = client.collection(moved.target)
        collection.add_fields(fields, texts=moved.texts)
        return collection, collection.count()
    default = moved.vectors.get("")
    options: dict[str, Any] = {"without_default_vector": True}
    if isinstance(default, DenseVector):
        options = {"dimension": default.dimension, "metric": default.metric, "element": default.element}
    named = {name: kind for name, kind in moved.vectors.items() if name}
    collection = client.create_collection(moved.target, fields=fields, texts=moved.texts, vectors=named, **options)
    return collection, 0


def _alias(source: Source, client: Client, moved: Moved) -> None:
    for alias in source.aliases:
        name = collection_name(alias)
        if client.has_collection(name) and client.collection(name).info().name != moved.target:
            moved.notes.append(f"the alias `{alias}` was left behind: there is something else called `{name}`")
        else:
            client.set_alias(name, moved.target)
            moved.notes.append(f"the alias `{name}` names it here, too")


class Stream:
    """The rows of a source as points; what is refused of them is told by its id."""

    def __init__(self, fields: Fields, moved: Moved, batch_size: int) -> None:
        """Of the fields that they get, and the report."""
        self._fields, self._moved = fields, moved
        self._changed: Counter[str] = Counter()
        # The ids of rows that may still be refused: those under way, the batch that is being filled, and the one before.
        self._ids: deque[tuple[int, Any]] = deque(maxlen=(UNDER_WAY_MAX + 2) * batch_size)

    def points(self, rows: Iterable[Row]) -> Iterator[Point]:
        """The points, as they are asked for."""
        index = 0
        for row in rows:
            try:
                id = row_id(row.id)
            except ValueError as error:
                self._moved.leave(str(error), row.id)
                continue
            if str(id) != str(row.id):
                self._changed["the id is one of Ragstone's own, so that `id:` stands before it"] += 1
            vectors = dict(self._vectors(row))
            self._ids.append((index, row.id))
            index += 1
            yield Point(id, vectors.pop("", None), self._fields.fit(row.payload), vectors)

    def _vectors(self, row: Row) -> Iterator[tuple[str, Any]]:
        import numpy as np

        for name, vector in row.vectors.items():
            kind = self._moved.vectors[name]
            if isinstance(kind, DenseVector):
                vector = np.asarray(vector, dtype=np.float32)
                shown = f"vector `{name}`" if name else "vector"
                if not np.isfinite(vector).all():
                    self._changed[f"the {shown} has numbers that are not finite, and is left out"] += 1
                    continue
                if kind.metric == "cosine" and not vector.any():
                    self._changed[f"the {shown} is zero, which has no cosine, and is left out"] += 1
                    continue
            yield name, vector

    def refused(self, item: RefusedItem) -> None:
        """The server did not take a point."""
        id = next((id for index, id in self._ids if index == item.index), item.index)
        message = re.sub(r"points\[\d+\]", "the row", item.message)
        self._moved.leave(f"{item.reason}: {message}", id)

    def tell(self) -> None:
        """Writes into the report what was changed, and how often."""
        self._moved.notes += [f"in {in_words(count)} {what}" for what, count in self._changed.items()]
