"""Moving from LanceDB: a store that its own package has made, row by row and search by search; and, over the same, the command."""

from __future__ import annotations

import datetime
import subprocess
import sys
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import client_of, flags_for_a_process
from moving import DIMENSION, QUERIES, ROWS, UTC, has_vectors, stored, unit, vectors

import ragstone
from ragstone.migrate import MigrationError, from_chroma, from_lancedb, from_qdrant_local

# The packages of other stores warn of their own future; this one's warnings stay errors.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error::Warning:ragstone")]


def lance_table() -> Any:
    import pyarrow as pa

    flat = vectors(21).copy()
    flat[5] = 0.0
    flat[6, 2] = np.nan
    day, moment = datetime.date(2024, 5, 1), datetime.datetime(2024, 5, 1, 12, 30, 0, 250)
    other = pa.array(
        [row.tolist() if number % 2 else None for number, row in enumerate(vectors(22))],
        pa.list_(pa.float32(), DIMENSION),
    )
    return pa.table(
        {
            "id": pa.array([str(uuid.UUID(int=row)) if row else None for row in range(ROWS)]),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), DIMENSION),
            "other": other,
            "text": pa.array([f"Passage {row} is about leases." for row in range(ROWS)]),
            "day": pa.array([day] * ROWS),
            "moment": pa.array([moment] * ROWS, pa.timestamp("us")),
            "nanos": pa.array([moment] * ROWS, pa.timestamp("ns", "UTC")),
            "price": pa.array([Decimal("1.10")] * ROWS, pa.decimal128(8, 2)),
            "nested": pa.array([{"a": row, "b": ["x", None]} for row in range(ROWS)]),
            "some": pa.array([None if row % 3 else row for row in range(ROWS)], pa.int32()),
            "half": pa.array([0.5, float("nan")] * (ROWS // 2), pa.float32()),
            "bytes": pa.array([b"\x00\xff"] * ROWS),
            "kind": pa.array(["a", "b"] * (ROWS // 2)).dictionary_encode(),
        }
    )


@pytest.fixture
def lance(tmp_path: Path) -> Path:
    import lancedb

    lancedb.connect(str(tmp_path / "lance")).create_table("papers", lance_table(), on_bad_vectors="null")
    return tmp_path / "lance"


def test_lancedb(lance: Path, target: ragstone.Client) -> None:
    import lancedb

    [moved] = from_lancedb(lance, target, metric="cosine", batch_size=11)
    assert (moved.rows, moved.of, moved.left) == (ROWS - 1, ROWS, {"no id": [None]})
    ours = target.collection("papers")
    assert ours.info().texts == {"text": "english"}
    points = stored(ours)
    ids = {row: str(uuid.UUID(int=row)) for row in range(1, ROWS)}
    assert points.keys() == set(ids.values())
    assert [row for row, id in ids.items() if points[id].vector is None] == [5, 6]
    assert "the vector is zero" in str(moved)
    sound = {id: vectors(21)[row] for row, id in ids.items() if row not in (5, 6)}
    has_vectors(points, sound, normalised=True)
    moment = datetime.datetime(2024, 5, 1, 12, 30, 0, 250, tzinfo=UTC)
    for row, id in ids.items():
        expected = {
            "text": f"Passage {row} is about leases.",
            "day": datetime.datetime(2024, 5, 1, tzinfo=UTC),
            "moment": moment,
            "nanos": moment,
            "price": "1.10",
            "nested": {"a": row, "b": ["x", None]},
            "bytes": "AP8=",
            "kind": "ab"[row % 2],
        }
        expected |= {} if row % 3 else {"some": row}
        expected |= {} if row % 2 else {"half": 0.5}
        assert points[id].payload == expected
        assert ("other" in points[id].vectors) == bool(row % 2)
    table = lancedb.connect(str(lance)).open_table("papers")
    for query in QUERIES:
        for column, by, among in (("vector", "", sound.keys()), ("other", "other", ids.values())):
            found = table.search(query, vector_column_name=column).distance_type("cosine").limit(13).to_list()
            # Rows whose vectors are no directions, and the one without an id, are not among those that can be found here.
            nearest = [one["id"] for one in found if one["id"] in among][:10]
            assert [hit.id for hit in ours.search(query, 10, by=by)] == nearest


def test_lancedb_tells_metrics_by_indexes_and_rows_by_numbers(tmp_path: Path, target: ragstone.Client) -> None:
    import lancedb
    import pyarrow as pa

    database = lancedb.connect(str(tmp_path))
    flat = vectors(31, 300)
    column = pa.FixedSizeListArray.from_arrays(pa.array(flat.ravel()), DIMENSION)
    many = pa.array([row.reshape(4, 2).tolist() for row in flat], pa.list_(pa.list_(pa.float32(), 2)))
    table = database.create_table("indexed", pa.table({"embedding": column, "key": pa.array([1, 2, 2] * 100)}))
    table.create_index(metric="dot", vector_column_name="embedding", index_type="IVF_FLAT", num_partitions=1)
    database.create_table("several", pa.table({"many": many, "id": pa.array(range(-1, 299), pa.int64())}))
    with pytest.raises(MigrationError, match="`indexed` has no column `id`"):
        from_lancedb(tmp_path, target)
    with pytest.raises(MigrationError, match="column `key`: 298 rows with an id that another row has"):
        from_lancedb(tmp_path, target, ["indexed"], id_column="key")
    [moved] = from_lancedb(tmp_path, target, ["indexed"], number_rows=True)
    assert "ids are the numbers of the rows" in str(moved)
    ours = target.collection("indexed")
    assert (ours.info().metric, ours.count()) == ("dot", 300)
    for query in QUERIES:
        assert [hit.id for hit in ours.search(query, 10)] == np.argsort(-(flat @ query))[:10].tolist()
    assert ours.get([299])[0].payload == {"key": 2}


def test_lancedb_has_many_vectors_and_negative_ids(tmp_path: Path, target: ragstone.Client) -> None:
    import lancedb
    import pyarrow as pa

    flat = vectors(33)
    many = pa.array([row.reshape(4, 2).tolist() for row in flat], pa.list_(pa.list_(pa.float32(), 2)))
    table = pa.table({"many": many, "id": pa.array(range(-1, ROWS - 1), pa.int64())})
    lancedb.connect(str(tmp_path)).create_table("several", table)
    [moved] = from_lancedb(tmp_path, target)
    assert moved.is_whole
    ours = target.collection("several")
    assert ours.get(["-1", 0], with_vectors=True)[0].id == "-1"
    mine = stored(ours)[0].vectors["many"]
    assert np.allclose(np.asarray(mine.vectors), unit(flat[1].reshape(4, 2)), atol=1e-6)


# The command


def command(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "ragstone.migrate", *arguments]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stdout + result.stderr
    return result


def test_the_command_reports_and_its_exit_code_says_what_came_of_it(
    lance: Path, server: Any, target: ragstone.Client, tmp_path: Path
) -> None:
    del target  # Which clears the server.
    url = flags_for_a_process(server, tmp_path / "own")
    done = command("--from", "lancedb", str(lance), *url, "--collection", "papers=by-hand", "--progress", code=3)
    assert "papers -> by-hand: 59 of 60 rows" in done.stdout
    assert "left behind: 1 row: no id: None" in done.stdout
    assert "59" in done.stderr
    with client_of(url) as client:
        assert client.collection("by-hand").count() == ROWS - 1
    again = command("--from", "lancedb", str(lance), *url, "--collection", "papers=by-hand", code=1)
    assert again.stderr.startswith("error: there is a collection `by-hand` already")
    numbered = command("--from", "lancedb", str(lance), *url, "--number-rows", "--text", "kind", code=0)
    assert "kind string (searched by word)" in numbered.stdout
    for store in ("chroma", "qdrant-local"):
        wrong = command("--from", store, str(lance), *url, code=1)
        assert wrong.stderr.startswith(f"error: {lance} is no directory of")
    misplaced = command("--from", "chroma", str(lance), *url, "--metric", "dot", code=1)
    assert "--metric is for lancedb" in misplaced.stderr
    assert "Unavailable" not in command("--from", "lancedb", str(lance), "--url", "http://127.0.0.1:1", code=1).stdout


@pytest.mark.parametrize(
    ("module", "move", "extra"),
    [
        ("chromadb", from_chroma, "chroma"),
        ("qdrant_client", from_qdrant_local, "qdrant"),
        ("lancedb", from_lancedb, "lancedb"),
    ],
)
def test_without_the_package_it_says_what_to_install(
    module: str, move: Any, extra: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, target: ragstone.Client
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf'pip install "./clients/python\[{extra}\]"'):
        move(tmp_path, target)
