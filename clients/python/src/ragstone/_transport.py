"""What the blocking client is made over: calls as bytes to a path, and bytes back.

The seam is where the wire ends: a transport knows neither messages nor retries, and raises `RagstoneError`. `GrpcTransport` speaks to a server;
an engine in this process is another one. Its twin, which is awaited, is `_aio_transport.py`; both are written by hand, as this is where
blocking and awaiting differ.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, Protocol, TypeAlias, runtime_checkable

import grpc

from ragstone._channel import Endpoint, closed, error_of, within
from ragstone._columns import Columns
from ragstone._errors import RagstoneError

Send: TypeAlias = Callable[[bytes, float | None], bytes]
"""Makes a call of a request, within so many seconds."""

_SIGNALS_S = 0.2
"""How often one who waits for an answer looks for signals."""


class Reading(Protocol):
    """A stream of answers."""

    def read(self) -> bytes | None:
        """The next one; None after the last."""

    def cancel(self) -> None:
        """Wants no more of them."""


class Duplex(Reading, Protocol):
    """A stream both ways."""

    def write(self, message: bytes) -> None:
        """Sends a message; may wait until there is room."""

    def done_writing(self) -> None:
        """There are no more messages."""

    def has_come(self) -> bool:
        """Whether reading does not wait: an answer is there, or the call has ended."""


class Transport(Protocol):
    """Where calls go."""

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """One answer to one request, within so many seconds."""

    def stream(self, path: str, request: bytes, timeout: float | None) -> Reading:
        """Answers to one request."""

    def duplex(self, path: str, timeout: float | None) -> Duplex:
        """A stream both ways."""

    def connect(self, timeout: float) -> None:
        """Waits until there is a connection."""

    def close(self) -> None:
        """Gives up whatever it has."""


@runtime_checkable
class ColumnsTransport(Transport, Protocol):
    """A transport that need not put everything into a message, as it stays in this process."""

    def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        """`UpsertPoints` with columns beside the request."""


def _translated(error: grpc.RpcError) -> RagstoneError:
    call: Any = error
    return error_of(call.code(), call.details() or "", call.trailing_metadata())


class GrpcTransport:
    """A connection to a server, made with the first call, and anew when it breaks."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Makes no connection yet."""
        self._endpoint = endpoint
        self._metadata = endpoint.metadata
        options, compression = endpoint.options, endpoint.compression
        if endpoint.credentials is None:
            self._channel = grpc.insecure_channel(endpoint.target, options, compression)
        else:
            self._channel = grpc.secure_channel(endpoint.target, endpoint.credentials, options, compression)
        self._calls: dict[str, Any] = {}
        self._is_closed = False

    def _open(self) -> grpc.Channel:
        if self._is_closed:
            raise closed()
        return self._channel

    def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        """See `Transport`."""
        call = self._calls.get(path)
        if call is None:
            call = self._calls[path] = self._open().unary_unary(path)
        try:
            answer: bytes = call(request, within(timeout), self._metadata)
        except grpc.RpcError as error:
            raise _translated(error) from None
        return answer

    def stream(self, path: str, request: bytes, timeout: float | None) -> Reading:
        """See `Transport`."""
        method: Any = self._open().unary_stream(path)
        return _Answers(method(request, within(timeout), self._metadata))

    def duplex(self, path: str, timeout: float | None) -> Duplex:
        """See `Transport`."""
        return _Both(self._open().stream_stream(path), within(timeout), self._metadata)

    def connect(self, timeout: float) -> None:
        """See `Transport`."""
        try:
            grpc.channel_ready_future(self._open()).result(within(timeout))
        except grpc.FutureTimeoutError:
            message = f"cannot connect to {self._endpoint.url} within {timeout:g} s"
            raise error_of(grpc.StatusCode.UNAVAILABLE, message, None) from None

    def close(self) -> None:
        """See `Transport`."""
        self._is_closed = True
        self._calls.clear()
        self._channel.close()


class _Answers:
    def __init__(self, call: Any) -> None:
        self._call = call

    def read(self) -> bytes | None:
        try:
            answer: bytes | None = next(self._call, None)
        except grpc.RpcError as error:
            raise _translated(error) from None
        return answer

    def cancel(self) -> None:
        self._call.cancel()


class _Both(_Answers):
    """gRPC takes what is sent from an iterator, on a thread of its own: it waits for the queue, whose None is the end. Another thread takes what is
    answered, as gRPC knows that a call has ended only once all before that is read. There are no more answers than messages.
    """

    def __init__(self, method: Any, timeout: float | None, metadata: Any) -> None:
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._came: queue.SimpleQueue[bytes | Exception | None] = queue.SimpleQueue()
        super().__init__(method(self._sent(), timeout, metadata))
        threading.Thread(target=self._receive, name="ragstone answers", daemon=True).start()

    def _sent(self) -> Iterator[bytes]:
        while (message := self._queue.get()) is not None:
            yield message

    def write(self, message: bytes) -> None:
        self._queue.put(message)

    def done_writing(self) -> None:
        self._queue.put(None)

    def _receive(self) -> None:
        end: Exception | None = None
        try:
            while (answer := super().read()) is not None:
                self._came.put(answer)
        except Exception as error:
            end = error
        self._came.put(end)

    def read(self) -> bytes | None:
        while True:
            try:
                came = self._came.get(timeout=_SIGNALS_S)
                break
            except queue.Empty:
                # Not every system lets Ctrl-C through to one who waits.
                continue
        if isinstance(came, bytes):
            return came
        # Whoever reads on is told the same.
        self._came.put(came)
        if came is not None:
            raise came
        return None

    def has_come(self) -> bool:
        return not self._came.empty()

    def cancel(self) -> None:
        self._queue.put(None)
        super().cancel()
