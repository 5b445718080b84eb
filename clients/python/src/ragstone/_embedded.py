"""The engine in this process, which is a package of its own: a client need not carry it."""

from __future__ import annotations

import importlib
from types import ModuleType


def load(module: str) -> ModuleType:
    """The module; raises `ImportError` that says what to install."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("ragstone_embedded"):
            raise
        raise ImportError(
            "ragstone.open runs the engine in this process, which is the package `ragstone-embedded`: "
            "pip install ragstone-embedded. To use a server, ragstone.connect(url) needs nothing more.",
            name="ragstone_embedded",
        ) from None
