"""Waiting for an engine: the interpreter's lock, signals, calls that are given up."""

from __future__ import annotations

import asyncio
import http.server
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ragstone
import ragstone.aio
from ragstone_embedded._shared import Shared

PATIENCE_S = 60


class Silent(http.server.BaseHTTPRequestHandler):
    """A language model that is asked and says nothing until the test lets it."""

    asked = threading.Event()
    let_go = threading.Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.let_go.wait(PATIENCE_S)
        self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(autouse=True)
def interrupts() -> Iterator[None]:
    """Ctrl-C is heard, as at a terminal: what a shell begins in the background ignores it, and so does Python there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def silent() -> Iterator[str]:
    """The URL of such a model: a call that has no other end than being given up."""
    Silent.asked.clear()
    Silent.let_go.clear()
    service = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Silent)
    service.daemon_threads = True
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    yield f"small=http://127.0.0.1:{service.server_address[1]}/v1"
    Silent.let_go.set()
    service.shutdown()
    service.server_close()


def noted(client: ragstone.Client) -> ragstone.Collection:
    """A collection that questions can be put to: one document, and its only chunk."""
    notes = client.create_collection("notes", exist_ok=True)
    notes.ingest_document("lease.md", "# Lease\n\nThe lease ends on 31 May.")
    return notes


def question_under_way(notes: ragstone.Collection) -> tuple[threading.Thread, list[ragstone.RagstoneError]]:
    """The thread of a question that a silent model has been asked, and what it fails with until the thread ends."""
    failed: list[ragstone.RagstoneError] = []

    def ask() -> None:
        try:
            notes.ask("When does the lease end?")
        except ragstone.RagstoneError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert Silent.asked.wait(PATIENCE_S)
    return thread, failed


def test_other_threads_go_on_while_a_call_waits(tmp_path: Path, silent: str) -> None:
    with ragstone.open(tmp_path, generate_models=[silent]) as client:
        notes = noted(client)
        # Each of these would wait for ever if the call had the interpreter's lock.
        thread, failed = question_under_way(notes)
        assert [found.chunk.document for found in notes.retrieve("lease")] == ["lease.md"]
        assert thread.is_alive()
        Silent.let_go.set()
        thread.join(PATIENCE_S)
        assert len(failed) == 1


def test_ctrl_c_ends_a_call(tmp_path: Path, silent: str) -> None:
    with ragstone.open(tmp_path, generate_models=[silent]) as client:
        notes = noted(client)

        def interrupt() -> None:
            assert Silent.asked.wait(PATIENCE_S)
            signal.raise_signal(signal.SIGINT)

        thread = threading.Thread(target=interrupt)
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            notes.ask("When does the lease end?")
        thread.join(PATIENCE_S)
        assert notes.count() == 2


def test_ctrl_c_ends_the_waiting_for_an_engine_that_closes(tmp_path: Path) -> None:
    client = ragstone.open(tmp_path)
    shared = client._core.transport._shared
    let_go = threading.Event()

    def begin_late(told: Any) -> None:
        # As where work under way takes its time to end.
        def begin() -> None:
            signal.raise_signal(signal.SIGINT)
            assert let_go.wait(PATIENCE_S)
            shared.engine.begin_close(told)

        threading.Thread(target=begin).start()

    shared._closing = map(begin_late, [shared._closed])
    with pytest.raises(KeyboardInterrupt):
        client.close()
    assert not shared._is_closed.is_set()
    let_go.set()
    ragstone.open(tmp_path, read_only=True).close()


def test_ctrl_c_before_an_engine_begins_to_close_keeps_nobody_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = ragstone.open(tmp_path)

    def interrupted(_: Shared) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Shared, "begin_close", interrupted)
        with pytest.raises(KeyboardInterrupt):
            client.close()
    other = threading.Thread(target=lambda: ragstone.open(tmp_path, read_only=True).close(), daemon=True)
    other.start()
    other.join(PATIENCE_S)
    assert not other.is_alive()


def test_stopping_to_await_gives_the_call_up(tmp_path: Path, silent: str) -> None:
    async def asked() -> None:
        async with ragstone.aio.open(tmp_path, generate_models=[silent]) as client:
            question = asyncio.create_task(client.collection("notes").ask("When does the lease end?"))
            while not Silent.asked.is_set():
                # The loop is free: this is the only thread that could make it go on.
                await asyncio.sleep(0.01)
            question.cancel()
            with pytest.raises(asyncio.CancelledError):
                await question
            assert await client.collection("notes").count() == 2

    with ragstone.open(tmp_path, generate_models=[silent]) as client:
        noted(client)
        asyncio.run(asked())


def test_closing_ends_calls_under_way(tmp_path: Path, silent: str) -> None:
    client = ragstone.open(tmp_path, generate_models=[silent], retries=0)
    thread, failed = question_under_way(noted(client))
    client.close()
    thread.join(PATIENCE_S)
    assert [error.code for error in failed] in (["UNAVAILABLE"], ["CANCELLED"], ["FAILED_PRECONDITION"])
    with ragstone.open(tmp_path) as again:
        assert again.collection("notes").count() == 2
