"""Qdrant's local mode: a directory of `QdrantClient(path=…)`, read by `qdrant-client` itself, which loads all of it into memory."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ragstone._schema import DenseVector, Element, Metric, MultiVectors, SparseVectors, VectorOptions
from ragstone._vectors import MultiVector, SparseVector
from ragstone.migrate._model import MigrationError, Row, Source, need

METRICS: dict[str, Metric] = {"Cosine": "cosine", "Dot": "dot", "Euclid": "l2"}
META = "meta.json"


@contextmanager
def sources(path: Path) -> Iterator[Mapping[str, Source]]:
    """The collections of a directory, by name."""
    qdrant = need("qdrant_client", "qdrant")
    if not (path / META).is_file():
        raise MigrationError(f"{path} is no directory of Qdrant's local mode: it has no {META}")
    try:
        with warnings.catch_warnings():
            # That local mode is for few rows is why they are moved.
            warnings.simplefilter("ignore", UserWarning)
            client = qdrant.QdrantClient(path=str(path))
    except (RuntimeError, ValueError) as error:
        raise MigrationError(str(error)) from error
    try:
        searched = json.loads((path / META).read_text(encoding="utf-8")).get("text_indexes", {})
        names = sorted(collection.name for collection in client.get_collections().collections)
        yield {name: QdrantCollection(client, name, list(searched.get(name, ()))) for name in names}
    finally:
        client.close()


class QdrantCollection:
    """A collection of Qdrant's."""

    called: Mapping[str, str] = MappingProxyType({})

    def __init__(self, client: Any, name: str, texts: list[str]) -> None:
        """Reads its configuration."""
        self._client = client
        self.name = name
        self.texts: Sequence[str] = texts
        self.notes: Sequence[str] = []
        self.aliases: Sequence[str] = sorted(one.alias_name for one in client.get_collection_aliases(name).aliases)
        params = client.get_collection(name).config.params
        dense = params.vectors or {}
        if not isinstance(dense, Mapping):
            dense = {"": dense}
        sparse = params.sparse_vectors or {}
        self.vectors: Mapping[str, VectorOptions] = {
            **{vector: self._dense(vector, one) for vector, one in dense.items()},
            **{vector: SparseVectors() for vector in sparse},
        }
        weighed = [vector for vector, one in sparse.items() if str(one.modifier or "").lower() == "idf"]
        self.notes = [f"vector `{one}` was weighed by how rare components are (IDF); here it is not" for one in weighed]

    def _dense(self, name: str, params: Any) -> VectorOptions:
        distance = str(params.distance)
        shown = f"`{self.name}`{f', vector `{name}`,' if name else ''}"
        if distance not in METRICS:
            raise MigrationError(f"{shown} has the metric {distance}; Ragstone has cosine, dot and l2")
        metric = METRICS[distance]
        element: Element = "f16" if "float16" in str(getattr(params, "datatype", None) or "").lower() else "f32"
        if not params.multivector_config:
            return DenseVector(params.size, metric, element)
        if metric == "l2":
            raise MigrationError(
                f"{shown} has many vectors a row under {distance}; Ragstone has cosine and dot for these"
            )
        return MultiVectors(params.size, metric, element)

    def count(self) -> int:
        """See `Source`."""
        count: int = self._client.count(self.name, exact=True).count
        return count

    def payloads(self, page: int) -> Iterator[Mapping[str, Any]]:
        """See `Source`."""
        for record in self._records(page, with_vectors=False):
            yield record.payload or {}

    def rows(self, page: int) -> Iterator[Row]:
        """See `Source`."""
        for record in self._records(page, with_vectors=True):
            vectors = record.vector if isinstance(record.vector, Mapping) else {"": record.vector}
            own = {name: _own(self.vectors[name], vector) for name, vector in vectors.items() if vector is not None}
            yield Row(record.id, record.payload or {}, own)

    def _records(self, page: int, *, with_vectors: bool) -> Iterator[Any]:
        offset = None
        while True:
            records, offset = self._client.scroll(
                self.name, limit=page, offset=offset, with_payload=True, with_vectors=with_vectors
            )
            yield from records
            if offset is None:
                return


def _own(kind: VectorOptions, vector: Any) -> Any:
    if isinstance(kind, SparseVectors):
        pairs = sorted(zip(vector.indices, vector.values, strict=True))
        return SparseVector([index for index, _ in pairs], [value for _, value in pairs])
    return MultiVector(vector) if isinstance(kind, MultiVectors) else vector
