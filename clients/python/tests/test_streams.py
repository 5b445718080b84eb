"""Streams of what is to be stored: nothing more is made, or sent, for a call that has ended."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from conftest import PATIENCE_S

from ragstone import CollectionNotFound, InvalidArgument, RagstoneError, v1
from ragstone import _methods as methods
from ragstone._aio.ingest import AsyncStreamOut
from ragstone._aio_transport import AsyncGrpcTransport
from ragstone._channel import Endpoint, endpoint
from ragstone._points import as_point, point_bytes
from ragstone._retry import request_id
from ragstone._sync.ingest import StreamOut
from ragstone._transport import GrpcTransport


async def came(result: Any) -> Any:
    """What a call of either client came to."""
    return await result if inspect.isawaitable(result) else result


async def test_that_a_call_has_ended_is_seen_without_reading(client: Any, kind: str) -> None:
    transport = (client if kind == "async" else client.inner)._core.transport
    stream = transport.duplex(methods.INGEST_POINTS.path, PATIENCE_S)
    assert not stream.is_over()
    point = v1.Point.FromString(b"".join(point_bytes(as_point((1, [1.0])))))
    message = v1.IngestPointsRequest(collection="nobody", request_id=request_id(), points=[point])
    await came(stream.write(message.SerializeToString()))
    # Its deadline ends this at the latest.
    while not stream.is_over():
        await asyncio.sleep(0.01)
    with pytest.raises(CollectionNotFound):
        await came(stream.read())


@pytest.fixture
def refusing() -> Iterator[Endpoint]:
    """A server that acknowledges three messages, and refuses what comes then."""

    def answers(messages: Iterator[bytes], call: Any) -> Iterator[bytes]:
        yield from itertools.islice(messages, 3)
        next(messages)
        call.abort(grpc.StatusCode.INVALID_ARGUMENT, "the fourth one")

    class Whatever(grpc.GenericRpcHandler):
        def service(self, _: Any) -> Any:
            return grpc.stream_stream_rpc_method_handler(answers)

    server = grpc.server(ThreadPoolExecutor(2), [Whatever()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield endpoint(f"http://127.0.0.1:{port}", None, None, None, PATIENCE_S, None)
    server.stop(None).wait()


async def test_a_refusal_is_seen_behind_what_was_acknowledged(refusing: Endpoint, kind: str) -> None:
    transport: Any = AsyncGrpcTransport(refusing) if kind == "async" else GrpcTransport(refusing)
    stream = transport.duplex(methods.INGEST_POINTS.path, PATIENCE_S)
    for number in range(3):
        await came(stream.write(b"%d" % number))
    await asyncio.sleep(0.05)
    assert not stream.is_over()
    await came(stream.write(b"3"))
    # Its deadline ends this at the latest.
    while not stream.is_over():
        await asyncio.sleep(0.01)
    assert [await came(stream.read()) for _ in range(3)] == [b"0", b"1", b"2"]
    for _ in range(2):
        with pytest.raises(InvalidArgument, match="the fourth one"):
            await came(stream.read())
    stream.cancel()
    await came(transport.close())


async def test_who_waits_for_an_answer_is_told_that_the_call_was_given_up(refusing: Endpoint, kind: str) -> None:
    transport: Any = AsyncGrpcTransport(refusing) if kind == "async" else GrpcTransport(refusing)
    stream = transport.duplex(methods.INGEST_POINTS.path, PATIENCE_S)
    stream.cancel()
    with pytest.raises(RagstoneError) as told:
        await came(stream.read())
    assert told.value.code == "CANCELLED"
    await came(transport.close())


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
