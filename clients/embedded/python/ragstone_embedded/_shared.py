"""The databases that this process has open.

A directory is open once in a process, whoever opens it: LangChain and LlamaIndex open a store for each object, and the engine locks the
directory. So clients of one directory share its engine, which is closed with the last of them. An engine that is being closed is waited for.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ragstone import FailedPrecondition, InvalidArgument, RagstoneError
from ragstone._errors import from_status

from ragstone_embedded._engine import Engine, Failure
from ragstone_embedded._options import defaults

if TYPE_CHECKING:
    from ragstone_embedded._engine import Failed, Told

SIGNALS_S = 0.1
"""How often a thread that waits looks for signals."""
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
        self._told: list[Told] = []
        self._is_closed = threading.Event()
        try:
            self.engine = Engine.open(key, options)
        except Failure as failure:
            raise translated(failure) from None
        # One step, for whoever takes it: between that it was taken and that the engine begins to close, no signal comes.
        self._closing = map(self.engine.begin_close, [self._closed])

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
        """A client of it is closed; the last one closes the engine and waits for that. Ctrl-C ends the waiting; the closing goes on."""
        done = threading.Event()
        failures: list[Failed] = []

        def told(_: object, failed: Failed | None) -> None:
            if failed is not None:
                failures.append(failed)
            done.set()

        self.begin_release(told)
        if Engine.is_own_thread():
            # The interpreter runs finalizers wherever it collects, and those threads cannot wait. Who opens the directory again does.
            return
        _wait(done)
        if failures:
            raise from_status(*failures[0])

    def begin_release(self, told: Told) -> None:
        """The same for one who awaits: `told` is called when it is done, by a thread of the engine, or at once."""
        with _lock:
            self._clients -= 1
            is_last = self._clients == 0
            if is_last:
                self._told.append(told)
        if is_last:
            self.begin_close()
        else:
            told(None, None)

    def begin_close(self) -> None:
        """Closes the engine, unless that has begun."""
        next(self._closing, None)

    def _closed(self, answer: bytes | None, failed: Failed | None) -> None:
        # Without the lock, which a thread may have that waits for this: finalizers run in it. What is there is replaced by nobody else.
        if self._key is not None and _open.get(self._key) is self:
            del _open[self._key]
        self._is_closed.set()
        for told in self._told:
            told(answer, failed)


def _wait(event: threading.Event) -> None:
    """Waits, and looks for signals: a wait without an end would not take them on every system."""
    while not event.wait(SIGNALS_S):
        pass


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
            # Ctrl-C may have come to whoever left it last, before this.
            found.begin_close()
        _wait(found._is_closed)


def _found(key: str) -> Shared | None:
    """The engine of a directory, by whatever name it was opened: file systems may take `Data` and `data` for one."""
    return _open.get(key) or next((shared for other, shared in [*_open.items()] if _is_same(key, other)), None)


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
