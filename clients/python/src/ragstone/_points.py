"""Points and what is done to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from io import BytesIO
from itertools import repeat
from typing import Any, Generic, TypeAlias, TypeVar

from ragstone import v1
from ragstone._columns import Columns
from ragstone._values import (
    Id,
    Ids,
    Value,
    fill,
    microseconds,
    moment,
    point_id,
    read_id,
    read_payload,
    set_id,
    several,
)
from ragstone._vectors import VectorLike, any_vector, dense, dense_parts, packed, rows, set_any, varint

T = TypeVar("T")


@dataclass(slots=True)
class Point:
    """A row of a collection: an id, a vector and typed fields.

    A point that was read has its vectors as `array.array('f')` if they were asked for, and None otherwise.
    """

    id: Id
    """An unsigned integer, or a string of 1 to 512 bytes."""
    vector: VectorLike | None = None
    """As many finite components as the collection's dimension. A row without one is found by id and by filter, never by similarity."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """Typed fields by name. None is no value: such a field is left out."""
    vectors: Mapping[str, Any] = field(default_factory=dict)
    """Further vectors, by the names that the collection has for them: dense ones, `SparseVector`, `MultiVector`."""
    expires_at: datetime | None = None
    """When the row is gone; never if None."""
    etag: int | None = None
    """Of a row that was read: the number of the write that last changed it. Writes do not look at it; see `Precondition.etag`."""


PointLike: TypeAlias = Point | Mapping[str, Any] | Sequence[Any]
"""A `Point`; a dict of its fields; or a tuple of id, vector and, if it has any, payload."""


@dataclass(slots=True)
class Update:
    """Changes of one point's fields; what they do not name stays."""

    id: Id
    set: Mapping[str, Any] = field(default_factory=dict)
    """Fields to set, in place of the values that they have."""
    unset: Sequence[str] = ()
    """Fields to remove; those that the row lacks are passed over."""
    expires_at: datetime | None = None
    """When the row is gone; None leaves that as it is."""
    never_expires: bool = False
    """Has a row stay that was to be gone one day."""


@dataclass(frozen=True, slots=True)
class Delete:
    """Removes a point, if there is one."""

    id: Id


@dataclass(frozen=True, slots=True)
class Precondition:
    """What is expected of a row before a write; one that does not hold fails the whole write (`PreconditionFailed`)."""

    id: Id
    is_there: bool = True
    number: int | None = None

    @staticmethod
    def exists(id: Id) -> Precondition:
        """There is such a row."""
        return Precondition(id)

    @staticmethod
    def missing(id: Id) -> Precondition:
        """There is no such row."""
        return Precondition(id, is_there=False)

    @staticmethod
    def etag(id: Id, etag: int) -> Precondition:
        """No write has changed the row since it was read with this etag."""
        return Precondition(id, number=etag)

    def wire(self) -> v1.Precondition:
        """For the client itself."""
        wire = v1.Precondition(id=point_id(self.id))
        if self.number is not None:
            wire.etag = self.number
        else:
            wire.exists = self.is_there
        return wire


@dataclass(slots=True)
class WriteReceipt:
    """An acknowledged write: what it did is on disk."""

    seq: int
    """The write's number in the log; a later write has a greater one."""
    points: int
    """Points inserted, replaced, changed or removed."""
    missing: int = 0
    """Updates of ids that no point has."""
    repeated: bool = False
    """Whether the write was done before under its request id: then this is the first answer."""
    write_token: str = ""
    """Has reads find what was written: see `Client.at_least`."""


@dataclass(slots=True)
class Page(Generic[T]):
    """A page of a longer list."""

    items: list[T]
    next_page_token: str
    """Asks for the next page; empty on the last."""


def as_point(point: PointLike) -> Point:
    """A point of whatever form."""
    if isinstance(point, Point):
        return point
    if isinstance(point, Mapping):
        return Point(**point)
    if isinstance(point, Sequence) and not isinstance(point, str) and 1 <= len(point) <= 3:
        return Point(*point)
    raise TypeError("a point is a Point, a dict of its fields, or a tuple (id, vector) or (id, vector, payload)")


def point_bytes(point: Point, components: bytes | memoryview | None = None) -> list[bytes | memoryview]:
    """A `Point` on the wire, in parts, of which its vector is one as it lies: `components` if given."""
    wire = v1.Point()
    set_id(wire.id, point.id)
    if point.payload:
        fill(wire.payload, point.payload)
    for name, vector in (point.vectors if type(point.vectors) is dict else _named(point.vectors)).items():
        set_any(wire.vectors[name], vector)
    if point.expires_at is not None:
        wire.expires_at = microseconds(point.expires_at)
    if components is None and point.vector is not None:
        components = packed(point.vector)
    if components is None:
        return [wire.SerializeToString()]
    head, components = dense_parts(components)
    return [wire.SerializeToString(), b"\x12", varint(len(head) + len(components)), head, components]


def _named(vectors: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Further vectors that are no plain dict. None has none, as for a payload."""
    if vectors is not None and not isinstance(vectors, Mapping):
        raise TypeError(f"`vectors` is a dict of vectors by name, and this is {type(vectors).__name__}")
    return vectors or {}


def framed(parts: list[bytes | memoryview], key: bytes) -> list[bytes | memoryview]:
    """The parts as a field of another message: `key` is its key there."""
    return [key, varint(sum(map(len, parts))), *parts]


class Joined:
    """A message of parts, each of which is copied as it comes: who fills one array again and again for the next vector may do so."""

    __slots__ = ("_bytes",)

    def __init__(self, head: bytes) -> None:
        """Begins with these."""
        self._bytes = BytesIO()
        self._bytes.write(head)

    def add(self, parts: Iterable[bytes | memoryview]) -> None:
        """Goes on with these."""
        for part in parts:
            self._bytes.write(part)

    def __len__(self) -> int:
        """Bytes so far."""
        return self._bytes.tell()

    def message(self) -> bytes:
        """All of it."""
        return self._bytes.getvalue()


def points_bytes(points: Iterable[PointLike], key: bytes) -> Iterator[list[bytes | memoryview]]:
    """Points as the entries of a repeated field with this key; errors say which point it was."""
    for index, point in enumerate(points):
        try:
            yield framed(point_bytes(as_point(point)), key)
        except (TypeError, ValueError) as error:
            raise of_item("points", index, error) from None


def columns_bytes(
    ids: Ids,
    vectors: Any,
    payloads: Sequence[Mapping[str, Any]] | None,
    key: bytes,
    beside: Columns | None,
) -> Iterator[list[bytes | memoryview]]:
    """The same of points that come as columns, of one length, without what goes beside the message."""
    if beside is not None and beside.ids is not None:
        return
    components: Iterator[bytes | memoryview | None] = rows(vectors) if beside is None else repeat(None, len(ids))
    # In their order: a column of pandas's has its own numbers for them.
    given = repeat({}, len(ids)) if payloads is None else payloads
    for index, (id, row, payload) in enumerate(zip(ids, components, given, strict=True)):
        try:
            yield framed(point_bytes(Point(id, payload=payload), row), key)
        except (TypeError, ValueError) as error:
            raise of_item("points", index, error) from None


def of_item(items: str, index: int, error: TypeError | ValueError) -> TypeError | ValueError:
    """The error, which says which of the items it was."""
    # One of a class derived from these, such as that of a text that is no Unicode, may be made of more than a message.
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{items}[{index}]: {error}")


def read_point(wire: v1.Point) -> Point:
    """A point that was read."""
    return Point(
        id=read_id(wire.id),
        vector=dense(wire.vector) if wire.HasField("vector") else None,
        payload=read_payload(wire.payload),
        vectors={name: any_vector(wire.vectors[name]) for name in wire.vectors},
        expires_at=moment(wire.expires_at) if wire.HasField("expires_at") else None,
        etag=wire.etag if wire.HasField("etag") else None,
    )


def set_update(wire: v1.PointUpdate, update: Update) -> None:
    """Fills an update."""
    set_id(wire.id, update.id)
    fill(wire.set, update.set)
    wire.unset.extend(several(update.unset, "unset"))
    if update.expires_at is not None:
        wire.expires_at = microseconds(update.expires_at)
    elif update.never_expires:
        wire.never_expires = True


def operation_bytes(operation: Point | Update | Delete, key: bytes) -> list[bytes | memoryview]:
    """A `WriteOperation` as an entry of a repeated field with this key."""
    if isinstance(operation, Point):
        return framed(framed(point_bytes(operation), b"\x0a"), key)
    wire = v1.WriteOperation()
    if isinstance(operation, Update):
        set_update(wire.update, operation)
    elif isinstance(operation, Delete):
        set_id(wire.delete, operation.id)
    else:
        raise TypeError(f"an operation is a Point, an Update or a Delete, and this is {type(operation).__name__}")
    return framed([wire.SerializeToString()], key)


@dataclass(slots=True)
class FacetCount:
    """A value and how many points have it."""

    value: Value
    count: int


@dataclass(slots=True)
class Facet:
    """The values of a field."""

    counts: list[FacetCount]
    """The most frequent values; of equally frequent ones the least first."""
    values: int
    """How many different values there are, listed or not."""
    points: int
    """Points that have the field."""
