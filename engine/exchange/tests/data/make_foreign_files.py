"""Makes the small files of others that the tests import: python make_foreign_files.py [DIRECTORY]

Needs pyarrow (26.0.1 made those that are committed), as pandas, polars and the datasets library have it underneath.
"""

import datetime
import decimal
import struct
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as parquet

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
FOLDER = FOLDER if FOLDER.is_dir() else FOLDER.parent

ROWS = 6


def halves(numbers):
    """A column of 16-bit floats, which pyarrow makes of numpy's alone."""
    return pa.Array.from_buffers(
        pa.float16(), len(numbers), [None, pa.py_buffer(struct.pack(f"<{len(numbers)}e", *numbers))]
    )


def many_types():
    """Every type that becomes something, with nulls."""
    day = datetime.date(2024, 2, 29)
    noon = datetime.datetime(2024, 2, 29, 12, 0, 0, 123456)
    flat = [float(number) / 4 for number in range(ROWS * 2)]
    tensors = pa.FixedSizeListArray.from_arrays(halves(flat), 2)
    vectors = [[number + 0.5, -1.0, 0.25] for number in range(ROWS)]
    columns = {
        "id": pa.array(range(ROWS), pa.int64()),
        "vector": pa.array(vectors[:-1] + [None], pa.list_(pa.float64())),
        "half": tensors,
        "large": pa.array([None] + vectors[1:], pa.large_list(pa.float32())),
        "tokens": pa.array([[[1.0, 2.0]], None, [[3.0, 4.0], [5.0, 6.0]]] * 2, pa.list_(pa.list_(pa.float32(), 2))),
        "words": pa.array(
            [{"indices": [1, 5], "values": [0.5, 1.5]}, None, {"indices": [], "values": []}] * 2,
            pa.struct([("indices", pa.list_(pa.int64())), ("values", pa.list_(pa.float64()))]),
        ),
        "flag": pa.array([True, False, None] * 2),
        "small": pa.array([-128, 127, None] * 2, pa.int8()),
        "unsigned": pa.array([0, 2**63 - 1, None] * 2, pa.uint64()),
        "single": pa.array([0.5, -1.25, None] * 2, pa.float32()),
        "text": pa.array(["ä", "", None] * 2),
        "large_text": pa.array(["b", "c", None] * 2, pa.large_string()),
        "view": pa.array(["a string longer than twelve bytes", "d", None] * 2, pa.string_view()),
        "category": pa.array(["red", "green", None] * 2).dictionary_encode(),
        "day": pa.array([day, None, datetime.date(1969, 12, 31)] * 2, pa.date32()),
        "seconds": pa.array([noon.replace(microsecond=0), None, None] * 2, pa.timestamp("s")),
        "nanos": pa.array([1_709_208_000_123_456_789, -1, None] * 2, pa.timestamp("ns", tz="Europe/Berlin")),
        "micros": pa.array([noon, None, None] * 2, pa.timestamp("us")),
        "tags": pa.array([["a", "b"], [], None] * 2, pa.list_(pa.large_string())),
        "place": pa.array(
            [{"lat": 52.5, "lon": 13.4}, None, {"lat": -90.0, "lon": 180.0}] * 2,
            pa.struct([("lat", pa.float64()), ("lon", pa.float64())]),
        ),
        "nothing": pa.nulls(ROWS),
    }
    return pa.table(columns)


def refused_types():
    """Types that become nothing."""
    return pa.table(
        {
            "id": pa.array(["a"]),
            "price": pa.array([decimal.Decimal("1.20")]),
            "bytes": pa.array([b"x"]),
            "pairs": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64())),
            "numbers": pa.array([[1, 2]], pa.list_(pa.int64())),
            "odd": pa.array([{"x": 1}]),
        }
    )


def main():
    table = many_types()
    parquet.write_table(table, FOLDER / "pyarrow-snappy.parquet", row_group_size=4)
    # Lists as Hive wrote them, and a codec and pages of another version.
    plain = {"use_compliant_nested_type": False, "data_page_version": "2.0", "compression": "zstd"}
    parquet.write_table(table, FOLDER / "pyarrow-zstd.parquet", **plain)
    feather.write_feather(table, FOLDER / "pyarrow-lz4.feather", compression="lz4", chunksize=4)
    with pa.ipc.new_stream(FOLDER / "pyarrow-stream.arrows", table.schema) as stream:
        stream.write_table(table, max_chunksize=4)
    parquet.write_table(refused_types(), FOLDER / "pyarrow-refused.parquet")
    uneven = {"name": ["a", "b", "c"], "embedding": [[1.0, 2.0], [3.0, 4.0], [5.0]], "count": [1.0, None, 2.5]}
    parquet.write_table(pa.table(uneven), FOLDER / "pyarrow-uneven.parquet")


if __name__ == "__main__":
    main()
