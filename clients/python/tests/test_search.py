"""Searches: each kind of question, against answers worked out in Python."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ragstone import (
    CollectionWithoutModel,
    F,
    Fuse,
    InvalidArgument,
    Nearest,
    OrderBy,
    Query,
    Recommend,
    Rescore,
    TextQuery,
)

BODIES = ["the lease ends in may", "a loaf of bread", "leases and loaves", "nothing at all"]
VECTORS = [[math.cos(angle), math.sin(angle)] for angle in (0.0, 0.3, 0.6, 0.9)]
LANGS = ["en", "de", "en", "fr"]


async def filled(client: Any, name: str) -> Any:
    notes = await client.create_collection(name, dimension=2, texts=["body"])
    rows = zip(range(4), VECTORS, BODIES, LANGS, strict=True)
    await notes.upsert([(id, vector, {"body": body, "lang": lang, "n": id}) for id, vector, body, lang in rows])
    return notes


def ids(hits: Any) -> list[Any]:
    return [hit.id for hit in hits]


async def test_the_nearest_points_come_first(client: Any, name: str) -> None:
    notes = await filled(client, name)
    result = await notes.search([math.cos(0.5), math.sin(0.5)], k=3, exact=True, with_vectors=True)
    assert ids(result) == [2, 1, 3]
    assert [hit.score for hit in result] == pytest.approx([math.cos(0.1), math.cos(0.2), math.cos(0.4)])
    assert list(result[0].vector) == pytest.approx(VECTORS[2])
    assert (len(result), result.stats.exact, result.stats.interrupted) == (3, True, None)
    assert result[:2] == result.hits[:2]
    assert "search" in result.timings


async def test_filters_thresholds_and_fields_are_kept_to(client: Any, name: str) -> None:
    notes = await filled(client, name)
    assert ids(await notes.search([1.0, 0.0], filter=F.lang == "en")) == [0, 2]
    assert ids(await notes.search([1.0, 0.0], filter='lang in ("de", "fr")', k=1)) == [1]
    assert ids(await notes.search([1.0, 0.0], threshold=math.cos(0.45))) == [0, 1]
    [hit] = await notes.search([1.0, 0.0], k=1, fields=["n"])
    assert hit.payload == {"n": 0}
    [hit] = await notes.search([1.0, 0.0], k=1, with_payload=False)
    assert hit.payload == {}
    [hit] = await notes.search([1.0, 0.0], k=1, fields=[], ef=50, budget_ms=60_000)
    assert (hit.payload, hit.vector) == ({}, None)
    assert (await notes.get([0]))[0].etag == hit.etag


async def test_words_are_found_alone_and_beside_vectors(client: Any, name: str) -> None:
    notes = await filled(client, name)
    assert set(ids(await notes.query(TextQuery("lease")))) == {0, 2}
    assert ids(await notes.query(TextQuery("lease loaves", {"body": 2.0}, all_terms=True))) == [2]
    assert ids(await notes.hybrid("bread", vector=[0.0, 1.0], k=2, weights=(0.1, 10.0)))[0] == 1
    assert ids(await notes.hybrid("bread", vector=[0.0, 1.0], k=2, weights=(10.0, 0.1)))[0] == 3


async def test_sources_are_fused_rescored_and_ordered(client: Any, name: str) -> None:
    notes = await filled(client, name)
    assert ids(await notes.query(OrderBy("n", descending=True), k=2)) == [3, 2]
    assert (await notes.query(OrderBy("n"), k=1))[0].score is None
    near, far = Nearest([1.0, 0.0]), Nearest(VECTORS[3])
    fused = await notes.query(Fuse([near.weighted(10.0), far.weighted(0.1)], "weighted", candidates=4))
    assert ids(fused) == [0, 1, 2, 3]
    assert ids(await notes.query(Fuse([near, TextQuery("bread")], rrf_k=0.5), k=1)) == [1]
    # It was passed over without a word.
    with pytest.raises(ValueError, match="`rrf_k` is of reciprocal ranks"):
        await notes.query(Fuse([near, far], "weighted", rrf_k=0.5), k=1)
    assert ids(await notes.query(Rescore(near, by=far, candidates=2), k=2)) == [1, 0]
    assert ids(await notes.recommend([0], k=2)) == [1, 2]
    assert ids(await notes.recommend([[1.0, 0.0]], [3], k=1, strategy="best_score")) == [0]
    assert ids(await notes.query(Recommend([3], [0]), k=1)) == [2]


async def test_groups_batches_ranges_and_explanations(client: Any, name: str) -> None:
    notes = await filled(client, name)
    groups = await notes.group([1.0, 0.0], by="lang", groups=2, per_group=2)
    assert [(group.value, ids(group.hits)) for group in groups] == [("en", [0, 2]), ("de", [1])]
    batch = await notes.query_batch([Query([1.0, 0.0], k=1), Query(OrderBy("n", descending=True), k=1)])
    assert [ids(result) for result in batch] == [[0], [3]]
    assert [ids(result) for result in await notes.search_batch(VECTORS, k=1)] == [[0], [1], [2], [3]]
    near = await notes.search_range([1.0, 0.0], threshold=math.cos(0.7), limit=2)
    assert (ids(near), near.truncated, near.explain) == ([0, 1], True, None)
    near = await notes.search_range([1.0, 0.0], threshold=math.cos(0.7), explain=True)
    [stage] = near.explain.stages
    assert (stage.path, stage.rows, near.explain.exact) == ("range", 3, near.stats.exact)
    assert all(segment.plans for segment in stage.segments)
    explained = await notes.explain([1.0, 0.0], k=1)
    assert explained.stages[-1].rows >= 1
    result = await notes.search([1.0, 0.0], k=1, explain=True)
    assert [stage.path for stage in result.explain.stages] == [stage.path for stage in explained.stages]


async def test_errors_name_the_place_in_the_question(client: Any, name: str) -> None:
    notes = await filled(client, name)
    fused = Fuse([Nearest([1.0, 0.0]), Nearest([1.0])])
    for ask, field in [
        (lambda: notes.search([1.0, 0.0], k=0), "k"),
        (lambda: notes.search([1.0]), "vector"),
        (lambda: notes.query(fused), "source.fuse.sources[1].nearest.query"),
        (lambda: notes.query_batch([Query([1.0, 0.0]), Query([1.0])]), "queries[1].vector"),
        (lambda: notes.search_range([1.0, 0.0], 0.5, limit=0), "limit"),
    ]:
        with pytest.raises(InvalidArgument) as wrong:
            await ask()
        assert wrong.value.field == field
    with pytest.raises(CollectionWithoutModel):
        await notes.search("a text")
    with pytest.raises(ValueError, match="`strategy` is one of average_vector, best_score"):
        await notes.recommend([0], strategy="best")
