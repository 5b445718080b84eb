"""A plugin of pytest for the packages over this one: the server, or the engine in this process, that their tests run against, started as the client's own
tests start it. They find it by `pythonpath` of their pyproject.toml.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ragstone

# By its place: each of these packages has a `conftest` of its own.
specification = importlib.util.spec_from_file_location("ragstone_tests", Path(__file__).with_name("conftest.py"))
assert specification is not None
assert specification.loader is not None
ragstone_tests: Any = importlib.util.module_from_spec(specification)
specification.loader.exec_module(ragstone_tests)

pytest_configure = ragstone_tests.pytest_configure
pytest_runtest_setup = ragstone_tests.pytest_runtest_setup


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server, or an engine, that embeds with the default model."""
    subprocess.run([str(ragstone_tests.binary()), "--quiet", "model", "pull"], check=True, timeout=600)
    server = ragstone_tests.started(tmp_path_factory.mktemp("server"), model="all-MiniLM-L6-v2")
    yield server
    server.stop()


@pytest.fixture
def place(server: Any) -> dict[str, Any]:
    """Its address, or its directory, as stores take it."""
    place: dict[str, Any] = server.place
    return place


@pytest.fixture
def client(server: Any) -> Iterator[ragstone.Client]:
    """A client of it, which blocks."""
    client: ragstone.Client = server.connect("sync").inner
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A collection's name that no other test has."""
    return "".join(character if character.isalnum() else "-" for character in request.node.nodeid)[-120:]
