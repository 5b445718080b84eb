"""Streams of what is to be stored: nothing more is made, or sent, for a call that has ended."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from conftest import PATIENCE_S

from ragstone import CollectionNotFound, InvalidArgument, v1
from ragstone import _methods as methods
from ragstone._aio.ingest import AsyncStreamOut
from ragstone._points import as_point, point_bytes
from ragstone._retry import request_id
from ragstone._sync.ingest import StreamOut


async def came(result: Any) -> Any:
    """What a call of either client came to."""
    return await result if inspect.isawaitable(result) else result


async def test_that_a_call_has_ended_is_seen_without_reading(client: Any, kind: str) -> None:
    transport = (client if kind == "async" else client.inner)._core.transport
    stream = transport.duplex(methods.INGEST_POINTS.path, PATIENCE_S)
    assert not stream.is_over()
    point = v1.Point.FromString(point_bytes(as_point((1, [1.0]))))
    message = v1.IngestPointsRequest(collection="nobody", request_id=request_id(), points=[point])
    await came(stream.write(message.SerializeToString()))
    # Its deadline ends this at the latest.
    while not stream.is_over():
        await asyncio.sleep(0.01)
    with pytest.raises(CollectionNotFound):
        await came(stream.read())


class Ended:
    """A call that ends with its second message, the first of which was acknowledged."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.answers = [b"0"]

    def is_over(self) -> bool:
        return len(self.written) == 2

    def write(self, message: bytes) -> None:
        assert not self.is_over()
        self.written.append(message)

    def read(self) -> bytes:
        if self.answers:
            return self.answers.pop()
        raise InvalidArgument("the second one")

    def done_writing(self) -> None:
        raise AssertionError("there are more")

    def cancel(self) -> None:
        pass


class AsyncEnded:
    def __init__(self) -> None:
        self.inner = Ended()
        self.is_over, self.cancel = self.inner.is_over, self.inner.cancel

    async def write(self, message: bytes) -> None:
        self.inner.write(message)

    async def read(self) -> bytes:
        return self.inner.read()

    async def done_writing(self) -> None:
        self.inner.done_writing()


async def test_nothing_is_made_for_a_call_that_has_ended(kind: str) -> None:
    made: list[int] = []
    told: list[int] = []

    def messages() -> Iterator[tuple[int, bytes]]:
        for number in range(100):
            made.append(number)
            yield number, b"%d" % number

    async def awaited() -> AsyncIterator[tuple[int, bytes]]:
        for message in messages():
            yield message

    def tell(answer: bytes) -> int:
        told.append(int(answer))
        return told[-1]

    ended: Any = AsyncEnded() if kind == "async" else Ended()
    core: Any = SimpleNamespace(transport=SimpleNamespace(duplex=lambda *_: ended), timeout=None, retries=3)
    out: Any = AsyncStreamOut if kind == "async" else StreamOut
    items: Any = awaited() if kind == "async" else messages()
    with pytest.raises(InvalidArgument, match="the second one"):
        await came(out(core, methods.INGEST_POINTS, (50, 1 << 20), None).run(items, tell))
    assert (made, told) == ([0, 1], [0])
