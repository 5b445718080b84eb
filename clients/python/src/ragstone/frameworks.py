"""What packages that put a framework over this client have in common: `langchain-ragstone` and `llama-index-vector-stores-ragstone`.

Frameworks want each call twice, blocking and awaited, and have metadata without a schema. So what a call does is written once, as `Steps`, which either
client walks (`run`, `arun`); `Twins` has the collection in both; `columns` makes typed fields of metadata, and `Conditions` filters of
what frameworks compare with: an int with a float field, or a field that no row has yet, which is no error there.
"""

from __future__ import annotations

import math
import operator
import threading
from collections.abc import Awaitable, Callable, Container, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from os import PathLike
from typing import Any, TypeAlias, TypeVar

import ragstone
import ragstone.aio
from ragstone._points import Point
from ragstone._schema import Metric
from ragstone._values import INT_MAX, INT_MIN, FieldType, GeoPoint, Json, as_text, beyond
from ragstone.filters import F, Filter

__all__ = [
    "EVERYTHING",
    "NOTHING",
    "Conditions",
    "FieldType",
    "Metric",
    "Rows",
    "Schema",
    "Step",
    "Steps",
    "Twins",
    "arun",
    "columns",
    "fitting",
    "plain",
    "run",
    "type_of",
]

T = TypeVar("T")

Step: TypeAlias = Callable[[Any], Any]
"""A call of a collection: of a `Collection` it gives the answer, of an `AsyncCollection` what is awaited for the same."""
Steps: TypeAlias = Generator[Step, Any, T]
"""What a call does: it yields steps, is sent their answers or thrown their errors, and returns its result."""

NOTHING = Filter.any([])
"""No row passes."""
EVERYTHING = Filter.all([])
"""Every row passes."""
FIELD_NAME_BYTES_MAX = 128
TYPES: list[tuple[type, FieldType]] = [(str, "string"), (date, "timestamp"), (GeoPoint, "geo")]
BOUNDS: dict[str, Callable[[Any, Any], Filter]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_making = threading.RLock()
"""Held while a client is made, of which threads that need it at once make one. It is of all twins, so that these can be copied."""


def run(steps: Steps[T], collection: ragstone.Collection) -> T:
    """Walks the steps, blocking.

    >>> def both():
    ...     one = yield lambda collection: collection + 1
    ...     return one + (yield lambda collection: collection)
    >>> run(both(), 20)
    41
    """
    try:
        step = next(steps)
        while True:
            try:
                answer = step(collection)
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


async def arun(steps: Steps[T], collection: ragstone.aio.AsyncCollection) -> T:
    """Walks the steps, awaiting each."""
    try:
        step = next(steps)
        while True:
            try:
                awaited: Awaitable[Any] = step(collection)
                answer = await awaited
            except Exception as error:
                step = steps.throw(error)
            else:
                step = steps.send(answer)
    except StopIteration as done:
        result: T = done.value
        return result


class Twins:
    """A collection as both clients have it; each client is made when it is first needed."""

    def __init__(
        self,
        name: str,
        *,
        url: str | None = None,
        path: str | PathLike[str] | None = None,
        client: ragstone.Client | None = None,
        async_client: ragstone.aio.AsyncClient | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Of clients that are there, or of a server's `url` or a database's `path`, with the options of `connect` or `open`."""
        if url is not None and path is not None:
            raise ValueError("either `url`, of a server, or `path`, of a directory that this process opens")
        if (client or async_client) and (url is not None or path is not None or options):
            raise ValueError("a client is given: `url`, `path` and options of a connection are its own")
        self.name = name
        self._given = bool(client or async_client)
        self._url, self._path = url, path
        self._options = dict(options or {})
        self._client, self._async_client = client, async_client

    @property
    def client(self) -> ragstone.Client:
        """The client that blocks."""
        with _making:
            if self._client is None:
                self._client = self._made(ragstone, "client")
            return self._client

    @property
    def async_client(self) -> ragstone.aio.AsyncClient:
        """The client that is awaited."""
        with _making:
            if self._async_client is None:
                self._async_client = self._made(ragstone.aio, "async_client")
            return self._async_client

    def run(self, steps: Steps[T]) -> T:
        """Walks the steps, blocking."""
        return run(steps, self.client.collection(self.name))

    async def arun(self, steps: Steps[T]) -> T:
        """Walks the steps, awaiting each."""
        return await arun(steps, self.async_client.collection(self.name))

    def close(self) -> None:
        """Closes the client that blocks, unless it was given."""
        if self._client is not None and not self._given:
            self._client.close()
            self._client = None

    async def aclose(self) -> None:
        """Closes both clients, unless they were given."""
        self.close()
        if self._async_client is not None and not self._given:
            await self._async_client.close()
            self._async_client = None

    def _made(self, module: Any, name: str) -> Any:
        """A client of the module's kind."""
        if self._given:
            raise ValueError(f"this call needs a `{name}`, and only the other one was given")
        if self._path is not None:
            return module.open(self._path, **self._options)
        return module.connect(*([] if self._url is None else [self._url]), **self._options)


def type_of(value: Any) -> FieldType | None:
    """The type of the field that a value is kept in; None for what no field can have, which is kept as JSON."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if INT_MIN <= value <= INT_MAX else None
    if isinstance(value, float):
        return "float" if math.isfinite(value) else None
    for kind, name in TYPES:
        if isinstance(value, kind):
            return name
    if isinstance(value, (list, tuple, set, frozenset)) and value:
        return "strings" if all(isinstance(item, (str, int, float)) for item in value) else None
    return None


def plain(value: Any) -> Any:
    """NumPy's numbers, bools and texts as Python's own, also in arrays, lists and dicts, and sets as lists; anything else as it is."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    if kind in ("b", "i", "u", "f", "U"):
        return value.tolist()
    if kind == "O" and getattr(value, "ndim", 0) > 0:
        return plain(value.tolist())
    if type(value) in (list, tuple):
        return type(value)(plain(item) for item in value)
    if isinstance(value, (set, frozenset)):
        return [plain(item) for item in value]
    return {name: plain(item) for name, item in value.items()} if type(value) is dict else value


def fitting(value: Any, kind: FieldType) -> Any:
    """The value as a field of this type has it; the value itself where none is the same.

    >>> fitting(1, "float"), fitting(2.0, "int"), fitting([1, "a"], "strings"), fitting("a", "strings"), fitting("a", "int")
    (1.0, 2, ['1', 'a'], ['a'], 'a')
    """
    if kind == "json":
        return Json(value)
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if kind == "strings":
        return [value] if isinstance(value, str) else list(map(as_text, value)) if type_of(value) == kind else value
    return value


def columns(
    rows: Sequence[Mapping[str, Any]], known: Mapping[str, FieldType], reserved: Container[str]
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Of each row of metadata its typed fields, and what these don't tell exactly: None, lists of numbers, nested and reserved names.

    A field has one type: that of the collection, `known`; else of its values, of which ints beside floats are floats. A value that is of
    another type is left as it is, and refused by the engine, which names it.

    >>> columns([{"year": 1, "tags": [1, 2]}, {"year": 2.5, "more": None}], {}, ())
    [({'year': 1.0, 'tags': ['1', '2']}, {'tags': [1, 2]}), ({'year': 2.5}, {'more': None})]
    """
    rows = [plain(dict(row)) for row in rows]
    types: dict[str, FieldType] = dict(known)
    for row in rows:
        for name, value in row.items():
            kind = type_of(value)
            if kind is not None and (
                name not in types or (name not in known and (types[name], kind) == ("int", "float"))
            ):
                types[name] = kind
    return [_split(row, types, reserved) for row in rows]


def _split(
    row: Mapping[str, Any], types: Mapping[str, FieldType], reserved: Container[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    fields: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for name, value in row.items():
        if type_of(value) is None or not _may_be_field(name, reserved):
            rest[name] = value
            continue
        fields[name] = fitting(value, types[name])
        if fields[name] != value:
            rest[name] = value
    return fields, rest


def _may_be_field(name: str, reserved: Container[str]) -> bool:
    is_name = bool(name) and not name.startswith("_") and len(name.encode()) <= FIELD_NAME_BYTES_MAX
    return is_name and name not in reserved


@dataclass(frozen=True)
class Schema:
    """How a collection is made that is not there yet."""

    metric: Metric = "cosine"
    """How near two vectors are."""
    analyzer: str = "english"
    """How texts become words: `english`, `standard`, `code` and others of Ragstone's."""
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    """The types of entries of the metadata; those that are not named have that of their first value."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of `Client.create_collection`, such as `encoding` and `tenant`."""


class Rows:
    """The rows of a collection that is made when it is first written, and whose fields are known, so that most calls are one."""

    def __init__(self, schema: Schema, text: str) -> None:
        """Of how the collection is made, and which field is searched by word."""
        self.schema = schema
        self.text = text
        self.known: Mapping[str, FieldType] = {}
        self.texts: Mapping[str, str] = {}
        self._metric: Metric | None = None

    def forget(self) -> None:
        """The collection is another one from here on."""
        self.known, self.texts, self._metric = {}, {}, None

    def look(self) -> Steps[None]:
        """Asks which fields there are."""
        info = yield lambda collection: collection.info()
        self.known, self.texts, self._metric = info.fields, info.texts, info.metric

    def metric(self) -> Steps[Metric]:
        """How near two vectors are: as in the collection, if it is there."""
        if self._metric is None:
            try:
                yield from self.look()
            except ragstone.CollectionNotFound:
                return self.schema.metric
        return self._metric or self.schema.metric

    def conditions(self, names: Iterable[str]) -> Steps[Conditions]:
        """What makes filters on these fields; asks the collection if one is not known yet. Raises `CollectionNotFound`."""
        if not all(name in self.known for name in names):
            yield from self.look()
        return Conditions(self.known)

    def upsert(
        self, points: Callable[[Mapping[str, FieldType]], list[Point]], options: Mapping[str, Any]
    ) -> Steps[None]:
        """Stores the points that are made for the fields that there are; makes the collection if it is not there."""
        made = points(self.known)
        if not made:
            return
        try:
            yield lambda collection: collection.upsert(made, **options)
        except ragstone.CollectionNotFound:
            self.forget()
            yield self._create(0 if made[0].vector is None else len(made[0].vector))
            made = points(self.schema.fields)
            yield lambda collection: collection.upsert(made, **options)
        except ragstone.PayloadFieldType:
            # There are fields that were not known: their types say what values become.
            yield from self.look()
            made = points(self.known)
            yield lambda collection: collection.upsert(made, **options)

    def _create(self, dimension: int) -> Step:
        schema = self.schema
        return lambda collection: collection.client.create_collection(
            collection.name,
            dimension=dimension,
            metric=schema.metric,
            fields=schema.fields,
            texts={self.text: schema.analyzer},
            exist_ok=True,
            **schema.options,
        )


class Conditions:
    """Makes filters of comparisons with fields of known types; values that cannot be of the field's type are never equal to it."""

    def __init__(self, known: Mapping[str, FieldType]) -> None:
        """With the fields that the collection has."""
        self.known = known

    def equal(self, name: str, value: Any) -> Filter:
        """The field is this value, or a list of strings that holds it."""
        return self.one_of(name, [value])

    def one_of(self, name: str, values: Iterable[Any]) -> Filter:
        """The field is one of these values, or a list of strings that holds one."""
        kind = self.known.get(name)
        if kind == "strings":
            return F[name].contains(map(as_text, values))
        fit = [fitted for value in values if (fitted := self._fitted(value, kind)) is not None]
        if not fit or kind is None:
            return NOTHING
        return F[name] == fit[0] if len(fit) == 1 else F[name].in_(fit)

    def all_of(self, name: str, values: Iterable[Any]) -> Filter:
        """The field, a list of strings, holds each of these."""
        return Filter.all(self.equal(name, value) for value in values)

    def bound(self, name: str, than: str, value: Any) -> Filter:
        """The field is `<`, `<=`, `>` or `>=` than this value; an int field also than a float between two ints."""
        kind, value = self.known.get(name), plain(value)
        side = beyond(value, kind)
        if side != 0:
            # So it is with infinity: every number is less, or none.
            return self.exists(name) if (side > 0) == (than in ("<", "<=")) else NOTHING
        if kind == "int" and isinstance(value, float) and math.isfinite(value):
            value = math.floor(value) if than in (">", "<=") else math.ceil(value)
        value = self._fitted(value, kind)
        if value is None or kind not in ("int", "float", "string", "timestamp"):
            return NOTHING
        return BOUNDS[than](F[name], value)

    def exists(self, name: str) -> Filter:
        """The row has the field."""
        return F[name].exists() if name in self.known else NOTHING

    @staticmethod
    def _fitted(value: Any, kind: FieldType | None) -> Any:
        """The value in the field's type; None if there is none. Ints stand for bools, as frameworks have no others."""
        value = plain(value)
        if kind == "bool" and value in (0, 1):
            return bool(value)
        value = fitting(value, kind) if kind in ("int", "float") else value
        return value if type_of(value) == kind else None
