"""Collections to and from Arrow, by its PyCapsule interface: data frames of pyarrow, polars, pandas and DuckDB, whose buffers are read where they lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ragstone import Client, Collection, FilterLike
from ragstone._values import several
from ragstone.aio import AsyncClient, AsyncCollection
from ragstone.filters import as_wire

from ragstone_embedded._engine import ArrowStream, Engine, Failure
from ragstone_embedded._shared import translated
from ragstone_embedded._transport import AsyncEmbeddedTransport, EmbeddedTransport, told


@dataclass(frozen=True, slots=True)
class ImportedRows:
    """What an import did."""

    rows: int
    """Rows written. Of those with one id the last stays."""
    created: bool
    """Whether the collection was made."""
    notes: list[str]
    """What else is worth a line: columns that were left out."""


def _engine(of: Client | AsyncClient | Collection | AsyncCollection) -> Engine:
    transport = of._core.transport
    if not isinstance(transport, EmbeddedTransport | AsyncEmbeddedTransport):
        raise TypeError(
            "Arrow data is passed in memory, to an engine of this process: ragstone.open, and not ragstone.connect"
        )
    return transport.engine


def _capsule(data: Any) -> Any:
    if not hasattr(data, "__arrow_c_stream__"):
        raise TypeError(
            f"{type(data).__name__} has no Arrow stream (`__arrow_c_stream__`), as tables and data frames have"
        )
    return data.__arrow_c_stream__()


def _options(
    id: str | None,
    number_rows: bool,
    vector: str | None,
    expires_at: str | None,
    columns: Sequence[str] | None,
    without: Sequence[str],
) -> dict[str, Any]:
    return {
        "id": id,
        "number_rows": number_rows,
        "vector": vector,
        "expires_at": expires_at,
        "columns": None if columns is None else list(several(columns, "columns")),
        "without": list(several(without, "without")),
    }


def _imported(answer: bytes) -> ImportedRows:
    rows, created, *notes = answer.decode().split("\n")
    return ImportedRows(int(rows), created == "1", notes)


def to_arrow(collection: Collection | AsyncCollection, *, filter: FilterLike = None) -> ArrowStream:
    """A collection, as it is now, as an Arrow stream: ids, vectors, fields. Blocks while the rows that pass are counted, whichever client it is of.

    The stream is read once, batch by batch, by whatever takes Arrow: `pyarrow.table(stream)`, `polars.DataFrame(stream)`,
    `pandas.DataFrame.from_arrow(stream)`. Of its schema an import makes the same collection again.

    Without a filter it is all of it, of every tenant; of a collection with a tenant key a filter says whose rows it means, as that of any read does.

    Raises `CollectionNotFound`; `InvalidArgument`, naming the place in the filter; `TypeError` for a collection of a server.
    """
    wire = as_wire(filter)
    engine = _engine(collection)
    try:
        return engine.export_arrow(collection.name, None if wire is None else wire.SerializeToString())
    except Failure as failure:
        raise translated(failure) from None


def import_arrow(
    client: Client,
    name: str,
    data: Any,
    *,
    id: str | None = None,
    number_rows: bool = False,
    vector: str | None = None,
    expires_at: str | None = None,
    columns: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> ImportedRows:
    """Writes a table, a data frame or a reader of batches to a collection, which is made after the types of the columns if it is not there.

    `data` is whatever has `__arrow_c_stream__`. The column `id` has the ids (or that which `id` names; `number_rows` numbers them instead), `vector` the
    default vector; other lists of floats are further vectors, all else fields. `columns` are the only ones that are taken, `without` those that are not.
    Rows with the ids of others replace them, in batches that are durable one by one. A reader is asked for batch after batch while earlier ones are written:
    whoever makes them knows how far it is.

    Raises `InvalidArgument` for columns that have no place, before anything is written, and for a row, whose batch and those after it are not written.
    """
    options = _options(id, number_rows, vector, expires_at, columns, without)
    engine = _engine(client)
    try:
        return _imported(engine.import_arrow(name, _capsule(data), options))
    except Failure as failure:
        raise translated(failure) from None


async def import_arrow_awaited(
    client: AsyncClient,
    name: str,
    data: Any,
    *,
    id: str | None = None,
    number_rows: bool = False,
    vector: str | None = None,
    expires_at: str | None = None,
    columns: Sequence[str] | None = None,
    without: Sequence[str] = (),
) -> ImportedRows:
    """See `ragstone_embedded.import_arrow`. Batches that `data` makes in Python are made on a thread of the engine."""
    options = _options(id, number_rows, vector, expires_at, columns, without)
    engine = _engine(client)
    capsule = _capsule(data)
    return _imported(await told(lambda tell: engine.begin_import_arrow(name, capsule, options, tell)))
