"""What a collection does with points: write, read, count, remove."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from ragstone import _methods as methods
from ragstone import v1
from ragstone._aio.core import AsyncCore
from ragstone._aio.ingest import AsyncStreamOut
from ragstone._aio_transport import AsyncColumnsTransport, AsyncSend
from ragstone._columns import check_lengths, columns_of
from ragstone._documents import Ingested, RefusedItem, read_refused
from ragstone._items import AsyncItems, aiterate
from ragstone._points import (
    Delete,
    Facet,
    FacetCount,
    Joined,
    Page,
    Point,
    PointLike,
    Precondition,
    Update,
    WriteReceipt,
    as_point,
    columns_bytes,
    framed,
    of_item,
    operation_bytes,
    point_bytes,
    points_bytes,
    read_point,
    set_update,
)
from ragstone._progress import Progress, ProgressLike
from ragstone._retry import request_id as new_request_id
from ragstone._values import Id, Ids, point_id, read_value, several
from ragstone.filters import FilterLike, as_wire

if TYPE_CHECKING:
    from ragstone._aio.client import AsyncClient

UNDER_WAY_MAX = 4
"""Messages of a stream of points that are sent and not acknowledged, at most."""
MESSAGE_BYTES = 8 << 20
"""Bytes after which a message of a stream has enough points."""


class AsyncPoints:
    """The part of a collection that is about points."""

    name: str
    """The collection's name, or an alias."""
    client: AsyncClient
    """The client that calls go over."""
    _core: AsyncCore

    async def upsert(
        self,
        points: Iterable[PointLike],
        *,
        preconditions: Sequence[Precondition] = (),
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> WriteReceipt:
        """Inserts points, or replaces those that have the same ids: all of them, at most 100,000 and 32 MiB, or none.

        Durable when it returns. A point is a `Point`, a dict of its fields, or a tuple of id, vector and payload; a vector is any sequence of
        numbers, and a NumPy array of 32-bit floats is sent as it lies.

        >>> from ragstone import Point
        >>> notes = await client.create_collection("notes", dimension=3)
        >>> receipt = await notes.upsert([Point("a", [1.0, 0.0, 0.0], {"lang": "en"}), ("b", [0.0, 1.0, 0.0])])
        >>> receipt.points
        2

        Raises `CollectionNotFound`; `InvalidArgument`, naming the field (`points[3].vector`); `PreconditionFailed`; `RequestTooLarge` for
        more bytes than the server takes at once (`ingest` divides them).
        """
        parts = points_bytes(points, b"\x12")
        return await self._upsert(parts, preconditions, request_id, timeout)

    async def upsert_columns(
        self,
        ids: Ids,
        vectors: Any,
        payloads: Sequence[Mapping[str, Any]] | None = None,
        *,
        preconditions: Sequence[Precondition] = (),
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> WriteReceipt:
        """The same for points that come as columns: ids, an array of shape (ids, dimension) or as many vectors, and as many payloads.

        An engine in this process (`ragstone.open`) copies a C-contiguous NumPy array of 32-bit floats once, into its own rows; with ids that are an
        array of 64-bit integers, and no payloads, nothing is done row by row in Python. Neither array is to be changed before this returns.

        Raises what `upsert` does, and `ValueError` for columns of different lengths.
        """
        check_lengths(ids, vectors, payloads)
        transport, beside, send = self._core.transport, None, None
        if isinstance(transport, AsyncColumnsTransport):
            beside = columns_of(ids, vectors, payloads)
            send = None if beside is None else partial(transport.upsert_columns, beside)
        parts = columns_bytes(ids, vectors, payloads, b"\x12", beside)
        return await self._upsert(parts, preconditions, request_id, timeout, send)

    async def _upsert(
        self,
        points: Iterable[list[bytes | memoryview]],
        preconditions: Sequence[Precondition],
        request_id: str | None,
        timeout: float | None,
        send: AsyncSend | None = None,
    ) -> WriteReceipt:
        head = v1.UpsertPointsRequest(
            collection=self.name,
            preconditions=[precondition.wire() for precondition in preconditions],
            request_id=request_id or new_request_id(),
        )
        request = Joined(head.SerializeToString())
        for parts in points:
            request.add(parts)
        answer = await self._core.call(methods.UPSERT_POINTS, request.message(), v1.UpsertPointsResponse, timeout, send)
        self._core.written.note(answer.write_token)
        return WriteReceipt(answer.seq, answer.upserted, 0, answer.repeated, answer.write_token)

    async def update(
        self,
        updates: Iterable[Update],
        *,
        preconditions: Sequence[Precondition] = (),
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> WriteReceipt:
        """Changes fields of points and leaves the rest of them as it is: all of them, at most 100,000, or none. Durable when it returns.

        The receipt counts those that are there (`points`) and those that are not (`missing`). Raises `CollectionNotFound`;
        `InvalidArgument`, naming the field (`updates[3].set.year`); `PreconditionFailed`.
        """
        request = v1.UpdatePointsRequest(
            collection=self.name,
            preconditions=[precondition.wire() for precondition in preconditions],
            request_id=request_id or new_request_id(),
        )
        for index, update in enumerate(updates):
            try:
                set_update(request.updates.add(), update)
            except (TypeError, ValueError) as error:
                raise of_item("updates", index, error) from None
        answer = await self._core.call(methods.UPDATE_POINTS, request, v1.UpdatePointsResponse, timeout)
        self._core.written.note(answer.write_token)
        return WriteReceipt(answer.seq, answer.updated, answer.missing, answer.repeated, answer.write_token)

    async def write(
        self,
        operations: Iterable[Point | Update | Delete],
        *,
        preconditions: Sequence[Precondition] = (),
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> WriteReceipt:
        """Writes a batch in order: upserts, updates and removals, at most 100,000 of them, all or none. Durable when it returns.

        What is removed is named by ids; `delete(filter=…)` is a write of its own. To replace a set of rows that others replace, too, have a row
        for the set, expect its etag and update it in the batch.

        Raises `CollectionNotFound`; `PreconditionFailed`; `InvalidArgument`, naming the field (`operations[3].upsert.vector`).
        """
        head = v1.WritePointsRequest(
            collection=self.name,
            preconditions=[precondition.wire() for precondition in preconditions],
            request_id=request_id or new_request_id(),
        )
        request = Joined(head.SerializeToString())
        for index, operation in enumerate(operations):
            try:
                request.add(operation_bytes(operation, b"\x12"))
            except (TypeError, ValueError) as error:
                raise of_item("operations", index, error) from None
        answer = await self._core.call(methods.WRITE_POINTS, request.message(), v1.WritePointsResponse, timeout)
        self._core.written.note(answer.write_token)
        points = answer.upserted + answer.updated + answer.deleted
        return WriteReceipt(answer.seq, points, answer.missing, answer.repeated, answer.write_token)

    async def delete(
        self,
        ids: Iterable[Id] | None = None,
        *,
        filter: FilterLike = None,
        preconditions: Sequence[Precondition] = (),
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> WriteReceipt:
        """Removes points: by id, at most 100,000 as one atomic batch, or all that pass a filter, in parts of so many. Durable when it returns.

        The rows of documents stay. The receipt counts those that existed. Raises `CollectionNotFound`; `InvalidArgument`; `TypeError` unless
        there are either ids or a filter, and for preconditions or a request id with a filter.
        """
        if (ids is None) == (filter is None):
            raise TypeError("either ids or a filter")
        if filter is not None and (preconditions or request_id):
            raise TypeError("preconditions and request_id go with ids, and not with a filter")
        request = v1.DeletePointsRequest(collection=self.name, filter=as_wire(filter))
        method = methods.DELETE_POINTS_WHERE
        if ids is not None:
            method = methods.DELETE_POINTS
            request.ids.extend(map(point_id, several(ids, "ids")))
            request.request_id = request_id or new_request_id()
            request.preconditions.extend(precondition.wire() for precondition in preconditions)
        answer = await self._core.call(method, request, v1.DeletePointsResponse, timeout)
        self._core.written.note(answer.write_token)
        return WriteReceipt(answer.seq, answer.deleted, 0, answer.repeated, answer.write_token)

    async def ingest(
        self,
        points: AsyncItems[PointLike],
        *,
        batch_size: int = 1_000,
        progress: ProgressLike = False,
        on_refused: Callable[[RefusedItem], None] | None = None,
        timeout: float | None = None,
    ) -> Ingested:
        """Inserts or replaces any number of points as they come, in batches, each of which is a write of its own and durable when it is told of.

        Points that do not fit the collection are refused: they are listed in what is returned, or `on_refused` is told of each,
        and the others are stored. A few batches are sent ahead of what is stored, and no more. What was not acknowledged when a
        connection breaks is sent again; nothing is done twice. There is no deadline unless one is given.

        >>> notes = await client.create_collection("many", dimension=2)
        >>> done = await notes.ingest(((number, [1.0, number]) for number in range(2_500)), progress=print)
        1000
        2000
        2500
        >>> done.stored
        2500

        Raises `CollectionNotFound`, and what ends the stream; what was told of before is stored.
        """
        result, told_of = Ingested(), Progress(progress, "points")
        before: dict[int, int] = {}

        def told(answer: bytes) -> int:
            wire = v1.IngestPointsResponse.FromString(answer)
            self._core.written.note(wire.write_token)
            start = before.pop(wire.sequence, 0)
            for item in wire.refused:
                refused = read_refused(item, start)
                (on_refused or result.refused.append)(refused)
            result.stored += wire.upserted
            told_of.add(wire.upserted)
            return wire.sequence

        async def messages() -> AsyncIterator[tuple[int, bytes]]:
            sequence = start = count = 0
            batch = self._batch(sequence)
            async for point in aiterate(points):
                try:
                    batch.add(framed(point_bytes(as_point(point)), b"\x1a"))
                except (TypeError, ValueError) as error:
                    raise of_item("points", start + count, error) from None
                count += 1
                if count == batch_size or len(batch) >= MESSAGE_BYTES:
                    before[sequence] = start
                    yield sequence, batch.message()
                    sequence, start, count = sequence + 1, start + count, 0
                    batch = self._batch(sequence)
            if count:
                before[sequence] = start
                yield sequence, batch.message()

        stream = AsyncStreamOut(self._core, methods.INGEST_POINTS, (UNDER_WAY_MAX, 1 << 62), timeout)
        try:
            await stream.run(messages(), told)
        finally:
            told_of.close()
        return result

    def _batch(self, sequence: int) -> Joined:
        head = v1.IngestPointsRequest(collection=self.name, sequence=sequence, request_id=new_request_id())
        return Joined(head.SerializeToString())

    async def get(self, ids: Iterable[Id], *, with_vectors: bool = False, timeout: float | None = None) -> list[Point]:
        """Reads points by id, at most 10,000: those that exist, in the order of the ids.

        Raises `CollectionNotFound`; `InvalidArgument` for more ids.
        """
        request = v1.GetPointsRequest(
            collection=self.name,
            ids=map(point_id, several(ids, "ids")),
            with_vectors=with_vectors,
            at_least=self._core.written.at_least,
        )
        answer = await self._core.call(methods.GET_POINTS, request, v1.GetPointsResponse, timeout)
        return [read_point(point) for point in answer.points]

    async def scroll(
        self,
        *,
        filter: FilterLike = None,
        order_by: str | None = None,
        descending: bool = False,
        after_id: Id | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool = False,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> AsyncIterator[Point]:
        """Goes through all points that pass, in the order of their ids or of a field. The deadline is that of each page.

        A point that is there all the while comes exactly once, whatever is written meanwhile.

        >>> notes = await client.create_collection("pages", dimension=1)
        >>> _ = await notes.upsert([(number, [1.0], {"year": 2000 + number}) for number in range(3)])
        >>> [point.id async for point in notes.scroll(order_by="year", descending=True)]
        [2, 1, 0]

        Raises `CollectionNotFound`; `InvalidArgument`, naming the field (`order_by.year`, `filter.and[1].field`).
        """
        page_token = ""
        while True:
            page = await self.scroll_page(
                page_token=page_token,
                filter=filter,
                order_by=order_by,
                descending=descending,
                after_id=after_id,
                fields=fields,
                with_payload=with_payload,
                with_vectors=with_vectors,
                page_size=page_size,
                timeout=timeout,
            )
            for point in page.items:
                yield point
            if not page.next_page_token:
                return
            page_token, after_id = page.next_page_token, None

    async def scroll_page(
        self,
        *,
        page_token: str = "",
        filter: FilterLike = None,
        order_by: str | None = None,
        descending: bool = False,
        after_id: Id | None = None,
        fields: Sequence[str] | None = None,
        with_payload: bool = True,
        with_vectors: bool = False,
        page_size: int | None = None,
        timeout: float | None = None,
    ) -> Page[Point]:
        """One page of `scroll`, of 1 to 1,000 points (100 by default); `page_token` is that of the page before, with the same arguments."""
        request = v1.ScrollPointsRequest(
            collection=self.name,
            filter=as_wire(filter),
            order_by=None if order_by is None else v1.OrderBy(field=order_by, descending=descending),
            page_size=page_size or 0,
            page_token=page_token,
            with_vectors=with_vectors,
            fields=None if fields is None else several(fields, "fields"),
            without_payload=not with_payload or (fields is not None and not fields),
            at_least=self._core.written.at_least,
            after_id=None if after_id is None else point_id(after_id),
        )
        answer = await self._core.call(methods.SCROLL_POINTS, request, v1.ScrollPointsResponse, timeout)
        return Page([read_point(point) for point in answer.points], answer.next_page_token)

    async def count(self, filter: FilterLike = None, *, timeout: float | None = None) -> int:
        """Counts points exactly, documents and chunks included: those that pass, or all.

        Raises `CollectionNotFound`; `InvalidArgument`, naming the place in the filter.
        """
        at_least = self._core.written.at_least
        request = v1.CountPointsRequest(collection=self.name, filter=as_wire(filter), at_least=at_least)
        answer = await self._core.call(methods.COUNT_POINTS, request, v1.CountPointsResponse, timeout)
        return answer.count

    async def facet(
        self, field: str, *, filter: FilterLike = None, limit: int = 10, timeout: float | None = None
    ) -> Facet:
        """Counts the points, of those that pass, that have each value of a field: the most frequent values, 1 to 10,000, of 64 MiB together.

        Raises `CollectionNotFound`; `InvalidArgument`, naming `limit`, the field or the place in the filter.
        """
        request = v1.FacetPointsRequest(
            collection=self.name,
            field=field,
            filter=as_wire(filter),
            limit=limit,
            at_least=self._core.written.at_least,
        )
        answer = await self._core.call(methods.FACET_POINTS, request, v1.FacetPointsResponse, timeout)
        counts = [FacetCount(read_value(count.value), count.count) for count in answer.counts]
        return Facet(counts, answer.values, answer.points)
