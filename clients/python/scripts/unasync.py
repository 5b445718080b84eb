"""Makes `ragstone/_sync` of `ragstone/_aio`: `python scripts/unasync.py` writes it, `--check` tells whether it is as it would be.

The two clients have the same calls, so only one is written. Which words differ is the table below; that the result reads, type-checks and does
the same is seen by mypy and by the tests, which run against both. The result is committed, as it is what most people read.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "ragstone"
HEADER = "# Made of _aio/{name} by scripts/unasync.py: change that one.\n"
WORDS = [
    (r"\basync (?=def\b|with\b|for\b)", ""),
    (r"\bawait ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b_aio_transport\b", "_transport"),
    (r"\b_aio\b", "_sync"),
    (r"\baiterate\b", "iterate"),
    (r"\badrawn\b", "drawn"),
    (r"\b__a(enter|exit|iter|next)__", r"__\1__"),
    (r"\bStopAsyncIteration\b", "StopIteration"),
    (r"\basyncio\b", "time"),
]
DOCS = {"__init__.py": '"""The client that blocks."""\n'}


def unasync(name: str, text: str) -> str:
    """The blocking form of a module."""
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text, flags=re.MULTILINE)
    text = HEADER.format(name=name) + DOCS.get(name, text)
    for command in (["check", "--select", "I", "--fix-only", "--quiet"], ["format"]):
        arguments = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(PACKAGE / "_sync" / name), "-"]
        text = subprocess.run(arguments, input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> int:
    """Writes what differs, or tells of it."""
    stale = []
    for source in sorted((PACKAGE / "_aio").glob("*.py")):
        target = PACKAGE / "_sync" / source.name
        text = unasync(source.name, source.read_text(encoding="utf-8"))
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            stale.append(source.name)
            if "--check" not in sys.argv:
                target.write_text(text, encoding="utf-8")
    if stale and "--check" in sys.argv:
        print(f"_sync is not what _aio makes: {', '.join(stale)}; run scripts/unasync.py")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
