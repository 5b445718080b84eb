"""What becomes of fields, names, ids and vectors when they are moved: the rules, without a store and without a server."""

from __future__ import annotations

import datetime
import uuid
from collections import Counter
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from ragstone import DenseVector, GeoPoint, Json, RefusedItem, SparseVector, SparseVectors
from ragstone.migrate import Moved
from ragstone.migrate._fields import MORE, Fields, kind_of, own
from ragstone.migrate._model import Row
from ragstone.migrate._move import Stream
from ragstone.migrate._names import row_id

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("values", "type", "fitted"),
    [
        ([True, False], "bool", True),
        ([3, 1 << 60], "int", 3),
        ([3, 0.5], "float", 3.0),
        ([0.5, 1 << 60], "json", Json(0.5)),
        ([1 << 70], "json", Json(1 << 70)),
        ([True, 1], "json", Json(True)),
        (["a", None], "string", "a"),
        ([["a"], []], "strings", ["a"]),
        ([("a", "b")], "strings", ["a", "b"]),
        ([[], []], "json", Json([])),
        ([[1, float("nan")]], "json", Json([1, None])),
        ([{"lat": 1, "lon": 2.5}], "geo", GeoPoint(1, 2.5)),
        ([{"lat": 91, "lon": 2.5}], "json", Json({"lat": 91, "lon": 2.5})),
        ([datetime.date(2024, 5, 1)], "timestamp", datetime.datetime(2024, 5, 1, tzinfo=UTC)),
        ([{"at": datetime.date(2024, 5, 1)}], "json", Json({"at": "2024-05-01T00:00:00+00:00"})),
        ([uuid.UUID(int=1)], "string", "00000000-0000-0000-0000-000000000001"),
        ([np.float32(0.5), np.int64(2)], "float", 0.5),
    ],
)
def test_a_field_has_one_type(values: list[Any], type: str, fitted: Any) -> None:
    fields = Fields.of([{"x": value} for value in values], {})
    assert fields.types == {"x": type}
    [made] = fields.fit({"x": values[0]}).values()
    assert made == fitted
    assert made.__class__ is fitted.__class__


def test_values_that_are_none_are_counted() -> None:
    fields = Fields.of([{"x": None}, {"x": float("nan")}, {"x": 0.5}, {"y": None}], {})
    assert fields.types == {"x": "float"}
    assert (fields.fit({"x": float("inf")}), fields.fit({"y": None})) == ({}, {})
    assert fields.notes == [
        "`x` is None in 1 row: no value there",
        "`x` is not finite in 1 row: no value there",
        "`y` is None in 1 row: no value there",
    ]


def test_names_stay_apart() -> None:
    payload = {"_a": 1, "field_a": 2, "": 3, "\n": 4, "é" * 100: 5, "é" * 100 + "x": 6}
    fields = Fields.of([payload], {})
    made = fields.fit(payload)
    assert sorted(made.values()) == [1, 2, 3, 4, 5, 6]
    assert (made["field_a"], made["field_a-2"], made["field"], made[" "]) == (2, 1, 3, 4)
    assert all(len(name.encode()) <= 128 for name in made)
    assert len(fields.notes) == 5


def test_fields_beyond_the_limit_stand_together() -> None:
    payloads: list[dict[str, Any]] = [{f"f{number}": number for number in range(300)}, {"f299": 1, "f298": None}]
    fields = Fields.of(payloads, {})
    assert len(fields.types) == 256
    assert {"f298", "f299", MORE} <= fields.types.keys()
    made = fields.fit(payloads[0])
    assert len(made[MORE].value) == 45
    assert Counter([*made, *made[MORE].value]) == Counter([*payloads[0], MORE])
    assert "45 fields beyond 255" in fields.notes[-1]
    assert len(Fields.of([{f"f{number}": 1 for number in range(256)}], {}).types) == 256


@pytest.mark.parametrize("id", [None, "", "x" * 513, 1.5, True, b"a"])
def test_what_is_no_id(id: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        row_id(id)


def test_vectors_that_are_no_directions_are_left_out_and_counted() -> None:
    kinds = {"": DenseVector(2), "far": DenseVector(2, "l2"), "words": SparseVectors()}
    moved = Moved("a", "b", vectors=kinds)
    sparse = SparseVector([1], [0.0])
    rows = [
        Row(1, {}, {"": [0.0, 0.0], "far": [0.0, 0.0], "words": sparse}),
        Row(2, {}, {"": [1.0, float("nan")], "far": np.array([1.0, np.inf])}),
        Row("doc#3", {}, {"": [1.0, 2.0]}),
        Row("", {}, {"": [1.0, 2.0]}),
    ]
    stream = Stream(Fields(), moved, 10)
    one, two, three = stream.points(rows)
    stream.tell()
    assert (one.vector, list(one.vectors["far"]), one.vectors["words"]) == (None, [0.0, 0.0], sparse)
    assert (two.vector, two.vectors) == (None, {})
    assert (three.id, list(three.vector)) == ("id:doc#3", [1.0, 2.0])
    assert (moved.left, moved.is_whole) == ({"an empty id": [""]}, False)
    assert len(moved.notes) == 4
    stream.refused(RefusedItem(1, "INVALID_FIELD", "points[1].vector", "points[1].vector: wrong"))
    assert moved.left["INVALID_FIELD: the row.vector: wrong"] == [2]


def test_kinds_of_whatever_there_is() -> None:
    assert [kind_of(own(value)) for value in (object(), b"a", Decimal(1), datetime.time(1), {1})] == [
        "json",
        "string",
        "string",
        "string",
        "json",
    ]
