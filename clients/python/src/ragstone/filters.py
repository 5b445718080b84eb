"""Conditions on payload fields, as Python writes them: `(F.lang == "en") & (F.year >= 2020)`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn, TypeAlias

from ragstone import v1
from ragstone._values import set_value


class Filter:
    """A condition on payload fields: at most 32 levels and 10,000 nodes and values.

    A row that lacks a field fails every condition on it, and so passes its negation. A field that the collection does not have is an
    error (`UnknownPayloadField`), as is a value of another type than the field's (`PayloadFieldType`): `1.0` for a float field.

    >>> from ragstone import F
    >>> (F.lang == "en") & (F.year >= 2020) & ~F.kind.in_(["paper", "book"])
    Filter('lang = "en" and year >= 2020 and not (kind in ("paper", "book"))')
    """

    __slots__ = ("_wire",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, wire: v1.Filter) -> None:
        """Of a message of the wire API."""
        self._wire = wire

    @property
    def wire(self) -> v1.Filter:
        """The message of the wire API; not to be changed."""
        return self._wire

    @staticmethod
    def parse(text: str) -> Filter:
        """Reads a filter as people write it, and as the command line takes it.

        >>> from ragstone import F, Filter
        >>> Filter.parse('lang in ("en", "de") and not year < 2020') == F.lang.in_(["en", "de"]) & ~(F.year < 2020)
        True

        Values have the types that they look like: `1` is an int, `1.0` a float, `timestamp "2024-05-01"` a moment. Raises
        `FilterTextError`, a `ValueError`, which points at what is wrong.
        """
        from ragstone._filter_text import parse

        return parse(text)

    @staticmethod
    def all(filters: Iterable[Filter]) -> Filter:
        """Every condition holds; of none, everything passes."""
        wire = v1.Filter()
        getattr(wire, "and").filters.extend(filter.wire for filter in filters)
        getattr(wire, "and").SetInParent()
        return Filter(wire)

    @staticmethod
    def any(filters: Iterable[Filter]) -> Filter:
        """At least one condition holds; of none, nothing passes."""
        wire = v1.Filter()
        getattr(wire, "or").filters.extend(filter.wire for filter in filters)
        getattr(wire, "or").SetInParent()
        return Filter(wire)

    @staticmethod
    def all_tenants() -> Filter:
        """Everything passes: says that a read of a collection with a tenant key is meant to go over all tenants."""
        wire = v1.Filter()
        wire.all_tenants.SetInParent()
        return Filter(wire)

    def __and__(self, other: Filter) -> Filter:
        """Both hold."""
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter.all([*self._flat("and"), *other._flat("and")])

    def __or__(self, other: Filter) -> Filter:
        """At least one of the two holds."""
        if not isinstance(other, Filter):
            return NotImplemented
        return Filter.any([*self._flat("or"), *other._flat("or")])

    def __invert__(self) -> Filter:
        """It does not hold."""
        wire = v1.Filter()
        getattr(wire, "not").filter.CopyFrom(self._wire)
        return Filter(wire)

    def _flat(self, kind: str) -> list[Filter]:
        """The conditions of a chain of this kind, which is not nested without need; else the filter itself."""
        if self._wire.WhichOneof("condition") != kind:
            return [self]
        inner = getattr(self._wire, kind).filters
        return [Filter(filter) for filter in inner] if len(inner) > 1 else [self]

    def __eq__(self, other: object) -> bool:
        """Whether the two are the same tree."""
        return isinstance(other, Filter) and self._wire == other._wire

    def __bool__(self) -> NoReturn:
        """A filter is neither true nor false: `and`, `or`, `not` and chained comparisons would lose a part of it."""
        raise TypeError("combine filters with & | ~ (not with and, or, not), each comparison in parentheses")

    def __repr__(self) -> str:
        """In the words of `parse`."""
        from ragstone._filter_text import display

        return f"Filter({display(self._wire)!r})"


FilterLike: TypeAlias = Filter | str | None
"""A `Filter`, its text (see `Filter.parse`), or None, which everything passes."""


class Field:
    """A payload field, for conditions on it: made by `F.name` or `F["any name"]`."""

    __slots__ = ("_name",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, name: str) -> None:
        """A field by its name."""
        self._name = name

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        """The field has exactly this value."""
        return self._with(lambda wire: set_value(wire.eq.value, value, self._name), "eq")

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        """It has not; also rows without the field pass."""
        return ~(self == value)

    def __lt__(self, value: Any) -> Filter:
        """The field, an int, float, string or timestamp, is less than this."""
        return self._bound("lt", value)

    def __le__(self, value: Any) -> Filter:
        """It is at most this."""
        return self._bound("lte", value)

    def __gt__(self, value: Any) -> Filter:
        """It is greater than this."""
        return self._bound("gt", value)

    def __ge__(self, value: Any) -> Filter:
        """It is at least this."""
        return self._bound("gte", value)

    def between(self, low: Any, high: Any) -> Filter:
        """It lies between these two, both included."""

        def bounds(wire: v1.Filter) -> None:
            set_value(wire.range.gte, low, self._name)
            set_value(wire.range.lte, high, self._name)

        return self._with(bounds, "range")

    def in_(self, values: Iterable[Any]) -> Filter:
        """It has one of these values; of none, nothing passes."""
        if isinstance(values, (str, bytes)):
            raise TypeError(f"`{self._name}`: the letters of a text are no values: write in_([{values!r}])")

        def fill(wire: v1.Filter) -> None:
            for value in values:
                set_value(getattr(wire, "in").values.add(), value, self._name)

        return self._with(fill, "in")

    def exists(self) -> Filter:
        """The row has the field."""
        return self._with(lambda _wire: None, "exists")

    def prefix(self, text: str) -> Filter:
        """The field, a string, starts with this."""
        return self._with(lambda wire: setattr(wire.prefix, "prefix", self._text(text)), "prefix")

    def contains(self, texts: str | Iterable[str]) -> Filter:
        """The field, a list of strings, holds this, or at least one of these; of none, nothing passes."""
        several = [texts] if isinstance(texts, str) else list(texts)
        return self._with(lambda wire: wire.contains.values.extend(map(self._text, several)), "contains")

    def match(self, text: str) -> Filter:
        """Every term of this text occurs in the field, a string with a text index.

        It has at most 1,024 different ones, which count as values of the filter; all texts of a filter have 1 MiB together.
        """
        return self._with(lambda wire: setattr(wire.match, "text", self._text(text)), "match")

    def within(self, lat: float, lon: float, metres: float) -> Filter:
        """The field, a `GeoPoint`, lies within so many metres of this place, along a sphere."""

        def place(wire: v1.Filter) -> None:
            wire.geo_radius.center.lat, wire.geo_radius.center.lon = lat, lon
            wire.geo_radius.center.SetInParent()
            wire.geo_radius.metres = metres

        return self._with(place, "geo_radius")

    def _text(self, text: Any) -> str:
        if not isinstance(text, str):
            raise TypeError(f"`{self._name}`: a str is asked for here, and this is {type(text).__name__}")
        return text

    def _bound(self, bound: str, value: Any) -> Filter:
        return self._with(lambda wire: set_value(getattr(wire.range, bound), value, self._name), "range")

    def _with(self, fill: Callable[[v1.Filter], None], kind: str) -> Filter:
        wire = v1.Filter()
        condition = getattr(wire, kind)
        condition.field = self._name
        condition.SetInParent()
        fill(wire)
        return Filter(wire)

    def __repr__(self) -> str:
        """As it is written."""
        return f"F[{self._name!r}]"


class Fields:
    """All payload fields: `F.lang`, `F["any name"]`; the latter also for names that begin with `__`."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Field:
        """The field of this name."""
        if name.startswith("__"):
            raise AttributeError(name)
        return Field(name)

    def __getitem__(self, name: str) -> Field:
        """The field of this name."""
        return Field(name)


F = Fields()
"""All payload fields, for conditions on them."""


def as_wire(filter: FilterLike) -> v1.Filter | None:
    """A filter on the wire."""
    if filter is None:
        return None
    if isinstance(filter, str):
        return Filter.parse(filter).wire
    if isinstance(filter, Filter):
        return filter.wire
    raise TypeError(f"a filter is a Filter, a text or None, and this is {type(filter).__name__}")
