"""LangChain's documents as rows, and back.

The text is the field `page_content`, which is searched by word. Each entry of the metadata is a field of its own, so that filters name it as
it is; what no field tells exactly (None, lists of numbers, nested values) is kept as JSON in the field `metadata`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from langchain_core.documents import Document
from ragstone import Hit, Json, Point
from ragstone.frameworks import FieldType, columns

TEXT = "page_content"
REST = "metadata"
RESERVED = (TEXT, REST)


def new_ids(ids: Sequence[str | None] | None, count: int) -> list[str]:
    """An id for each text: the one that is given, or a new one."""
    if ids is not None and len(ids) != count:
        raise ValueError(f"there are {count} texts and {len(ids)} ids")
    return [id or str(uuid4()) for id in ids or [None] * count]


def metadata_of_each(metadatas: Sequence[Mapping[str, Any]] | None, count: int) -> Sequence[Mapping[str, Any]]:
    """The metadata of each text, empty if there is none."""
    if metadatas is not None and len(metadatas) != count:
        raise ValueError(f"there are {count} texts and {len(metadatas)} metadatas")
    return metadatas or [{}] * count


def points(
    rows: Sequence[tuple[str, str, Mapping[str, Any]]],
    vectors: Sequence[Sequence[float]],
    known: Mapping[str, FieldType],
) -> list[Point]:
    """Rows, each an id, a text and metadata, with their vectors."""
    split = columns([metadata for _, _, metadata in rows], known, RESERVED)
    made = []
    for (id, text, _), vector, (fields, rest) in zip(rows, vectors, split, strict=True):
        made.append(Point(id, vector, {**fields, TEXT: text, **({REST: Json(rest)} if rest else {})}))
    return made


def document(row: Hit | Point) -> Document:
    """The document that a row holds."""
    fields: dict[str, Any] = {
        name: value.value if isinstance(value, Json) else value for name, value in row.payload.items()
    }
    text, rest = fields.pop(TEXT, ""), fields.pop(REST, {})
    return Document(id=str(row.id), page_content=text, metadata={**fields, **rest})
