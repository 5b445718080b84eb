"""Moving from Qdrant's local mode: a store that its own package has made, row by row and search by search."""

from __future__ import annotations

import datetime
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from moving import DIMENSION, QUERIES, ROWS, UTC, has_vectors, stored, unit, vectors

import ragstone
from ragstone import (
    GeoPoint,
    Json,
    MultiVector,
    Nearest,
    SparseVector,
)
from ragstone.migrate import MigrationError, from_qdrant_local

# The packages of other stores warn of their own future; this one's warnings stay errors.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error::Warning:ragstone")]


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
