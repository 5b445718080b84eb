"""Moving from Chroma: a store that its own package has made, row by row and search by search."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moving import QUERIES, ROWS, has_vectors, stored, vectors

import ragstone
from ragstone import (
    F,
    Json,
    TextQuery,
)
from ragstone.migrate import MigrationError, Moved, from_chroma

# The packages of other stores warn of their own future; this one's warnings stay errors.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.filterwarnings("error::Warning:ragstone")]


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
