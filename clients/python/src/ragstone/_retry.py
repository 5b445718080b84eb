"""When a failed call is repeated, and after what pause.

The pause is "full jitter" (M. Brooker, "Exponential backoff and jitter", 2015): uniform between nothing and a bound that doubles, so
that clients which failed together do not come back together. A pause that the server asks for (`google.rpc.RetryInfo`) is a lower
bound to it, and where it is beyond PAUSE_ASKED_MAX the caller's to decide about.
"""

from __future__ import annotations

import random
import secrets

from ragstone._errors import RagstoneError
from ragstone._methods import Repeat

FIRST_PAUSE_MAX = 0.1
PAUSE_MAX = 5.0
PAUSE_ASKED_MAX = 600.0
"""Seconds."""


def may_repeat(error: RagstoneError, repeat: Repeat) -> bool:
    """Whether the call may be made again after this error."""
    if error.retry_after is not None and error.retry_after > PAUSE_ASKED_MAX:
        return False
    if error.code == "UNAVAILABLE":
        return repeat is Repeat.SAFE or error.not_begun
    return error.code == "RESOURCE_EXHAUSTED" and error.retry_after is not None


def pause(attempt: int, error: RagstoneError, fraction: float | None = None) -> float:
    """Seconds before the next attempt; `attempt` counts those made, from 1; `fraction`, from 0 to 1, is the chance in it."""
    bound = min(FIRST_PAUSE_MAX * (1 << min(attempt - 1, 16)), PAUSE_MAX)
    return (error.retry_after or 0.0) + bound * (random.random() if fraction is None else fraction)


def request_id() -> str:
    """A request id that no other write has."""
    return secrets.token_hex(16)
