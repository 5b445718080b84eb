"""The README's examples run as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest
import ragstone

import llama_index.vector_stores.ragstone

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = [part.split("```")[0] for part in README.read_text(encoding="utf-8").split("```python\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_readme_runs(block: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with ragstone.connect(url) as client:
        for name in ("notes",):
            client.delete_collection(name, missing_ok=True)
    exec(compile(block.replace("http://127.0.0.1:6733", url), "README.md", "exec"), {"__name__": "readme"})
    assert "The lease ends on 31 May." in capsys.readouterr().out


def test_the_package_says_that_it_is_typed() -> None:
    assert (Path(llama_index.vector_stores.ragstone.__file__).parent / "py.typed").is_file()
