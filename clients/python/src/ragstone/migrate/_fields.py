"""From metadata without a schema to typed fields: one look at all of it says what each field is, then each row is put into that form.

The rules stand in the package's documentation. What is told of values is counted, never kept, so that memory is bounded by the number of fields.
"""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

from ragstone._values import INT_MAX, INT_MIN, FieldType, GeoPoint, Json
from ragstone.frameworks import plain
from ragstone.migrate._model import rows
from ragstone.migrate._names import field_name

FIELDS_MAX = 255
"""Fields of their own that a collection gets: Ragstone's limit, less the one for all others."""
MORE = "more_fields"
STRINGS_MAX = 10_000
EXACT_MAX = 1 << 53
"""The integers up to which floats have all."""
TEXT_NAMES = ("text", "content", "document", "page_content")
"""What fields of texts are called by most programs."""


def kind_of(value: Any) -> str:
    """The type of field that could have a value alone; or `none`, `not finite`, `empty` for an empty list, and `large` for an int that no float has."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "json" if not INT_MIN <= value <= INT_MAX else "int" if abs(value) <= EXACT_MAX else "large"
    if isinstance(value, float):
        return "float" if math.isfinite(value) else "not finite"
    if isinstance(value, str):
        return "string"
    if isinstance(value, datetime):
        return "timestamp"
    if isinstance(value, list):
        is_strings = len(value) <= STRINGS_MAX and all(isinstance(item, str) for item in value)
        return "empty" if not value else "strings" if is_strings else "json"
    return "geo" if _is_place(value) else "json"


def type_of(kinds: Iterable[str]) -> FieldType | None:
    """The type of a field that has values of these kinds; None if it has no value.

    >>> type_of(["int", "none"]), type_of(["int", "float"]), type_of(["large", "float"]), type_of(["strings", "empty"]), type_of(["none"])
    ('int', 'float', 'json', 'strings', None)
    """
    found = set(kinds) - {"none", "not finite"}
    if not found:
        return None
    for type, allowed in TYPES.items():
        if found <= allowed and found != {"empty"}:
            return type
    return "json"


TYPES: dict[FieldType, set[str]] = {
    "bool": {"bool"},
    "int": {"int", "large"},
    "float": {"int", "float"},
    "string": {"string"},
    "timestamp": {"timestamp"},
    "strings": {"strings", "empty"},
    "geo": {"geo"},
}


def own(value: Any) -> Any:
    """A value in Python's own types: NumPy's and tuples as lists, days as moments, UUIDs, times and decimals as texts, bytes in base64."""
    value = plain(value)
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, (UUID, Decimal, time, timedelta)):
        return str(value)
    if isinstance(value, (list, tuple, set, frozenset)):
        return [own(item) for item in value]
    return value


def _in_json(value: Any) -> Any:
    """The same within JSON, which has no moments and no numbers that are not finite."""
    value = own(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, list):
        return [_in_json(item) for item in value]
    if isinstance(value, Mapping):
        return {str(name): _in_json(item) for name, item in value.items()}
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _is_place(value: Any) -> bool:
    if not isinstance(value, Mapping) or value.keys() != {"lat", "lon"}:
        return False
    lat, lon = value["lat"], value["lon"]
    are_numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in (lat, lon))
    return are_numbers and -90 <= lat <= 90 and -180 <= lon <= 180


def _fitted(value: Any, type: FieldType) -> Any:
    if type == "json":
        return Json(_in_json(value))
    if type == "float":
        return float(value)
    return GeoPoint(value["lat"], value["lon"]) if type == "geo" else value


@dataclass(slots=True)
class Fields:
    """What the fields of a collection are, and how rows get them."""

    names: dict[str, str] = field(default_factory=dict)
    """What each is called here, by its name there."""
    types: dict[str, FieldType] = field(default_factory=dict)
    """By their names here."""
    notes: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, payloads: Iterable[Mapping[str, Any]], called: Mapping[str, str]) -> Fields:
        """Looks at all rows; `called` says what some entries are to be called."""
        seen: dict[str, Counter[str]] = {}
        for payload in payloads:
            for name, value in payload.items():
                seen.setdefault(name, Counter())[kind_of(own(value))] += 1
        return cls._of_counts(seen, called)

    @classmethod
    def _of_counts(cls, seen: Mapping[str, Counter[str]], called: Mapping[str, str]) -> Fields:
        made = cls()
        # The most frequent first, of these in their order.
        ranked = sorted(seen, key=lambda name: (name not in called, -sum(seen[name].values())))
        fields = ranked if len(ranked) <= FIELDS_MAX + 1 else ranked[:FIELDS_MAX]
        taken = set() if len(fields) == len(ranked) else {MORE}
        # Who has a name that can stay gets it, before others come to have the same.
        for name in sorted(fields, key=lambda name: (name not in called, field_name(name, ()) != name)):
            made._add(name, called.get(name, name), seen[name], taken)
        rest = [name for name in ranked if name not in fields]
        if rest:
            made.types[MORE] = "json"
            made.notes.append(f"{len(rest)} fields beyond {FIELDS_MAX} are kept as JSON in `{MORE}`: {_listed(rest)}")
        return made

    def _add(self, name: str, wanted: str, kinds: Counter[str], taken: set[str]) -> None:
        type = type_of(kinds)
        for kind, why in (("none", "None"), ("not finite", "not finite")):
            if kinds[kind]:
                self.notes.append(f"`{wanted}` is {why} in {rows(kinds[kind])}: no value there")
        if type is None:
            return
        here = self.names[name] = field_name(wanted, taken)
        taken.add(here)
        self.types[here] = type
        if here != wanted:
            self.notes.append(f"`{wanted}` is called `{here}` here")
        kinds = Counter({_KINDS.get(kind, kind): count for kind, count in kinds.items() if kind not in _NO_VALUES})
        if len(kinds) > 1:
            shown = ", ".join(f"{kind} in {rows(count)}" for kind, count in sorted(kinds.items()))
            self.notes.append(f"`{wanted}` is {shown}: kept as {type}")
        elif type == "json" and kinds["nested"]:
            self.notes.append(f"`{wanted}` is kept as JSON, which filters do not look into")

    def fit(self, payload: Mapping[str, Any]) -> dict[str, Any]:
        """A row's fields."""
        fitted: dict[str, Any] = {}
        rest: dict[str, Any] = {}
        for name, value in payload.items():
            value = own(value)
            if kind_of(value) in _NO_VALUES:
                continue
            here = self.names.get(name)
            if here is None:
                rest[name] = _in_json(value)
            else:
                fitted[here] = _fitted(value, self.types[here])
        return {**fitted, MORE: Json(rest)} if rest else fitted

    def texts(self, asked: Sequence[str] | None, told: Sequence[str]) -> tuple[list[str], list[str]]:
        """The fields that are searched by word: those that are asked for, or that the source tells, or the first with a usual name; and those
        of them that hold no texts.
        """
        here = [self.names.get(name, name) for name in (asked if asked is not None else told)]
        if asked is None and not told:
            here = [name for name in TEXT_NAMES if self.types.get(name) == "string"][:1]
        return [name for name in here if self.types.get(name) == "string"], [
            name for name in here if self.types.get(name) != "string"
        ]


_NO_VALUES = ("none", "not finite")
_KINDS = {"large": "int", "empty": "strings", "json": "nested"}


def _listed(names: Sequence[str], most: int = 5) -> str:
    return ", ".join(f"`{name}`" for name in names[:most]) + (", …" if len(names) > most else "")
