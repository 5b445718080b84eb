"""Moving from other stores: real ones are made with their own packages, moved, and compared row by row and search by search."""

from __future__ import annotations

import datetime
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import client_of, flags_for_a_process

import ragstone
from ragstone import (
    F,
    GeoPoint,
    Json,
    MultiVector,
    Nearest,
    SparseVector,
    TextQuery,
)
from ragstone.migrate import MigrationError, Moved, from_chroma, from_lancedb, from_qdrant_local

# The packages of other stores warn of their own future; this one's warnings stay errors.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error::Warning:ragstone")]

ROWS, DIMENSION = 60, 8
UTC = datetime.timezone.utc


def vectors(seed: int, rows: int = ROWS) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).normal(size=(rows, DIMENSION)).astype(np.float32)


QUERIES = vectors(99, 10)


@pytest.fixture
def target(server: Any) -> Iterator[ragstone.Client]:
    """The client that moves, whose collections of this test are gone afterwards."""
    with server.connect("sync").inner as client:
        before = {one.name for one in client.list_collections()}
        yield client
        for alias in client.list_aliases():
            client.delete_alias(alias.alias)
        for one in client.list_collections():
            if one.name not in before:
                client.delete_collection(one.name)


def unit(vector: Any) -> np.ndarray[Any, Any]:
    array = np.asarray(vector, dtype=np.float64)
    return array / np.linalg.norm(array, axis=-1, keepdims=True)


def has_vectors(points: Mapping[Any, ragstone.Point], expected: Mapping[Any, Any], *, normalised: bool) -> None:
    for id, vector in expected.items():
        wanted = unit(vector) if normalised else np.asarray(vector)
        assert np.allclose(np.asarray(points[id].vector), wanted, atol=1e-6), id


def stored(collection: ragstone.Collection) -> dict[Any, ragstone.Point]:
    return {point.id: point for point in collection.scroll(with_vectors=True)}


def command(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "ragstone.migrate", *arguments]
    result = subprocess.run(words, capture_output=True, text=True, timeout=120)
    assert result.returncode == code, result.stdout + result.stderr
    return result


# Chroma


def metadata(row: int) -> dict[str, Any] | None:
    if row % 10 == 9:
        return None
    return {
        "year": 2000 + row,
        "share": row if row % 2 else row / 4,
        "yes": row % 3 == 0,
        "größe": f"Größe {row} 🌍",
        "tags": ["ü", f"t{row}"],
        "pages": [row, 1],
        "mixed": row if row % 2 else str(row),
        "_mine": row,
        "document": "not the document",
    }


def chroma_ids(name: str) -> list[str]:
    space = uuid.UUID(int=5)
    return [str(uuid.uuid5(space, f"{name}{row}")) if row else "doc:0" for row in range(ROWS)]


@pytest.fixture
def chroma(tmp_path: Path) -> Iterator[tuple[Path, Any]]:
    import chromadb

    client = chromadb.PersistentClient(str(tmp_path / "chroma"))
    for seed, space in enumerate(["cosine", "ip", "l2"]):
        made = client.create_collection(
            f"chroma-{space}", configuration={"hnsw": {"space": space}}, embedding_function=None
        )
        made.add(
            ids=chroma_ids(space),
            embeddings=vectors(seed),
            documents=[f"Passage {row} is about leases." if row % 2 else "Bread." for row in range(ROWS)],
            metadatas=[metadata(row) for row in range(ROWS)],
        )
    client.create_collection("chroma-empty", metadata={"owner": "me"})
    yield tmp_path / "chroma", client
    if hasattr(client, "close"):
        client.close()


def test_chroma(chroma: tuple[Path, Any], target: ragstone.Client) -> None:
    path, theirs = chroma
    told: list[Moved] = []
    moved = from_chroma(path, target, batch_size=7, on_moved=told.append)
    assert [one.source for one in moved] == ["chroma-cosine", "chroma-empty", "chroma-ip", "chroma-l2"]
    assert told == moved
    assert all(one.is_whole for one in moved)
    assert moved[1].rows == 0
    assert "owner" in str(moved[1])
    assert not target.has_collection("chroma-empty")
    fields = {"year": "int", "share": "float", "yes": "bool", "größe": "string", "tags": "strings", "pages": "json"}
    fields |= {"mixed": "json", "field_mine": "int", "document-2": "string", "document": "string"}
    for seed, space in enumerate(["cosine", "ip", "l2"]):
        report = next(one for one in moved if one.source == f"chroma-{space}")
        assert (report.rows, report.of, report.fields, report.texts) == (ROWS, ROWS, fields, ["document"])
        ours = target.collection(f"chroma-{space}")
        points = stored(ours)
        ids = ["id:doc:0", *chroma_ids(space)[1:]]
        assert points.keys() == set(ids)
        has_vectors(points, dict(zip(ids, vectors(seed), strict=True)), normalised=space == "cosine")
        for row, id in enumerate(ids):
            expected = dict(metadata(row) or {})
            if expected:
                expected |= {
                    "share": float(expected["share"]),
                    "pages": Json([row, 1]),
                    "mixed": Json(expected["mixed"]),
                }
                expected["field_mine"], expected["document-2"] = expected.pop("_mine"), expected.pop("document")
            expected["document"] = f"Passage {row} is about leases." if row % 2 else "Bread."
            assert points[id].payload == expected
        collection = theirs.get_collection(f"chroma-{space}")
        for query in QUERIES:
            nearest = collection.query(query_embeddings=query[None], n_results=10, include=[])["ids"][0]
            assert [hit.id.removeprefix("id:") for hit in ours.search(query, 10)] == nearest
        assert ours.count(F.year >= 2050) == collection_count(collection, {"year": {"$gte": 2050}})
        assert len(ours.query(TextQuery("lease"), 100)) == ROWS // 2
    report_text = str(moved[0])
    for word in (
        "`_mine` is called `field_mine`",
        "`mixed` is int in",
        "`pages` is kept as JSON",
        "`id:` stands before",
    ):
        assert word in report_text


def collection_count(collection: Any, where: dict[str, Any]) -> int:
    return len(collection.get(where=where, include=[])["ids"])


def test_a_move_is_repeated_only_if_asked_to_and_comes_to_the_same(
    chroma: tuple[Path, Any], target: ragstone.Client
) -> None:
    path, _ = chroma
    from_chroma(path, target, ["chroma-l2"])
    ours = target.collection("chroma-l2")
    whole = {id: point.payload for id, point in stored(ours).items()}
    with pytest.raises(MigrationError, match="there is a collection `chroma-l2` already"):
        from_chroma(path, target)
    assert not target.has_collection("chroma-cosine"), "what is refused is refused before anything is moved"
    # As a move would have left it that broke off.
    ours.delete(list(whole)[::2])
    [again] = from_chroma(path, target, ["chroma-l2"], into_existing=True)
    assert (again.rows, again.is_whole) == (ROWS, True)
    assert {id: point.payload for id, point in stored(ours).items()} == whole
    [elsewhere] = from_chroma(path, target, {"chroma-l2": "other"})
    assert (elsewhere.target, target.collection("other").count()) == ("other", ROWS)
    target.create_collection("narrow", dimension=3, metric="l2")
    with pytest.raises(MigrationError, match="default vector of `narrow`"):
        from_chroma(path, target, {"chroma-l2": "narrow"}, into_existing=True)
    with pytest.raises(MigrationError, match="there is no collection `none`"):
        from_chroma(path, target, ["none"])
    with pytest.raises(MigrationError, match="would both be called `same`"):
        from_chroma(path, target, {"chroma-l2": "same", "chroma-ip": "same"})


# Qdrant


def payload(row: int) -> dict[str, Any]:
    return {
        "text": f"Passage {row} is about leases.",
        "count": row,
        "rate": [0.5, 1][row % 2],
        "empty": None,
        "tags": [] if row % 4 == 0 else ["a", "ß"],
        "numbers": [1, 2.5],
        "nested": {"deep": [{"er": row}], "none": None},
        "mixed": [1, "one", True, {"a": 1}][row % 4],
        "place": {"lat": 52.5, "lon": 13.4 + row / 100},
        "created": datetime.datetime(2024, 5, 1, tzinfo=UTC).isoformat(),
        "_id": row,
        "": "no name",
        "large": 1 << 60 if row else 0.5,
    }


def qdrant_id(row: int) -> int | str:
    return row if row % 2 else str(uuid.UUID(int=row + 1))


@pytest.fixture
def qdrant(tmp_path: Path) -> Path:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(tmp_path / "qdrant"))
    for seed, distance in enumerate([models.Distance.COSINE, models.Distance.DOT, models.Distance.EUCLID]):
        name = f"qdrant {distance.value}"
        client.create_collection(name, models.VectorParams(size=DIMENSION, distance=distance))
        points = [
            models.PointStruct(id=qdrant_id(row), vector=vector.tolist(), payload=payload(row))
            for row, vector in enumerate(vectors(seed))
        ]
        client.upsert(name, points)
    client.create_collection(
        "named",
        {
            "a": models.VectorParams(size=DIMENSION, distance=models.Distance.COSINE),
            "many": models.VectorParams(
                size=2,
                distance=models.Distance.COSINE,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
            ),
        },
        {"words": models.SparseVectorParams(modifier=models.Modifier.IDF)},
    )
    named = []
    for row, vector in enumerate(vectors(7)):
        own: dict[str, Any] = {"a": vector.tolist()}
        if row % 2:
            own["many"] = vectors(row, 3)[:, :2].tolist()
            own["words"] = models.SparseVector(indices=[row + 3, 2], values=[1.5, row / 7])
        named.append(models.PointStruct(id=row, vector=own, payload={}))
    client.upsert("named", named)
    client.update_collection_aliases(
        [models.CreateAliasOperation(create_alias=models.CreateAlias(collection_name="named", alias_name="current"))]
    )
    client.close()
    return tmp_path / "qdrant"


def test_qdrant_local(qdrant: Path, target: ragstone.Client) -> None:
    moved = from_qdrant_local(qdrant, target, batch_size=9)
    assert [(one.target, one.rows, one.is_whole) for one in moved] == [
        ("named", ROWS, True),
        ("qdrant-Cosine", ROWS, True),
        ("qdrant-Dot", ROWS, True),
        ("qdrant-Euclid", ROWS, True),
    ]
    from qdrant_client import QdrantClient

    theirs = QdrantClient(path=str(qdrant))
    for seed, distance in enumerate(["Cosine", "Dot", "Euclid"]):
        ours = target.collection(f"qdrant-{distance}")
        assert ours.info().texts == {"text": "english"}
        points = stored(ours)
        ids = [qdrant_id(row) for row in range(ROWS)]
        has_vectors(points, dict(zip(ids, vectors(seed), strict=True)), normalised=distance == "Cosine")
        assert points.keys() == set(ids)
        for row, id in enumerate(ids):
            expected = payload(row)
            del expected["empty"]
            expected |= {
                "rate": float(expected["rate"]),
                "numbers": Json([1, 2.5]),
                "mixed": json_of(expected["mixed"]),
            }
            expected |= {"place": GeoPoint(**expected["place"]), "field_id": expected.pop("_id")}
            expected |= {"field": expected.pop(""), "large": Json(expected["large"])}
            assert points[id].payload == expected
        for query in QUERIES:
            nearest = theirs.query_points(f"qdrant {distance}", query.tolist(), limit=10).points
            hits = ours.search(query, 10)
            assert [hit.id for hit in hits] == [hit.id for hit in nearest]
            assert [hit.score for hit in hits] == pytest.approx([hit.score for hit in nearest], abs=1e-4)
    assert "`empty` is None in 60 rows" in str(moved[1])
    assert "nested" in moved[1].fields
    named(theirs, target)
    assert "IDF" in str(moved[0])
    assert target.collection("current").info().name == "named"
    theirs.close()


def json_of(value: Any) -> Any:
    return value if isinstance(value, dict) else Json(value)


def named(theirs: Any, target: ragstone.Client) -> None:
    ours = target.collection("named")
    points = stored(ours)
    for record in theirs.scroll("named", limit=ROWS, with_vectors=True)[0]:
        mine = points[record.id].vectors
        assert mine.keys() == record.vector.keys()
        assert np.allclose(np.asarray(mine["a"]), unit(record.vector["a"]), atol=1e-6)
        if "words" in mine:
            theirs_sorted = sorted(zip(record.vector["words"].indices, record.vector["words"].values, strict=True))
            assert np.allclose(list(zip(mine["words"].indices, mine["words"].values, strict=True)), theirs_sorted)
            assert np.allclose(np.asarray(mine["many"].vectors), unit(record.vector["many"]), atol=1e-6)
    for query in QUERIES:
        nearest = theirs.query_points("named", query.tolist(), using="a", limit=10).points
        assert [hit.id for hit in ours.search(query, 10, by="a")] == [hit.id for hit in nearest]
    many = vectors(3, 2)[:, :2].tolist()
    nearest = theirs.query_points("named", many, using="many", limit=10).points
    assert [hit.id for hit in ours.search(MultiVector(many), 10, by="many")] == [hit.id for hit in nearest]
    # By the inner product, which is what the vectors say without Qdrant's weights.
    sparse = SparseVector([2, 14], [1.0, 1.0])
    products = {row: row / 7 + (1.5 if row + 3 == 14 else 0.0) for row in range(1, ROWS, 2)}
    best = sorted(products, key=lambda row: -products[row])[:5]
    assert [hit.id for hit in ours.query(Nearest(sparse, by="words"), 5)] == best


def test_what_qdrant_has_and_ragstone_has_not_is_refused(tmp_path: Path, target: ragstone.Client) -> None:
    from qdrant_client import QdrantClient, models

    client = QdrantClient(path=str(tmp_path))
    client.create_collection("taxi", models.VectorParams(size=2, distance=models.Distance.MANHATTAN))
    with pytest.raises(MigrationError, match="already accessed"):
        from_qdrant_local(tmp_path, target)
    client.close()
    with pytest.raises(MigrationError, match="`taxi` has the metric Manhattan"):
        from_qdrant_local(tmp_path, target)


# LanceDB


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
