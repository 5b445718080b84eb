"""A server of the test's own that fails as it is told to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from ragstone import v1


def details(*, reason: str | None = None, retry_after: float | None = None) -> bytes:
    """The bytes of a `google.rpc.Status` with these details, written by hand as the wire has them."""
    status = v1.OperationError()
    if reason is not None:
        name = reason.encode()
        status.details.add(
            type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\x0a" + bytes([len(name)]) + name
        )
    if retry_after is not None:
        from google.protobuf.duration_pb2 import Duration

        duration = Duration(seconds=int(retry_after), nanos=int(retry_after % 1 * 1e9)).SerializeToString()
        value = b"\x0a" + bytes([len(duration)]) + duration
        status.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo", value=value)
    return status.SerializeToString()


class Failing(grpc.GenericRpcHandler):
    """A server that answers every call as the test says: by `answer`, a function of the number of the call and its request."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.streams: list[list[Any]] = []
        self.answer: Callable[[int], bytes | tuple[grpc.StatusCode, bytes]] = lambda _number: b""
        self.stream: Callable[[int, Iterator[bytes], Any], Iterator[bytes]] = lambda *_: iter(())
        self.server = grpc.server(ThreadPoolExecutor(8), handlers=[self])
        self.url = f"http://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def service(self, handler_call_details: Any) -> Any:
        name = handler_call_details.method.rpartition("/")[2]
        if name.startswith("Ingest") and name.endswith("s"):
            return grpc.stream_stream_rpc_method_handler(self.both)
        return grpc.unary_unary_rpc_method_handler(lambda request, context: self.one(name, request, context))

    def one(self, name: str, request: bytes, context: Any) -> bytes:
        self.calls.append((name, request))
        answer = self.answer(len(self.calls) - 1)
        if isinstance(answer, bytes):
            return answer
        fail(context, *answer)
        raise AssertionError("it was aborted")

    def both(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        self.streams.append([])
        yield from self.stream(len(self.streams) - 1, requests, context)


def fail(context: Any, code: grpc.StatusCode, status: bytes = b"") -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", status),))
    context.abort(code, "as the test wants it")
