"""Points of one write as columns, for transports that stay in the process: arrays go beside the message, and are read where they lie.

In a message a table is copied row by row. An engine in this process can do without: where the vectors are a two-dimensional buffer of 32-bit floats,
as memory has them (NumPy's, C-contiguous), they go beside the message, whose points have none. Where the ids are a buffer of 64-bit integers, too, and
there are no payloads, the message has no points at all, and nothing is done row by row in Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragstone._values import Ids
from ragstone._vectors import numbers, table


@dataclass(frozen=True, slots=True)
class Columns:
    """What goes beside the message: memory of the caller's, as bytes."""

    vectors: memoryview
    """Packed little-endian 32-bit floats, row by row."""
    dimension: int
    """Components of a row."""
    ids: memoryview | None
    """Little-endian integers of 64 bits; None if the message has the points, without their vectors."""
    ids_are_signed: bool
    """Whether an id may be found to be negative."""


def columns_of(ids: Ids, vectors: Any, payloads: Sequence[Mapping[str, Any]] | None) -> Columns | None:
    """The columns, of one length, that can go beside a message; None where they are no arrays, or do not lie so."""
    rows = table(vectors)
    if rows is None:
        return None
    _, dimension = rows.shape or (0, 0)
    column = numbers(ids) if payloads is None else None
    return Columns(
        rows.cast("B"),
        dimension,
        None if column is None else column.cast("B"),
        column is not None and column.format in ("l", "q"),
    )


def check_lengths(ids: Ids, vectors: Any, payloads: Sequence[Mapping[str, Any]] | None) -> None:
    """Raises `ValueError` for columns of different lengths."""
    if payloads is not None and len(payloads) != len(ids):
        raise ValueError(f"there are {len(ids)} ids and {len(payloads)} payloads")
    if len(vectors) != len(ids):
        raise ValueError(f"there are {len(ids)} ids and {len(vectors)} vectors")
