"""The same for the client that is awaited: what `ragstone.aio.open` runs."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from ragstone.aio import AsyncClient

from ragstone_embedded._arrow import import_arrow_awaited as import_arrow
from ragstone_embedded._options import given
from ragstone_embedded._shared import shared
from ragstone_embedded._transport import AsyncEmbeddedTransport

__all__ = ["import_arrow", "open"]


def open(
    path: str | PathLike[str] | None,
    *,
    model: str | None = None,
    read_only: bool | None = None,
    offline: bool | None = None,
    cache: str | PathLike[str] | None = None,
    generate_models: Sequence[str] | None = None,
    allow_any_model: bool | None = None,
    snapshot_stores: Sequence[str] | None = None,
    exchange_dir: str | PathLike[str] | None = None,
    timeout: float | None = None,
    retries: int = 3,
) -> AsyncClient:
    """See `ragstone_embedded.open`. Is not awaited, and needs no event loop; the client may be used from several in turn."""
    options = given(
        model=model,
        read_only=read_only,
        offline=offline,
        cache=cache,
        generate_models=generate_models,
        allow_any_model=allow_any_model,
        snapshot_stores=snapshot_stores,
        exchange_dir=exchange_dir,
    )
    return AsyncClient.over(AsyncEmbeddedTransport(shared(path, options)), timeout=timeout, retries=retries)
