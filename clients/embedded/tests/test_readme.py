"""The README's examples run as they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCKS = [part.split("```")[0] for part in README.read_text(encoding="utf-8").split("```python\n")[1:]]


@pytest.mark.parametrize("block", BLOCKS)
def test_the_readme_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})
