"""The package: what is made is current, its examples run, both clients have the same calls, and what is not there says what to install."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pickle
import pkgutil
import re
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import pytest
from conftest import ENGINE, ROOT
from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

import ragstone
import ragstone.aio
from ragstone import _methods
from ragstone._progress import Progress

HERE = Path(__file__).resolve().parent.parent


def test_the_blocking_client_is_what_the_other_makes() -> None:
    command = [sys.executable, str(HERE / "scripts" / "unasync.py"), "--check"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def protos(tmp_path: Path) -> FileDescriptorSet:
    import grpc_tools
    from grpc_tools import protoc

    source, out = ROOT / "proto", tmp_path / "api.binpb"
    includes = [f"-I{source}", f"-I{Path(grpc_tools.__file__).parent / '_proto'}"]
    files = [str(path) for path in sorted((source / "ragstone" / "v1").glob("*.proto"))]
    assert protoc.main(["protoc", *includes, f"--descriptor_set_out={out}", *files]) == 0
    return FileDescriptorSet.FromString(out.read_bytes())


def test_the_messages_are_those_of_the_proto_files_and_every_call_is_there(tmp_path: Path) -> None:
    api = protos(tmp_path)
    calls = set()
    for file in api.file:
        # The option json_name is left out, as protoc does for Python.
        installed = FileDescriptorProto()
        descriptor_pool.Default().FindFileByName(file.name).CopyToProto(installed)
        for message in (installed, file):
            clear_json_names(message)
        assert installed == file, f"{file.name} has changed: pip install -e clients/python"
        calls |= {f"/ragstone.v1.{service.name}/{method.name}" for service in file.service for method in service.method}
    methods = [method for method in vars(_methods).values() if isinstance(method, _methods.Method)]
    assert {method.path for method in methods} == calls


def clear_json_names(message: Any) -> None:
    for kind in message.message_type if isinstance(message, FileDescriptorProto) else message.nested_type:
        clear_json_names(kind)
        for field in kind.field:
            field.ClearField("json_name")


def modules() -> list[str]:
    names = [name for _, name, _ in pkgutil.walk_packages(ragstone.__path__, "ragstone.")]
    return ["ragstone", *(name for name in names if not name.startswith(("ragstone._aio", "ragstone.v1")))]


@pytest.mark.parametrize("module", modules())
def test_examples_run(module: str, server: Any) -> None:
    if module == "ragstone" and ENGINE == "embedded":
        pytest.skip("of servers: it connects to one")
    with server.connect("sync").inner as client:
        if module == "ragstone":
            client.delete_collection("readme", missing_ok=True)
        names = {"client": client, "url": server.place.get("url")}
        failed, _ = doctest.testmod(importlib.import_module(module), extraglobs=names)
    assert failed == 0


def test_the_examples_are_some() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    with_examples = [one.name for one in finder.find(ragstone.Collection) if one.examples]
    inherited = [base for base in ragstone.Collection.__mro__ if base.__module__.startswith("ragstone._sync")]
    with_examples += [one.name for base in inherited for one in finder.find(base) if one.examples]
    assert len(with_examples) >= 6


def readme_blocks(folder: Path) -> list[str]:
    text = (folder / "README.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    left_out = "ragstone.open(" if ENGINE == "server" else None
    return [block for block in blocks if "import ragstone" in block and not (left_out and left_out in block)]


@pytest.mark.parametrize("folder", [HERE, ROOT], ids=["client", "project"])
def test_the_readmes_run(folder: Path, server: Any) -> None:
    """One after the other, and again: whoever tries them has what the ones before made, and what the first time made."""
    with server.connect("sync").inner as client:
        for name in ("notes", "vectors", "pairs"):
            client.delete_collection(name, missing_ok=True)
    blocks = readme_blocks(folder)
    assert blocks
    for block in blocks * 2:
        exec(compile(server.in_code(block), "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize(
    ("blocking", "awaited"),
    [
        (ragstone.Client, ragstone.aio.AsyncClient),
        (ragstone.Collection, ragstone.aio.AsyncCollection),
        (ragstone.Generation, ragstone.aio.AsyncGeneration),
    ],
)
def test_both_clients_have_the_same_calls(blocking: type, awaited: type) -> None:
    names = {name for name in dir(blocking) if not name.startswith("_")}
    assert names == {name for name in dir(awaited) if not name.startswith("_")}
    for name in names:
        if callable(getattr(blocking, name)):
            one, other = (inspect.signature(getattr(kind, name)) for kind in (blocking, awaited))
            assert list(one.parameters) == list(other.parameters), name
            assert inspect.getdoc(getattr(blocking, name)), f"{name} says nothing"


def test_every_public_name_is_there() -> None:
    for module in (ragstone, ragstone.aio):
        for name in module.__all__:
            assert getattr(module, name) is not None
    assert (Path(ragstone.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("connect", [ragstone.connect, ragstone.aio.connect])
def test_a_client_for_another_process_is_refused_in_words(connect: Any) -> None:
    """gRPC said that something has no default `__reduce__`."""
    with pytest.raises(TypeError, match="make one in the other process"):
        pickle.dumps(connect().collection("notes"))


def test_without_the_engine_open_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("ragstone_embedded", "ragstone_embedded.aio"):
        monkeypatch.setitem(sys.modules, name, None)
    for opened in (ragstone.open, ragstone.aio.open):
        with pytest.raises(ImportError, match=r"pip install \./clients/embedded"):
            opened(tmp_path)


def test_what_is_said_to_be_installed_is_there_in_a_clone() -> None:
    said = []
    for path in [ROOT / "README.md", *(ROOT / "clients").rglob("*.md"), *(ROOT / "clients").rglob("*.py")]:
        if path != Path(__file__):
            said += re.findall(r"pip install ([^`\n]*)", path.read_text(encoding="utf-8"))
    words = {word for one in said for word in re.findall(r"[\w./-]+", one)}
    # No index has the packages of this project.
    assert not words & {"ragstone", "ragstone-embedded", "langchain-ragstone", "llama-index-vector-stores-ragstone"}
    folders = {word for word in words if word.startswith("./clients")}
    assert {"./clients/python", "./clients/embedded", "./clients/langchain", "./clients/llamaindex"} <= folders
    assert all((ROOT / folder / "pyproject.toml").is_file() for folder in folders)


def test_options_that_there_are_not_are_refused(tmp_path: Path) -> None:
    for opened in (ragstone.open, ragstone.aio.open):
        with pytest.raises(TypeError, match="no option `modle`; there are model, read_only"):
            opened(tmp_path, modle="all-MiniLM-L6-v2")


class Bar:
    """What tqdm is asked for."""

    told: ClassVar[list[Any]] = []

    def __init__(self, **options: Any) -> None:
        self.told.append(options["unit"])

    def update(self, count: int) -> None:
        self.told.append(count)

    def close(self) -> None:
        self.told.append("closed")


def test_progress_is_a_bar_where_tqdm_is_and_a_line_where_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def streamed() -> None:
        progress = Progress(True, "points")
        for count in (700, 1_300):
            progress.add(count)
        progress.close()

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", types.SimpleNamespace(tqdm=Bar))
    streamed()
    assert (Bar.told, capsys.readouterr().err) == ([" points", 700, 1_300, "closed"], "")
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    streamed()
    assert capsys.readouterr().err == "\r700 points\r2,000 points\n"


def test_numpy_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['numpy'] = None; import ragstone; ragstone.connect(); assert 'tqdm' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
