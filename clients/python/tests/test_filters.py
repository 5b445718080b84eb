"""Filters: as Python writes them and as text, with what they come to on the wire, and what the server makes of them."""

from __future__ import annotations

import datetime
import pickle
from typing import Any

import pytest

from ragstone import F, Filter, FilterTextError, GeoPoint
from ragstone._filter_text import display

AT = datetime.datetime(2024, 5, 1, 10, 30, 0, 250_000, tzinfo=datetime.timezone.utc)

SAME = [
    (F.lang == "en", 'lang = "en"'),
    (F.lang == "en", "lang == 'en'"),
    (F.lang != "en", 'lang <> "en"'),
    (F.n > 1, "n > 1"),
    (F.n >= -1.5, "n >= -1.5"),
    (F.n.between(1, 2), "n between 1 and 2"),
    (F.n.in_([1, 2]), "n IN (1, 2)"),
    (~F.n.in_([]), "n not in ()"),
    (F.flag == True, "flag = true"),  # noqa: E712
    (F.x.exists(), "x exists"),
    (F.x.exists(), "x is not null"),
    (~F.x.exists(), "x is null"),
    (F.path.prefix("a/"), 'path prefix "a/"'),
    (F.tags.contains("a"), 'tags contains "a"'),
    (F.tags.contains(["a", "b"]), 'tags contains any ("a", "b")'),
    (F.body.match("green tea"), 'body match "green tea"'),
    (F.place.within(48.2, 16.37, 2_000.0), "place within 2 km of (48.2, 16.37)"),
    (F.place.within(48.2, 16.37, 0.0), "place within 0 m of (48.2, 16.37)"),
    (F.at >= AT, 'at >= timestamp "2024-05-01T12:30:00.25+02:00"'),
    (F.at >= AT, "at >= timestamp 1714559400250000"),
    (F.at >= datetime.datetime(2024, 5, 1), 'at >= timestamp "2024-05-01"'),
    (F["my tag"] == 'a"\n', r'`my tag` = "a\"\n"'),
    (F.a.exists() & F.b.exists() & ~F.c.exists(), "a exists and b exists and not c exists"),
    (F.a.exists() & F.b.exists() | F.c.exists(), "a exists and b exists or c exists"),
    (F.a.exists() & (F.b.exists() | F.c.exists()), "a exists and (b exists or c exists)"),
    (Filter.all([]), "all of ()"),
    (Filter.any([F.a.exists()]), "any of (a exists)"),
    (Filter.all_tenants(), "all tenants"),
    (F["a-b.c_1"] == "ä\U0001f600", r"a-b.c_1 = '\u{e4}\u{1f600}'"),
]


@pytest.mark.parametrize(("built", "text"), SAME, ids=[text for _, text in SAME])
def test_built_and_written_filters_are_the_same(built: Filter, text: str) -> None:
    assert Filter.parse(text) == built
    # What it is shown as reads back as itself.
    assert Filter.parse(display(built.wire)) == built
    assert repr(built) == f"Filter({display(built.wire)!r})"


def test_a_range_has_all_its_bounds() -> None:
    wire = Filter.parse("year > 2000 and <= 2020 and lang exists").wire
    [range, exists] = getattr(wire, "and").filters
    assert (range.range.gt.int_value, range.range.lte.int_value, exists.exists.field) == (2000, 2020, "lang")


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("", 1, "expected a condition, found the end"),
        ("lang", 5, "expected an operator"),
        ("lang = en", 8, 'a string is written "en"'),
        ("lang = 'en", 8, "expected a closing quote"),
        (r"lang = 'a\x'", 8, "expected one of the escapes"),
        ("a exists b", 10, "expected `and`, `or` or the end"),
        ("(a exists", 10, "expected `and`, `or` or `)`"),
        ("n > 1 and > 2", 11, "a second bound with >"),
        ("n in (1, )", 10, "expected a value"),
        ("p within 2 of (1, 2)", 12, "expected `m` or `km`"),
        ('at = timestamp "yesterday"', 16, "a time is written"),
        ('at = timestamp "2024-05-01T12:00:00.123456789Z"', 16, "six digits of a second at most"),
        ("n = 1e999", 5, "beyond 64 bits"),
        ("a % b", 3, "`%` means nothing here"),
        ("not " * 40 + "a exists", 129, "FILTER_DEPTH_MAX"),
    ],
)
def test_what_does_not_read_is_pointed_at(text: str, column: int, reason: str) -> None:
    with pytest.raises(FilterTextError) as wrong:
        Filter.parse(text)
    assert reason in str(wrong.value)
    assert wrong.value.column == column


def test_what_does_not_read_travels_between_processes() -> None:
    """A pool of processes broke at it, and told of that instead."""
    with pytest.raises(FilterTextError) as wrong:
        Filter.parse("year >=")
    again = pickle.loads(pickle.dumps(wrong.value))
    assert (str(again), again.column, again.reason) == (str(wrong.value), wrong.value.column, wrong.value.reason)


def test_what_would_lose_a_condition_is_refused() -> None:
    with pytest.raises(TypeError, match=r"& \| ~"):
        F.a.exists() and F.b.exists()
    with pytest.raises(TypeError, match=r"& \| ~"):
        1 < F.n < 3  # noqa: B015
    with pytest.raises(TypeError):
        F.a.exists() & "b exists"  # type: ignore[operator]
    with pytest.raises(AttributeError):
        F.__wrapped__  # noqa: B018
    # It asked for "e" or "n".
    with pytest.raises(TypeError, match="`lang`: the letters of a text are no values"):
        F.lang.in_("en")


async def test_the_server_passes_what_a_filter_says(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1, texts=["body"])
    rows: list[dict[str, Any]] = [
        {
            "n": 1,
            "lang": "en",
            "at": AT,
            "tags": ["a"],
            "place": GeoPoint(48.2, 16.37),
            "body": "green tea",
            "flag": True,
        },
        {"n": 2, "lang": "de", "at": AT + datetime.timedelta(days=1), "tags": ["b"], "place": GeoPoint(0.0, 0.0)},
        {"n": 3, "body": "tea"},
    ]
    await notes.upsert([(id, [1.0], row) for id, row in enumerate(rows)])
    for filter, expected in [
        (F.lang == "en", [0]),
        (F.lang != "en", [1, 2]),
        (F.n.between(2, 3), [1, 2]),
        ("n > 1 and < 3", [1]),
        (F.lang.in_(["en", "de"]) & ~(F.n == 1), [1]),
        (F.at > AT, [1]),
        (F.tags.contains(["a", "b"]), [0, 1]),
        (F.place.within(48.2, 16.4, 5_000.0), [0]),
        (F.body.match("tea"), [0, 2]),
        (F.body.match("green") | ~F.place.exists(), [0, 2]),
        (F.lang.prefix("d"), [1]),
        (F.flag == True, [0]),  # noqa: E712
        (Filter.all([]), [0, 1, 2]),
        (Filter.any([]), []),
        (None, [0, 1, 2]),
    ]:
        assert [point.id async for point in notes.scroll(filter=filter)] == expected, filter
        again = filter if filter is None or isinstance(filter, str) else Filter(filter.wire)
        assert await notes.count(again) == len(expected), filter
