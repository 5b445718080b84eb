"""NumPy's arrays, which the engine reads where they lie: what comes of them, and that they are refused as a message would be.

The oracle is the same call with lists, whose points are a message's.
"""

from __future__ import annotations

import asyncio
import gc
import weakref
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import ragstone
import ragstone.aio
from ragstone import InvalidArgument, Precondition, PreconditionFailed, RequestTooLarge
from ragstone._columns import Columns
from ragstone_embedded._engine import Failure

DIMENSION = 8


@pytest.fixture
def client() -> Iterator[ragstone.Client]:
    with ragstone.open(None) as client:
        yield client


@pytest.fixture
def notes(client: ragstone.Client) -> ragstone.Collection:
    return client.create_collection("notes", dimension=DIMENSION, metric="dot")


def table(rows: int, seed: int = 7) -> Any:
    return np.random.default_rng(seed).random((rows, DIMENSION), dtype=np.float32)


def stored(notes: ragstone.Collection, ids: Any) -> Any:
    points = notes.get(ids, with_vectors=True)
    assert [point.id for point in points] == list(ids)
    return np.stack([np.asarray(point.vector) for point in points])


@pytest.mark.parametrize("kind", [np.int64, np.uint64, np.dtype("q"), np.dtype("Q")], ids=str)
def test_what_was_in_the_arrays_is_there(notes: ragstone.Collection, kind: Any) -> None:
    ids, vectors = np.array([5, 0, 2**63 - 1], kind), table(3)
    if np.dtype(kind).kind == "u":
        ids[1] = 2**64 - 1
    assert notes.upsert_columns(ids, vectors).points == 3
    assert np.array_equal(stored(notes, [int(id) for id in ids]), vectors)
    nearest = notes.search(vectors[2], k=3)
    assert {hit.id for hit in nearest} == {int(id) for id in ids}


def test_text_ids_and_payloads_go_with_vectors_that_are_read_where_they_lie(notes: ragstone.Collection) -> None:
    vectors, payloads = table(2), [{"n": 1}, {"n": 2}]
    assert notes.upsert_columns(["a", 7], vectors, payloads).points == 2
    assert np.array_equal(stored(notes, ["a", 7]), vectors)
    assert [point.payload for point in notes.get(["a", 7])] == payloads
    ids = np.array([1, 2])
    assert notes.upsert_columns(ids, vectors, payloads).points == 2
    assert [point.payload for point in notes.get([1, 2])] == payloads


@pytest.mark.parametrize(
    "lent",
    [
        lambda vectors: vectors.astype(np.float64),
        lambda vectors: vectors.astype(">f4"),
        np.asfortranarray,
        lambda vectors: np.repeat(vectors, 2, axis=1)[:, ::2],
        lambda vectors: np.repeat(vectors, 2, axis=0)[::2],
        lambda vectors: vectors[::-1].copy()[::-1],
        lambda vectors: vectors.tolist(),
        lambda vectors: [array("f", row) for row in vectors],
        lambda vectors: memoryview(vectors),
        lambda vectors: memoryview(b"x" + vectors.tobytes())[1:].cast("f", vectors.shape),
        lambda vectors: np.broadcast_to(vectors, vectors.shape),
    ],
    ids=[
        "f64", "big-endian", "fortran", "columns apart", "rows apart", "backwards", "lists", "arrays", "memoryview",
        "unaligned", "read-only",
    ],
)  # fmt: skip
def test_whatever_layout_an_array_has_it_is_the_same(notes: ragstone.Collection, lent: Any) -> None:
    vectors = table(5)
    for ids in (np.arange(5), range(10, 15)):
        assert notes.upsert_columns(ids, lent(vectors)).points == 5
        assert np.array_equal(stored(notes, [int(id) for id in ids]), vectors)


def test_nothing_is_done_of_no_rows(notes: ragstone.Collection) -> None:
    empty = np.empty((0, DIMENSION), np.float32)
    assert notes.upsert_columns(np.empty(0, np.int64), empty).points == 0
    assert notes.count() == 0


def wrong_at(row: int, value: float) -> Any:
    vectors = table(5)
    vectors[row, 3] = value
    return vectors


@pytest.mark.parametrize(
    ("vectors", "field"),
    [
        (wrong_at(3, np.nan), "points[3].vector"),
        (wrong_at(4, -np.inf), "points[4].vector"),
        (np.ones((5, DIMENSION + 1), np.float32), "points[0].vector"),
        (np.ones((5, 0), np.float32), "points[0].vector"),
    ],
    ids=["NaN", "infinity", "dimension", "no components"],
)
def test_what_is_wrong_with_a_row_is_told_as_of_a_message(notes: ragstone.Collection, vectors: Any, field: str) -> None:
    told = []
    for ids in (np.arange(5), list("abcde")):
        for lent in (vectors, vectors.tolist()):
            with pytest.raises(InvalidArgument) as wrong:
                notes.upsert_columns(ids, lent)
            told.append((str(wrong.value), wrong.value.reason, wrong.value.field))
    assert told == [told[0]] * 4
    assert told[0][2] == field
    assert notes.count() == 0


def test_an_id_that_is_negative_is_named(notes: ragstone.Collection) -> None:
    ids = np.array([0, 1, 2, -4])
    for lent in (ids, ids.tolist()):
        with pytest.raises(
            ValueError, match=r"^points\[3\]: an id that is a number is not negative, and this one is -4$"
        ):
            notes.upsert_columns(lent, table(4))
    assert notes.count() == 0


def test_columns_of_different_lengths_are_refused(notes: ragstone.Collection) -> None:
    for ids in (np.arange(3), [0, 1, 2]):
        with pytest.raises(ValueError, match="3 ids and 4 vectors"):
            notes.upsert_columns(ids, table(4))


def test_what_a_write_rests_on_holds_for_columns(notes: ragstone.Collection) -> None:
    first = notes.upsert_columns(np.arange(3), table(3), request_id="once")
    again = notes.upsert_columns(np.arange(3), table(3), request_id="once")
    assert (first.repeated, again.repeated, again.seq) == (False, True, first.seq)
    with pytest.raises(PreconditionFailed):
        notes.upsert_columns(np.arange(3, 6), table(3), preconditions=[Precondition.missing(0)])
    with pytest.raises(ragstone.CollectionNotFound):
        notes.client.collection("nobody").upsert_columns(np.arange(3), table(3))
    assert notes.count() == 3


def test_limits_hold_for_columns(notes: ragstone.Collection) -> None:
    large = np.zeros((1_100_000, DIMENSION), np.float32)
    with pytest.raises(RequestTooLarge) as wrong:
        notes.upsert_columns(np.arange(len(large)), large)
    assert (wrong.value.limit, wrong.value.max) == ("REQUEST_BYTES_MAX", str(32 << 20))
    many = np.zeros((100_001, DIMENSION), np.float32)
    with pytest.raises(InvalidArgument) as wrong:
        notes.upsert_columns(np.arange(len(many)), many)
    assert (wrong.value.limit, wrong.value.actual) == ("BATCH_OPS_MAX", "100001")
    assert notes.count() == 0


def test_arrays_are_free_once_the_call_has_returned(notes: ragstone.Collection) -> None:
    ids, vectors = np.arange(1_000), table(1_000)
    expected = vectors.copy()
    notes.upsert_columns(ids, vectors)
    ids[:], vectors[:] = -1, np.nan
    assert np.array_equal(stored(notes, range(1_000)), expected)
    # A bytearray keeps its size while its buffer is lent.
    lent = bytearray(table(4).tobytes())
    notes.upsert_columns(np.arange(4), memoryview(lent).cast("f", (4, DIMENSION)))
    gc.collect()
    lent.clear()
    gone = weakref.ref(vectors)
    del vectors
    gc.collect()
    assert gone() is None


def test_columns_are_awaited_too() -> None:
    async def write() -> None:
        async with ragstone.aio.open(None) as client:
            notes = await client.create_collection("notes", dimension=DIMENSION, metric="dot")
            tables = [table(100, seed) for seed in range(8)]
            expected = np.concatenate(tables)
            ids = np.arange(800).reshape(8, 100)
            writes = [notes.upsert_columns(*columns) for columns in zip(ids, tables, strict=True)]
            assert [receipt.points for receipt in await asyncio.gather(*writes)] == [100] * 8
            points = await notes.get(range(800), with_vectors=True)
            assert np.array_equal(np.stack([np.asarray(point.vector) for point in points]), expected)
            with pytest.raises(ValueError, match=r"points\[1\]: .* -1$"):
                await notes.upsert_columns(np.array([0, -1]), table(2))
            with pytest.raises(InvalidArgument) as wrong:
                await notes.upsert_columns(np.arange(5), wrong_at(2, np.nan))
            assert wrong.value.field == "points[2].vector"

    asyncio.run(write())


def test_a_client_that_is_closed_takes_none(client: ragstone.Client, notes: ragstone.Collection) -> None:
    client.close()
    with pytest.raises(ragstone.FailedPrecondition, match="closed"):
        notes.upsert_columns(np.arange(3), table(3))


def test_what_is_no_column_is_refused_by_the_engine(client: ragstone.Client) -> None:
    engine, bytes_of_rows = client._core.transport.engine, memoryview(bytes(3 * 4))
    apart = memoryview(bytes(24))[::2]
    for vectors, dimension, ids, error in (
        (apart, 3, None, BufferError),
        (bytes_of_rows, 3, apart, BufferError),
        (bytes_of_rows, 3, memoryview(bytes(7)), BufferError),
        (bytes_of_rows, 0, None, Failure),
        (bytes_of_rows, 2, None, Failure),
        (bytes_of_rows, 3, memoryview(bytes(16)), Failure),
    ):
        with pytest.raises(error):
            engine.upsert_columns(Columns(vectors, dimension, ids, ids_are_signed=True), b"", None)
