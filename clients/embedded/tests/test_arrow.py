"""Collections to and from Arrow: tables in memory, streams made in Python, filters, what does not fit, and that nothing is copied on the way in."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import ragstone
import ragstone.aio
import ragstone_embedded
import ragstone_embedded.aio
from ragstone import F

VECTOR = pa.list_(pa.float32(), 2)


@pytest.fixture
def client() -> Iterator[ragstone.Client]:
    with ragstone.open(None) as client:
        yield client


def table(rows: int = 3) -> Any:
    vectors = pa.array([[1.0, float(row)] for row in range(rows)], VECTOR)
    return pa.table(
        {"id": pa.array(range(rows), pa.uint64()), "vector": vectors, "n": pa.array(range(rows), pa.int64())}
    )


def test_a_table_goes_in_and_comes_out(client: ragstone.Client) -> None:
    done = ragstone_embedded.import_arrow(client, "rows", table())
    assert (done.rows, done.created, done.notes) == (3, True, [])
    rows = client.collection("rows")
    assert (rows.info().dimension, rows.info().fields) == (2, {"n": "int"})
    out = pa.table(ragstone_embedded.to_arrow(rows))
    assert out.column("id").to_pylist() == [0, 1, 2]
    assert out.column("n").to_pylist() == [0, 1, 2]
    assert out.column("vector").to_pylist()[0] == [1.0, 0.0]
    some = pa.table(ragstone_embedded.to_arrow(rows, filter=F.n >= 1))
    assert some.column("id").to_pylist() == [1, 2]
    # Of what came out, the same collection is made again.
    assert ragstone_embedded.import_arrow(client, "copy", out).created
    info, copy = rows.info(), client.collection("copy").info()
    assert (copy.vectors, copy.fields, copy.points) == (info.vectors, info.fields, info.points)


def test_a_stream_is_one_state_and_is_read_once(client: ragstone.Client) -> None:
    ragstone_embedded.import_arrow(client, "rows", table(3_000))
    rows = client.collection("rows")
    stream = ragstone_embedded.to_arrow(rows)
    rows.delete(filter=F.n < 2_000)
    reader = pa.RecordBatchReader.from_stream(stream)
    batches = list(reader)
    assert len(batches) > 1
    assert sum(batch.num_rows for batch in batches) == 3_000
    with pytest.raises(ValueError, match="read once"):
        pa.table(stream)


def test_batches_may_be_made_while_they_are_read(client: ragstone.Client) -> None:
    def made() -> Iterator[Any]:
        for start in range(4):
            yield pa.record_batch(
                {"id": [f"{start}"], "vector": pa.array([[1.0, float(start)]], pa.list_(pa.float32()))}
            )

    schema = pa.schema({"id": pa.string(), "vector": pa.list_(pa.float32())})
    reader = pa.RecordBatchReader.from_batches(schema, made())
    assert ragstone_embedded.import_arrow(client, "rows", reader).rows == 4
    assert [hit.id for hit in client.collection("rows").search([1.0, 3.0], k=1)] == ["3"]


def test_what_python_fails_with_is_said(client: ragstone.Client) -> None:
    def made() -> Iterator[Any]:
        yield table().to_batches()[0]
        raise RuntimeError("the source is gone")

    reader = pa.RecordBatchReader.from_batches(table().schema, made())
    with pytest.raises(ragstone.RagstoneError, match="the source is gone"):
        ragstone_embedded.import_arrow(client, "rows", reader)


def test_what_does_not_fit_is_named(client: ragstone.Client, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="__arrow_c_stream__"):
        ragstone_embedded.import_arrow(client, "rows", [1, 2])
    wrong = table().append_column("odd", pa.array([b"x"] * 3))
    with pytest.raises(ragstone.RagstoneError, match="odd"):
        ragstone_embedded.import_arrow(client, "rows", wrong)
    assert not client.has_collection("rows")
    assert ragstone_embedded.import_arrow(client, "rows", wrong, without=["odd"]).rows == 3
    with pytest.raises(ragstone.CollectionNotFound):
        ragstone_embedded.to_arrow(client.collection("nobody"))
    with pytest.raises(ragstone.InvalidArgument):
        ragstone_embedded.to_arrow(client.collection("rows"), filter=F.nobody == 1)
    with ragstone.connect("http://127.0.0.1:1") as server, pytest.raises(TypeError, match="an engine of this process"):
        ragstone_embedded.import_arrow(server, "rows", table())
    for columns in ({"columns": "year"}, {"without": "year"}):
        with pytest.raises(TypeError, match="is a list, and not one text"):
            ragstone_embedded.import_arrow(client, "rows", table(), **columns)
    assert not (tmp_path / "rows").exists()


def test_buffers_are_read_where_they_lie(client: ragstone.Client) -> None:
    memory = bytearray(struct.pack("<2f", 1.0, 0.0))
    column = pa.Array.from_buffers(pa.float32(), 2, [None, pa.py_buffer(memory)])
    lent = pa.table({"id": ["a"], "vector": pa.FixedSizeListArray.from_arrays(column, 2)})

    class Lent:
        def __arrow_c_stream__(self, requested_schema: object = None) -> Any:
            capsule = lent.__arrow_c_stream__(requested_schema)
            # Whoever had copied what was handed over would not see this.
            memory[:] = struct.pack("<2f", 0.0, 1.0)
            return capsule

    ragstone_embedded.import_arrow(client, "rows", Lent())
    [point] = client.collection("rows").get(["a"], with_vectors=True)
    assert list(point.vector) == [0.0, 1.0]


def test_an_import_is_awaited_without_a_thread_of_pythons() -> None:
    async def imported() -> None:
        async with ragstone.aio.open(None) as client:
            done = await ragstone_embedded.aio.import_arrow(client, "rows", table())
            assert (done.rows, await client.collection("rows").count()) == (3, 3)
            assert pa.table(ragstone_embedded.to_arrow(client.collection("rows"))).num_rows == 3

    asyncio.run(imported())


def test_a_stream_does_not_keep_the_directory(tmp_path: Path) -> None:
    with ragstone.open(tmp_path) as client:
        ragstone_embedded.import_arrow(client, "rows", table())
        stream = ragstone_embedded.to_arrow(client.collection("rows"))
    ragstone.open(tmp_path, read_only=True).close()
    del stream
