"""What a gRPC channel is made of, whether blocking or not: target, credentials, options; and its errors as ours."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import grpc

from ragstone._errors import FailedPrecondition, InvalidArgument, RagstoneError, from_status

Pem: TypeAlias = bytes | str | os.PathLike[str]
"""A PEM text, or the path of a file with one."""
Compression: TypeAlias = Literal["gzip"]

MESSAGE_BYTES_MAX = 256 << 20
"""Bytes of the largest answer that is read: the server's own limit and room for a larger one."""
TIMEOUT_MAX = 365 * 86_400.0
"""Seconds of the longest deadline; a longer one is this one."""
_RECONNECT_MS_MAX = 86_400_000
_KEEP_ALIVE_MS = 30_000
_WINDOW_BYTES = 4 << 20
_NEVER_CONNECTED = (
    "failed to connect to all addresses",
    "connections to all backends failing",
    "DNS resolution failed",
)
"""What gRPC says of a call that it had no connection for; it has no code for that."""
_HINTS = (
    ("Connection refused", "is a server running there? `ragstone serve` starts one"),
    ("WRONG_VERSION_NUMBER", "what listens there has no TLS: try http://"),
    # Not for CERTIFICATE_VERIFY_FAILED alone: a certificate that has expired is that, too.
    ("self signed certificate", "name the authority that vouches for the server (`ca=`)"),
    ("unable to get local issuer certificate", "name the authority that vouches for the server (`ca=`)"),
    ("Socket closed", "if what listens there has TLS, try https://; the port for gRPC is that of `--listen`"),
)
"""What to do where there is no connection. gRPC names the fault, not the mistake."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server, and how it is reached."""

    url: str
    target: str
    credentials: grpc.ChannelCredentials | None
    options: list[tuple[str, Any]]
    metadata: tuple[tuple[str, str], ...]
    compression: grpc.Compression | None


def endpoint(
    url: str,
    api_key: str | None,
    ca: Pem | None,
    identity: tuple[Pem, Pem] | None,
    connect_timeout: float,
    compression: Compression | None,
) -> Endpoint:
    """Reads the arguments of `connect`; raises `InvalidArgument` for those that make no sense."""
    is_secure, hostname, port = _address(url)
    if not is_secure and (ca is not None or identity is not None):
        raise InvalidArgument(f"url `{url}`: certificates are for https, and the scheme is http")
    if compression not in (None, "gzip"):
        raise InvalidArgument(f"compression is gzip or None, and not {compression!r}")
    host = f"[{hostname}]" if ":" in hostname else hostname
    credentials = None
    if is_secure:
        certificate, key = identity if identity is not None else (None, None)
        credentials = grpc.ssl_channel_credentials(_pem(ca), _pem(key), _pem(certificate))
    return Endpoint(
        url=url,
        target=f"{host}:{port}",
        credentials=credentials,
        options=_options(connect_timeout, is_loopback=_is_loopback(hostname)),
        metadata=_authorization(api_key),
        compression=grpc.Compression.Gzip if compression else None,
    )


def _address(url: str) -> tuple[bool, str, int]:
    """Whether it is TLS, the host and the port. What would be passed over, such as a password, is refused."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except (ValueError, TypeError, AttributeError):
        parts, port = urlsplit(""), None
    is_address = parts.scheme in ("http", "https") and parts.hostname and parts.path in ("", "/") and port != 0
    if not is_address or "@" in parts.netloc or parts.query or parts.fragment:
        raise InvalidArgument(f"url `{url}`: expected http://HOST:PORT or https://HOST:PORT")
    is_secure = parts.scheme == "https"
    return is_secure, parts.hostname or "", port or (443 if is_secure else 80)


def _options(connect_timeout: float, *, is_loopback: bool) -> list[tuple[str, Any]]:
    return [
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", _KEEP_ALIVE_MS),
        ("grpc.keepalive_timeout_ms", _KEEP_ALIVE_MS),
        ("grpc.http2.lookahead_bytes", _WINDOW_BYTES),
        # Retries are ours: gRPC's know neither request ids nor RetryInfo.
        ("grpc.enable_retries", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", int(min(max(100, connect_timeout * 1_000), _RECONNECT_MS_MAX))),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # A channel has a connection of its own, which goes with it.
        ("grpc.use_local_subchannel_pool", 1),
        # A proxy is between this machine and others.
        ("grpc.enable_http_proxy", 0 if is_loopback else 1),
    ]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _authorization(api_key: str | None) -> tuple[tuple[str, str], ...]:
    if api_key is None:
        return ()
    if not api_key or not api_key.isascii() or not api_key.isprintable():
        raise InvalidArgument("the API key has characters that no header can have")
    return (("authorization", f"Bearer {api_key}"),)


def _pem(source: Pem | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    if isinstance(source, str) and "-----BEGIN" in source:
        return source.encode()
    return Path(source).read_bytes()


def within(timeout: float | None) -> float | None:
    """A deadline that gRPC can have: of `inf` it makes one that has passed."""
    return None if timeout is None else min(timeout, TIMEOUT_MAX)


def error_of(code: grpc.StatusCode, message: str, trailers: Iterable[Any] | None) -> RagstoneError:
    """The exception of a call's status."""
    details = b""
    for key, value in trailers or ():
        if key == "grpc-status-details-bin":
            details = value if isinstance(value, bytes) else value.encode("latin-1")
    never_sent = code is grpc.StatusCode.UNAVAILABLE and any(part in message for part in _NEVER_CONNECTED)
    if never_sent:
        hint = next((f"; {hint}" for words, hint in _HINTS if words in message), "")
        message = f"{message}{hint}"
    return from_status(code.name, message, details, never_sent=never_sent)


def closed() -> RagstoneError:
    """The exception of a call through a client that was closed."""
    return FailedPrecondition("the client is closed")
