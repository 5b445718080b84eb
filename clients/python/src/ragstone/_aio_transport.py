"""What the client that is awaited is made over: the twin of `_transport.py`, which has the contract.

A channel of `grpc.aio` belongs to the event loop that it was made in. A client may be made outside of any loop, and used by several in turn
(a test's, a notebook's, that of `asyncio.run`), so there is a channel for each loop, made with its first call. Those of loops that
are closed are forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import grpc
import grpc.aio

from ragstone._channel import Endpoint, closed, error_of, within
from ragstone._columns import Columns
from ragstone._errors import RagstoneError

AsyncSend: TypeAlias = Callable[[bytes, float | None], Awaitable[bytes]]
"""Makes a call of a request, within so many seconds."""

_WRITE_FAILED = ("Internal error from Core", "execute_batch")
"""What `grpc.aio` makes of a stream that ended while it was written to, in the place of the status that it ended with."""


class AsyncReading(Protocol):
    """A stream of answers."""

    async def read(self) -> bytes | None:
        """The next one; None after the last."""

    def cancel(self) -> None:
        """Wants no more of them."""


class AsyncDuplex(AsyncReading, Protocol):
    """A stream both ways."""

    async def write(self, message: bytes) -> None:
        """Sends a message; may wait until there is room."""

    async def done_writing(self) -> None:
        """There are no more messages."""

    def has_come(self) -> bool:
        """Whether reading does not wait: an answer is there, or the call has ended."""


class AsyncTransport(Protocol):
    """Where calls go."""

    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """One answer to one request, within so many seconds."""

    def stream(self, path: str, request: bytes, timeout: float | None) -> AsyncReading:
        """Answers to one request."""

    def duplex(self, path: str, timeout: float | None) -> AsyncDuplex:
        """A stream both ways."""

    async def connect(self, timeout: float) -> None:
        """Waits until there is a connection."""

    async def close(self) -> None:
        """Gives up whatever it has."""


@runtime_checkable
class AsyncColumnsTransport(AsyncTransport, Protocol):
    """A transport that need not put everything into a message, as it stays in this process."""

    async def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        """`UpsertPoints` with columns beside the request, which are read before anything is awaited."""


def _translated(error: grpc.aio.AioRpcError) -> RagstoneError:
    code, message = error.code(), error.details() or ""
    if code is grpc.StatusCode.INTERNAL and any(part in message for part in _WRITE_FAILED):
        return error_of(grpc.StatusCode.UNAVAILABLE, "the connection broke while something was sent", None)
    return error_of(code, message, error.trailing_metadata())


def _is_cancelled() -> bool:
    """Whether it is the task that was cancelled: gRPC raises the same in one whose call it gave up. Before Python 3.11 nobody can tell."""
    return getattr(asyncio.current_task(), "cancelling", lambda: 1)() > 0


class _OfLoop:
    """The channel of one loop."""

    def __init__(self, endpoint: Endpoint) -> None:
        options, compression = endpoint.options, endpoint.compression
        if endpoint.credentials is None:
            self.channel = grpc.aio.insecure_channel(endpoint.target, options, compression)
        else:
            self.channel = grpc.aio.secure_channel(endpoint.target, endpoint.credentials, options, compression)
        self.calls: dict[str, Any] = {}


class AsyncGrpcTransport:
    """A connection to a server, made with the first call, and anew when it breaks."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Makes no connection yet, and needs no loop."""
        self._endpoint = endpoint
        self._metadata = endpoint.metadata
        self._loops: dict[asyncio.AbstractEventLoop, _OfLoop] = {}
        self._is_closed = False

    def _here(self) -> _OfLoop:
        loop = asyncio.get_running_loop()
        found = self._loops.get(loop)
        if found is None:
            if self._is_closed:
                raise closed()
            self._loops = {other: channel for other, channel in self._loops.items() if not other.is_closed()}
            found = self._loops[loop] = _OfLoop(self._endpoint)
        return found

    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """See `AsyncTransport`."""
        here = self._here()
        call = here.calls.get(path)
        if call is None:
            call = here.calls[path] = here.channel.unary_unary(path)
        try:
            answer: bytes = await call(request, timeout=within(timeout), metadata=self._metadata)
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from None
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            raise error_of(grpc.StatusCode.CANCELLED, "the client was closed", None) from None
        return answer

    def stream(self, path: str, request: bytes, timeout: float | None) -> AsyncReading:
        """See `AsyncTransport`."""
        method: Any = self._here().channel.unary_stream(path)
        return _Answers(method(request, timeout=within(timeout), metadata=self._metadata))

    def duplex(self, path: str, timeout: float | None) -> AsyncDuplex:
        """See `AsyncTransport`."""
        return _Both(self._here().channel.stream_stream(path), within(timeout), self._metadata)

    async def connect(self, timeout: float) -> None:
        """See `AsyncTransport`."""
        try:
            await asyncio.wait_for(self._here().channel.channel_ready(), within(timeout))
        except asyncio.TimeoutError:
            message = f"cannot connect to {self._endpoint.url} within {timeout:g} s"
            raise error_of(grpc.StatusCode.UNAVAILABLE, message, None) from None

    async def close(self) -> None:
        """See `AsyncTransport`; channels of other loops close with these."""
        self._is_closed = True
        here = self._loops.pop(asyncio.get_running_loop(), None)
        self._loops.clear()
        if here is not None:
            await here.channel.close()


class _Answers:
    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> bytes | None:
        try:
            answer = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise _translated(error) from None
        except asyncio.CancelledError:
            if _is_cancelled():
                raise
            raise error_of(grpc.StatusCode.CANCELLED, "the call was given up", None) from None
        return None if answer is grpc.aio.EOF else answer

    def cancel(self) -> None:
        self._call.cancel()


class _Both(_Answers):
    """gRPC takes what is sent from an iterator, in a task of its own: some of its versions never return from a write to a stream that has ended,
    and so only that task waits then. How much is under way is bounded by whoever writes. Another task takes what is answered, as gRPC knows that a
    call has ended only once all before that is read. There are no more answers than messages.
    """

    def __init__(self, method: Any, timeout: float | None, metadata: Any) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._came: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        super().__init__(method(self._sent(), timeout=timeout, metadata=metadata))
        self._receiving = asyncio.get_running_loop().create_task(self._receive())

    async def _sent(self) -> AsyncIterator[bytes]:
        while (message := await self._queue.get()) is not None:
            yield message

    async def write(self, message: bytes) -> None:
        self._queue.put_nowait(message)
        # A turn of the loop: what is written is sent, and what has come is seen, before the next one is made.
        await asyncio.sleep(0)

    async def done_writing(self) -> None:
        self._queue.put_nowait(None)

    async def _receive(self) -> None:
        end: Exception | None = None
        try:
            while (answer := await super().read()) is not None:
                self._came.put_nowait(answer)
        except asyncio.CancelledError:
            end = error_of(grpc.StatusCode.CANCELLED, "the call was given up", None)
        except Exception as error:
            end = error
        self._came.put_nowait(end)

    async def read(self) -> bytes | None:
        came = await self._came.get()
        if isinstance(came, bytes):
            return came
        # Whoever reads on is told the same.
        self._came.put_nowait(came)
        if came is not None:
            raise came
        return None

    def has_come(self) -> bool:
        return not self._came.empty()
