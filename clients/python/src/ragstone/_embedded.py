"""The engine in this process, which is a package of its own: a client need not carry it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from os import PathLike
from types import ModuleType
from typing import Any, TypedDict


class OpenOptions(TypedDict, total=False):
    """The options of `ragstone.open` and `ragstone.aio.open`, which `ragstone_embedded.open` explains."""

    model: str | None
    read_only: bool | None
    offline: bool | None
    cache: str | PathLike[str] | None
    generate_models: Sequence[str] | None
    allow_any_model: bool | None
    snapshot_stores: Sequence[str] | None
    exchange_dir: str | PathLike[str] | None
    timeout: float | None
    retries: int


def opened(module: str, path: str | PathLike[str] | None, options: Mapping[str, Any]) -> Any:
    """A client of either kind, of the module for it; raises `TypeError` for an option that there is not, `ImportError` as `load` does."""
    for name in options:
        if name not in OpenOptions.__annotations__:
            raise TypeError(f"open has no option `{name}`; there are {', '.join(OpenOptions.__annotations__)}")
    return load(module).open(path, **options)


def load(module: str) -> ModuleType:
    """The module; raises `ImportError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("ragstone_embedded"):
            raise
        raise ImportError(
            "ragstone.open runs the engine in this process, which is the package `ragstone-embedded`: "
            "pip install ./clients/embedded in a clone of the project. To use a server, ragstone.connect(url) needs nothing more.",
            name="ragstone_embedded",
        ) from None
