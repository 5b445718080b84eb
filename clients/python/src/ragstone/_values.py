"""Payload values and ids: Python's own types, to the wire and back."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal, TypeAlias, TypeVar

from ragstone import v1

T = TypeVar("T")

Id: TypeAlias = int | str
"""A point's id: an unsigned integer or a string. `1` and `"1"` are different points."""

Ids: TypeAlias = Collection[Id]
"""A column of ids: a list, a range, an array of NumPy's, which is no `Sequence` to type checkers."""

FieldType: TypeAlias = Literal["bool", "int", "float", "string", "timestamp", "strings", "geo", "json"]
"""The type of a payload field: `bool`, `int` (64 bits), `float`, `str`, `datetime`, `list[str]`, `GeoPoint`, `dict` or `Json`.
A `date` is kept as its midnight in UTC.
"""

INT_MIN, INT_MAX, ID_MAX = -(1 << 63), (1 << 63) - 1, (1 << 64) - 1
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place on the earth: degrees north of the equator (-90 to 90) and east of Greenwich (-180 to 180)."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class Json:
    """A value that is kept as JSON and returned as it is. A `dict` need not be wrapped; lists and single values do, to tell them from fields
    with a type of their own.
    """

    value: Any


Value: TypeAlias = bool | int | float | str | datetime | list[str] | GeoPoint | Json | dict[str, Any]
"""The value of a payload field."""


def microseconds(moment: datetime, name: str = "expires_at") -> int:
    """Microseconds since 1970 UTC; a moment without a zone is taken as UTC. `name` is the field's, for errors."""
    if not isinstance(moment, datetime):
        raise TypeError(f"`{name}` is a datetime, and this is {type(moment).__name__}")
    if moment != moment:
        # pandas has its NaT for a datetime.
        raise ValueError(f"`{name}`: NaT is no moment; None leaves it out")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return (moment - EPOCH) // _MICROSECOND


def moment(microseconds_since_1970: int) -> datetime:
    """The moment, in UTC; the nearest one that `datetime` has, for those before the year 1 and after 9999."""
    try:
        return EPOCH + timedelta(microseconds=microseconds_since_1970)
    except OverflowError:
        edge = datetime.max if microseconds_since_1970 > 0 else datetime.min
        return edge.replace(tzinfo=timezone.utc)


def set_id(wire: v1.PointId, id: Id) -> None:
    """Fills an id."""
    if isinstance(id, str):
        wire.text = id
    elif isinstance(id, bool) or not hasattr(id, "__index__"):
        raise TypeError(f"an id is an int or a str, and this is {type(id).__name__}")
    else:
        number = id.__index__()
        if number < 0:
            raise ValueError(f"an id that is a number is not negative, and this one is {number}")
        if number > ID_MAX:
            raise ValueError(f"an id that is a number has 64 bits, and this one is {number}: str(...) keeps it")
        wire.number = number


def point_id(id: Id) -> v1.PointId:
    """An id on the wire."""
    wire = v1.PointId()
    set_id(wire, id)
    return wire


def read_id(wire: v1.PointId) -> Id:
    """An id that was read."""
    return wire.text if wire.WhichOneof("id") == "text" else wire.number


def set_value(wire: v1.Value, value: Any, name: str) -> None:
    """Fills a value; `name` is the field's, for errors."""
    kind = type(value)
    if kind is str:
        wire.string_value = value
    elif kind is bool:
        wire.bool_value = value
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise ValueError(f"`{name}`: an int has 64 bits, and this one is {value}")
        wire.int_value = value
    elif kind is float:
        wire.float_value = value
    elif isinstance(value, datetime):
        wire.timestamp_value = microseconds(value, name)
    elif isinstance(value, date):
        # Its midnight, as in an import of Arrow's dates.
        wire.timestamp_value = microseconds(datetime(value.year, value.month, value.day), name)
    elif isinstance(value, GeoPoint):
        wire.geo_value.lat, wire.geo_value.lon = value.lat, value.lon
        wire.geo_value.SetInParent()
    elif isinstance(value, Json):
        wire.json_value = _json(value.value, name)
    elif isinstance(value, Mapping):
        wire.json_value = _json(value, name)
    elif isinstance(value, (list, tuple, set, frozenset)):
        if not all(isinstance(item, str) for item in value):
            raise TypeError(f"`{name}`: a list of anything but strings is kept as JSON: write Json({name})")
        wire.strings_value.values.extend(value)
        wire.strings_value.SetInParent()
    elif isinstance(value, str):
        # Of a class derived from it, such as an enum's, for whose members `str` gives the name.
        wire.string_value = str.__str__(value)
    elif isinstance(value, (int, float)):
        set_value(wire, int(value) if isinstance(value, int) else float(value), name)
    elif hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        _set_single(wire, value, name)
    elif hasattr(value, "tolist") and getattr(value, "ndim", 0) == 1:
        # An array of texts: so data frames have the lists of a Parquet file.
        set_value(wire, value.tolist(), name)
    elif value is None:
        raise TypeError(f"`{name}`: None is no value: F[{name!r}].exists(), or ~F[{name!r}].exists()")
    else:
        raise TypeError(f"`{name}`: a payload has no values of the type {kind.__name__}; Json(...) keeps what JSON can")


def _set_single(wire: v1.Value, value: Any, name: str) -> None:
    """Fills a single value of NumPy's. `item` makes numbers of what is finer than microseconds, and of what datetime does not reach."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("c", "m"):
        raise TypeError(f"`{name}`: a payload has no values of the type {type(value).__name__}")
    if hasattr(value, "filled") and bool(getattr(value, "mask", False)):
        # Its memory has a number there, which is none of the array's.
        raise ValueError(f"`{name}`: what is masked is no value; None leaves it out")
    if kind == "M":
        if value != value:
            raise ValueError(f"`{name}`: NaT is no moment; None leaves it out")
        wire.timestamp_value = int(value.astype("datetime64[us]").astype("int64"))
    else:
        # A long double is its own item.
        set_value(wire, float(value) if kind == "f" else value.item(), name)


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _json(value: Any, name: str) -> str:
    try:
        return _dumped(value)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"`{_refused_entry(value, name)}`: {error}") from None


def _refused_entry(value: Any, name: str) -> str:
    """Names the entry that is no JSON: metadata of frameworks are many of them under one name."""
    for key, entry in value.items() if isinstance(value, Mapping) else ():
        try:
            _dumped({key: entry})
        except (TypeError, ValueError):
            return f"{name}.{key}"
    return name


def fill(wire: Any, payload: Mapping[str, Any]) -> None:
    """Fills a map of values. None is no value: the field is left out."""
    if not isinstance(payload, Mapping):
        raise TypeError(f"a payload is a dict of fields, and this is {type(payload).__name__}")
    for name, value in payload.items():
        if value is not None:
            try:
                set_value(wire[name], value, name)
            except UnicodeEncodeError as error:
                raise ValueError(f"`{name}`: {error}") from None
            except TypeError:
                if isinstance(name, str):
                    raise
                raise TypeError(f"a field's name is a str, and {name!r} is {type(name).__name__}") from None


def read_value(wire: v1.Value) -> Value:
    """A value that was read."""
    kind = wire.WhichOneof("kind")
    if kind == "string_value":
        return wire.string_value
    if kind == "int_value":
        return wire.int_value
    if kind == "float_value":
        return wire.float_value
    if kind == "bool_value":
        return wire.bool_value
    if kind == "strings_value":
        return list(wire.strings_value.values)
    if kind == "timestamp_value":
        return moment(wire.timestamp_value)
    if kind == "geo_value":
        return GeoPoint(wire.geo_value.lat, wire.geo_value.lon)
    value = json.loads(wire.json_value)
    return value if isinstance(value, dict) else Json(value)


def read_payload(wire: Mapping[str, v1.Value]) -> dict[str, Value]:
    """The fields of a row that was read."""
    return {name: read_value(value) for name, value in wire.items()}


def beyond(value: Any, kind: FieldType | None) -> int:
    """Whether a number is greater (1) or less (-1) than all that a field of this type, `int` or `float`, can have; 0 if it is neither.

    >>> import math
    >>> beyond(1 << 63, "int"), beyond(-math.inf, "float"), beyond(1e300, "float"), beyond(math.nan, "float"), beyond("a", "int")
    (1, -1, 0, 0, 0)
    """
    if not isinstance(value, (int, float)) or kind not in ("int", "float"):
        return 0
    least, greatest = (INT_MIN, INT_MAX) if kind == "int" else (-sys.float_info.max, sys.float_info.max)
    return int(value > greatest) - int(value < least)


def as_text(item: Any) -> str:
    """As a list of strings holds it. Of a member of an enum that is text, `str` would make its name."""
    return item if isinstance(item, str) else str(item)


def several(items: Iterable[T], name: str) -> Iterable[T]:
    """The items of an argument. One text is refused: it is a sequence of its letters, for type checkers as well."""
    if isinstance(items, (str, bytes)):
        raise TypeError(f"`{name}` is a list, and not one text: write [...] around it")
    return items


def names(value: str | Iterable[str] | None) -> list[str]:
    """Names from one or several."""
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)
