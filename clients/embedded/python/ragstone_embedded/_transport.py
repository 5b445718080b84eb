"""The engine behind the client's seam, blocking and awaited; `ragstone._transport` has the contract.

What is awaited is told by a thread of the engine, which hands it to the event loop: no thread of Python's waits. Whoever stops awaiting gives the
call up.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ragstone import Duplex, Reading
from ragstone._channel import closed
from ragstone._columns import Columns
from ragstone._errors import from_status
from ragstone.aio import AsyncDuplex, AsyncReading

from ragstone_embedded._engine import Call, Engine, Failure, Stream
from ragstone_embedded._shared import Shared, translated

if TYPE_CHECKING:
    from ragstone_embedded._engine import Failed, Told


class _Open:
    """A client's part in an engine, until it is closed or nobody has it any more."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._release = weakref.finalize(self, shared.release)

    @property
    def engine(self) -> Engine:
        """The engine; raises once the client is closed."""
        if not self._release.alive:
            raise closed()
        return self._shared.engine


def _opened(open: Callable[[], Stream]) -> Stream:
    try:
        return open()
    except Failure as failure:
        raise translated(failure) from None


class EmbeddedTransport(_Open):
    """Calls of the client that blocks."""

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """See `ragstone.Transport`."""
        try:
            return self.engine.unary(path, request, timeout)
        except Failure as failure:
            raise translated(failure) from None

    def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        """See `ragstone._transport.ColumnsTransport`."""
        try:
            return self.engine.upsert_columns(columns, request, timeout)
        except Failure as failure:
            raise translated(failure) from None

    def stream(self, path: str, request: bytes, timeout: float | None) -> Reading:
        """See `ragstone.Transport`."""
        return _Stream(_opened(lambda: self.engine.stream(path, request, timeout)))

    def duplex(self, path: str, timeout: float | None) -> Duplex:
        """See `ragstone.Transport`."""
        return _Stream(_opened(lambda: self.engine.duplex(path, timeout)))

    def connect(self, timeout: float) -> None:  # noqa: ARG002
        """There is nothing to wait for."""
        _ = self.engine

    def close(self) -> None:
        """Closes the database, unless others have it open."""
        self._release()


class _Stream:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    def read(self) -> bytes | None:
        try:
            return self._stream.read()
        except Failure as failure:
            raise translated(failure) from None

    def write(self, message: bytes) -> None:
        try:
            self._stream.write(message)
        except Failure as failure:
            raise translated(failure) from None

    def done_writing(self) -> None:
        self._stream.done_writing()

    def has_come(self) -> bool:
        return self._stream.has_come()

    def cancel(self) -> None:
        self._stream.cancel()


def _settle(future: asyncio.Future[bytes | None], answer: bytes | None, failed: Failed | None) -> None:
    if future.done():
        return
    if failed is None:
        future.set_result(answer)
    else:
        future.set_exception(from_status(*failed))


def _begun(begin: Callable[[Told], Call | None]) -> tuple[asyncio.Future[bytes | None], Call | None]:
    """Begins a call; what it comes to."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bytes | None] = loop.create_future()

    def tell(answer: bytes | None, failed: Failed | None) -> None:
        try:
            loop.call_soon_threadsafe(_settle, future, answer, failed)
        except RuntimeError:
            # The loop is closed, and who awaited in it is gone.
            pass

    try:
        return future, begin(tell)
    except Failure as failure:
        raise translated(failure) from None


async def told(begin: Callable[[Told], Call | None]) -> Any:
    """Begins a call and awaits what it comes to."""
    future, call = _begun(begin)
    try:
        return await future
    finally:
        if call is not None:
            call.cancel()


class AsyncEmbeddedTransport(_Open):
    """Calls of the client that is awaited, of any loop."""

    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """See `ragstone.aio.AsyncTransport`."""
        engine = self.engine
        answer: bytes = await told(lambda tell: engine.begin_unary(path, request, timeout, tell))
        return answer

    async def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        """See `ragstone._aio_transport.AsyncColumnsTransport`."""
        engine = self.engine
        answer: bytes = await told(lambda tell: engine.begin_upsert_columns(columns, request, timeout, tell))
        return answer

    def stream(self, path: str, request: bytes, timeout: float | None) -> AsyncReading:
        """See `ragstone.aio.AsyncTransport`."""
        return _AsyncStream(_opened(lambda: self.engine.stream(path, request, timeout)))

    def duplex(self, path: str, timeout: float | None) -> AsyncDuplex:
        """See `ragstone.aio.AsyncTransport`."""
        return _AsyncStream(_opened(lambda: self.engine.duplex(path, timeout)))

    async def connect(self, timeout: float) -> None:  # noqa: ARG002
        """There is nothing to wait for."""
        _ = self.engine

    async def close(self) -> None:
        """Closes the database, unless others have it open."""
        if self._release.detach() is not None:
            # It has begun before anything is awaited, and goes on whoever stops to await it.
            future, _ = _begun(self._shared.begin_release)
            await asyncio.shield(future)


class _AsyncStream:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream

    async def read(self) -> bytes | None:
        answer: bytes | None = await told(self._stream.begin_read)
        return answer

    async def write(self, message: bytes) -> None:
        await told(lambda tell: self._stream.begin_write(message, tell))

    async def done_writing(self) -> None:
        self._stream.done_writing()

    def has_come(self) -> bool:
        return self._stream.has_come()

    def cancel(self) -> None:
        self._stream.cancel()
