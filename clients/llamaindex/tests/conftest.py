"""What the tests run against (`clients/python/tests/of_stores.py`), and a store for which they are written once, whether it is awaited or not."""

from __future__ import annotations

from typing import Any

pytest_plugins = ["of_stores"]

TWINS = {"async_add": "add", "aclose": "close"}


class Awaited:
    """A store whose methods, blocking ones, are awaited: tests are written once, as for those that are."""

    def __init__(self, store: Any) -> None:
        self.store = store

    def __getattr__(self, name: str) -> Any:
        member = getattr(self.store, TWINS.get(name, name.removeprefix("a")))

        async def call(*arguments: Any, **options: Any) -> Any:
            return member(*arguments, **options)

        return call
