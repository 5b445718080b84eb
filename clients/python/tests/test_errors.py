"""The exceptions are those of the wire API, and are read from a status as it comes."""

from __future__ import annotations

import pickle
import re

import grpc
import pytest
from conftest import ROOT

import ragstone
from ragstone import CollectionNotFound, LimitExceeded, NotFound, RagstoneError, v1
from ragstone._channel import error_of
from ragstone._errors import NUMBERS, from_status

REASONS = ROOT / "proto" / "ragstone" / "v1" / "error_reason.proto"


def class_of(reason: str) -> str:
    return "".join(word.capitalize() for word in reason.split("_"))


def test_every_reason_has_an_exception_below_its_code() -> None:
    text = REASONS.read_text(encoding="utf-8")
    listed = re.findall(r"// ([A-Z_]+)[^\n]*\n(?:  //[^\n]*\n)*  ERROR_REASON_([A-Z_]+) = \d+;", text)
    assert [f"ERROR_REASON_{reason}" for _, reason in listed] == [*v1.ErrorReason.keys()]
    for code, reason in listed[1:]:
        kind = getattr(ragstone, class_of(reason))
        assert issubclass(kind, ragstone.errors.by_code[code]), reason
        assert kind.__module__ == "ragstone"
        assert type(from_status(code, "no", status(reason))) is kind
    assert set(NUMBERS.values()) == set(ragstone.errors.by_code)


def test_a_reason_of_two_codes_is_caught_by_either() -> None:
    """A full disk was a fault of the server, `Internal`, and too many collections a `ValueError` alone: nobody who waits for room saw them."""
    for reason, code, of_reason in [
        ("STORE_IO", "INTERNAL", ragstone.Internal),
        ("LIMIT_EXCEEDED", "INVALID_ARGUMENT", ragstone.InvalidArgument),
    ]:
        full = from_status("RESOURCE_EXHAUSTED", "no room", status(reason))
        assert isinstance(full, ragstone.ResourceExhausted)
        assert isinstance(full, getattr(ragstone, class_of(reason)))
        assert (full.code, type(full).default_code, full.reason) == ("RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED", reason)
        assert type(pickle.loads(pickle.dumps(full))) is type(full)
        other = from_status(code, "no", status(reason))
        assert isinstance(other, of_reason)
        assert not isinstance(other, ragstone.ResourceExhausted)


def status(reason: str, metadata: dict[str, str] | None = None, fields: tuple[str, ...] = ()) -> bytes:
    def part(key: int, text: bytes) -> bytes:
        return bytes([key << 3 | 2, len(text)]) + text

    entries = [part(1, name.encode()) + part(2, value.encode()) for name, value in (metadata or {}).items()]
    info = part(1, reason.encode()) + part(2, b"ragstone") + b"".join(part(3, entry) for entry in entries)
    bad = b"".join(part(1, part(1, field.encode()) + part(2, b"is wrong")) for field in fields)
    whole = v1.OperationError(code=3)
    whole.details.add(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=info)
    whole.details.add(type_url="type.googleapis.com/google.rpc.BadRequest", value=bad)
    whole.details.add(type_url="type.googleapis.com/google.rpc.RetryInfo", value=b"\x0a\x04\x08\x02\x10\x05")
    return whole.SerializeToString()


def test_a_status_is_read_whole() -> None:
    metadata = {"limit": "K_MAX", "max": "10000", "actual": "10001"}
    error = from_status("INVALID_ARGUMENT", "k is beyond", status("LIMIT_EXCEEDED", metadata, ("k", "filter")))
    assert isinstance(error, LimitExceeded)
    assert (error.field, [one.description for one in error.fields]) == ("k", ["is wrong", "is wrong"])
    assert (error.limit, error.max, error.actual) == ("K_MAX", "10000", "10001")
    assert (error.retry_after, error.not_begun, str(error)) == (2 + 5e-9, True, "k is beyond")


def test_what_is_not_known_is_of_its_code() -> None:
    assert type(from_status("NOT_FOUND", "no", status("OF_A_LATER_VERSION"))) is NotFound
    assert type(from_status("WHATEVER", "no")) is RagstoneError
    assert type(from_status("NOT_FOUND", "no", status("FILTER"))) is NotFound
    assert from_status("NOT_FOUND", "no").field is None


def test_what_to_do_is_told_behind_what_grpc_says() -> None:
    """An expired certificate is no matter of authorities, and a server that went away in a call is no mistake about its port."""
    verified = "SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED: "
    for cause, hint in [
        ("Failed to connect to remote host: Connection refused", "ragstone serve"),
        ("SSL_ERROR_SSL: error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER", "try http://"),
        (f"{verified}self signed certificate: OK", "`ca=`"),
        (f"{verified}unable to get local issuer certificate: OK", "`ca=`"),
        (f"{verified}certificate has expired: OK", None),
        ("Socket closed", "try https://"),
    ]:
        said = f"failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: {cause}"
        told = error_of(grpc.StatusCode.UNAVAILABLE, said, None).message
        assert told.startswith(said)
        assert told == said if hint is None else hint in told, told
        assert error_of(grpc.StatusCode.UNAVAILABLE, cause, None).message == cause


def test_exceptions_travel_between_processes() -> None:
    error = from_status("NOT_FOUND", "no", status("COLLECTION_NOT_FOUND", {"collection": "x"}))
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.metadata, copy.code) == (CollectionNotFound, {"collection": "x"}, "NOT_FOUND")


@pytest.mark.parametrize("garbage", [b"\xff", b"\x1a\x7f\x01", b"\x1a\x02\x0a\x7f"])
def test_details_that_are_no_message_do_no_harm(garbage: bytes) -> None:
    error = from_status("INTERNAL", "broken", garbage)
    assert (error.code, error.reason, error.message) == ("INTERNAL", None, "broken")
