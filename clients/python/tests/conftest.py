"""What the tests run against: the real server, started by them, or the engine in this process (`RAGSTONE_ENGINE=embedded`, with `ragstone-embedded`
installed); and a client that is the same to write for whether it is awaited or not.

Tests are written once, as for the client that is awaited; with the fixture `client` each runs over both. The client that blocks gets its calls
wrapped so that they can be awaited, and each returns before the next is made.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import os
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ragstone
import ragstone.aio

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60
BOTH = ["sync", "async"]
ENGINE = os.environ.get("RAGSTONE_ENGINE", "server")
assert ENGINE in ("server", "embedded"), f"RAGSTONE_ENGINE is server or embedded, and not {ENGINE}"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "server_only(reason): what only a server can do, and why")


def pytest_runtest_setup(item: pytest.Item) -> None:
    marker = item.get_closest_marker("server_only")
    if marker is not None and ENGINE == "embedded":
        pytest.skip(f"of servers: {marker.args[0]}")


def binary() -> Path:
    """The server that is tested: `RAGSTONE_BIN`, or what cargo built last."""
    path = Path(os.environ.get("RAGSTONE_BIN", ROOT / "target" / "debug" / "ragstone"))
    assert path.is_file(), f"{path} is not there: cargo build --bin ragstone, or set RAGSTONE_BIN"
    return path


class Server:
    """A server process on a free port."""

    def __init__(self, data: Path, *arguments: str) -> None:
        command = [str(binary()), "--data", str(data), "--offline", "serve", "--listen", "127.0.0.1:0"]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RAGSTONE_")}
        if "RAGSTONE_CACHE" in os.environ:
            environment["RAGSTONE_CACHE"] = os.environ["RAGSTONE_CACHE"]
        self.process = subprocess.Popen(
            [*command, "--log-format", "json", *arguments],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        addresses: queue.Queue[str] = queue.Queue()
        # Reads on after the first line, so that the server never waits for a full pipe.
        self.reader = threading.Thread(target=self._read, args=(addresses,), daemon=True)
        self.reader.start()
        address = addresses.get(timeout=PATIENCE_S)
        assert address, "the server ended before it named its address"
        self.url = f"http://{address}"

    def _read(self, addresses: queue.Queue[str]) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            try:
                address = json.loads(line).get("address")
            except ValueError:
                continue
            if address:
                addresses.put(address)
        addresses.put("")

    @property
    def place(self) -> dict[str, Any]:
        """Where it is, as stores over the client take it."""
        return {"url": self.url}

    def connect(self, kind: str, **options: Any) -> Any:
        """A client of either kind, to be awaited."""
        return connect(kind, self.url, **options)

    def in_code(self, code: str) -> str:
        """An example of a README, with this server for the one that it names."""
        return code.replace("http://127.0.0.1:6733", self.url)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE_S)
        self.reader.join(PATIENCE_S)
        assert self.process.stderr is not None
        self.process.stderr.close()


class Embedded:
    """The engine in this process, over a directory that it has open until it is stopped: each client opens it once more."""

    def __init__(self, data: Path, **options: Any) -> None:
        self.data = data
        self.held = ragstone.open(data, offline=True, allow_any_model=False, **options)

    @property
    def place(self) -> dict[str, Any]:
        """Where it is, as stores over the client take it."""
        return {"path": str(self.data)}

    def connect(self, kind: str, **options: Any) -> Any:
        """A client of either kind, to be awaited."""
        if kind == "async":
            return ragstone.aio.open(self.data, **options)
        return Awaited(ragstone.open(self.data, **options))

    def in_code(self, code: str) -> str:
        """An example of a README, over this engine instead of the server that it names."""
        opened = code.replace('connect("http://127.0.0.1:6733")', f"open({str(self.data)!r})")
        opened = opened.replace('url="http://127.0.0.1:6733"', f"path={str(self.data)!r}")
        return opened.replace('ragstone.open("notes")', f"ragstone.open({str(self.data)!r})")

    def stop(self) -> None:
        self.held.close()


def started(data: Path, **options: Any) -> Any:
    """A server or an engine, whichever is tested, with the options of `ragstone.open`: lists and texts, which are a server's flags too."""
    if ENGINE == "embedded":
        return Embedded(data, **options)
    flags = []
    for option, value in options.items():
        values, name = ([value], option) if isinstance(value, str) else (value, option.removesuffix("s"))
        flags += [text for one in values for text in (f"--{name.replace('_', '-')}", one)]
    return Server(data, *flags)


def flags_for_a_process(server: Any, own: Path) -> list[str]:
    """Where another process finds the database, as flags: the server, or a directory of its own, as this process has that of the engine open."""
    return ["--path", str(own)] if ENGINE == "embedded" else ["--url", server.url]


def client_of(flags: list[str]) -> ragstone.Client:
    """A client of what such flags name."""
    kind, place = flags
    return ragstone.open(place) if kind == "--path" else ragstone.connect(place)


@pytest.fixture(scope="session")
def model() -> str:
    """The default model's name, once it is in the cache."""
    subprocess.run([str(binary()), "--quiet", "model", "pull"], check=True, timeout=600)
    return "all-MiniLM-L6-v2"


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, model: str) -> Iterator[Any]:
    """The server, or the engine, that most tests share: each makes collections of its own."""
    place = tmp_path_factory.mktemp("server")
    for name in ("snapshots", "exchange"):
        (place / name).mkdir()
    stores = {"snapshot_stores": [str(place / "snapshots")], "exchange_dir": str(place / "exchange")}
    server = started(place / "data", model=model, **stores)
    yield server
    server.stop()


@pytest.fixture
def target(server: Any) -> Iterator[ragstone.Client]:
    """A client that others are moved with, whose collections of this test are gone afterwards."""
    with server.connect("sync").inner as client:
        before = {one.name for one in client.list_collections()}
        yield client
        for alias in client.list_aliases():
            client.delete_alias(alias.alias)
        for one in client.list_collections():
            if one.name not in before:
                client.delete_collection(one.name)


class Awaited:
    """A blocking object whose calls can be awaited, and whose iterators are iterated over with `async for`."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.inner, name)
        if not callable(member):
            return wrapped(member)
        twin = getattr(TWINS.get(type(self.inner)), name, None)

        @functools.wraps(member)
        def call(*arguments: Any, **options: Any) -> Any:
            if inspect.iscoroutinefunction(twin):
                return finished(lambda: member(*arguments, **options))
            result = member(*arguments, **options)
            return awaited_iterator(result) if inspect.isgenerator(result) else wrapped(result)

        return call

    async def __aenter__(self) -> Awaited:
        self.inner.__enter__()
        return self

    async def __aexit__(self, *reason: object) -> None:
        self.inner.__exit__(*reason)

    def __aiter__(self) -> Any:
        return awaited_iterator(self.inner)


TWINS = {
    ragstone.Client: ragstone.aio.AsyncClient,
    ragstone.Collection: ragstone.aio.AsyncCollection,
    ragstone.Generation: ragstone.aio.AsyncGeneration,
}


def wrapped(result: Any) -> Any:
    return Awaited(result) if type(result) in TWINS else result


async def finished(call: Callable[[], Any]) -> Any:
    return wrapped(call())


async def awaited_iterator(items: Iterator[Any]) -> Any:
    for item in items:
        yield item


def connect(kind: str, url: str, **options: Any) -> Any:
    """A client of either kind, to be awaited."""
    if kind == "async":
        return ragstone.aio.connect(url, **options)
    return Awaited(ragstone.connect(url, **options))


@pytest.fixture(params=BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    """Which client: the one that blocks, or the one that is awaited."""
    kind: str = request.param
    return kind


@pytest.fixture
def client(kind: str, server: Any) -> Any:
    """A client of the shared server, or engine."""
    return server.connect(kind)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A collection's name that no other test has."""
    return "".join(character if character.isalnum() else "-" for character in request.node.name)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs a test that is a coroutine; the client that it had is closed in the same loop."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}

    async def run() -> None:
        try:
            await pyfuncitem.obj(**arguments)
        finally:
            if "client" in arguments:
                await arguments["client"].close()

    asyncio.run(run())
    return True
