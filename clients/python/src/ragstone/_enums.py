"""Enumerations of the wire as the words that Python uses for them: `METRIC_COSINE` is `"cosine"`."""

from __future__ import annotations

from typing import Any


def number(enum: Any, prefix: str, word: str | None, field: str) -> Any:
    """The number of a word; 0, which is the server's default, for None. Raises `ValueError`, which says what words there are."""
    if word is None:
        return 0
    name = f"{prefix}_{word.upper()}"
    if name in enum.keys() and name != f"{prefix}_UNSPECIFIED":  # noqa: SIM118
        return enum.Value(name)
    words = [known[len(prefix) + 1 :].lower() for known in enum.keys()][1:]  # noqa: SIM118
    raise ValueError(f"`{field}` is one of {', '.join(words)}, and not {word!r}")


def word(enum: Any, prefix: str, number: int) -> Any:
    """The word of a number; the number in digits for one that a later version of the API has."""
    try:
        return enum.Name(number)[len(prefix) + 1 :].lower()
    except ValueError:
        return str(number)
