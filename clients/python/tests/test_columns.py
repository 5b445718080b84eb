"""Columns that go beside a message, where a transport takes them: which do, and what is left for the message. What an engine makes of them is tested
with the engine (`clients/embedded/tests/test_numpy.py`).
"""

from __future__ import annotations

import asyncio
from array import array
from typing import Any

import numpy as np
import pytest

import ragstone
import ragstone.aio
from ragstone import Precondition, v1
from ragstone._columns import Columns, columns_of
from ragstone._points import columns_bytes

TABLE = np.arange(6, dtype=np.float32).reshape(3, 2)
IDS = np.array([5, 6, 7])


def points_of(columns: Columns | None, ids: Any, vectors: Any, payloads: Any = None) -> list[v1.Point]:
    """What the message has of points."""
    parts = columns_bytes(ids, vectors, payloads, b"\x12", columns)
    message = b"".join(part for point in parts for part in point)
    return list(v1.UpsertPointsRequest.FromString(message).points)


def test_arrays_that_lie_right_are_read_where_they_lie() -> None:
    for ids, signed in ((IDS, True), (IDS.astype(np.uint64), False), (array("q", [5, 6, 7]), True)):
        columns = columns_of(ids, TABLE, None)
        assert columns is not None
        assert columns.ids is not None
        assert (columns.dimension, columns.ids_are_signed) == (2, signed)
        assert np.shares_memory(np.frombuffer(columns.vectors, np.float32), TABLE)
        assert np.shares_memory(np.frombuffer(columns.ids, np.uint64), np.asarray(ids))
        assert points_of(columns, ids, TABLE) == []
    frozen = TABLE.copy()
    frozen.flags.writeable = False
    assert columns_of(IDS, frozen, None) is not None


@pytest.mark.parametrize(
    ("ids", "payloads"),
    [
        ([5, 6, 7], None),
        (["a", "b", "c"], None),
        (range(3), None),
        (IDS.astype(np.int32), None),
        (IDS.astype(">i8"), None),
        (np.arange(6)[::2], None),
        (IDS, [{"n": 1}, {}, {"n": 3}]),
    ],
    ids=str,
)
def test_other_ids_and_payloads_are_the_message_s(ids: Any, payloads: Any) -> None:
    columns = columns_of(ids, TABLE, payloads)
    assert columns is not None
    assert columns.ids is None
    points = points_of(columns, ids, TABLE, payloads)
    assert [point.id.text or point.id.number for point in points] == list(ids)
    assert not any(point.HasField("vector") for point in points)
    if payloads is not None:
        assert [point.payload["n"].int_value for point in points] == [1, 0, 3]


@pytest.mark.parametrize(
    "table",
    [
        TABLE.astype(np.float64),
        TABLE.astype(">f4"),
        np.asfortranarray(TABLE),
        np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::2],
        TABLE.tolist(),
        list(TABLE),
        np.empty((3, 0), np.float32),
    ],
    ids=["f64", "big-endian", "fortran", "strided", "lists", "rows", "no components"],
)
def test_other_vectors_are_the_message_s(table: Any) -> None:
    assert columns_of(IDS, table, None) is None
    points = points_of(None, IDS, table)
    assert [list(point.vector.values) for point in points] == np.asarray(table).tolist()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_what_is_masked_is_no_number(kind: Any) -> None:
    whole = np.ma.array(TABLE, mask=False)
    assert columns_of(np.ma.array(IDS, mask=False), whole, None) == columns_of(IDS, TABLE, None)
    gone = np.ma.array(TABLE.astype(kind), mask=[[0, 0], [0, 1], [0, 0]])
    for ids, table in ((np.ma.array(IDS, mask=[0, 1, 0]), TABLE), (IDS, gone), (IDS, list(gone))):
        with pytest.raises(TypeError, match=r"NoneType|integer"):
            points_of(columns_of(ids, table, None), ids, table)


def test_the_point_is_named_that_is_wrong() -> None:
    for ids, payloads in (([1, -1, 2], None), ([1, 1.5, 2], None), ([1, 2, 3], [{}, {"n": object()}, {}])):
        with pytest.raises((ValueError, TypeError), match=r"^points\[1\]: "):
            points_of(columns_of(ids, TABLE, payloads), ids, TABLE, payloads)
        with pytest.raises((ValueError, TypeError), match=r"^points\[1\]: "):
            points_of(None, ids, TABLE, payloads)


class Here:
    """A transport that takes columns, and fails at first."""

    def __init__(self) -> None:
        self.calls: list[tuple[Columns, bytes]] = []

    def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        assert timeout is not None
        self.calls.append((columns, request))
        if len(self.calls) == 1:
            raise ragstone.Unavailable("come again", code="UNAVAILABLE")
        return v1.UpsertPointsResponse(upserted=3, write_token="token").SerializeToString()

    def unary(self, path: str, *_: object) -> bytes:
        raise AssertionError(path)

    stream = duplex = connect = close = unary


class AsyncHere(Here):
    """The same, awaited."""

    async def upsert_columns(self, columns: Columns, request: bytes, timeout: float | None) -> bytes:
        return super().upsert_columns(columns, request, timeout)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_transport_that_takes_columns_gets_them_with_every_attempt(kind: str) -> None:
    terms: dict[str, Any] = {"preconditions": [Precondition.missing(5)], "request_id": "once"}
    if kind == "sync":
        here = Here()
        receipt = ragstone.Client.over(here).collection("notes").upsert_columns(IDS, TABLE, **terms)
    else:
        here = AsyncHere()
        client = ragstone.aio.AsyncClient.over(here)
        receipt = asyncio.run(client.collection("notes").upsert_columns(IDS, TABLE, **terms))
    assert (receipt.points, receipt.write_token) == (3, "token")
    [first, second] = here.calls
    assert first == second
    request = v1.UpsertPointsRequest.FromString(first[1])
    assert (request.collection, request.request_id, len(request.preconditions)) == ("notes", "once", 1)
    assert not request.points


def test_lengths_are_compared_before_anything_is_sent() -> None:
    here = Here()
    notes = ragstone.Client.over(here).collection("notes")
    for ids, payloads, told in ((IDS[:2], None, "2 ids and 3 vectors"), (IDS, [{}], "3 ids and 1 payloads")):
        with pytest.raises(ValueError, match=told):
            notes.upsert_columns(ids, TABLE, payloads)
    assert here.calls == []
