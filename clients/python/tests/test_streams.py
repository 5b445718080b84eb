"""Streams of what is to be stored: what is durable is told of as it comes, and nothing more is made, or sent, for a call that has ended."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
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


async def seen(stream: Any) -> None:
    """Waits until reading does not."""
    # The deadline of the call ends this at the latest.
    while not stream.has_come():
        await asyncio.sleep(0.01)


async def test_that_a_call_has_ended_is_seen_without_reading(client: Any, kind: str) -> None:
    transport = (client if kind == "async" else client.inner)._core.transport
    stream = transport.duplex(methods.INGEST_POINTS.path, PATIENCE_S)
    assert not stream.has_come()
    point = v1.Point.FromString(b"".join(point_bytes(as_point((1, [1.0])))))
    message = v1.IngestPointsRequest(collection="nobody", request_id=request_id(), points=[point])
    await came(stream.write(message.SerializeToString()))
    await seen(stream)
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
        assert not stream.has_come()
        await came(stream.write(b"%d" % number))
        await seen(stream)
        assert await came(stream.read()) == b"%d" % number
    await came(stream.write(b"3"))
    for _ in range(2):
        await seen(stream)
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


async def test_who_reads_is_told_that_another_gave_the_call_up(kind: str) -> None:
    """A task that read an answer as it came was as if it had been cancelled itself."""
    if kind == "async" and sys.version_info < (3, 11):
        pytest.skip("a task does not know there that it is not cancelled")
    released = threading.Event()

    def answers(_request: bytes, _call: Any) -> Iterator[bytes]:
        yield b"first"
        released.wait(PATIENCE_S)

    class Hanging(grpc.GenericRpcHandler):
        def service(self, _: Any) -> Any:
            return grpc.unary_stream_rpc_method_handler(answers)

    with ThreadPoolExecutor(3) as threads:
        server = grpc.server(threads, [Hanging()])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        reached = endpoint(f"http://127.0.0.1:{port}", None, None, None, PATIENCE_S, None)
        transport: Any = AsyncGrpcTransport(reached) if kind == "async" else GrpcTransport(reached)
        stream = transport.stream(methods.GENERATE.path, b"", PATIENCE_S)
        assert await came(stream.read()) == b"first"
        reading: Any = (
            asyncio.create_task(stream.read())
            if kind == "async"
            else asyncio.get_running_loop().run_in_executor(threads, stream.read)
        )
        await asyncio.sleep(0.1)
        stream.cancel()
        with pytest.raises(RagstoneError) as told:
            await reading
        assert told.value.code == "CANCELLED"
        released.set()
        await came(transport.close())
        server.stop(None).wait()


class Prompt:
    """A call that acknowledges each message at once."""

    def __init__(self) -> None:
        self.answers: deque[bytes] = deque()

    def has_come(self) -> bool:
        return bool(self.answers)

    def write(self, message: bytes) -> None:
        self.answers.append(message)

    def read(self) -> bytes | None:
        return self.answers.popleft() if self.answers else None

    def done_writing(self) -> None:
        pass

    def cancel(self) -> None:
        pass


class Ended(Prompt):
    """A call that ends with its second message; then it is known, too, that the first was acknowledged."""

    def __init__(self) -> None:
        super().__init__()
        self.answers.append(b"0")
        self.written: list[bytes] = []

    def has_come(self) -> bool:
        return len(self.written) == 2

    def write(self, message: bytes) -> None:
        assert not self.has_come()
        self.written.append(message)

    def read(self) -> bytes:
        if self.answers:
            return self.answers.popleft()
        raise InvalidArgument("the second one")

    def done_writing(self) -> None:
        raise AssertionError("there are more")


class Awaited:
    """The same for the client that awaits."""

    def __init__(self, inner: Prompt) -> None:
        self.inner = inner
        self.has_come, self.cancel = inner.has_come, inner.cancel

    async def write(self, message: bytes) -> None:
        self.inner.write(message)

    async def read(self) -> bytes | None:
        return self.inner.read()

    async def done_writing(self) -> None:
        self.inner.done_writing()


async def sent(call: Prompt, kind: str, messages: Iterator[tuple[int, bytes]], tell: Callable[[bytes], int]) -> None:
    """Sends messages over a call, by the stream of either client, whose window has room for fifty."""

    async def awaited() -> AsyncIterator[tuple[int, bytes]]:
        for message in messages:
            yield message

    over: Any = Awaited(call) if kind == "async" else call
    core: Any = SimpleNamespace(transport=SimpleNamespace(duplex=lambda *_: over), timeout=None, retries=3)
    out: Any = AsyncStreamOut if kind == "async" else StreamOut
    items: Any = awaited() if kind == "async" else messages
    await came(out(core, methods.INGEST_POINTS, (50, 1 << 20), None).run(items, tell))


async def test_what_is_acknowledged_is_told_of_before_the_next_message_is_made(kind: str) -> None:
    """It was told of once fifty messages were under way, and a bar stood still until then."""
    told: list[int] = []
    told_before: list[int] = []

    def messages() -> Iterator[tuple[int, bytes]]:
        for number in range(5):
            told_before.append(len(told))
            yield number, b"%d" % number

    def tell(answer: bytes) -> int:
        told.append(int(answer))
        return told[-1]

    await sent(Prompt(), kind, messages(), tell)
    assert (told_before, told) == ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4])


async def test_nothing_is_made_for_a_call_that_has_ended(kind: str) -> None:
    made: list[int] = []
    told: list[int] = []

    def messages() -> Iterator[tuple[int, bytes]]:
        for number in range(100):
            made.append(number)
            yield number, b"%d" % number

    def tell(answer: bytes) -> int:
        told.append(int(answer))
        return told[-1]

    with pytest.raises(InvalidArgument, match="the second one"):
        await sent(Ended(), kind, messages(), tell)
    assert (made, told) == ([0, 1], [0])
