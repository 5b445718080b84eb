"""What the stores have in common: what a reader gives, what a move is told, and what came of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ragstone._progress import ProgressLike
from ragstone._schema import DenseVector, MultiVectors, VectorOptions
from ragstone._values import FieldType

NAMED_MAX = 10
"""Rows that a report names for each reason; it counts the others."""


class MigrationError(Exception):
    """A source that cannot be moved as it is, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Options:
    """How collections are moved."""

    texts: Sequence[str] | None
    into_existing: bool
    progress: ProgressLike
    batch_size: int
    on_moved: Callable[[Moved], None] | None


@dataclass(slots=True)
class Row:
    """A row as its store has it; only its vectors are in Ragstone's form."""

    id: Any
    payload: Mapping[str, Any]
    vectors: Mapping[str, Any]
    """By name; the default one under the empty name."""


class Source(Protocol):
    """A collection of another store. It is read in pages, as often as it is asked for."""

    name: str
    vectors: Mapping[str, VectorOptions]
    """What its vectors are; none if there is no row that could tell."""
    called: Mapping[str, str]
    """What entries of payloads are to be called that no user has named."""
    texts: Sequence[str]
    """Fields that it searches by word."""
    aliases: Sequence[str]
    """Further names that it has."""
    notes: Sequence[str]
    """What it has besides, and what becomes of that."""

    def count(self) -> int:
        """Its rows."""

    def payloads(self, page: int) -> Iterator[Mapping[str, Any]]:
        """Of each row all but its vectors."""

    def rows(self, page: int) -> Iterator[Row]:
        """Its rows, so many read at once."""


@dataclass(slots=True)
class Moved:
    """What became of a collection. As a text, it is the report that the command prints."""

    source: str
    target: str
    rows: int = 0
    """Rows that are in Ragstone."""
    of: int = 0
    """Rows that the source has."""
    vectors: Mapping[str, VectorOptions] = field(default_factory=dict)
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    texts: Sequence[str] = ()
    """The fields that are searched by word."""
    notes: list[str] = field(default_factory=list)
    """What is not as it was: names, types, values that are none."""
    left: dict[str, list[Any]] = field(default_factory=dict)
    """Why rows were left behind, and the first ids of these."""
    left_counts: dict[str, int] = field(default_factory=dict)
    """How many rows were left behind for each reason."""

    @property
    def is_whole(self) -> bool:
        """Whether every row was moved."""
        return not self.left_counts

    def leave(self, reason: str, id: Any) -> None:
        """A row was left behind."""
        named = self.left.setdefault(reason, [])
        if len(named) < NAMED_MAX:
            named.append(id)
        self.left_counts[reason] = self.left_counts.get(reason, 0) + 1

    def __str__(self) -> str:
        """The report."""
        lines = [f"{self.source} -> {self.target}: {self.rows:,} of {rows(self.of)}"]
        lines += [f"  vector{f' {name}' if name else ''}: {_shown(kind)}" for name, kind in self.vectors.items()]
        if self.fields:
            shown = [f"{name} {kind}{self._searched(name)}" for name, kind in sorted(self.fields.items())]
            lines.append(f"  fields: {', '.join(shown)}")
        lines += [f"  note: {note}" for note in self.notes]
        for reason, ids in self.left.items():
            count = self.left_counts[reason]
            named = ", ".join(map(repr, ids)) + (", …" if count > len(ids) else "")
            lines.append(f"  left behind: {rows(count)}: {reason}: {named}")
        return "\n".join(lines)

    def _searched(self, name: str) -> str:
        return " (searched by word)" if name in self.texts else ""


def _shown(kind: VectorOptions) -> str:
    if isinstance(kind, DenseVector):
        return f"{kind.dimension} components, {kind.metric}"
    if isinstance(kind, MultiVectors):
        return f"many of {kind.dimension} components, {kind.metric}"
    return "sparse"


def rows(count: int) -> str:
    """So many rows, in words."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def need(module: str, extra: str) -> Any:
    """A store's own package; raises `ImportError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0]:
            raise
        message = (
            f"this store is read by its own package, `{module}`, which is not there: "
            f'pip install "./clients/python[{extra}]" in a clone of the project'
        )
        raise ImportError(message, name=error.name) from None
