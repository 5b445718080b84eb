"""The client: a connection to a server, and what is not about one collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ragstone import _methods as methods
from ragstone import v1
from ragstone._aio.collection import AsyncCollection
from ragstone._aio.core import AsyncCore
from ragstone._aio.models import AsyncModels
from ragstone._aio.operator import AsyncOperator
from ragstone._aio_transport import AsyncGrpcTransport, AsyncTransport
from ragstone._channel import Compression, Pem, endpoint
from ragstone._errors import AlreadyExists, NotFound
from ragstone._retry import request_id
from ragstone._schema import (
    Alias,
    Chunks,
    CollectionInfo,
    Element,
    Encoding,
    Graph,
    Metric,
    VectorOptions,
    element_number,
    encoding_number,
    field_types,
    metric_number,
    read_collection,
    text_indexes,
    vector_options,
)
from ragstone._schema import (
    chunks as chunks_wire,
)
from ragstone._schema import (
    graph as graph_wire,
)
from ragstone._values import FieldType
from ragstone._written import Written


class AsyncClient(AsyncModels, AsyncOperator):
    """A client of one server, made by `connect`; it may be used by many at once."""

    def __init__(self, core: AsyncCore) -> None:
        """Made by `connect`, and over another transport by `over`."""
        self._core = core

    @classmethod
    def over(
        cls,
        transport: AsyncTransport,
        *,
        timeout: float | None = None,
        retries: int = 3,
        connect_timeout: float = 5.0,
    ) -> AsyncClient:
        """A client whose calls go over this transport: an engine in the same process, a test's stub."""
        return cls(AsyncCore(transport, Written(), timeout, retries, connect_timeout))

    async def __aenter__(self) -> AsyncClient:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Closes it."""
        await self.close()

    async def close(self) -> None:
        """Closes the connection, also for the clients made of this one."""
        await self._core.transport.close()

    async def ping(self, *, timeout: float | None = None) -> None:
        """Waits until there is a connection; otherwise the first call makes it. Raises `Unavailable` after `connect_timeout`."""
        await self._core.transport.connect(self._core.connect_timeout if timeout is None else timeout)

    def with_options(self, *, timeout: float | None = None, retries: int | None = None) -> AsyncClient:
        """The same connection with another deadline (seconds, for every call, retries included), or another number of retries."""
        return AsyncClient(self._core.with_options(timeout, retries))

    def at_least(self, write_token: str) -> AsyncClient:
        """The same connection, through which reads find what a write wrote, by whatever client of whatever server of the database.

        The token is that of the write: `client.write_token`, or `write_token` of its receipt.
        """
        return self._reading(Written(self._core.written, write_token))

    def reading_own_writes(self) -> AsyncClient:
        """The same connection, through which reads find what was written through it, whichever server answers."""
        return self._reading(Written(self._core.written, own=True))

    def _reading(self, written: Written) -> AsyncClient:
        core = self._core
        return AsyncClient(AsyncCore(core.transport, written, core.timeout, core.retries, core.connect_timeout))

    @property
    def write_token(self) -> str | None:
        """The token of the last write that this client, or one made of it, had acknowledged."""
        return self._core.written.last

    def collection(self, name: str) -> AsyncCollection:
        """A handle of a collection, by its name or an alias. Asks nothing of the server."""
        return AsyncCollection(self, self._core, name)

    async def create_collection(
        self,
        name: str,
        *,
        dimension: int | None = None,
        model: str | None = None,
        without_default_vector: bool = False,
        metric: Metric = "cosine",
        fields: Mapping[str, FieldType] | None = None,
        strict: bool = False,
        texts: Mapping[str, str] | Sequence[str] | None = None,
        vectors: Mapping[str, VectorOptions] | None = None,
        tenant: str | None = None,
        element: Element | None = None,
        encoding: Encoding | None = None,
        walk_dimension: int | None = None,
        graph: Graph | None = None,
        chunks: Chunks | None = None,
        analyzer: str | None = None,
        exist_ok: bool = False,
        timeout: float | None = None,
    ) -> AsyncCollection:
        """Makes a collection; durable when it returns.

        With a `dimension` (1 to 8,192) its vectors are the user's own. Without, texts are embedded by a `model` of the server's (its default one if
        None), and the collection takes documents. `fields` declares payload fields, `strict` refuses others; `texts` are string fields that are
        searched by word, with their analysers (`english` if it is a sequence of names); `vectors` are further vectors by name; the field `tenant`
        says whose a point is. `exist_ok` returns the collection that has the name already, whatever it is.

        >>> notes = await client.create_collection("words", dimension=2, fields={"year": "int"}, texts=["body"])
        >>> info = await notes.info()
        >>> info.dimension, info.fields, info.texts
        (2, {'body': 'string', 'year': 'int'}, {'body': 'english'})

        Raises `CollectionExists`; `InvalidArgument`, naming the field; what a model may raise.
        """
        request = v1.CreateCollectionRequest(
            name=name,
            metric=metric_number(metric),
            fields=field_types(fields),
            strict=strict,
            element=element_number(element),
            encoding=encoding_number(encoding),
            walk_dimension=walk_dimension,
            graph=graph_wire(graph),
            texts=text_indexes(texts),
            tenant=tenant or "",
            chunks=chunks_wire(chunks),
            analyzer=analyzer or "",
            request_id=request_id(),
        )
        for vector, options in (vectors or {}).items():
            request.vector_options[vector].CopyFrom(vector_options(options))
        if (dimension is not None) + (model is not None) + without_default_vector > 1:
            raise TypeError("one of dimension, model and without_default_vector at most")
        if dimension is not None:
            request.dimension = dimension
        elif without_default_vector:
            request.without_default_vector = True
        else:
            request.model = model or ""
        try:
            answer = await self._core.call(methods.CREATE_COLLECTION, request, v1.CreateCollectionResponse, timeout)
            self._core.written.note(answer.write_token)
        except AlreadyExists as error:
            if not exist_ok or error.reason != "COLLECTION_EXISTS":
                raise
        return self.collection(name)

    async def has_collection(self, name: str, *, timeout: float | None = None) -> bool:
        """Whether there is a collection, or an alias, of this name."""
        try:
            await self.collection(name).info(timeout=timeout)
        except NotFound:
            return False
        return True

    async def list_collections(self, *, timeout: float | None = None) -> list[CollectionInfo]:
        """Every collection, by name. The deadline is that of a page of 1,000."""
        request = v1.ListCollectionsRequest()
        collections: list[CollectionInfo] = []
        async for page in self._core.pages(methods.LIST_COLLECTIONS, request, v1.ListCollectionsResponse, timeout):
            collections += map(read_collection, page.collections)
        return collections

    async def delete_collection(
        self, name: str, *, missing_ok: bool = False, etag: str | None = None, timeout: float | None = None
    ) -> None:
        """Removes a collection and all that it holds; durable when it returns. With an etag only if it is still what it was.

        Raises `CollectionNotFound` unless `missing_ok`; `CollectionAliased` while an alias names it; `PreconditionFailed`.
        """
        request = v1.DeleteCollectionRequest(name=name, etag=etag or "", request_id=request_id())
        try:
            answer = await self._core.call(methods.DELETE_COLLECTION, request, v1.DeleteCollectionResponse, timeout)
            self._core.written.note(answer.write_token)
        except NotFound:
            if not missing_ok:
                raise

    async def set_alias(self, alias: str, collection: str, *, timeout: float | None = None) -> Alias:
        """Has an alias name a collection, whether it is new or named another. Raises `CollectionNotFound`, `CollectionExists`."""
        request = v1.SetAliasRequest(alias=alias, collection=collection)
        answer = await self._core.call(methods.SET_ALIAS, request, v1.SetAliasResponse, timeout)
        return Alias(answer.alias.alias, answer.alias.collection)

    async def delete_alias(self, alias: str, *, timeout: float | None = None) -> None:
        """Removes an alias; the collection stays. Raises `AliasNotFound`."""
        await self._core.call(methods.DELETE_ALIAS, v1.DeleteAliasRequest(alias=alias), v1.DeleteAliasResponse, timeout)

    async def list_aliases(self, collection: str | None = None, *, timeout: float | None = None) -> list[Alias]:
        """The aliases of a collection, or all, by name."""
        request = v1.ListAliasesRequest(collection=collection or "")
        aliases: list[Alias] = []
        async for page in self._core.pages(methods.LIST_ALIASES, request, v1.ListAliasesResponse, timeout):
            aliases += [Alias(one.alias, one.collection) for one in page.aliases]
        return aliases


def connect(
    url: str = "http://127.0.0.1:6733",
    *,
    api_key: str | None = None,
    ca: Pem | None = None,
    identity: tuple[Pem, Pem] | None = None,
    timeout: float | None = None,
    connect_timeout: float = 5.0,
    retries: int = 3,
    compression: Compression | None = None,
) -> AsyncClient:
    """A client of a server. The first call makes the connection, and a later one makes it anew when it broke.

    `api_key` goes with each call as `authorization: Bearer`; over a network, use it with `https://` alone. `ca` is the PEM text, or the path, of the
    authorities that are trusted instead of gRPC's own; `identity` the certificate and the key that are shown to servers that ask for one. `timeout` is the
    deadline of every call in seconds, retries included, instead of each call's own; a call that may be repeated is, `retries` times at most.

    Raises `InvalidArgument` for a URL that is none, and for a key that no header can have.
    """
    reached = endpoint(url, api_key, ca, identity, connect_timeout, compression)
    transport = AsyncGrpcTransport(reached)
    return AsyncClient.over(transport, timeout=timeout, retries=retries, connect_timeout=connect_timeout)
