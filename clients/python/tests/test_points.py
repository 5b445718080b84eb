"""Writing and reading points, against a model in Python: a dict by id."""

from __future__ import annotations

import datetime
from array import array
from typing import Any

import pytest

from ragstone import (
    CollectionNotFound,
    Delete,
    F,
    GeoPoint,
    InvalidArgument,
    Json,
    MultiVector,
    MultiVectors,
    PayloadFieldType,
    Point,
    Precondition,
    PreconditionFailed,
    SparseVector,
    SparseVectors,
    UnknownPayloadField,
    Update,
)

PAYLOAD = {
    "flag": True,
    "count": -3,
    "ratio": 0.25,
    "lang": "en",
    "at": datetime.datetime(2024, 5, 1, 12, 30, 0, 250_000, tzinfo=datetime.timezone.utc),
    "tags": ["a", "b"],
    "place": GeoPoint(48.2, 16.37),
    "extra": {"deep": [1, {"x": None}]},
    "list": Json([1, "two"]),
}


async def test_every_kind_of_value_comes_back_as_it_was(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2, metric="dot")
    await notes.upsert([Point("a", [1.0, -2.5], {**PAYLOAD, "nothing": None})])
    [point] = await notes.get(["a"], with_vectors=True)
    assert point.payload == PAYLOAD
    assert point.vector == array("f", [1.0, -2.5])
    [without] = await notes.get(["a"])
    assert without.vector is None
    assert (await notes.info()).fields == {
        "flag": "bool",
        "count": "int",
        "ratio": "float",
        "lang": "string",
        "at": "timestamp",
        "tags": "strings",
        "place": "geo",
        "extra": "json",
        "list": "json",
    }


async def test_writes_do_what_a_dict_does(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    rows: dict[Any, dict[str, Any]] = {}

    receipt = await notes.upsert([(1, [1.0], {"n": 1}), ("1", [1.0]), {"id": 2, "vector": [1.0], "payload": {"n": 2}}])
    rows |= {1: {"n": 1}, "1": {}, 2: {"n": 2}}
    assert (receipt.points, receipt.repeated) == (3, False)
    receipt = await notes.update([Update(1, {"n": 7, "m": 1}), Update(9, {"n": 1}), Update(2, unset=["n"])])
    rows[1] |= {"n": 7, "m": 1}
    del rows[2]["n"]
    assert (receipt.points, receipt.missing) == (2, 1)
    operations = [Point(3, [1.0], {"n": 3}), Update(3, {"m": 3}), Delete("1"), Delete("nobody")]
    receipt = await notes.write(operations)
    rows[3] = {"n": 3, "m": 3}
    del rows["1"]
    assert receipt.points == 3

    found = {point.id: point.payload async for point in notes.scroll()}
    assert found == rows
    assert await notes.count() == len(rows)
    assert await notes.count(F.n.exists()) == 2
    assert (await notes.delete(filter=F.m >= 3)).points == 1
    assert (await notes.delete([1, 77])).points == 1
    assert [point.id async for point in notes.scroll()] == [2]


async def test_columns_are_points(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2, metric="dot")
    vectors = [[1.0, 2.0], [3.0, 4.0]]
    assert (await notes.upsert_columns([1, "b"], vectors, [{"n": 1}, {}])).points == 2
    found = await notes.get(["b", 1], with_vectors=True)
    assert [(point.id, list(point.vector), point.payload) for point in found] == [
        ("b", [3.0, 4.0], {}),
        (1, [1.0, 2.0], {"n": 1}),
    ]
    with pytest.raises(ValueError, match="2 ids and 1 payloads"):
        await notes.upsert_columns([1, 2], vectors, [{}])


async def test_further_vectors_come_back(client: Any, name: str) -> None:
    kinds = {"words": SparseVectors(), "tokens": MultiVectors(2, "dot")}
    notes = await client.create_collection(name, without_default_vector=True, vectors=kinds)
    vectors = {"words": SparseVector([3, 70_000], [0.5, 1.0]), "tokens": MultiVector([[1.0, 0.0], [0.0, 1.0]])}
    await notes.upsert([Point(1, None, vectors=vectors), Point(2)])
    one, two = await notes.get([1, 2], with_vectors=True)
    assert one.vectors["words"] == vectors["words"]
    assert [list(row) for row in one.vectors["tokens"].vectors] == [[1.0, 0.0], [0.0, 1.0]]
    assert two.vectors == {}
    [hit] = await notes.search(SparseVector([3], [2.0]), by="words")
    assert (hit.id, hit.score) == (1, 1.0)
    [hit] = await notes.search(MultiVector([[1.0, 0.0]]), by="tokens", with_vectors=["tokens"])
    assert (hit.id, len(hit.vectors["tokens"].vectors)) == (1, 2)


async def test_a_write_with_a_request_id_is_done_once(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    first = await notes.upsert([(1, [1.0])], request_id="import-7")
    await notes.delete([1])
    again = await notes.upsert([(1, [1.0])], request_id="import-7")
    assert (again.repeated, again.seq) == (True, first.seq)
    assert await notes.count() == 0


async def test_preconditions_hold_or_nothing_is_written(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    await notes.upsert([(1, [1.0], {"n": 1})], preconditions=[Precondition.missing(1)])
    [point] = await notes.get([1])
    await notes.update([Update(1, {"n": 2})], preconditions=[Precondition.etag(1, point.etag)])
    with pytest.raises(PreconditionFailed) as failed:
        await notes.update([Update(1, {"n": 3})], preconditions=[Precondition.etag(1, point.etag)])
    assert failed.value.metadata["id"] == "1"
    with pytest.raises(PreconditionFailed):
        await notes.write([Delete(1)], preconditions=[Precondition.exists(2)])
    assert [one.payload for one in await notes.get([1])] == [{"n": 2}]


async def test_points_end_when_they_were_told_to(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    ends = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    past = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)
    await notes.upsert([Point(1, [1.0], expires_at=ends), Point(2, [1.0], expires_at=past)])
    [point] = await notes.get([1, 2])
    assert point.expires_at == ends
    await notes.update([Update(1, never_expires=True)])
    assert [one.expires_at for one in await notes.get([1])] == [None]
    await notes.update([Update(1, expires_at=past)])
    assert await notes.count() == 0


async def test_scrolls_go_page_by_page(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    await notes.upsert([(number, [1.0], {"n": -number, "even": number % 2 == 0}) for number in range(25)])
    assert [point.id async for point in notes.scroll(page_size=7)] == list(range(25))
    assert [point.id async for point in notes.scroll(page_size=7, after_id=9)] == list(range(10, 25))
    assert [point.id async for point in notes.scroll(order_by="n", page_size=10)] == list(range(24, -1, -1))
    even = [point async for point in notes.scroll(filter=F.even == True, fields=["n"], page_size=5)]  # noqa: E712
    assert [point.payload for point in even] == [{"n": -number} for number in range(0, 25, 2)]
    assert [point.payload async for point in notes.scroll(with_payload=False, page_size=20)] == [{}] * 25
    page = await notes.scroll_page(page_size=20)
    rest = await notes.scroll_page(page_size=20, page_token=page.next_page_token)
    assert ([point.id for point in rest.items], rest.next_page_token) == ([20, 21, 22, 23, 24], "")


async def test_facets_count(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    await notes.upsert([(number, [1.0], {"lang": ["en", "de", "en"][number % 3]}) for number in range(9)])
    facet = await notes.facet("lang", limit=1)
    assert [(count.value, count.count) for count in facet.counts] == [("en", 6)]
    assert (facet.values, facet.points) == (2, 9)


async def test_errors_name_the_field(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2)
    with pytest.raises(InvalidArgument) as wrong:
        await notes.upsert([(1, [1.0, 2.0]), (2, [1.0])])
    assert (wrong.value.field, wrong.value.code) == ("points[1].vector", "INVALID_ARGUMENT")
    await notes.upsert([(1, [1.0, 2.0], {"n": 1})])
    with pytest.raises(PayloadFieldType) as wrong:
        await notes.upsert([(2, [1.0, 2.0], {"n": "x"})])
    assert wrong.value.field == "points[0].payload.n"
    with pytest.raises(UnknownPayloadField) as wrong:
        await notes.count((F.n == 1) & (F.nobody == 2))
    assert wrong.value.field == "filter.and[1].nobody"
    with pytest.raises(InvalidArgument) as wrong:
        await notes.facet("n", limit=10_001)
    assert (wrong.value.reason, wrong.value.field) == ("LIMIT_EXCEEDED", "limit")
    assert (wrong.value.limit, wrong.value.max, wrong.value.actual) == ("FACET_VALUES_MAX", "10000", "10001")
    with pytest.raises(CollectionNotFound) as missing:
        await client.collection("nowhere").count()
    assert isinstance(missing.value, LookupError)


async def test_what_is_no_point_is_refused_here(client: Any, name: str) -> None:
    notes = client.collection(name)
    for points, complaint in [
        ([(1, "text")], r"points\[0\]: a vector is a sequence of numbers"),
        ([(1, [1.0]), (-1, [1.0])], r"points\[1\]: an id that is a number is not negative"),
        ([(1.5, [1.0])], r"points\[0\]: an id is an int or a str"),
        ([(1, [1.0], {"x": [1, 2]})], r"points\[0\]: `x`: a list of anything but strings"),
        ([(1, [1.0], {"x": object()})], r"points\[0\]: `x`: a payload has no values of the type object"),
        (["text"], "a point is a Point"),
        ([(1, [1.0]), ("\ud800", [1.0])], r"points\[1\]: "),
        ([(1, [1.0], {"x": "\ud800"})], r"points\[0\]: "),
        ([(1, [1.0], 3)], r"points\[0\]: a payload is a dict of fields, and this is int"),
    ]:
        with pytest.raises((TypeError, ValueError), match=complaint):
            await notes.upsert(points)
    with pytest.raises(TypeError, match="either ids or a filter"):
        await notes.delete()


async def test_streams_store_all_and_list_what_is_refused(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2)
    told: list[int] = []
    points = ((number, [1.0] if number == 1_234 else [1.0, number]) for number in range(5_000))
    done = await notes.ingest(points, batch_size=700, progress=told.append)
    assert (done.stored, await notes.count()) == (4_999, 4_999)
    assert [(item.index, item.reason) for item in done.refused] == [(1_234, "INVALID_FIELD")]
    assert told == [700, 1399, 2099, 2799, 3499, 4199, 4899, 4999]
    refused: list[int] = []
    done = await notes.ingest([(1, [])], on_refused=lambda item: refused.append(item.index))
    assert (done.stored, done.refused, refused) == (0, [], [0])
    assert (await notes.ingest([])).stored == 0
    with pytest.raises(CollectionNotFound):
        await client.collection("nowhere").ingest([(1, [1.0])])
