"""What a stream is fed with: anything that can be iterated over; and the pairs that blocking and awaiting differ in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

Items: TypeAlias = Iterable[T]
AsyncItems: TypeAlias = Iterable[T] | AsyncIterable[T]


def iterate(items: Items[T]) -> Iterator[T]:
    """The items."""
    yield from items


async def aiterate(items: AsyncItems[T]) -> AsyncIterator[T]:
    """The items, however they come."""
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item


def drawn(items: Iterator[T]) -> Iterator[T]:
    """Items that it takes a disk to make."""
    yield from items


async def adrawn(items: Iterator[T]) -> AsyncIterator[T]:
    """The same, each of which is made on a thread: an event loop has others to serve."""
    end: Any = object()
    while (item := await asyncio.to_thread(next, items, end)) is not end:
        yield item
