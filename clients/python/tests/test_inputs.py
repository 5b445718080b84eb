"""What people have at hand: members of enums, moments and columns of NumPy's and pandas's. What a field would not be is refused here, by its name."""

from __future__ import annotations

import asyncio
import datetime
import enum
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest

import ragstone
import ragstone.aio
from ragstone import Delete, F, Filter, Json, Point, Precondition, Update, v1
from ragstone._values import set_value
from ragstone.frameworks import Conditions, columns


class Kind(str, enum.Enum):
    PAPER = "paper"


class Rank(enum.IntEnum):
    HIGH = 3


class Ratio(float, enum.Enum):
    HALF = 0.5


DAY = datetime.datetime(2024, 5, 1, tzinfo=datetime.timezone.utc)
MICROSECONDS = 1_714_521_600_000_000


def on_the_wire(value: Any) -> v1.Value:
    wire = v1.Value()
    set_value(wire, value, "field")
    return wire


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Kind.PAPER, v1.Value(string_value="paper")),
        (Rank.HIGH, v1.Value(int_value=3)),
        (Ratio.HALF, v1.Value(float_value=0.5)),
        ([Kind.PAPER], v1.Value(strings_value=v1.Strings(values=["paper"]))),
        (np.array(["paper", "book"]), v1.Value(strings_value=v1.Strings(values=["paper", "book"]))),
        (np.array(["paper"], dtype=object), v1.Value(strings_value=v1.Strings(values=["paper"]))),
        (datetime.date(2024, 5, 1), v1.Value(timestamp_value=MICROSECONDS)),
        (np.datetime64("2024-05-01"), v1.Value(timestamp_value=MICROSECONDS)),
        (np.datetime64("2024-05-01T00:00:00.000000001", "ns"), v1.Value(timestamp_value=MICROSECONDS)),
        (pd.Series([DAY]).to_numpy()[0], v1.Value(timestamp_value=MICROSECONDS)),
        (pd.Series([DAY.replace(tzinfo=None)]).to_numpy()[0], v1.Value(timestamp_value=MICROSECONDS)),
        (pd.Timestamp("2024-05-01T02:00:00.000000001+02:00"), v1.Value(timestamp_value=MICROSECONDS)),
        (-1 << 63, v1.Value(int_value=-1 << 63)),
        (np.longdouble(0.5), v1.Value(float_value=0.5)),
        (np.ma.array([0.5])[0], v1.Value(float_value=0.5)),
    ],
    ids=repr,
)
def test_values_are_what_they_mean(value: Any, expected: v1.Value) -> None:
    """Of an enum's member it was the name, of NumPy's nanoseconds a number."""
    assert on_the_wire(value) == expected
    assert (F.field == value).wire.eq.value == expected


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (1 << 63, "an int has 64 bits"),
        (pd.NaT, "NaT is no moment"),
        (np.datetime64("NaT"), "NaT is no moment"),
        (np.timedelta64(1, "ns"), "no values of the type timedelta64"),
        (datetime.time(12), "no values of the type time"),
        (None, "None is no value"),
        (pd.NA, "no values of the type NAType"),
        (np.ma.masked, "what is masked is no value"),
        (np.clongdouble(1), "no values of the type c"),
    ],
    ids=repr,
)
def test_what_a_field_cannot_be_is_refused_by_its_name(value: Any, complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=f"^`field`: .*{complaint}"):
        on_the_wire(value)


@pytest.mark.parametrize("build", [F.field.prefix, F.field.match, lambda value: F.field.contains([value])])
def test_operands_that_are_no_text_are_refused_by_the_field(build: Callable[[Any], Filter]) -> None:
    with pytest.raises(TypeError, match=r"^`field`: a str is asked for"):
        build(1)


def test_texts_of_numpy_are_those_of_frameworks() -> None:
    """A list in a Parquet file is an array in a data frame, and was no JSON."""
    tags = np.array(["a", np.array(["b"])], dtype=object)
    metadata = {"tags": np.array(["a", "b"], dtype=object), "kind": np.str_("x"), "deep": tags}
    assert columns([metadata], {}, ()) == [({"tags": ["a", "b"], "kind": "x"}, {"deep": ["a", ["b"]]})]


def test_dates_are_moments_of_frameworks_too() -> None:
    day = datetime.date(2024, 5, 1)
    assert columns([{"day": day}], {}, ()) == [({"day": day}, {})]
    assert Conditions({"day": "timestamp"}).bound("day", ">=", day) == (F.day >= DAY)


def test_members_of_enums_are_texts_in_lists_of_frameworks() -> None:
    assert columns([{"kinds": [Kind.PAPER, 1]}], {}, ())[0][0] == {"kinds": ["paper", "1"]}
    assert Conditions({"kinds": "strings"}).equal("kinds", Kind.PAPER) == F.kinds.contains("paper")


class Recorded:
    """A transport of either client's that keeps what it is sent."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []

    def unary(self, _path: str, request: bytes, _timeout: float | None) -> bytes:
        self.requests.append(request)
        return b""


class AsyncRecorded(Recorded):
    async def unary(self, path: str, request: bytes, timeout: float | None) -> bytes:
        return super().unary(path, request, timeout)


def called(kind: str, call: Callable[[Any], Any]) -> list[bytes]:
    """What a call of a collection sends."""
    here: Any = AsyncRecorded() if kind == "async" else Recorded()
    client = ragstone.aio.AsyncClient.over(here) if kind == "async" else ragstone.Client.over(here)
    came = call(client.collection("notes"))
    if kind == "async":
        asyncio.run(came)
    return list(here.requests)


FRAME = pd.DataFrame(
    {"id": ["a", "b"], "x": [1.0, 3.0], "y": [2.0, 4.0], "payload": [{"n": 1}, {"n": 2}]}, index=[1, 0]
)


@pytest.mark.parametrize(
    "vectors",
    [
        FRAME[["x", "y"]],
        FRAME[["x", "y"]].astype("float32"),
        pd.Series([[1.0, 2.0], np.array([3.0, 4.0])], index=[1, 0]),
    ],
    ids=["frame", "frame of 32 bits", "column of vectors"],
)
def test_columns_of_pandas_are_taken_in_their_order(kind: str, vectors: Any) -> None:
    """Payloads were taken by the numbers that pandas has for rows, and went to other points."""
    [request] = called(kind, lambda notes: notes.upsert_columns(FRAME["id"], vectors, FRAME["payload"]))
    points = v1.UpsertPointsRequest.FromString(request).points
    assert [(point.id.text, list(point.vector.values), point.payload["n"].int_value) for point in points] == [
        ("a", [1.0, 2.0], 1),
        ("b", [3.0, 4.0], 2),
    ]


def test_a_row_of_pandas_is_a_vector(kind: str) -> None:
    [request] = called(kind, lambda notes: notes.upsert((row.id, row[["x", "y"]]) for _, row in FRAME.iterrows()))
    points = v1.UpsertPointsRequest.FromString(request).points
    assert [list(point.vector.values) for point in points] == [[1.0, 2.0], [3.0, 4.0]]


def test_a_batch_of_searches_is_searched_as_one_is(kind: str) -> None:
    terms: dict[str, Any] = {"by": "title", "ef": 70, "exact": True, "threshold": 0.5, "with_vectors": ["title"]}
    [request] = called(kind, lambda notes: notes.search_batch(np.eye(2), 3, **terms))
    queries = v1.BatchQueryRequest.FromString(request).queries
    [one] = called(kind, lambda notes: notes.search([0.0, 1.0], 3, **terms))
    alone = v1.QueryRequest.FromString(one)
    alone.collection = ""
    assert (len(queries), queries[1]) == (2, alone)
    [request] = called(kind, lambda notes: notes.search_batch(np.eye(2)))
    assert [list(query.vector.values) for query in v1.BatchQueryRequest.FromString(request).queries] == [[1, 0], [0, 1]]


def some_points() -> Iterator[tuple[int, list[float], dict[str, Any]]]:
    for number in range(5):
        yield number, [1.0], {"year": object() if number == 3 else number}


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda notes: notes.ingest(some_points()), r"^points\[3\]: `year`: "),
        (lambda notes: notes.update([Update(1), Update(2, {"year": object()})]), r"^updates\[1\]: `year`: "),
        (lambda notes: notes.write([Delete(1), Point(2, [1.0], {"year": 1 << 63})]), r"^operations\[1\]: `year`: "),
        (lambda notes: notes.upsert([(1 << 64, [1.0])]), r"^points\[0\]: an id that is a number has 64 bits"),
        (lambda notes: notes.upsert([(1, [1.0], {"text": "\ud800"})]), r"^points\[0\]: `text`: .*surrogates"),
        (lambda notes: notes.upsert([(1, [1.0], {"rest": Json({"a": 1, "b": math.nan})})]), r"`rest\.b`: "),
        (
            lambda notes: notes.upsert([(1, [1.0], {2024: 1})]),
            r"^points\[0\]: a field's name is a str, and 2024 is int",
        ),
        (lambda notes: notes.upsert([Point(1, vectors=[[1.0]])]), r"^points\[0\]: `vectors` is a dict .* is list"),
        (lambda notes: notes.upsert([Point(1, [1.0], expires_at=pd.NaT)]), r"^points\[0\]: `expires_at`: NaT"),
        (lambda notes: notes.upsert([Point(1, [1.0], expires_at=3_600)]), r"^points\[0\]: `expires_at` is a datetime"),
        (lambda notes: notes.update([Update(1, expires_at=datetime.timedelta(1))]), r"^updates\[0\]: `expires_at` is"),
    ],
)
def test_the_item_and_the_field_are_named_that_are_wrong(kind: str, call: Callable[[Any], Any], complaint: str) -> None:
    with pytest.raises((TypeError, ValueError), match=complaint):
        called(kind, call)


@pytest.mark.parametrize("terms", [{"preconditions": [Precondition.exists(1)]}, {"request_id": "once"}])
def test_what_goes_with_ids_alone_is_refused_with_a_filter(kind: str, terms: dict[str, Any]) -> None:
    """It was left out, and points were removed whatever was expected of them."""
    with pytest.raises(TypeError, match="go with ids, and not with a filter"):
        called(kind, lambda notes: notes.delete(filter=F.year == 2020, **terms))
    assert len(called(kind, lambda notes: notes.delete([1], **terms))) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda notes: notes.get("a1"),
        lambda notes: notes.delete("a1"),
        lambda notes: notes.delete(b"a1"),
        lambda notes: notes.update([Update("a1", unset="year")]),
        lambda notes: notes.search([1.0], fields="year"),
        lambda notes: notes.search([1.0], with_vectors="title"),
        lambda notes: notes.scroll_page(fields="year"),
        lambda notes: notes.hybrid("lease", fields_searched="body"),
        lambda notes: notes.recommend("a1"),
        lambda notes: notes.recommend(["a1"], "b2"),
        lambda notes: notes.ask("Why?", stop="END"),
        lambda notes: notes.enrich(messages="Why?"),
        lambda notes: notes.ingest_records("a.csv", "", "csv", text_fields="body"),
        lambda notes: notes.client.embed("a lease"),
        lambda notes: notes.client.count_tokens("a lease"),
        lambda notes: notes.client.rerank("lease", "a lease", model="m"),
        lambda notes: notes.client.create_key("a", "admin"),
        lambda notes: notes.client.import_collection("a.parquet", "a", columns="year"),
        lambda notes: notes.client.import_collection("a.parquet", "a", without="year"),
    ],
)
def test_one_text_is_no_list_of_its_letters(kind: str, call: Callable[[Any], Any]) -> None:
    """`delete("a1")` removed the points `a` and `1`, and `embed("a lease")` made seven vectors."""
    with pytest.raises(TypeError, match="is a list, and not one text"):
        called(kind, call)


def test_what_is_no_content_is_no_document(kind: str) -> None:
    """None was stored as a document without a text."""
    with pytest.raises(TypeError, match=r"^`content` is a text .* NoneType"):
        called(kind, lambda notes: notes.ingest_document("a.md", None))
    with pytest.raises(TypeError, match=r"^documents\[0\]: `content` is a text"):
        called(kind, lambda notes: notes.ingest_documents([{"id": "a.md", "content": None}]))
    with pytest.raises(TypeError, match=r"^`content` is a text .* NoneType"):
        called(kind, lambda notes: notes.ingest_records("a.csv", None, "csv"))


def test_a_point_without_further_vectors_may_say_so(kind: str) -> None:
    """As rows that are made of models do, which have None for what is not there."""
    row = {"id": 1, "vector": [1.0], "payload": None, "vectors": None, "expires_at": None}
    assert called(kind, lambda notes: notes.upsert([row], request_id="a")) == called(
        kind, lambda notes: notes.upsert([(1, [1.0])], request_id="a")
    )
