# Made of _aio/collection.py by scripts/unasync.py: change that one.
"""A collection: a named set of points under one schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ragstone import _methods as methods
from ragstone import v1
from ragstone._admin import Operation, read_operation
from ragstone._schema import CollectionInfo, field_types, read_collection, text_indexes
from ragstone._sync.core import Core
from ragstone._sync.documents import Documents
from ragstone._sync.points import Points
from ragstone._sync.questions import Questions
from ragstone._sync.search import Search
from ragstone._values import FieldType

if TYPE_CHECKING:
    from ragstone._sync.client import Client


class Collection(Points, Search, Documents, Questions):
    """A handle of a collection, by its name or an alias: made by `client.collection(name)`, which asks nothing of the server."""

    def __init__(self, client: Client, core: Core, name: str) -> None:
        """Made by the client."""
        self.client = client
        self.name = name
        self._core = core

    def __repr__(self) -> str:
        """Names it."""
        return f"<ragstone collection {self.name!r}>"

    def info(self, *, timeout: float | None = None) -> CollectionInfo:
        """The collection as it is: its vectors, fields, model, and how much it holds. Raises `CollectionNotFound`."""
        request = v1.GetCollectionRequest(name=self.name, at_least=self._core.written.at_least)
        answer = self._core.call(methods.GET_COLLECTION, request, v1.GetCollectionResponse, timeout)
        return read_collection(answer.collection)

    def add_fields(
        self,
        fields: Mapping[str, FieldType] | None = None,
        *,
        texts: Mapping[str, str] | Sequence[str] | None = None,
        etag: str | None = None,
        timeout: float | None = None,
    ) -> CollectionInfo:
        """Declares payload fields, and has string fields searched by word; durable when it returns, and no point is rewritten.

        A field that is there already with its type and its analyser is passed over. With an etag (`info().etag`) only if the collection is still what
        it was. Raises `CollectionNotFound`; `InvalidArgument`, naming the field, also where it has another type; `PreconditionFailed`.
        """
        request = v1.UpdateCollectionRequest(
            name=self.name, fields=field_types(fields), texts=text_indexes(texts), etag=etag or ""
        )
        # Made twice under an etag, it would fail for what it did the first time.
        method = methods.UPDATE_COLLECTION_IF if etag else methods.UPDATE_COLLECTION
        answer = self._core.call(method, request, v1.UpdateCollectionResponse, timeout)
        self._core.written.note(answer.write_token)
        return read_collection(answer.collection)

    def drop(self, *, timeout: float | None = None) -> None:
        """Removes the collection and all that it holds. Raises `CollectionNotFound`; `CollectionAliased` while an alias names it."""
        self.client.delete_collection(self.name, timeout=timeout)

    def reembed(
        self, model: str | None = None, *, text_field: str | None = None, timeout: float | None = None
    ) -> Operation:
        """Begins to move the collection to another embedding model while it serves; see `client.wait_operation`.

        `text_field` holds the texts of points that are not chunks of documents. Raises `CollectionNotFound`, `CollectionWithoutModel`,
        `OperationExists`, and what a model may raise.
        """
        request = v1.ReembedCollectionRequest(name=self.name, model=model or "", text_field=text_field or "")
        answer = self._core.call(methods.REEMBED_COLLECTION, request, v1.ReembedCollectionResponse, timeout)
        return read_operation(answer.operation)
