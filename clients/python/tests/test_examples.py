"""The examples, run as a user runs them: a process each, against a real server, or over a directory of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import ENGINE, Server, binary, client_of, flags_for_a_process
from test_documents import ChatService, answering

import ragstone

__all__ = ["answering"]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


def example(name: str, *arguments: str, text: str = "", key: str = "") -> str:
    """What an example prints."""
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / name), *arguments],
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        env={"RAGSTONE_API_KEY": key} if key else None,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture
def papers(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "lease.md").write_text(
        "# Lease\n\nThe lease of the house in Elm Street ends on 31 May.", encoding="utf-8"
    )
    (folder / "bread.md").write_text("# Bread\n\nFlour, water, salt and time make bread.", encoding="utf-8")
    return folder


@pytest.fixture
def place(server: Any, tmp_path: Path) -> Iterator[list[str]]:
    """The flags that name the database, without what examples leave in it."""
    flags = flags_for_a_process(server, tmp_path / "own")
    yield flags
    with client_of(flags) as client:
        for name in ("folder", "tenants", "loaded"):
            client.delete_collection(name, missing_ok=True)


def test_a_folder_is_stored_and_asked(place: list[str], papers: Path) -> None:
    printed = example("folder.py", str(papers), "When does the lease end?", *place)
    assert "2 files stored, 0 refused" in printed
    assert "[1] lease.md, characters 0 to" in printed
    prompt = printed.partition("language model")[2]
    assert "The lease of the house in Elm Street ends on 31 May." in prompt
    assert prompt.rstrip().endswith("When does the lease end?")


def test_a_chat_without_a_language_model_shows_the_prompts(place: list[str], papers: Path) -> None:
    example("folder.py", str(papers), "Anything", *place)
    talk = "Which house has a lease?\nAnd when does it end?\n\nnever read\n"
    first, second = re.split("^> ", example("chat.py", *place, text=talk), flags=re.MULTILINE)[1:3]
    for prompt in (first, second):
        assert "The lease of the house in Elm Street ends on 31 May." in prompt
        assert "[1] lease.md: # Lease The lease of the house" in prompt
    assert "Which house has a lease?" in second
    assert "And when does it end?" not in first


@pytest.mark.server_only("the example opens a directory without a language model")
def test_a_chat_with_a_language_model_streams_answers_and_cites(answering: Server, papers: Path) -> None:
    example("folder.py", str(papers), "Anything", "--url", answering.url)
    printed = example("chat.py", "--url", answering.url, text="When does the lease end?\nReally?\n")
    assert printed.count("".join(ChatService.PIECES)) == 2
    assert printed.count("[1] lease.md: # Lease The lease of the house") == 2
    assert "[2]" not in printed, "only what the answer cites"


@pytest.mark.server_only("who opens a directory may do everything")
def test_tenants_see_what_is_theirs(tmp_path: Path, model: str) -> None:
    data = tmp_path / "data"
    words = [str(binary()), "--data", str(data), "--offline", "key", "create", "operator", "--grant", "admin"]
    made = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    secret = next(word for word in made.stdout.split() if len(word) > 40)
    server = Server(data, "--model", model, "--auth")
    try:
        printed = example("tenants.py", "--url", server.url, key=secret)
        assert printed.splitlines() == [
            "all: 2 passages",
            "all: a question without a tenant is refused",
            "acme: Acme's lease ends on 31 May.",
            "acme: 0 passages of umbrella",
            "acme: may not write for umbrella",
            "umbrella: Umbrella's lease ends on 30 September.",
            "umbrella: 0 passages of acme",
            "umbrella: may not write for acme",
        ]
        with ragstone.connect(server.url, api_key=secret) as operator:
            assert [key.name for key in operator.list_keys()] == ["operator"]
    finally:
        server.stop()


@pytest.mark.skipif(ENGINE == "server", reason="of directories: a server has keys")
def test_tenants_of_a_directory_are_named(place: list[str], model: str) -> None:
    assert model, "is in the cache"
    assert example("tenants.py", *place).splitlines() == [
        "all: 2 passages",
        "all: a question without a tenant is refused",
    ]


def test_a_file_is_loaded(place: list[str], tmp_path: Path) -> None:
    rows = 2_500
    vectors = np.random.default_rng(3).normal(size=(rows, 8)).astype(np.float32)
    ids = [str(uuid.UUID(int=row)) for row in range(rows)]
    columns = {
        "doi": ids,
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 8),
        "year": list(range(rows)),
    }
    pq.write_table(pa.table(columns), tmp_path / "papers.parquet", row_group_size=700)
    file = str(tmp_path / "papers.parquet")
    words = [file, "--id", "doi", "--vector", "embedding", *place]
    for _ in range(2):
        printed = example("bulk_load.py", *words)
        assert "2,500 of 2,500 rows stored" in printed
        assert f"nearest to the first row: ['{ids[0]}'" in printed
    with client_of(place) as client:
        loaded = client.collection("loaded")
        assert (loaded.count(), loaded.get([ids[7]])[0].payload) == (rows, {"year": 7})


def test_a_file_is_made_where_none_is_given(place: list[str]) -> None:
    assert "10,000 of 10,000 rows stored" in example("bulk_load.py", *place)


def test_every_example_is_told_of_and_says_what_it_does() -> None:
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    files = sorted(EXAMPLES.glob("*.py"))
    assert len(files) >= 4
    for file in files:
        assert f"]({file.name})" in listed
        assert "--url" in example(file.name, "--help")
