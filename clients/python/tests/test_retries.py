"""What a client does when calls fail: against a server of the test's own that fails as it is told to."""

from __future__ import annotations

import asyncio
import math
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import monotonic
from typing import Any

import grpc
import pytest
from conftest import connect
from failing_server import Failing, details, fail

from ragstone import (
    Cancelled,
    DeadlineExceeded,
    InvalidArgument,
    RagstoneError,
    ResourceExhausted,
    Unavailable,
    _retry,
    v1,
)
from ragstone._methods import Repeat

pytestmark = pytest.mark.server_only("there is no connection that fails")
UNAVAILABLE, EXHAUSTED = grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.fixture
def failing() -> Iterator[Failing]:
    failing = Failing()
    yield failing
    failing.server.stop(None).wait()


COUNTED = v1.CountPointsResponse(count=7).SerializeToString()


async def test_reads_are_repeated_and_the_rest_is_not(kind: str, failing: Failing) -> None:
    async with connect(kind, failing.url) as client:
        failing.answer = lambda number: COUNTED if number == 2 else (UNAVAILABLE, b"")
        assert await client.collection("notes").count() == 7
        assert len(failing.calls) == 3

        failing.calls.clear()
        failing.answer = lambda _: (UNAVAILABLE, b"")
        with pytest.raises(Unavailable) as failed:
            await client.with_options(retries=1).collection("notes").count()
        assert (len(failing.calls), failed.value.never_sent) == (2, False)
        assert isinstance(failed.value, ConnectionError)

        failing.calls.clear()
        failing.answer = lambda _: (grpc.StatusCode.INTERNAL, b"")
        with pytest.raises(RagstoneError):
            await client.collection("notes").count()
        assert len(failing.calls) == 1


async def test_what_rests_on_an_etag_is_not_repeated(kind: str, failing: Failing) -> None:
    """The second time it failed for what it had done the first time."""
    failing.answer = lambda _: (UNAVAILABLE, b"")
    async with connect(kind, failing.url) as client:
        notes = client.with_options(retries=1).collection("notes")
        for etag, calls in ((None, 2), ("x", 1)):
            failing.calls.clear()
            with pytest.raises(Unavailable):
                await notes.add_fields({"year": "int"}, etag=etag)
            assert len(failing.calls) == calls


async def test_a_write_is_repeated_under_its_request_id(kind: str, failing: Failing) -> None:
    answer = v1.UpsertPointsResponse(upserted=1, repeated=True).SerializeToString()
    failing.answer = lambda number: answer if number == 1 else (UNAVAILABLE, b"")
    async with connect(kind, failing.url) as client:
        assert (await client.collection("notes").upsert([(1, [1.0])])).repeated
    first, second = (v1.UpsertPointsRequest.FromString(request) for _, request in failing.calls)
    assert first == second
    assert len(first.request_id) == 32


async def test_what_is_not_safe_is_repeated_only_if_it_was_not_begun(kind: str, failing: Failing) -> None:
    answer = v1.DeletePointsResponse(deleted=3).SerializeToString()
    async with connect(kind, failing.url) as client:
        notes = client.collection("notes")
        failing.answer = lambda number: answer if number == 1 else (UNAVAILABLE, b"")
        with pytest.raises(Unavailable):
            await notes.delete(filter="n = 1")
        assert len(failing.calls) == 1

        failing.calls.clear()
        not_begun = (UNAVAILABLE, details(reason="MODEL_LOADING", retry_after=0.05))
        failing.answer = lambda number: answer if number == 1 else not_begun
        assert (await notes.delete(filter="n = 1")).points == 3
        assert len(failing.calls) == 2


async def test_an_alias_is_not_set_twice(kind: str, failing: Failing) -> None:
    """One that another client had moved on meanwhile was moved back."""
    failing.answer = lambda _: (UNAVAILABLE, b"")
    async with connect(kind, failing.url) as client:
        with pytest.raises(Unavailable):
            await client.set_alias("notes", "notes-2")
    assert len(failing.calls) == 1


async def test_the_pause_that_is_asked_for_is_kept_to(
    kind: str, failing: Failing, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    chosen = _retry.pause

    def pause(attempt: int, error: RagstoneError) -> float:
        waited.append(chosen(attempt, error, 0.0))
        return 0.0

    for core in ("ragstone._aio.core.pause", "ragstone._sync.core.pause"):
        monkeypatch.setattr(core, pause)
    asked = (EXHAUSTED, details(reason="RATE_LIMITED", retry_after=2.5))
    async with connect(kind, failing.url) as client:
        failing.answer = lambda number: COUNTED if number == 2 else asked
        assert await client.collection("notes").count() == 7
        assert waited == [2.5, 2.5]

        for refused in [(EXHAUSTED, b""), (EXHAUSTED, details(retry_after=601))]:
            failing.calls.clear()
            failing.answer = lambda _, refused=refused: refused
            with pytest.raises(ResourceExhausted):
                await client.collection("notes").count()
            assert len(failing.calls) == 1


async def test_deadlines_are_those_of_the_client_and_of_the_call(kind: str, failing: Failing) -> None:
    released = threading.Event()

    def hang(_: int) -> bytes:
        released.wait(60)
        return COUNTED

    failing.answer = hang
    async with connect(kind, failing.url, timeout=0.2) as client:
        with pytest.raises(DeadlineExceeded, match="CountPoints: no answer within 200 ms") as failed:
            await client.collection("notes").count()
        assert isinstance(failed.value, TimeoutError)
        with pytest.raises(DeadlineExceeded, match="within 100 ms"):
            await client.collection("notes").count(timeout=0.1)
        released.set()
        assert await client.with_options(timeout=60).collection("notes").count() == 7


async def test_a_deadline_that_never_comes_is_none(kind: str, failing: Failing) -> None:
    """gRPC took it for one that had passed: there was no answer within inf ms."""

    def stream(_number: int, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for message in requests:
            request = v1.IngestPointsRequest.FromString(message)
            yield v1.IngestPointsResponse(sequence=request.sequence, upserted=len(request.points)).SerializeToString()

    failing.answer, failing.stream = lambda _: COUNTED, stream
    async with connect(kind, failing.url, timeout=math.inf, connect_timeout=math.inf) as client:
        await client.ping()
        assert await client.collection("notes").count() == 7
        assert (await client.collection("notes").ingest([(1, [1.0])])).stored == 1


async def test_who_is_in_a_call_when_the_client_is_closed_is_told(kind: str, failing: Failing) -> None:
    """A task was as if it had been cancelled itself, which groups of tasks pass over."""
    if kind == "async" and sys.version_info < (3, 11):
        pytest.skip("a task does not know there that it is not cancelled")
    begun, released = threading.Event(), threading.Event()

    def hang(_: int) -> bytes:
        begun.set()
        released.wait(60)
        return COUNTED

    failing.answer = hang
    client = connect(kind, failing.url)
    with ThreadPoolExecutor(1) as threads:
        if kind == "async":
            call: Any = asyncio.create_task(client.collection("notes").count())
        else:
            call = asyncio.wrap_future(threads.submit(client.inner.collection("notes").count))
        while not begun.is_set():
            await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(Cancelled):
            await call
        released.set()

    if kind == "async":
        begun.clear()
        released.clear()
        async with connect(kind, failing.url) as client:
            call = asyncio.create_task(client.collection("notes").count())
            while not begun.is_set():
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
        released.set()


async def test_nobody_listens(kind: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with connect(kind, f"http://127.0.0.1:{taken.getsockname()[1]}", retries=1) as client:
            with pytest.raises(Unavailable) as failed:
                await client.collection("notes").delete(filter="n = 1")
            assert failed.value.never_sent
            assert failed.value.reason is None
            assert str(failed.value).endswith("is a server running there? `ragstone serve` starts one")
            with pytest.raises(Unavailable, match="cannot connect to http://127"):
                await client.ping(timeout=0.2)


async def test_a_stream_that_breaks_is_taken_up_again(kind: str, failing: Failing) -> None:
    def stream(number: int, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for position, message in enumerate(requests):
            request = v1.IngestPointsRequest.FromString(message)
            failing.streams[number].append(request)
            if number == 0 and position == 2:
                fail(context, UNAVAILABLE)
            answer = v1.IngestPointsResponse(sequence=request.sequence, upserted=len(request.points))
            yield answer.SerializeToString()

    failing.stream = stream
    told: list[int] = []
    async with connect(kind, failing.url) as client:
        done = await client.collection("notes").ingest(
            ((number, [1.0]) for number in range(20)), batch_size=2, progress=told.append
        )
    assert (done.stored, told) == (20, list(range(2, 21, 2)))
    first, second = failing.streams
    acknowledged = second[0].sequence
    assert acknowledged <= 2
    assert [request.sequence for request in second] == list(range(acknowledged, 10))
    again = [request for request in first if request.sequence >= acknowledged]
    assert again == second[: len(again)]


async def test_who_rests_too_long_between_messages_loses_nothing_but_the_connection(
    kind: str, failing: Failing
) -> None:
    """What had been made while the server ended the stream was lost with it, and of a stream with a deadline all was, which had not passed."""
    ended = threading.Event()

    def stream(number: int, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for message in requests:
            request = v1.IngestPointsRequest.FromString(message)
            answer = v1.IngestPointsResponse(sequence=request.sequence, upserted=len(request.points))
            yield answer.SerializeToString()
            if number == 0:
                ended.set()
                fail(context, grpc.StatusCode.DEADLINE_EXCEEDED, details(reason="DEADLINE_EXCEEDED"))

    def points() -> Iterator[tuple[int, list[float]]]:
        yield 1, [1.0]
        assert ended.wait(60)
        yield 2, [1.0]

    async def awaited() -> AsyncIterator[tuple[int, list[float]]]:
        yield 1, [1.0]
        assert await asyncio.to_thread(ended.wait, 60)
        yield 2, [1.0]

    failing.stream = stream
    for timeout in (None, 600.0):
        ended.clear()
        failing.streams.clear()
        async with connect(kind, failing.url) as client:
            made: Any = awaited() if kind == "async" else points()
            done = await client.collection("notes").ingest(made, batch_size=1, timeout=timeout)
        assert done.stored == 2


async def test_a_call_that_fails_while_points_are_made_is_told_of(kind: str, failing: Failing) -> None:
    """It was taken for the stream's own connection: the stream went on, found no more points, and was done without them."""

    def stream(_number: int, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        for message in requests:
            request = v1.IngestPointsRequest.FromString(message)
            answer = v1.IngestPointsResponse(sequence=request.sequence, upserted=len(request.points))
            yield answer.SerializeToString()

    async def awaited() -> AsyncIterator[tuple[int, list[float]]]:
        yield 1, [1.0]
        raise Unavailable("where the points come from")

    def points() -> Iterator[tuple[int, list[float]]]:
        yield 1, [1.0]
        raise Unavailable("where the points come from")

    def tell(_: int) -> None:
        raise Unavailable("where it is written down")

    failing.stream = stream
    async with connect(kind, failing.url) as client:
        notes = client.collection("notes")
        with pytest.raises(Unavailable, match="where the points come from"):
            await notes.ingest(awaited() if kind == "async" else points(), batch_size=1)
        with pytest.raises(Unavailable, match="where it is written down"):
            await notes.ingest([(1, [1.0])], progress=tell)


async def test_a_document_that_is_too_large_is_refused_and_the_stream_goes_on(kind: str, failing: Failing) -> None:
    def stream(_number: int, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for message in requests:
            request = v1.IngestDocumentsRequest.FromString(message)
            if request.document.id == "large":
                fail(context, EXHAUSTED, details(reason="REQUEST_TOO_LARGE"))
            stored = v1.IngestDocumentResponse(status="INGEST_STATUS_ADDED")
            yield v1.IngestDocumentsResponse(sequence=request.sequence, stored=stored).SerializeToString()

    failing.stream = stream
    documents = [{"id": id, "content": "text"} for id in ("a", "large", "b")]
    async with connect(kind, failing.url) as client:
        done = await client.collection("notes").ingest_documents(documents)
    assert (done.stored, [(item.index, item.reason) for item in done.refused]) == (2, [(1, "REQUEST_TOO_LARGE")])
    # Where grpcio hides why a stream has ended from who writes to it, the next one tells.
    assert 2 <= len(failing.streams) <= 3


async def test_files_of_a_folder_are_read_beside_the_event_loop(
    kind: str, failing: Failing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever else the loop served waited for the disk."""

    def stream(_number: int, requests: Iterator[bytes], _context: Any) -> Iterator[bytes]:
        stored = v1.IngestDocumentResponse(status="INGEST_STATUS_ADDED")
        yield v1.IngestDocumentsResponse(sequence=len(list(requests)) - 1, stored=stored).SerializeToString()

    failing.stream, read, read_by = stream, Path.read_bytes, list[threading.Thread]()

    def read_bytes(path: Path) -> bytes:
        read_by.append(threading.current_thread())
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    (tmp_path / "a.md").write_text("text")
    async with connect(kind, failing.url) as client:
        assert (await client.collection("notes").ingest_folder(tmp_path)).stored == 1
    assert [thread is threading.main_thread() for thread in read_by] == [kind == "sync"]


async def test_a_stream_that_is_refused_for_good_raises(kind: str, failing: Failing) -> None:
    def stream(_number: int, _requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        fail(context, grpc.StatusCode.INVALID_ARGUMENT, details(reason="INVALID_FIELD"))
        yield b""

    failing.stream = stream
    async with connect(kind, failing.url) as client:
        with pytest.raises(InvalidArgument):
            await client.collection("notes").ingest([(1, [1.0])])
    # Where grpcio hides why a stream has ended from who writes to it, the next one tells.
    assert 1 <= len(failing.streams) <= 4


async def test_a_pause_beyond_the_deadline_is_not_waited(kind: str, failing: Failing) -> None:
    """A stream that had a second slept for as long as the server asked for."""

    def stream(_number: int, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        next(requests)
        fail(context, EXHAUSTED, details(reason="RATE_LIMITED", retry_after=30))
        yield b""

    failing.stream = stream
    failing.answer = lambda _: (EXHAUSTED, details(reason="RATE_LIMITED", retry_after=30))
    started = monotonic()
    async with connect(kind, failing.url) as client:
        notes = client.collection("notes")
        with pytest.raises(ResourceExhausted) as told:
            await notes.ingest([(1, [1.0])], timeout=10)
        assert told.value.retry_after == 30
        with pytest.raises(ResourceExhausted):
            await notes.count(timeout=10)
    assert monotonic() - started < 10


def test_pauses_double_up_to_a_bound_and_respect_the_server() -> None:
    plain, asked = Unavailable("gone"), Unavailable("gone", retry_after=2.0)
    for attempt, fraction, error, expected in [
        (1, 1.0, plain, 0.1),
        (2, 1.0, plain, 0.2),
        (4, 0.5, plain, 0.4),
        (60, 1.0, plain, _retry.PAUSE_MAX),
        (1, 0.0, asked, 2.0),
    ]:
        assert _retry.pause(attempt, error, fraction) == pytest.approx(expected)
    assert len({_retry.request_id() for _ in range(1_000)}) == 1_000
    assert _retry.may_repeat(plain, Repeat.SAFE)
    assert not _retry.may_repeat(plain, Repeat.IF_NOT_BEGUN)
    assert _retry.may_repeat(Unavailable("refused", never_sent=True), Repeat.IF_NOT_BEGUN)
