"""What is the engine's own in a process: sharing, locks, closing, options, forks.

What it answers is what a server answers: the tests of the client and of the stores over it run against both.
"""

from __future__ import annotations

import asyncio
import doctest
import gc
import inspect
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import ragstone
import ragstone.aio
import ragstone_embedded
import ragstone_embedded.aio
from ragstone import FailedPrecondition, StoreLocked
from ragstone_embedded._shared import _lock

PATIENCE_S = 60


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs code in a process of its own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def test_what_is_written_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    with ragstone.open(tmp_path) as client:
        notes = client.create_collection("notes", dimension=2)
        notes.upsert([(1, [1.0, 0.0], {"n": 1}), (2, [0.0, 1.0])])
    with ragstone.open(tmp_path) as client:
        assert [hit.id for hit in client.collection("notes").search([1.0, 0.1], k=1)] == [1]
    with ragstone.open(tmp_path, read_only=True) as client:
        assert client.collection("notes").count() == 2
        with pytest.raises(ragstone.RagstoneError):
            client.collection("notes").delete([1])


def test_a_database_in_memory_is_of_its_client_alone() -> None:
    with ragstone.open(None) as one, ragstone.open(None) as other:
        one.create_collection("notes", dimension=1)
        assert other.list_collections() == []


def test_a_directory_is_shared_in_a_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = ragstone.open(tmp_path / "data", generate_models=["small=http://127.0.0.1:1/v1"])
    first.create_collection("notes", dimension=1)
    monkeypatch.chdir(tmp_path)
    second = ragstone.open("data")
    third = ragstone.open("data", generate_models=["small=http://127.0.0.1:1/v1"])
    assert second.has_collection("notes")
    for options in ({"generate_models": []}, {"offline": True}, {"read_only": True}):
        with pytest.raises(FailedPrecondition, match=next(iter(options))):
            ragstone.open("data", **options)
    first.close()
    first.close()
    with pytest.raises(FailedPrecondition, match="closed"):
        first.list_collections()
    assert second.has_collection("notes")
    second.close()
    third.close()
    # Nobody has it now, so it is opened with whatever is asked for.
    ragstone.open("data", read_only=True).close()


def test_a_directory_of_two_names_is_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As where upper and lower case are one: two names, of which none is resolved to the other.
    (tmp_path / "data").mkdir()
    (tmp_path / "DATA").symlink_to(tmp_path / "data")
    monkeypatch.setattr(os.path, "realpath", os.path.abspath)
    with ragstone.open(tmp_path / "data") as one, ragstone.open(tmp_path / "DATA") as other:
        one.create_collection("notes", dimension=1)
        assert other.has_collection("notes")
    with ragstone.open(tmp_path / "DATA", read_only=True) as again, ragstone.open(tmp_path / "other") as another:
        assert again.has_collection("notes")
        assert not another.has_collection("notes")


def test_a_client_that_nobody_has_is_closed(tmp_path: Path) -> None:
    ragstone.open(tmp_path).create_collection("notes", dimension=1)
    gc.collect()
    assert python("import sys, ragstone; ragstone.open(sys.argv[1]).close()", tmp_path).returncode == 0


def test_a_client_that_a_thread_of_an_engine_collects_is_closed(tmp_path: Path) -> None:
    collected = threading.Event()
    with ragstone.open(None) as client:
        others = [ragstone.open(tmp_path)]

        def told(*_: object) -> None:
            # As the interpreter may do wherever it allocates. This thread cannot wait until the engine is closed.
            others.clear()
            collected.set()

        client._core.transport.engine.begin_unary("/ragstone.v1.CollectionsService/ListCollections", b"", None, told)
        assert collected.wait(PATIENCE_S)
        ragstone.open(tmp_path, read_only=True).close()


def test_a_client_may_be_collected_while_a_directory_is_opened(tmp_path: Path) -> None:
    def collected() -> None:
        # As the interpreter may do wherever it allocates.
        with _lock:
            ragstone.open(tmp_path).close()

    other = threading.Thread(target=collected, daemon=True)
    other.start()
    other.join(PATIENCE_S)
    assert not other.is_alive()


def test_closing_goes_on_though_nobody_awaits_it(tmp_path: Path) -> None:
    async def left() -> None:
        closing = asyncio.ensure_future(ragstone.aio.open(tmp_path).close())
        await asyncio.sleep(0)
        closing.cancel()

    asyncio.run(left())
    ragstone.open(tmp_path, read_only=True).close()


def test_another_process_is_told_that_the_directory_is_in_use(tmp_path: Path) -> None:
    code = (
        "import sys, ragstone\n"
        "try:\n    ragstone.open(sys.argv[1])\n"
        "except ragstone.StoreLocked as error:\n    print(error)\n"
    )
    with ragstone.open(tmp_path):
        told = python(code, tmp_path)
    assert str(tmp_path) in told.stdout, told.stderr
    assert issubclass(StoreLocked, FailedPrecondition)


def test_a_process_that_ends_closes_what_it_has_open(tmp_path: Path) -> None:
    code = (
        "import sys, ragstone\n"
        "client = ragstone.open(sys.argv[1])\n"
        "client.create_collection('notes', dimension=1).upsert([(1, [1.0])])\n"
    )
    ended = python(code, tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    with ragstone.open(tmp_path) as client:
        assert client.collection("notes").count() == 1


def test_a_home_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with ragstone.open("~/data"), pytest.raises(FailedPrecondition, match="read_only"):
        ragstone.open(tmp_path / "data", read_only=True)


@pytest.mark.parametrize(("path", "told"), [("http://127.0.0.1:6733", "connect"), (":memory:", "None"), ("", "None")])
def test_what_is_no_directory_is_not_made_one(
    path: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for opened in (ragstone.open, ragstone.aio.open):
        with pytest.raises(ragstone.InvalidArgument, match=told):
            opened(path)
    assert list(tmp_path.iterdir()) == []


def test_wrong_options_are_named() -> None:
    with pytest.raises(TypeError, match="generate_models"):
        ragstone.open(None, generate_models="small=http://127.0.0.1:1/v1")
    with pytest.raises(ragstone.InvalidArgument) as wrong:
        ragstone.open(None, generate_models=["small"])
    assert wrong.value.field == "generate_model"
    with pytest.raises(TypeError, match="nobody"):
        ragstone.open(None, nobody=1)


@pytest.mark.parametrize("module", [ragstone_embedded, ragstone_embedded.aio])
def test_the_client_names_the_options_that_there_are(module: Any) -> None:
    path, *parameters = inspect.signature(module.open).parameters.values()
    assert path.name == "path"
    # As texts: where annotations are kept as written, a TypedDict has each in a ForwardRef.
    named = {name: kind.__forward_arg__ for name, kind in ragstone.OpenOptions.__annotations__.items()}
    assert named == {one.name: one.annotation for one in parameters}


def test_many_clients_come_and_go_at_once(tmp_path: Path) -> None:
    ragstone.open(tmp_path).create_collection("notes", dimension=1)
    failed: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(20):
                with ragstone.open(tmp_path) as client:
                    assert client.collection("notes").count() == 0
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert failed == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks on this system")
def test_a_fork_is_told_to_open_its_own(tmp_path: Path) -> None:
    # In a process of its own, as pytest's has threads; what Python says about forks beside threads is not what is tested.
    code = (
        "import asyncio, os, sys, warnings, ragstone, ragstone.aio\n"
        "warnings.simplefilter('ignore')\n"
        "client, awaited = ragstone.open(sys.argv[1]), ragstone.aio.open(sys.argv[1])\n"
        "def blocking():\n    client.list_collections()\n"
        "def streaming():\n    client.collection('notes').ingest([(1, [1.0])])\n"
        "def awaiting():\n    asyncio.run(awaited.list_collections())\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    for call in (blocking, streaming, awaiting):\n"
        "        try:\n            call()\n"
        "        except ragstone.FailedPrecondition as error:\n            print('told:', error, flush=True)\n"
        "    try:\n        ragstone.open(sys.argv[1])\n"
        "    except ragstone.StoreLocked:\n        print('locked', flush=True)\n"
        "    client.close()\n"
        "    os._exit(0)\n"
        "assert os.waitpid(child, 0)[1] == 0\n"
        "assert client.list_collections() == []\n"
    )
    told = python(code, tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout.count("told: the engine was opened by the process that this one was forked off") == 3
    assert "locked" in told.stdout


def test_a_model_is_loaded_when_it_is_needed(tmp_path: Path) -> None:
    with ragstone.open(tmp_path, model="nobody/nothing", offline=True) as client:
        client.create_collection("vectors", dimension=1)
        with pytest.raises(ragstone.ModelNotFound):
            client.create_collection("texts")


def test_the_example_runs(tmp_path: Path) -> None:
    assert doctest.testmod(ragstone_embedded, extraglobs={"directory": tmp_path}).failed == 0


def test_both_packages_are_of_one_release() -> None:
    assert ragstone_embedded.__version__ == ragstone.__version__
    assert (Path(ragstone_embedded.__file__).parent / "py.typed").is_file()
