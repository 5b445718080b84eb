"""The options of an engine, as Python has them and as the engine does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

PATHS = ("cache", "exchange_dir")
LISTS = ("generate_models", "snapshot_stores")


def defaults() -> dict[str, Any]:
    """What holds for an option that nobody has set."""
    return {
        "model": None,
        "read_only": False,
        "offline": os.environ.get("RAGSTONE_OFFLINE", "").lower() not in ("", "0", "false", "no", "off", "f", "n"),
        "cache": None,
        "generate_models": (),
        "allow_any_model": True,
        "snapshot_stores": (),
        "exchange_dir": None,
    }


def given(**options: Any) -> dict[str, Any]:
    """The options that are set; two that mean the same are equal."""
    found = {name: value for name, value in options.items() if value is not None}
    for name in found.keys() & PATHS:
        found[name] = os.path.realpath(Path(found[name]).expanduser())
    for name in found.keys() & LISTS:
        if isinstance(found[name], str):
            raise TypeError(f"{name} is a list of texts, and not one text")
        found[name] = tuple(found[name])
    return found
