"""Vectors on the wire, and that those which lie right are not copied before it."""

from __future__ import annotations

import struct
import tracemalloc
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from ragstone import Point, v1
from ragstone._points import point_bytes
from ragstone._values import EPOCH, microseconds, moment
from ragstone._vectors import dense, packed, rows, set_dense

EXPECTED = struct.pack("<3f", 1.0, -2.5, 3.0)


@pytest.mark.parametrize(
    "vector",
    [
        [1.0, -2.5, 3.0],
        (1, -2.5, 3),
        array("f", [1.0, -2.5, 3.0]),
        array("d", [1.0, -2.5, 3.0]),
        np.array([1.0, -2.5, 3.0], dtype=np.float32),
        np.array([1.0, -2.5, 3.0]),
        np.array([1.0, -2.5, 3.0], dtype=">f4"),
        np.array([1.0, -2.5, 3.0], dtype=np.float16),
        np.array([1.0, 9.0, -2.5, 9.0, 3.0], dtype=np.float32)[::2],
        memoryview(array("f", [1.0, -2.5, 3.0])),
        list(np.array([1.0, -2.5, 3.0])),
        iter([1.0, -2.5, 3.0]),
    ],
    ids=str,
)
def test_whatever_holds_numbers_is_a_vector(vector: Any) -> None:
    assert bytes(packed(vector)) == EXPECTED


@pytest.mark.parametrize("vector", ["text", b"bytes", {"a": 1.0}, 1.0, [[1.0]], np.ones((2, 2)), ["a"], None])
def test_what_is_no_vector_is_refused(vector: Any) -> None:
    with pytest.raises(TypeError):
        packed(vector)


@pytest.mark.parametrize("kind", ["c16", "M8[D]", "m8[s]", "U1", "S1"])
def test_arrays_of_no_numbers_are_refused(kind: str) -> None:
    """NumPy makes floats of them: of a complex number its real part, of a moment the days since 1970."""
    for refused in (lambda: packed(np.zeros(2, kind)), lambda: list(rows(np.zeros((1, 2), kind)))):
        with pytest.raises(TypeError, match="a vector is a sequence of numbers, and this array is of the type"):
            refused()


def test_floats_that_lie_right_are_the_message_themselves() -> None:
    vector = np.arange(4, dtype=np.float32)
    view = packed(vector)
    assert isinstance(view, memoryview)
    assert np.shares_memory(np.frombuffer(view, dtype=np.float32), vector)
    assert any(
        part is view or (isinstance(part, memoryview) and part.obj is vector) for part in point_bytes(Point(1, vector))
    )
    table = np.arange(12, dtype=np.float32).reshape(3, 4)
    for row, part in zip(table, rows(table), strict=True):
        assert np.shares_memory(np.frombuffer(part, dtype=np.float32), row)
    frozen = vector.copy()
    frozen.flags.writeable = False
    assert bytes(packed(frozen)) == vector.tobytes()


def test_a_table_is_copied_once() -> None:
    table = np.ones((1_000, 1_000), dtype=np.float32)
    tracemalloc.start()
    message = b"".join(part for row in rows(table) for part in point_bytes(Point(1), row))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(message) > table.nbytes
    assert peak < 1.5 * table.nbytes


@pytest.mark.parametrize(
    "table",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(3, 2).T.copy(order="F"),
        [[0.0, 1.0, 2.0], np.array([3.0, 4.0, 5.0])],
        memoryview(np.arange(6.0).reshape(2, 3)),
    ],
    ids=["f64", "fortran", "list", "memoryview"],
)
def test_tables_of_other_forms_are_rows_too(table: Any) -> None:
    expected = np.asarray(table, dtype=np.float32)
    assert [list(np.frombuffer(row, dtype=np.float32)) for row in rows(table)] == expected.tolist()


def test_vectors_come_back_as_they_went() -> None:
    message = v1.Vector()
    for dimension in (0, 1, 31, 32, 384, 5_000):
        vector = np.random.default_rng(dimension).random(dimension, dtype=np.float32)
        message.Clear()
        set_dense(message, vector)
        assert list(message.values) == vector.tolist()
        assert np.array_equal(np.asarray(dense(message)), vector)


def test_the_encoded_point_is_the_message() -> None:
    point = Point("a", [1.0, 2.0], {"n": 1, "tags": ["x"]}, expires_at=EPOCH)
    wire = v1.Point.FromString(b"".join(point_bytes(point)))
    assert (wire.id.text, list(wire.vector.values), wire.expires_at) == ("a", [1.0, 2.0], 0)
    assert (wire.payload["n"].int_value, list(wire.payload["tags"].strings_value.values)) == (1, ["x"])
    assert v1.Point.FromString(b"".join(point_bytes(Point(1)))) == v1.Point(id=v1.PointId(number=1))


def test_moments_are_exact() -> None:
    for number in (0, -1, 1_714_559_400_250_001, 253_402_300_799_999_999):
        assert microseconds(moment(number)) == number
    assert moment(1 << 62).year == 9_999


def test_numpy_s_values_are_those_of_a_payload() -> None:
    payload = {"i": np.int64(3), "f": np.float32(0.5), "b": np.bool_(True), "s": np.str_("x")}
    wire = v1.Point.FromString(b"".join(point_bytes(Point(np.int64(7), None, payload))))  # type: ignore[arg-type]
    kinds = {name: wire.payload[name].WhichOneof("kind") for name in payload}
    assert kinds == {"i": "int_value", "f": "float_value", "b": "bool_value", "s": "string_value"}
    assert wire.id.number == 7


async def test_numpy_goes_there_and_back(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=8, metric="dot")
    table = np.random.default_rng(7).random((50, 8), dtype=np.float32)
    await notes.upsert_columns(range(50), table)
    found = await notes.get(range(50), with_vectors=True)
    assert np.array_equal(np.stack([np.asarray(point.vector) for point in found]), table)
    nearest = [result[0].id for result in await notes.search_batch(table, k=1)]
    assert nearest == (table @ table.T).argmax(axis=1).tolist()


async def test_an_array_may_be_filled_again_for_the_next_point(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2, metric="dot")

    def refilled(first: int) -> Iterator[tuple[int, Any]]:
        lent = np.empty(2, np.float32)
        for number in range(first, first + 3):
            lent[:] = number
            yield number, lent

    await notes.upsert(refilled(0))
    await notes.ingest(refilled(3))
    await notes.write(Point(*one) for one in refilled(6))
    found = await notes.get(range(9), with_vectors=True)
    assert [list(point.vector) for point in found] == [[number, number] for number in range(9)]
