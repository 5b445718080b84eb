"""What can go wrong with a call: an exception for each gRPC code, read from the status and its `google.rpc` details."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from google.protobuf.message import DecodeError

from ragstone import v1


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of a request that the server refused."""

    field: str
    """The field's path: `points[3].vector`, `filter.and[1].field`."""
    description: str
    """What is wrong with it."""


class RagstoneError(Exception):
    """Why a call failed."""

    default_code: ClassVar[str] = "UNKNOWN"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str | None = None,
        metadata: dict[str, str] | None = None,
        fields: list[FieldViolation] | None = None,
        retry_after: float | None = None,
        never_sent: bool = False,
    ) -> None:
        """Made by the client; for stubs in tests."""
        super().__init__(message)
        self.message = message
        """The failure in words, naming the field and the limit where there is one."""
        self.code = code or self.default_code
        """The gRPC code: `NOT_FOUND`, `INVALID_ARGUMENT` …"""
        self.reason = reason
        """The failure for programs: `COLLECTION_NOT_FOUND` …; None where no Ragstone server answered."""
        self.metadata = metadata or {}
        """Data of the failure by name: `limit`, `max`, `actual`, `collection` …"""
        self.fields = fields or []
        """The fields that were wrong."""
        self.retry_after = retry_after
        """Seconds after which the server asks to try again; nothing of such a call was begun."""
        self.never_sent = never_sent
        """Whether there was no connection to send the call over."""

    @property
    def field(self) -> str | None:
        """The first field that was wrong: `points[3].vector`."""
        return self.fields[0].field if self.fields else None

    @property
    def limit(self) -> str | None:
        """The limit that was exceeded, by name."""
        return self.metadata.get("limit")

    @property
    def max(self) -> str | None:
        """The most that this limit allows."""
        return self.metadata.get("max")

    @property
    def actual(self) -> str | None:
        """What was given instead."""
        return self.metadata.get("actual")

    @property
    def not_begun(self) -> bool:
        """Whether the server certainly did nothing: it said so, or there was no connection."""
        return self.never_sent or self.retry_after is not None


class Cancelled(RagstoneError):
    """The caller left, or the server closed, before the work was done."""

    default_code = "CANCELLED"


class InvalidArgument(RagstoneError, ValueError):
    """Something of the request is not acceptable, whatever is stored; `field` names it."""

    default_code = "INVALID_ARGUMENT"


class DeadlineExceeded(RagstoneError, TimeoutError):
    """The deadline passed; a write may have been done nevertheless."""

    default_code = "DEADLINE_EXCEEDED"


class NotFound(RagstoneError, LookupError):
    """What was asked for does not exist."""

    default_code = "NOT_FOUND"


class AlreadyExists(RagstoneError):
    """What was to be made exists."""

    default_code = "ALREADY_EXISTS"


class PermissionDenied(RagstoneError):
    """The caller may not do this."""

    default_code = "PERMISSION_DENIED"


class Unauthenticated(RagstoneError):
    """The server asks who calls, and there is no API key, or none that is good."""

    default_code = "UNAUTHENTICATED"


class ResourceExhausted(RagstoneError):
    """A limit on concurrency, rate, size or room is reached."""

    default_code = "RESOURCE_EXHAUSTED"


class FailedPrecondition(RagstoneError):
    """The state of the server does not fit the request."""

    default_code = "FAILED_PRECONDITION"


class Aborted(RagstoneError):
    """What the write expected does not hold, or it was cut off."""

    default_code = "ABORTED"


class OutOfRange(RagstoneError, ValueError):
    """Beyond the valid range."""

    default_code = "OUT_OF_RANGE"


class Unimplemented(RagstoneError, NotImplementedError):
    """The server does not have this call."""

    default_code = "UNIMPLEMENTED"


class Internal(RagstoneError):
    """A fault of the server."""

    default_code = "INTERNAL"


class Unavailable(RagstoneError, ConnectionError):
    """The server is not to be had now."""

    default_code = "UNAVAILABLE"


class DataLoss(RagstoneError):
    """Stored data is damaged."""

    default_code = "DATA_LOSS"


CODES: dict[str, type[RagstoneError]] = {
    kind.default_code: kind
    for kind in (
        Cancelled,
        InvalidArgument,
        DeadlineExceeded,
        NotFound,
        AlreadyExists,
        PermissionDenied,
        Unauthenticated,
        ResourceExhausted,
        FailedPrecondition,
        Aborted,
        OutOfRange,
        Unimplemented,
        Internal,
        Unavailable,
        DataLoss,
    )
}
"""The exception of each code."""

NUMBERS = {
    1: "CANCELLED",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
"""The codes by their numbers on the wire."""


def from_status(code: str, message: str, details: bytes = b"", *, never_sent: bool = False) -> RagstoneError:
    """The exception of a status: `details` are the bytes of its `google.rpc.Status`."""
    import ragstone._reasons as reasons

    reason, metadata, violations, retry_after = _read_details(details)
    kind = CODES.get(code, RagstoneError)
    if reason is not None:
        of_reason = getattr(reasons, "".join(word.capitalize() for word in reason.split("_")), None)
        if kind is ResourceExhausted:
            of_reason = reasons._EXHAUSTED.get(reason, of_reason)
        if isinstance(of_reason, type) and issubclass(of_reason, RagstoneError):
            kind = of_reason
    return kind(
        message,
        code=code,
        reason=reason,
        metadata=metadata,
        fields=violations,
        retry_after=retry_after,
        never_sent=never_sent,
    )


def from_operation(error: v1.OperationError) -> RagstoneError:
    """The exception of an operation that failed: its error has the bytes of a `google.rpc.Status`."""
    return from_status(NUMBERS.get(error.code, "UNKNOWN"), error.message, error.SerializeToString())


def missing(field: str) -> RagstoneError:
    """The server left out what its contract promises."""
    return Internal(f"the server's answer lacks `{field}`")


def _read_details(details: bytes) -> tuple[str | None, dict[str, str], list[FieldViolation], float | None]:
    """Reason, metadata, violations and pause.

    The messages of `google.rpc` are few and small: reading them here spares a dependency, whose own bounds on protobuf would be ours.
    """
    reason: str | None = None
    metadata: dict[str, str] = {}
    violations: list[FieldViolation] = []
    retry_after: float | None = None
    try:
        found = v1.OperationError.FromString(details).details
    except DecodeError:
        # Whoever answered is no Ragstone server.
        return reason, metadata, violations, retry_after
    for detail in found:
        kind = detail.type_url.rpartition("/")[2]
        parts = list(_fields(detail.value))
        if kind == "google.rpc.ErrorInfo":
            reason = next((_text(part) for number, part in parts if number == 1), None)
            entries = [dict(_fields(part)) for number, part in parts if number == 3 and isinstance(part, bytes)]
            metadata = {_text(entry.get(1, b"")): _text(entry.get(2, b"")) for entry in entries}
        elif kind == "google.rpc.BadRequest":
            for number, part in parts:
                if number == 1 and isinstance(part, bytes):
                    violation = dict(_fields(part))
                    violations.append(FieldViolation(_text(violation.get(1, b"")), _text(violation.get(2, b""))))
        elif kind == "google.rpc.RetryInfo":
            retry_after = 0.0
            for number, part in parts:
                if number == 1 and isinstance(part, bytes):
                    duration = dict(_fields(part))
                    seconds, nanos = duration.get(1, 0), duration.get(2, 0)
                    if isinstance(seconds, int) and isinstance(nanos, int):
                        retry_after = seconds + nanos / 1e9
    return reason, metadata, violations, retry_after


def _text(part: bytes | int) -> str:
    return part.decode(errors="replace") if isinstance(part, bytes) else str(part)


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Numbers and values of a message's fields: integers, and what has a length; the others are passed over."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if wire_type == 0:
            value, at = _varint(data, at)
            yield number, value
        elif wire_type == 2:
            length, at = _varint(data, at)
            yield number, data[at : at + length]
            at += length
        elif wire_type in (1, 5):
            at += 8 if wire_type == 1 else 4
        else:
            return


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(data):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    return value, at
