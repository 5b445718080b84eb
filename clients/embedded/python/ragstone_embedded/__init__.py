"""The engine of Ragstone in this process: what `ragstone.open` runs, with the classes of the client and no server.

>>> import ragstone
>>> client = ragstone.open(directory)
>>> notes = client.create_collection("notes", dimension=2, exist_ok=True)
>>> _ = notes.upsert([(1, [1.0, 0.0]), (2, [0.0, 1.0])])
>>> [hit.id for hit in notes.search([0.9, 0.1], k=1)]
[1]
>>> client.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

from ragstone import Client

from ragstone_embedded import _engine
from ragstone_embedded._arrow import ImportedRows, import_arrow, to_arrow
from ragstone_embedded._options import given
from ragstone_embedded._shared import shared
from ragstone_embedded._transport import EmbeddedTransport

__version__ = _engine.VERSION

__all__ = ["ImportedRows", "__version__", "import_arrow", "open", "to_arrow"]


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
) -> Client:
    """Opens a directory, made if absent, or with None a new database in memory; takes milliseconds, however large it is.

    `model` is the embedding model where a call names none, by the names that `ragstone --model` takes; it is loaded by the first call that needs it.
    `read_only` opens a database that any number of processes may read and none has open for writing. With `offline` no model is fetched (by default if
    the environment has RAGSTONE_OFFLINE); `cache` is where models are kept (RAGSTONE_CACHE, or the user's cache). `generate_models` are the language
    models that may be asked, as `NAME=https://host/v1`; `allow_any_model=False` refuses embedding models that are not here yet, as a server does.
    `snapshot_stores` and `exchange_dir` are what snapshots, and files of exports, go to. `timeout` and `retries` are as in `ragstone.connect`.

    A directory is open once in a process: opened again, it is shared, and closed with the last of its clients. Options that are set and differ from
    those it is open with raise `FailedPrecondition`. While another process has it open, `StoreLocked` is raised.
    """
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
    return Client.over(EmbeddedTransport(shared(path, options)), timeout=timeout, retries=retries)
