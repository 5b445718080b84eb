"""What packages over frameworks have in common: steps, fields of metadata, conditions."""

from __future__ import annotations

import asyncio
import copy
import math
import threading
from types import SimpleNamespace
from typing import Any

import pytest

import ragstone
from ragstone import F
from ragstone.frameworks import EVERYTHING, NOTHING, Conditions, Rows, Schema, Steps, Twins, arun, columns, plain, run


class Numbers:
    """Stands for a collection: gives numbers, and refuses zero."""

    def give(self, number: int) -> int:
        if number == 0:
            raise ragstone.CollectionNotFound("zero")
        return number


class AwaitedNumbers:
    async def give(self, number: int) -> int:
        await asyncio.sleep(0)
        return Numbers().give(number)


def caught(number: int) -> Steps[str]:
    try:
        answer = yield lambda numbers: numbers.give(number)
    except ragstone.CollectionNotFound:
        answer = yield lambda numbers: numbers.give(-1)
    return f"got {answer}"


def uncaught() -> Steps[None]:
    yield lambda numbers: numbers.give(0)


def walk(kind: str, steps: Steps[Any]) -> Any:
    one: Any = Numbers()
    other: Any = AwaitedNumbers()
    return run(steps, one) if kind == "sync" else asyncio.run(arun(steps, other))


def test_steps_are_told_answers_and_errors(kind: str) -> None:
    assert walk(kind, caught(2)) == "got 2"
    assert walk(kind, caught(0)) == "got -1"
    with pytest.raises(ragstone.CollectionNotFound):
        walk(kind, uncaught())


def test_fields_take_what_they_can_and_the_rest_is_told() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": [1, "x"], "own": 1, "_c": 1, "": 1, "é" * 65: 1, "d": 1 << 63, "e": float("inf"), "f": {"g": 1}},
        {"a": 0.5, "b": "y", "d": True, "e": (), "known": 2.0},
    ]
    [first, second] = columns(rows, {"known": "int"}, ("own",))
    assert first[0] == {"a": 1.0, "b": ["1", "x"]}
    assert first[1].keys() == {"b", "own", "_c", "", "é" * 65, "d", "e", "f"}
    assert second == ({"a": 0.5, "b": ["y"], "d": True, "known": 2}, {"b": "y", "e": ()})
    # What does not fit is sent as it is: the engine refuses it, and names it.
    assert columns([{"known": "two"}], {"known": "int"}, ()) == [({"known": "two"}, {})]


def test_sets_are_lists() -> None:
    """One of strings was a field, and beside it something that JSON does not have, so that no row with one could be stored."""
    assert columns([{"a": {"x"}, "b": frozenset({1}), "c": {"d": set()}}], {}, ()) == [
        ({"a": ["x"], "b": ["1"]}, {"b": [1], "c": {"d": []}})
    ]


def test_numbers_of_numpy_are_pythons_own() -> None:
    import numpy as np

    [(fields, rest)] = columns(
        [{"a": np.int16(7), "b": np.float32(0.5), "c": np.bool_(True), "d": np.arange(2)}], {}, ()
    )
    assert (fields, rest) == ({"a": 7, "b": 0.5, "c": True, "d": ["0", "1"]}, {"d": [0, 1]})
    assert [type(fields[name]) for name in "abc"] == [int, float, bool]
    assert plain({"x": (np.int8(1), [np.float64(2.5)])}) == {"x": (1, [2.5])}
    moment = np.datetime64("2024-05-01")
    assert plain(moment) is moment
    assert Conditions({"a": "int"}).bound("a", ">", np.float32(1.5)) == (F.a > 1)


def test_conditions_have_the_types_of_the_fields() -> None:
    conditions = Conditions({"i": "int", "f": "float", "s": "string", "l": "strings", "b": "bool"})
    assert conditions.equal("i", 2.0) == (F.i == 2)
    assert conditions.equal("f", 2) == (F.f == 2.0)
    assert conditions.equal("b", 1) == (F.b == True)  # noqa: E712
    assert conditions.equal("l", 2) == F.l.contains(["2"])
    assert conditions.one_of("i", [1, "x", 2]) == F.i.in_([1, 2])
    assert conditions.bound("i", ">", 1.5) == (F.i > 1)
    assert conditions.bound("i", ">=", 1.5) == (F.i >= 2)
    assert conditions.bound("i", "<", 1.5) == (F.i < 2)
    assert conditions.bound("i", "<=", 1.5) == (F.i <= 1)
    assert conditions.exists("s") == F.s.exists()
    # Nothing passed, where people write an infinite bound for none.
    for name, than, value in [("f", "<=", math.inf), ("f", ">", -math.inf), ("i", "<", math.inf), ("i", ">=", -1e30)]:
        assert conditions.bound(name, than, value) == F[name].exists()
    nothing = [
        conditions.bound("f", ">=", math.inf),
        conditions.bound("i", "<", -math.inf),
        conditions.bound("f", "<", math.nan),
        conditions.equal("i", 1.5),
        conditions.equal("i", True),
        conditions.equal("s", 1),
        conditions.equal("s", None),
        conditions.equal("none", 1),
        conditions.bound("none", ">", 1),
        conditions.bound("l", ">", "a"),
        conditions.bound("i", ">", "a"),
        conditions.exists("none"),
        conditions.one_of("i", []),
    ]
    assert all(one == NOTHING for one in nothing)


def test_a_collection_is_made_in_the_dimension_of_an_array() -> None:
    """Whether an array is true was asked, which NumPy refuses to say."""
    import numpy as np

    class Client:
        def create_collection(self, name: str, **options: Any) -> tuple[str, int]:
            return name, options["dimension"]

    steps = Rows(Schema(), "body").upsert(lambda _: [ragstone.Point("a", np.array([1.0, 0.0]))], {})
    next(steps)
    create = steps.throw(ragstone.CollectionNotFound("notes"))
    assert create(SimpleNamespace(name="notes", client=Client())) == ("notes", 2)


@pytest.mark.parametrize("name", ["client", "async_client"])
def test_threads_that_need_a_client_at_once_make_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    twins = Twins("notes")
    module = ragstone if name == "client" else ragstone.aio
    connect, other = module.connect, threading.Thread(target=lambda: getattr(twins, name))
    made: list[Any] = []

    def slow(*arguments: Any, **options: Any) -> Any:
        made.append(connect(*arguments, **options))
        if len(made) == 1:
            other.start()
            # The other one waits for this, or else makes a client of its own, for which there is time.
            other.join(0.2)
        return made[-1]

    monkeypatch.setattr(module, "connect", slow)
    assert getattr(twins, name) is made[0]
    other.join()
    assert len(made) == 1
    copy.deepcopy(Twins("notes"))


async def test_rows_make_their_collection_and_learn_its_fields(kind: str, server: Any, name: str) -> None:
    twins, rows = Twins(name, **server.place), Rows(Schema(metric="l2", fields={"year": "int"}), "body")

    async def walked(steps: Steps[Any]) -> Any:
        return await twins.arun(steps) if kind == "async" else twins.run(steps)

    def points(known: Any) -> list[ragstone.Point]:
        [(fields, _)] = columns([{"year": 2024.0, "share": 1}], known, ())
        return [ragstone.Point("a", [1.0, 0.0], {**fields, "body": "text"})]

    assert await walked(rows.metric()) == "l2"
    await walked(rows.upsert(lambda _: [], {}))
    with pytest.raises(ragstone.CollectionNotFound):
        await walked(rows.conditions(["year"]))
    await walked(rows.upsert(points, {}))
    assert (await walked(rows.conditions(["year"]))).known == {"year": "int", "share": "int", "body": "string"}
    assert rows.texts == {"body": "english"}
    # Another store, which knows nothing yet, and whose values are of another type.
    other = Rows(Schema(), "body")
    await walked(other.upsert(points, {}))
    assert await walked(other.metric()) == "l2"
    await twins.aclose()
    assert EVERYTHING != NOTHING
