"""The tokens of writes: what was written last, and what reads must find."""

from __future__ import annotations

import threading

_DATABASE = 33
"""Characters of a token that stand for its database."""


class Written:
    """What was written through a client and those made of it; each has a demand of its own on what is read."""

    def __init__(self, shared: Written | None = None, at_least: str | None = None, *, own: bool = False) -> None:
        """Shares what was written with another one, if there is one."""
        self._last: list[str] = shared._last if shared is not None else [""]
        # Of two answers that come at once, the later write stays.
        self._lock: threading.Lock = shared._lock if shared is not None else threading.Lock()
        self._at_least = at_least or ""
        self._own = own

    def note(self, token: str) -> None:
        """A write was acknowledged."""
        with self._lock:
            last = self._last[0]
            if token[:_DATABASE] != last[:_DATABASE] or token > last:
                self._last[0] = token

    @property
    def last(self) -> str | None:
        """The token of the last write."""
        return self._last[0] or None

    @property
    def at_least(self) -> str:
        """What a read asks for; empty for nothing."""
        return self._last[0] if self._own else self._at_least
