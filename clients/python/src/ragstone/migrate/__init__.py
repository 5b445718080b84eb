"""Moves collections of other vector stores, which lie on this machine, into Ragstone: Chroma, Qdrant's local mode, LanceDB.

From a shell, `python -m ragstone.migrate --from chroma DIR --url URL`; from Python, a function for each store. Ids, vectors, texts and metadata
are kept; what cannot be is told in what is returned, and nothing is left behind in silence.

>>> import tempfile
>>> import chromadb
>>> from ragstone.migrate import from_chroma
>>> folder = tempfile.mkdtemp()
>>> index = {"hnsw": {"space": "cosine"}}
>>> papers = chromadb.PersistentClient(folder).create_collection("migrated", configuration=index, embedding_function=None)
>>> papers.add(ids=["a"], embeddings=[[1.0, 0.0]], documents=["Leases end in May."], metadatas=[{"year": 2024}])
>>> for moved in from_chroma(folder, client):
...     print(moved)
migrated -> migrated: 1 of 1 row
  vector: 2 components, cosine
  fields: document string (searched by word), year int
>>> client.collection("migrated").search([1.0, 0.0], filter="year = 2024")[0].payload["document"]
'Leases end in May.'

What becomes of metadata:

- A field has one type. Bools, ints, floats, strings, moments and lists of strings keep theirs; a day is its first moment in UTC; a dict of exactly
  `lat` and `lon` is a place; UUIDs, decimals and times are texts, bytes texts in base64. Ints beside floats are floats, where these have them exactly.
- Anything else, and a field with values of different types, is kept as JSON, which comes back as it was and which filters do not look into;
  within JSON moments are texts, and numbers that are not finite null.
- `None`, and numbers that are not finite, are no values: the row lacks the field, and the report counts them.
- Names that Ragstone reserves or cannot have are changed: `_a` becomes `field_a`. The 255 most frequent fields are fields; others of a
  collection with more stand together in the JSON field `more_fields`.
- Ids that belong to Ragstone's documents (`doc:…`, `doc#…`) become `id:doc:…`; ids that are empty or too long leave their rows behind.
- Under cosine a vector of zeros has no direction: its row comes without it, and so do those whose vectors have numbers that are not finite.

A collection that is there already is not written to, unless `into_existing` says so: then rows with the same ids are replaced, so that a move which was
broken off can be run again. The source is not to be written to meanwhile; it is read twice, first for the types of its fields, and never held in memory
(Qdrant's own local mode does hold it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TypeAlias

from ragstone._progress import ProgressLike
from ragstone._schema import Metric
from ragstone._sync.client import Client
from ragstone.migrate import _chroma, _lancedb, _qdrant
from ragstone.migrate._model import MigrationError, Moved, Options
from ragstone.migrate._move import move_all

__all__ = ["Collections", "MigrationError", "Moved", "from_chroma", "from_lancedb", "from_qdrant_local"]

Collections: TypeAlias = Sequence[str] | Mapping[str, str] | None
"""The collections to move, all if None; of a mapping, the values are what they are to be called, or empty."""


def from_chroma(
    path: str | PathLike[str],
    client: Client,
    collections: Collections = None,
    *,
    texts: Sequence[str] | None = None,
    into_existing: bool = False,
    progress: ProgressLike = False,
    batch_size: int = 1_000,
    on_moved: Callable[[Moved], None] | None = None,
) -> list[Moved]:
    """Moves collections of a directory of Chroma's (`PersistentClient(path)`), of its default tenant and database.

    Documents are the field `document`, which is searched by word, URIs the field `uri`. `texts` names the fields that are searched by word instead;
    `on_moved` is told of each collection when it has been moved, as a later one may fail.
    Raises `MigrationError`, which says what the source has that there is no place for; `ImportError` without `chromadb`; what the client raises.
    """
    options = Options(texts, into_existing, progress, batch_size, on_moved)
    with _chroma.sources(Path(path)) as sources:
        return move_all(sources, client, collections, options)


def from_qdrant_local(
    path: str | PathLike[str],
    client: Client,
    collections: Collections = None,
    *,
    texts: Sequence[str] | None = None,
    into_existing: bool = False,
    progress: ProgressLike = False,
    batch_size: int = 1_000,
    on_moved: Callable[[Moved], None] | None = None,
) -> list[Moved]:
    """Moves collections of a directory of Qdrant's local mode (`QdrantClient(path=path)`), their named, sparse and multi-vectors, and aliases.

    Fields with a text index are searched by word, or else the first of `text`, `content`, `document`, `page_content` that holds texts; or `texts`.
    Moments are strings in Qdrant's payloads, and stay so. Raises what `from_chroma` does, and `ImportError` without `qdrant-client`.
    """
    options = Options(texts, into_existing, progress, batch_size, on_moved)
    with _qdrant.sources(Path(path)) as sources:
        return move_all(sources, client, collections, options)


def from_lancedb(
    path: str | PathLike[str],
    client: Client,
    collections: Collections = None,
    *,
    id_column: str = "id",
    number_rows: bool = False,
    metric: Metric | None = None,
    texts: Sequence[str] | None = None,
    into_existing: bool = False,
    progress: ProgressLike = False,
    batch_size: int = 1_000,
    on_moved: Callable[[Moved], None] | None = None,
) -> list[Moved]:
    """Moves tables of a directory of LanceDB's (`lancedb.connect(path)`): every column that is a list of floats of one length is a vector.

    Rows have the ids of `id_column`, which are checked to differ, or their numbers with `number_rows`. The column `vector`, or the only vector, is the
    default one. Its metric is that of its index, or else LanceDB's own default, `l2`; `metric` says another. Columns with a text index are searched by
    word, or else as in `from_qdrant_local`. Raises what `from_chroma` does, and `ImportError` without `lancedb`.
    """
    options = Options(texts, into_existing, progress, batch_size, on_moved)
    reading = _lancedb.Reading(None if number_rows else id_column, metric)
    with _lancedb.sources(Path(path), reading) as sources:
        return move_all(sources, client, collections, options)
