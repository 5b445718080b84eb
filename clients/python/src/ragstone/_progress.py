"""What is told of a stream that goes on: a callable, or a bar."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

ProgressLike: TypeAlias = bool | Callable[[int], None]
"""True for a bar on stderr (tqdm's, if that is installed); or what is called with the number of items that are durable so far."""


class Progress:
    """Counts what is durable."""

    def __init__(self, progress: ProgressLike, unit: str) -> None:
        """Shows nothing if `progress` is False."""
        self.done = 0
        self._unit = unit
        self._told = progress if callable(progress) else None
        self._bar: Any = None
        self._is_shown = progress is True
        if self._is_shown:
            try:
                from tqdm.auto import tqdm
            except ImportError:
                return
            self._bar = tqdm(unit=f" {unit}", unit_scale=True)

    def add(self, count: int) -> None:
        """So many more."""
        self.done += count
        if self._told is not None:
            self._told(self.done)
        elif self._bar is not None:
            self._bar.update(count)
        elif self._is_shown:
            sys.stderr.write(f"\r{self.done:,} {self._unit}")
            sys.stderr.flush()

    def close(self) -> None:
        """There will be no more."""
        if self._bar is not None:
            self._bar.close()
        elif self._is_shown:
            sys.stderr.write("\n")
