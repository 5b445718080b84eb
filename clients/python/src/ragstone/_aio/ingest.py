"""Streams of what is to be stored: messages are sent while others are being stored, and those that were not acknowledged when a
connection breaks are sent again over the next one.

A bounded number of messages is under way; they are acknowledged in their order; and each has a name (points) or content (documents) by
which the server knows that it did it already. Acknowledgements are told of as they come, between two messages, and waited for once so many are
under way. When the server has ended the call, no further message is made for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from time import monotonic

from ragstone._aio.core import AsyncCore
from ragstone._errors import DeadlineExceeded, RagstoneError, Unavailable
from ragstone._methods import Method, Repeat
from ragstone._retry import may_repeat, pause

DEADLINE_SLACK_S = 0.1
"""Before its end by so much, or later, a stream's own deadline is taken to be the one that has passed; else it is the server's."""


class AsyncStreamOut:
    """A stream of messages, each with its number."""

    def __init__(self, core: AsyncCore, method: Method, window: tuple[int, int], timeout: float | None) -> None:
        """At most so many messages and bytes are under way; one more is sent while there are fewer bytes."""
        self._core, self._method, self._window = core, method, window
        self._limit = core.timeout if timeout is None else timeout
        self._started = monotonic()
        self._unacknowledged: deque[tuple[int, bytes]] = deque()
        self._is_exhausted = False
        self._failures = 0
        self._of_caller: RagstoneError | None = None

    async def run(
        self,
        messages: AsyncIterator[tuple[int, bytes]],
        told: Callable[[bytes], int],
        refuse: Callable[[int, RagstoneError], None] | None = None,
    ) -> None:
        """Sends all. `told` is given each acknowledgement and tells its number; `refuse` takes a message that is too large for the server."""
        while await self._has_more(messages):
            try:
                await self._connection(messages, told)
            except RagstoneError as error:
                if error is self._of_caller:
                    raise
                await self._after(error, refuse)

    async def _has_more(self, messages: AsyncIterator[tuple[int, bytes]]) -> bool:
        if not self._unacknowledged and not self._is_exhausted:
            await self._next(messages)
        return bool(self._unacknowledged)

    async def _next(self, messages: AsyncIterator[tuple[int, bytes]]) -> bytes | None:
        """Takes the next message, if there is one."""
        try:
            async for number, message in messages:
                self._unacknowledged.append((number, message))
                return message
        except RagstoneError as error:
            # Of a call that made the messages, which end with it: no connection of this stream broke.
            self._of_caller = error
            raise
        self._is_exhausted = True
        return None

    def _has_room(self) -> bool:
        messages, size = self._window
        under_way = sum(len(message) for _, message in self._unacknowledged)
        return not self._is_exhausted and len(self._unacknowledged) < messages and under_way < size

    async def _connection(self, messages: AsyncIterator[tuple[int, bytes]], told: Callable[[bytes], int]) -> None:
        """Works over one connection until all is done, or it breaks."""
        stream = self._core.transport.duplex(self._method.path, self._remaining())
        pending = deque(message for _, message in self._unacknowledged)
        # After a failure one message alone: what is written to a stream that has ended may hide why it has.
        is_careful = self._failures > 0
        is_closed = False
        try:
            while True:
                while pending and not stream.has_come():
                    await stream.write(pending.popleft())
                    if is_careful:
                        break
                while not pending and not is_careful and self._has_room() and not stream.has_come():
                    next_one = await self._next(messages)
                    if next_one is not None:
                        await stream.write(next_one)
                if self._is_exhausted and not pending and not is_closed:
                    await stream.done_writing()
                    is_closed = True
                answer = await stream.read()
                is_careful = False
                if answer is None and self._unacknowledged:
                    raise Unavailable("the server ended the stream early")
                if answer is None:
                    return
                self._failures = 0
                try:
                    number = told(answer)
                except RagstoneError as error:
                    # Of a call of whoever is told.
                    self._of_caller = error
                    raise
                while self._unacknowledged and self._unacknowledged[0][0] <= number:
                    self._unacknowledged.popleft()
        finally:
            stream.cancel()

    def _remaining(self) -> float | None:
        return None if self._limit is None else max(0.001, self._started + self._limit - monotonic())

    async def _after(self, error: RagstoneError, refuse: Callable[[int, RagstoneError], None] | None) -> None:
        """What is done about a connection that ended: nothing, a pause, or the error is raised."""
        is_late = error.code == "DEADLINE_EXCEEDED"
        if is_late and self._limit is not None and self._started + self._limit - monotonic() < DEADLINE_SLACK_S:
            message = f"{self._method.name}: not done within {self._limit * 1_000:.0f} ms"
            raise DeadlineExceeded(message) from None
        if is_late and not self._unacknowledged:
            # Who rests too long between messages loses nothing but the connection.
            return
        if error.reason == "REQUEST_TOO_LARGE" and refuse is not None and self._unacknowledged:
            # All before it were acknowledged, as the server has read them.
            number, _ = self._unacknowledged.popleft()
            self._failures = 0
            refuse(number, error)
            return
        self._failures += 1
        # The server's own deadline ends a stream, and no message: the next one may have been made while it passed.
        if self._failures > self._core.retries or not (is_late or may_repeat(error, Repeat.SAFE)):
            raise error
        seconds = pause(self._failures, error)
        if self._limit is not None and monotonic() + seconds >= self._started + self._limit:
            raise error
        await asyncio.sleep(seconds)
