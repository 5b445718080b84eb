# Made of _aio/core.py by scripts/unasync.py: change that one.
"""One call: its deadline, its attempts, its errors; and lists page by page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any, NoReturn, TypeVar

from google.protobuf.message import Message

from ragstone._errors import DeadlineExceeded, RagstoneError
from ragstone._methods import Method
from ragstone._retry import may_repeat, pause
from ragstone._transport import Reading, Send, Transport
from ragstone._written import Written

A = TypeVar("A", bound=Message)

LIST_PAGE_SIZE = 1_000
"""Items asked for at once by the methods that return all of them."""


@dataclass(frozen=True, slots=True)
class Core:
    """What calls are made over, and how."""

    transport: Transport
    written: Written
    timeout: float | None
    """The deadline of every call, instead of each one's own."""
    retries: int
    """How often a call is repeated at most."""
    connect_timeout: float

    def __reduce__(self) -> NoReturn:
        """A connection, or an engine, is of one process."""
        raise TypeError("a client is of the process that made it: make one in the other process, too")

    def with_options(self, timeout: float | None, retries: int | None) -> Core:
        """The same transport with another deadline, or another number of retries."""
        timeout = self.timeout if timeout is None else timeout
        return replace(self, timeout=timeout, retries=self.retries if retries is None else retries)

    def deadline(self, method: Method, timeout: float | None) -> float:
        """Seconds that a call has."""
        if timeout is None:
            timeout = self.timeout
        return method.timeout if timeout is None else timeout

    def call(
        self,
        method: Method,
        request: Message | bytes,
        answer: type[A],
        timeout: float | None = None,
        send: Send | None = None,
    ) -> A:
        """Makes a call until it succeeds, fails for good, or its deadline would pass; by `send`, if there is more to it than its message."""
        message = request if isinstance(request, bytes) else request.SerializeToString()
        send = send or partial(self.transport.unary, method.path)
        limit = remaining = self.deadline(method, timeout)
        started = monotonic()
        attempt = 1
        while True:
            try:
                return answer.FromString(send(message, remaining))
            except RagstoneError as error:
                remaining = self.after(error, method, attempt, limit, started)
            attempt += 1

    def open(self, method: Method, request: Message, timeout: float | None) -> tuple[Reading, bytes]:
        """Opens a stream of answers, which has begun with its first one."""
        message = request.SerializeToString()
        limit = remaining = self.deadline(method, timeout)
        started = monotonic()
        attempt = 1
        while True:
            stream = self.transport.stream(method.path, message, remaining)
            try:
                first = stream.read()
            except RagstoneError as error:
                remaining = self.after(error, method, attempt, limit, started)
            except BaseException:
                # Ctrl-C, or whoever awaited has left.
                stream.cancel()
                raise
            else:
                return stream, first or b""
            attempt += 1

    def after(self, error: RagstoneError, method: Method, attempt: int, limit: float, started: float) -> float:
        """Waits after a failed attempt, and tells how many seconds the next one has; raises the error if there is none."""
        if error.code == "DEADLINE_EXCEEDED" and error.reason is None:
            raise DeadlineExceeded(f"{method.name}: no answer within {limit * 1_000:.0f} ms") from None
        if attempt > self.retries or not may_repeat(error, method.repeat):
            raise error
        seconds = pause(attempt, error)
        if monotonic() + seconds >= started + limit:
            raise error
        time.sleep(seconds)
        return max(0.001, started + limit - monotonic())

    def pages(self, method: Method, request: Any, answer: type[A], timeout: float | None) -> Iterator[A]:
        """The answers to a request for a list, page by page; each page has the deadline."""
        if not request.page_size:
            request.page_size = LIST_PAGE_SIZE
        while True:
            page: Any = self.call(method, request, answer, timeout)
            yield page
            request.page_token = page.next_page_token
            if not request.page_token:
                return
