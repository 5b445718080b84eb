"""The README's examples run as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import ragstone

import llama_index.vector_stores.ragstone

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = [part.split("```")[0] for part in README.read_text(encoding="utf-8").split("```python\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_readme_runs(block: str, server: Any, client: ragstone.Client, capsys: pytest.CaptureFixture[str]) -> None:
    """And again, over what the first time made."""
    client.delete_collection("llamaindex", missing_ok=True)
    for _ in range(2):
        exec(compile(server.in_code(block), "README.md", "exec"), {"__name__": "readme"})
        assert "The lease ends on 31 May." in capsys.readouterr().out


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(llama_index.vector_stores.ragstone.__file__).parent / "py.typed").is_file()
