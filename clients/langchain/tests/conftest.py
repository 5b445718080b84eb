"""The server, or the engine in this process, that the tests run against: started as the client's own tests start it."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ragstone
from langchain_core.embeddings import Embeddings

ROOT = Path(__file__).resolve().parents[3]
specification = importlib.util.spec_from_file_location("ragstone_tests", ROOT / "clients/python/tests/conftest.py")
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


class Letters(Embeddings):
    """Counts letters: texts with the same letters are near, and a test can tell which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [[float(text.count(letter)) for letter in "abc"] + [0.1] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)
