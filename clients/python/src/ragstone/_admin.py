"""What an operator sees: operations, stores, keys, templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Literal, TypeAlias

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from ragstone import v1
from ragstone._enums import number, word
from ragstone._errors import RagstoneError, from_operation
from ragstone._values import EPOCH, microseconds

OperationState: TypeAlias = Literal["running", "succeeded", "failed", "cancelled"]
FileFormat: TypeAlias = Literal["arrow", "parquet"]
FileCompression: TypeAlias = Literal["none", "zstd", "lz4", "snappy"]


@dataclass(slots=True)
class Operation:
    """Work that takes long, as it is or was."""

    id: str
    kind: str
    """`reembed`, `take_snapshot`, `verify_snapshot`, `export`, `import` or `restore_collection`."""
    target: str
    """What it is done to: the name of a collection, or of a store."""
    state: OperationState
    stage: str
    """What it is at, a short phrase."""
    done: int
    """So much of this stage is done, in `unit`."""
    total: int | None
    """So much there is to do, where that is known."""
    unit: str
    error: RagstoneError | None
    """Why it failed."""
    started_at: datetime
    updated_at: datetime
    result: dict[str, str]
    """What came of it, by name."""

    @property
    def has_ended(self) -> bool:
        """Whether it will not change any more."""
        return self.state != "running"


@dataclass(slots=True)
class CollectionStats:
    """What a collection holds, and what that takes."""

    name: str
    points: int
    vectors: int
    sealed_segments: int
    sealed_bytes: int
    dead_points: int
    growing_points: int
    growing_bytes: int
    unlinked_points: int
    seq: int
    reembedding: bool


@dataclass(slots=True)
class Stats:
    """What the database holds, and what it is at."""

    collections: list[CollectionStats]
    log_bytes: int
    log_position: int
    growing_bytes: int
    sealed_segments: int
    sealed_bytes: int
    running_operations: int
    lineage: str
    snapshot_stores: list[str]


@dataclass(slots=True)
class Snapshot:
    """A copy of a database in a store."""

    name: str
    lineage: str
    position: int
    position_at: datetime
    created_at: datetime
    bytes: int


@dataclass(slots=True)
class KeyLimits:
    """What a key may be used for in some time; not bounded where None."""

    per_second: float | None = None
    burst: int | None = None
    """Calls that may come at once."""
    per_day: int | None = None


@dataclass(slots=True)
class Key:
    """An API key, without its secret."""

    id: str
    name: str
    grants: list[str]
    """What it allows, each as `read on notes-*, drafts where tenant = $claims.tenant`, `write on *`, `manage on notes`, `admin`, `observe`."""
    claims: dict[str, Any]
    limits: KeyLimits
    created_at: datetime
    expires_at: datetime | None
    previous_expires_at: datetime | None
    """Until when the secret before the last rotation is taken as well."""


@dataclass(slots=True)
class NewKey:
    """A key with its secret, which is told once."""

    key: Key
    secret: str = field(repr=False)
    """The `api_key` of `connect`."""


@dataclass(slots=True)
class Template:
    """A version of a registered prompt template."""

    name: str
    version: int
    registered_at: datetime
    source: str
    """Empty in a list."""


@dataclass(slots=True)
class SamplePassage:
    """A passage that a template is tried with."""

    document: str
    text: str
    heading: str = ""


def read_moment(wire: Timestamp) -> datetime:
    """A moment that was read, in UTC."""
    return wire.ToDatetime(tzinfo=timezone.utc)


def timestamp(moment: datetime | None) -> Timestamp | None:
    """A moment on the wire."""
    if moment is None:
        return None
    wire = Timestamp()
    wire.FromMicroseconds(microseconds(moment))
    return wire


def read_operation(wire: v1.Operation) -> Operation:
    """An operation that was read."""
    progress = wire.progress
    return Operation(
        id=wire.id,
        kind=word(v1.OperationKind, "OPERATION_KIND", wire.kind),
        target=wire.target,
        state=word(v1.OperationState, "OPERATION_STATE", wire.state),
        stage=progress.stage,
        done=progress.done,
        total=progress.total if progress.HasField("total") else None,
        unit=progress.unit,
        error=from_operation(wire.error) if wire.HasField("error") else None,
        started_at=read_moment(wire.start_time) if wire.HasField("start_time") else EPOCH,
        updated_at=read_moment(wire.update_time) if wire.HasField("update_time") else EPOCH,
        result=dict(wire.result),
    )


def read_stats(wire: v1.GetStatsResponse) -> Stats:
    """Statistics that were read."""
    names = CollectionStats.__slots__
    collections = [CollectionStats(*(getattr(one, name) for name in names)) for one in wire.collections]
    return Stats(
        collections=collections,
        log_bytes=wire.log_bytes,
        log_position=wire.log_position,
        growing_bytes=wire.growing_bytes,
        sealed_segments=wire.sealed_segments,
        sealed_bytes=wire.sealed_bytes,
        running_operations=wire.running_operations,
        lineage=wire.lineage,
        snapshot_stores=list(wire.snapshot_stores),
    )


def read_snapshot(wire: v1.Snapshot) -> Snapshot:
    """A snapshot that was read."""
    position_at, created_at = read_moment(wire.position_time), read_moment(wire.create_time)
    return Snapshot(wire.name, wire.lineage, wire.position, position_at, created_at, wire.bytes)


def file_format(format: str | None) -> v1.FileFormat:
    """The format of a file; what its name says for None. Raises `ValueError`."""
    return number(v1.FileFormat, "FILE_FORMAT", format, "format")  # type: ignore[no-any-return]


def file_compression(compression: str | None) -> v1.FileCompression:
    """How a file is compressed; as usual for None. Raises `ValueError`."""
    return number(v1.FileCompression, "FILE_COMPRESSION", compression, "compression")  # type: ignore[no-any-return]


def limits(limits: KeyLimits | None) -> v1.KeyLimits | None:
    """Limits on the wire."""
    if limits is None:
        return None
    return v1.KeyLimits(per_second=limits.per_second, burst=limits.burst, per_day=limits.per_day)


def read_key(wire: v1.Key) -> Key:
    """A key that was read."""
    bounds = {name: getattr(wire.limits, name) for name in KeyLimits.__slots__ if wire.limits.HasField(name)}
    return Key(
        id=wire.id,
        name=wire.name,
        grants=list(wire.grants),
        claims=MessageToDict(wire.claims) if wire.HasField("claims") else {},
        limits=KeyLimits(**bounds),
        created_at=read_moment(wire.create_time),
        expires_at=read_moment(wire.expire_time) if wire.HasField("expire_time") else None,
        previous_expires_at=read_moment(wire.previous_expire_time) if wire.HasField("previous_expire_time") else None,
    )


def create_key_request(
    name: str, grants: list[str], claims: Mapping[str, Any] | None, bounds: KeyLimits | None, expires: datetime | None
) -> v1.CreateKeyRequest:
    """The request of a new key."""
    wire = v1.CreateKeyRequest(name=name, grants=grants, limits=limits(bounds), expire_time=timestamp(expires))
    if claims is not None:
        wire.claims.update(dict(claims))
    return wire


def read_template(wire: v1.Template) -> Template:
    """A template that was read."""
    from ragstone._values import moment

    return Template(wire.name, wire.version, moment(wire.registered_at), wire.source)
