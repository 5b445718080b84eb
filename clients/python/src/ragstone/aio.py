"""The client that is awaited: the same names, methods and arguments as in `ragstone`.

```python
async with ragstone.aio.connect("http://127.0.0.1:6733") as client:
    notes = client.collection("notes")
    hits = await notes.search("when does the lease end?", k=5)
    async for point in notes.scroll():
        ...
```

`connect` is not awaited, and needs no event loop: a client may be made anywhere, and used from several loops in turn.
"""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

from ragstone._aio.client import AsyncClient, connect
from ragstone._aio.collection import AsyncCollection
from ragstone._aio.generation import AsyncGeneration
from ragstone._aio_transport import AsyncDuplex, AsyncReading, AsyncTransport
from ragstone._embedded import OpenOptions, opened

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = [
    "AsyncClient",
    "AsyncCollection",
    "AsyncDuplex",
    "AsyncGeneration",
    "AsyncReading",
    "AsyncTransport",
    "connect",
    "open",
]


def open(path: str | PathLike[str] | None, **options: Unpack[OpenOptions]) -> AsyncClient:
    """Opens a database in this process, without a server; see `ragstone.open`."""
    client: AsyncClient = opened("ragstone_embedded.aio", path, options)
    return client
