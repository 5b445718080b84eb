"""Loads a Parquet file of any size: ids, vectors, and every other column as a field.

python bulk_load.py papers.parquet --id doi --vector embedding
python bulk_load.py                                             # a file of 10,000 rows that it makes itself

The file is read a batch at a time, and a few batches are sent ahead of what is stored: memory stays where it is. A row with an id that is there
already takes its place, so a load that broke off can be run again. It needs `pip install pyarrow tqdm`.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import ragstone

BATCH_ROWS = 1_000

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("file", nargs="?", help="the Parquet file")
parser.add_argument("--id", default="id", metavar="COLUMN", help="strings or unsigned integers (default: %(default)s)")
parser.add_argument("--vector", default="vector", metavar="COLUMN", help="lists of floats (default: %(default)s)")
parser.add_argument("--collection", default="loaded", help="where to (default: %(default)s)")
parser.add_argument("--url", default="http://127.0.0.1:6733", help="the server (default: %(default)s)")
parser.add_argument("--path", metavar="DIR", help="a database of this process instead")


def points(file: pq.ParquetFile, id: str, vector: str) -> Iterator[tuple[Any, Any, dict[str, Any]]]:
    """The rows of a file, a batch of which is in memory at a time."""
    for batch in file.iter_batches(BATCH_ROWS):
        ids = batch.column(id).to_pylist()
        # One array of 32-bit floats: each of its rows goes into the message as it lies.
        vectors = np.asarray(batch.column(vector).flatten(), dtype=np.float32).reshape(len(batch), -1)
        fields = batch.drop_columns([id, vector]).to_pylist()
        yield from zip(ids, vectors, fields, strict=True)


def sample(folder: str, rows: int = 10_000, dimension: int = 64) -> str:
    """A file to try it with."""
    random = np.random.default_rng(7)
    vectors = random.normal(size=(rows, dimension)).astype(np.float32)
    columns = {
        "id": pa.array(range(rows), pa.uint64()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dimension),
        "year": pa.array(random.integers(1990, 2030, rows)),
        "title": pa.array([f"paper {row}" for row in range(rows)]),
    }
    file = str(Path(folder) / "sample.parquet")
    pq.write_table(pa.table(columns), file, row_group_size=BATCH_ROWS)
    return file


def main() -> None:
    """Loads the file, and looks at what came of it."""
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = pq.ParquetFile(arguments.file or sample(folder))
        with ragstone.open(arguments.path) if arguments.path else ragstone.connect(arguments.url) as client:
            first = next(points(file, arguments.id, arguments.vector))
            rows = client.create_collection(arguments.collection, dimension=len(first[1]), exist_ok=True)
            done = rows.ingest(points(file, arguments.id, arguments.vector), batch_size=BATCH_ROWS, progress=True)
            print(f"{done.stored:,} of {file.metadata.num_rows:,} rows stored")
            for refused in done.refused[:5]:
                print(f"row {refused.index}: {refused.message}")
            print("nearest to the first row:", [hit.id for hit in rows.search(first[1], k=3)])


if __name__ == "__main__":
    main()
