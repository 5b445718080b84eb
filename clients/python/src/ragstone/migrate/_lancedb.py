"""LanceDB: a directory of `lancedb.connect(…)`, read by `lancedb` itself, a batch of Arrow at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ragstone._schema import DenseVector, Element, Metric, MultiVectors, VectorOptions
from ragstone._vectors import MultiVector
from ragstone.migrate._model import MigrationError, Row, Source, need
from ragstone.migrate._model import rows as in_words

METRICS: dict[str, Metric] = {"cosine": "cosine", "dot": "dot", "l2": "l2"}
EMBEDDING = b"embedding_functions"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a table does not say by itself."""

    id_column: str | None
    """None to number its rows."""
    metric: Metric | None


@contextmanager
def sources(path: Path, reading: Reading) -> Iterator[Mapping[str, Source]]:
    """The tables of a directory, by name."""
    lancedb = need("lancedb", "lancedb")
    names = sorted(folder.stem for folder in path.glob("*.lance"))
    if not names:
        raise MigrationError(f"{path} is no directory of LanceDB's: it has no table")
    database = lancedb.connect(str(path))
    yield {name: LanceTable(database.open_table(name), name, reading) for name in names}


class LanceTable:
    """A table of LanceDB's."""

    called: Mapping[str, str] = MappingProxyType({})
    aliases: Sequence[str] = ()

    def __init__(self, table: Any, name: str, reading: Reading) -> None:
        """Reads its schema and what its indexes are."""
        self._table, self.name, self._reading = table, name, reading
        self._arrow = need("pyarrow", "lancedb")
        self._noted: list[str] = []
        searched: list[str] = []
        metrics: dict[str, str] = {}
        for index in table.list_indices():
            if index.index_type == "FTS":
                searched += index.columns
            else:
                metrics[index.columns[0]] = getattr(table.index_stats(index.name), "distance_type", None) or ""
        kinds = {field.name: self._vector(field, metrics) for field in table.schema}
        columns = {column: kind for column, kind in kinds.items() if kind is not None}
        if not columns:
            raise MigrationError(f"`{name}` has no column of vectors: lists of floats of one length")
        dense = [column for column, kind in columns.items() if isinstance(kind, DenseVector)]
        default = "vector" if "vector" in dense else dense[0] if len(columns) == len(dense) == 1 else None
        self._columns = {column: "" if column == default else column for column in columns}
        self.vectors: Mapping[str, VectorOptions] = {self._columns[column]: kind for column, kind in columns.items()}
        self._fields = [column for column in kinds if column not in columns]
        if EMBEDDING in (table.schema.metadata or {}):
            self._noted.append(
                "LanceDB made vectors of texts by itself: make those of queries by the same, and pass them"
            )
        self._check_ids()
        self.texts: Sequence[str] = searched
        self.notes: Sequence[str] = self._noted

    def _vector(self, field: Any, metrics: Mapping[str, str]) -> VectorOptions | None:
        """What a column is, if it holds vectors."""
        types = self._arrow.types
        is_multi = types.is_list(field.type) or types.is_large_list(field.type)
        type = field.type.value_type if is_multi else field.type
        if not types.is_fixed_size_list(type) or not types.is_floating(type.value_type):
            return None
        name = metrics.get(field.name) or self._reading.metric or ("cosine" if is_multi else "l2")
        if name not in METRICS:
            raise MigrationError(
                f"`{self.name}`, column `{field.name}`, has the metric {name}; Ragstone has cosine, dot and l2"
            )
        element: Element = "f16" if types.is_float16(type.value_type) else "f32"
        if types.is_float64(type.value_type):
            self._noted.append(f"components of `{field.name}` have 64 bits, and 32 here")
        if not metrics.get(field.name) and self._reading.metric is None and not is_multi:
            self._noted.append(f"`{field.name}` has no index that says its metric: l2, as LanceDB searches then")
        metric = METRICS[name]
        if not is_multi:
            return DenseVector(type.list_size, metric, element)
        if metric == "l2":
            raise MigrationError(
                f"`{self.name}`, column `{field.name}`, has many vectors a row: Ragstone has cosine and dot for these"
            )
        return MultiVectors(type.list_size, metric, element)

    def _check_ids(self) -> None:
        column = self._reading.id_column
        if column is None:
            self._noted.append("ids are the numbers of the rows, from 0")
            return
        if column not in self._fields:
            shown = f"`{self.name}` has no column `{column}` with ids; it has {', '.join(self._fields) or 'no other'}"
            raise MigrationError(f"{shown}: name the right one, or have its rows numbered")
        compute = need("pyarrow.compute", "lancedb")
        ids = self._table.search().select([column]).to_arrow()[column]
        twice = len(ids) - ids.null_count - compute.count_distinct(ids, mode="only_valid").as_py()
        if twice:
            raise MigrationError(
                f"`{self.name}`, column `{column}`: {in_words(twice)} with an id that another row has, too: name another column, "
                "or have the rows numbered"
            )
        self._fields.remove(column)

    def count(self) -> int:
        """See `Source`."""
        count: int = self._table.count_rows()
        return count

    def payloads(self, page: int) -> Iterator[Mapping[str, Any]]:
        """See `Source`."""
        if self._fields:
            for batch in self._batches(self._fields, page):
                yield from self._payloads(batch)

    def rows(self, page: int) -> Iterator[Row]:
        """See `Source`."""
        column, number = self._reading.id_column, 0
        asked = [*self._columns, *self._fields, *([column] if column else [])]
        for batch in self._batches(asked, page):
            ids = range(number, number + len(batch)) if column is None else batch.column(column).to_pylist()
            number += len(batch)
            vectors = {name: _vectors(batch.column(one)) for one, name in self._columns.items()}
            for row, (id, payload) in enumerate(zip(ids, self._payloads(batch), strict=True)):
                own = {name: self._own(name, of[row]) for name, of in vectors.items() if of[row] is not None}
                yield Row(id, payload, own)

    def _own(self, name: str, vector: Any) -> Any:
        return MultiVector(vector) if isinstance(self.vectors[name], MultiVectors) else vector

    def _batches(self, columns: list[str], page: int) -> Iterator[Any]:
        # Page by page: what LanceDB calls batches of a query are all in memory before the first one comes.
        for offset in range(0, self.count(), page):
            rows = self._table.search().select(columns).offset(offset).limit(page).to_arrow()
            yield from rows.combine_chunks().to_batches()

    def _payloads(self, batch: Any) -> list[dict[str, Any]]:
        if not self._fields:
            return [{}] * len(batch)
        columns = [self._readable(batch.column(name)) for name in self._fields]
        rows: list[dict[str, Any]] = self._arrow.RecordBatch.from_arrays(columns, names=self._fields).to_pylist()
        return rows

    def _readable(self, column: Any) -> Any:
        """Moments of nanoseconds have none in Python, nor here."""
        type = column.type
        if self._arrow.types.is_timestamp(type) and type.unit == "ns":
            return column.cast(self._arrow.timestamp("us", type.tz), safe=False)
        return column


def _vectors(column: Any) -> Any:
    """The vectors of a batch: as one array if all rows have one, of 32 or 64 bits; else a list."""
    if column.null_count == 0 and hasattr(column.type, "list_size"):
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    return column.to_pylist()
