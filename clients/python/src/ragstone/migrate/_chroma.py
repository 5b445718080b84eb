"""Chroma: a directory of `chromadb.PersistentClient`, read by `chromadb` itself, page by page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ragstone._schema import DenseVector, Metric, VectorOptions
from ragstone.migrate._model import MigrationError, Row, Source, need

METRICS: dict[str, Metric] = {"cosine": "cosine", "ip": "dot", "l2": "l2"}
TEXT, URI = "chroma:document", "chroma:uri"
"""Chroma lets no metadata have these names."""


@contextmanager
def sources(path: Path) -> Iterator[Mapping[str, Source]]:
    """The collections of a directory, by name."""
    chromadb = need("chromadb", "chroma")
    if not (path / "chroma.sqlite3").is_file():
        raise MigrationError(f"{path} is no directory of Chroma's: it has no chroma.sqlite3")
    client = chromadb.PersistentClient(str(path))
    try:
        # Read anew by name, without the function that embeds texts: it may need a key, or a package that is not here.
        names = sorted(collection.name for collection in client.list_collections())
        yield {name: ChromaCollection(client.get_collection(name, embedding_function=None)) for name in names}
    finally:
        if hasattr(client, "close"):
            client.close()


class ChromaCollection:
    """A collection of Chroma's."""

    called: Mapping[str, str] = MappingProxyType({TEXT: "document", URI: "uri"})
    texts: Sequence[str] = (TEXT,)
    aliases: Sequence[str] = ()
    notes: Sequence[str]

    def __init__(self, collection: Any) -> None:
        """Asks for one row, whose vector tells the dimension."""
        self._collection = collection
        self.name: str = collection.name
        configuration = collection.configuration_json
        index = configuration.get("hnsw") or configuration.get("spann") or {}
        space = index.get("space", "l2")
        if space not in METRICS:
            raise MigrationError(f"`{self.name}` has the metric `{space}`; Ragstone has cosine, dot and l2")
        first = collection.get(limit=1, include=["embeddings"])["embeddings"]
        self.vectors: Mapping[str, VectorOptions] = {}
        if len(first):
            self.vectors = {"": DenseVector(len(first[0]), METRICS[space])}
        self.notes = list(_notes(collection.metadata, configuration.get("embedding_function")))

    def count(self) -> int:
        """See `Source`."""
        count: int = self._collection.count()
        return count

    def payloads(self, page: int) -> Iterator[Mapping[str, Any]]:
        """See `Source`."""
        for rows in self._pages(page, ["metadatas", "documents", "uris"]):
            yield from _payloads(rows)

    def rows(self, page: int) -> Iterator[Row]:
        """See `Source`."""
        for rows in self._pages(page, ["embeddings", "metadatas", "documents", "uris"]):
            for id, vector, payload in zip(rows["ids"], rows["embeddings"], _payloads(rows), strict=True):
                yield Row(id, payload, {"": vector})

    def _pages(self, page: int, include: list[str]) -> Iterator[Mapping[str, Any]]:
        for offset in range(0, self.count(), page):
            yield self._collection.get(limit=page, offset=offset, include=include)


def _payloads(rows: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for metadata, document, uri in zip(rows["metadatas"], rows["documents"], rows["uris"], strict=True):
        yield {
            **(metadata or {}),
            **{name: value for name, value in ((TEXT, document), (URI, uri)) if value is not None},
        }


def _notes(metadata: Mapping[str, Any] | None, embedding: Mapping[str, Any] | None) -> Iterator[str]:
    # Older versions keep the settings of the index there.
    own = {name: value for name, value in (metadata or {}).items() if not name.startswith("hnsw:")}
    if own:
        yield f"metadata of the collection itself was left behind, as Ragstone has none: {own}"
    if embedding and embedding.get("name"):
        yield f"Chroma made vectors of texts by `{embedding['name']}`: make those of queries by the same, and pass them"
