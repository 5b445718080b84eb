"""An answer as it comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from ragstone import v1
from ragstone._aio_transport import AsyncReading
from ragstone._errors import missing
from ragstone._rag import Answer, Delta, Enriched, Event, Evidence, read_answer, read_enriched


class AsyncGeneration:
    """An answer as it comes: an iterator over its events, which are one `Evidence`, any number of `Delta` and one `Answer`.

    A generation that is left early is to be closed, which ends the model's work: use it in a `with` statement.
    """

    def __init__(self, stream: AsyncReading, first: bytes) -> None:
        """Of a stream that has begun."""
        self._stream = stream
        self._first: bytes | None = first
        self.evidence: Enriched | None = None
        """What the answer is to rest on, once it has come."""
        self.answer: Answer | None = None
        """The whole answer, once it has come."""

    def __aiter__(self) -> AsyncGeneration:
        """Itself."""
        return self

    async def __anext__(self) -> Event:
        """The next event, as soon as it comes."""
        if self.answer is not None:
            raise StopAsyncIteration
        message, self._first = self._first, None
        if message is None:
            message = await self._stream.read()
        if not message:
            raise missing("answer")
        wire = v1.GenerateResponse.FromString(message)
        kind = wire.WhichOneof("event")
        if kind == "evidence":
            self.evidence = read_enriched(wire.evidence)
            return Evidence(self.evidence)
        if kind == "delta":
            return Delta(wire.delta)
        self.answer = read_answer(wire.answer, self.evidence)
        return self.answer

    async def texts(self) -> AsyncIterator[str]:
        """Only the pieces of the answer's text."""
        async for event in self:
            if isinstance(event, Delta):
                yield event.text

    async def result(self) -> Answer:
        """The whole answer, when it is there."""
        async for _ in self:
            pass
        if self.answer is None:
            raise missing("answer")
        return self.answer

    def close(self) -> None:
        """Wants no more of it."""
        self._stream.cancel()

    async def __aenter__(self) -> AsyncGeneration:
        """Itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wants no more of it."""
        self.close()
