"""The databases that this process has open.

A directory is open once in a process, whoever opens it: LangChain and LlamaIndex open a store for each object, and the engine locks the
directory. So clients of one directory share its engine, which is closed with the last of them. An engine that is being closed is waited for.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ragstone import FailedPrecondition, InvalidArgument, RagstoneError
from ragstone._errors import from_status

from ragstone_embedded._engine import Engine, Failure
from ragstone_embedded._options import defaults

# One thread may come back to it: a client that nobody holds any more is closed wherever the interpreter finds it.
_lock = threading.RLock()
_open: dict[str, Shared] = {}


def translated(failure: Failure) -> RagstoneError:
    """The client's exception of a failure of the engine's."""
    code, message, details = failure.args
    return from_status(code, message, bytes(details))


class Shared:
    """An engine and how many clients it has."""

    def __init__(self, key: str | None, options: dict[str, Any]) -> None:
        """Opens it; `key` is the directory, None for a database in memory."""
        self._key = key
        self._options = options
        self._clients = 1
        self._is_closed = threading.Event()
        try:
            self.engine = Engine.open(key, options)
        except Failure as failure:
            raise translated(failure) from None

    def _join(self, given: dict[str, Any]) -> None:
        # First of all, as the other clients may be collected meanwhile.
        self._clients += 1
        for name, value in given.items():
            if self._options[name] != value:
                self.release()
                raise FailedPrecondition(
                    f"{self._key} is open in this process with {name}={self._options[name]!r}, and {name}={value!r} is asked for: "
                    "leave the option out, or close the clients that have it open"
                )

    def release(self) -> None:
        """A client of it is closed; the last one closes the engine."""
        if not self._leave():
            return
        if Engine.is_own_thread():
            # The interpreter runs finalizers wherever it collects, and those threads cannot wait. Who opens the directory again does.
            self.engine.begin_close(lambda *_: self._gone())
        else:
            try:
                self.engine.close()
            except Failure as failure:
                raise translated(failure) from None
            finally:
                self._gone()

    def begin_release(self, told: Callable[[Any, Any], None]) -> None:
        """The same for one who awaits: `told` is called when it is done, by a thread of the engine, or at once."""

        def closed(answer: Any, failed: Any) -> None:
            self._gone()
            told(answer, failed)

        if self._leave():
            self.engine.begin_close(closed)
        else:
            told(None, None)

    def _leave(self) -> bool:
        with _lock:
            self._clients -= 1
            return self._clients == 0

    def _gone(self) -> None:
        with _lock:
            if self._key is not None and _open.get(self._key) is self:
                del _open[self._key]
        self._is_closed.set()


def shared(path: str | os.PathLike[str] | None, given: dict[str, Any]) -> Shared:
    """The engine of a directory, opened if it is not; one of its own for a database in memory. `given` are the options that are set."""
    options = {**defaults(), **given}
    if path is None:
        return Shared(None, options)
    key = _directory(os.fsdecode(path))
    while True:
        with _lock:
            found = _found(key)
            if found is None:
                found = _open[key] = Shared(key, options)
                return found
            if found._clients > 0:
                found._join(given)
                return found
        found._is_closed.wait()


def _found(key: str) -> Shared | None:
    """The engine of a directory, by whatever name it was opened: file systems may take `Data` and `data` for one."""
    return _open.get(key) or next((shared for other, shared in _open.items() if _is_same(key, other)), None)


def _is_same(one: str, other: str) -> bool:
    try:
        return Path(one).samefile(other)
    except OSError:
        # One of them is not there, or not ours to see.
        return False


def _directory(path: str) -> str:
    """A directory's one name. What people write who mean something else is refused, before it becomes a directory."""
    if "://" in path:
        raise InvalidArgument(f"path `{path}` is the URL of a server: ragstone.connect(url)")
    if path in ("", ":memory:"):
        raise InvalidArgument(f"path `{path}` is no directory: ragstone.open(None) makes a database in memory")
    return os.path.realpath(Path(path).expanduser())


def _forget() -> None:
    """In a process that was forked off: engines are of the one that opened them."""
    global _lock
    _lock = threading.RLock()
    _open.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
