"""What is this store's own: modes, filters, metadata, scores, and that what is awaited blocks nowhere."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy
import pytest
import ragstone
from conftest import Letters
from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, aindex, index
from langchain_core.vectorstores import VectorStore
from ragstone import F

from langchain_ragstone import RagstoneRetriever, RagstoneVectorStore, Schema
from langchain_ragstone.relevance import FUNCTIONS, spread

ROWS: list[tuple[str, dict[str, Any]]] = [
    ("aaa lease", {"year": 2019, "lang": "en", "tags": ["old", "house"], "rate": 1}),
    ("aab lease", {"year": 2024, "lang": "de", "tags": ["house"], "rate": 2.5}),
    ("bbb bread", {"year": 2021, "lang": "en", "draft": True}),
    ("ccc rent", {"year": 2022}),
]
IDS = ["a", "ab", "b", "c"]


@pytest.fixture
def store(place: dict[str, Any], name: str) -> Iterator[RagstoneVectorStore]:
    texts, metadatas = zip(*ROWS, strict=True)
    store = RagstoneVectorStore.from_texts(list(texts), Letters(), list(metadatas), ids=IDS, collection=name, **place)
    yield store
    store.close()


def ids(documents: list[Document]) -> list[str | None]:
    return [document.id for document in documents]


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (None, IDS),
        ({}, IDS),
        ({"lang": "en"}, ["a", "b"]),
        ({"lang": {"$ne": "en"}}, ["ab", "c"]),
        ({"lang": {"$in": ["de", "fr"]}}, ["ab"]),
        ({"lang": {"$nin": ["de"]}}, ["a", "b", "c"]),
        ({"lang": {"$exists": False}}, ["c"]),
        ({"lang": {"$prefix": "e"}, "year": 2019}, ["a"]),
        ({"year": {"$gte": 2021, "$lt": 2024}}, ["b", "c"]),
        ({"year": {"$gt": 2021.5}}, ["ab", "c"]),
        ({"year": {"$lte": 2021.5}}, ["a", "b"]),
        ({"year": 2021.0}, ["b"]),
        ({"year": 2021.5}, []),
        ({"year": "2021"}, []),
        ({"year": {"$between": [2019, 2021]}}, ["a", "b"]),
        ({"rate": 1}, ["a"]),
        ({"rate": {"$gt": 1}}, ["ab"]),
        ({"tags": {"$contains": "old"}}, ["a"]),
        ({"tags": {"$in": ["old", "house"]}}, ["a", "ab"]),
        ({"draft": True}, ["b"]),
        ({"page_content": {"$match": "lease"}}, ["a", "ab"]),
        ({"$or": [{"year": 2022}, {"lang": "de"}]}, ["ab", "c"]),
        ({"$and": [{"lang": "en"}, {"$not": {"year": 2019}}]}, ["b"]),
        ({"nobody": "has this"}, []),
        ({"nobody": {"$ne": "has this"}}, IDS),
        ({"nobody": {"$gt": 1}}, []),
        ({"nobody": {"$prefix": "x"}}, []),
        ({"$not": {"nobody": {"$match": "x"}}}, IDS),
        (F.lang == "en", ["a", "b"]),
        ((F.year > 2019) & ~(F.lang == "de"), ["b", "c"]),
        ('year >= 2021 and lang = "en"', ["b"]),
    ],
)
async def test_filters(store: RagstoneVectorStore, filter: Any, expected: list[str]) -> None:
    for mode in ("dense", "hybrid"):
        assert sorted(ids(store.similarity_search("a", 10, filter, mode=mode))) == expected  # type: ignore[type-var]
    assert sorted(ids(await store.asimilarity_search("a", 10, filter))) == expected  # type: ignore[type-var]
    assert len(await store.amax_marginal_relevance_search("a", 10, filter=filter)) == len(expected)
    await store.aclose()


@pytest.mark.parametrize("filter", [{"$nor": []}, {"year": {"$around": 2}}])
def test_operators_that_there_are_not(store: RagstoneVectorStore, filter: Any) -> None:
    with pytest.raises(ValueError, match=r"no operator `\$(nor|around)`"):
        store.similarity_search("a", filter=filter)


@pytest.mark.parametrize("operands", [{"$in": "en"}, {"$nin": 1}, {"$between": [1]}, {"$between": "ab"}])
def test_operands_that_are_no_list(store: RagstoneVectorStore, operands: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"`lang \{next(iter(operands))}` takes a list"):
        store.similarity_search("a", filter={"lang": operands})


def test_ragstones_own_filters_are_taken_to_the_letter(store: RagstoneVectorStore) -> None:
    with pytest.raises(ragstone.UnknownPayloadField):
        store.similarity_search("a", filter=F.nobody == 1)


def test_modes(store: RagstoneVectorStore) -> None:
    assert ids(store.similarity_search("rent a", 2))[0] == "a"
    assert ids(store.similarity_search("rent a", mode="text")) == ["c"]
    found = ids(store.similarity_search("rent a", 2, mode="hybrid", weights=(1.0, 5.0)))
    assert found == ["c", "a"]
    embedding = store.embeddings
    assert isinstance(embedding, Letters)
    embedding.asked.clear()
    store.similarity_search("rent", mode="text")
    assert embedding.asked == []
    with pytest.raises(ValueError, match="the modes are"):
        store.similarity_search("rent", mode="nearly")  # type: ignore[arg-type]
    assert ids(store.as_retriever(search_kwargs={"k": 1, "mode": "text"}).invoke("bread")) == ["b"]


def test_scores_and_relevance(store: RagstoneVectorStore) -> None:
    [(first, score), *_] = store.similarity_search_with_score("aaa", 4)
    assert first.id == "a"
    assert score == pytest.approx(1.0, abs=1e-3)
    found = store.similarity_search_with_relevance_scores("aaa", 4)
    assert [round(relevance, 2) for _, relevance in found] == sorted((round(r, 2) for _, r in found), reverse=True)
    assert ids([one for one, _ in store.similarity_search_with_relevance_scores("aaa", 4, score_threshold=0.9)]) == [
        "a",
        "ab",
    ]
    with pytest.raises(ValueError, match="no scale"):
        store.similarity_search_with_relevance_scores("aaa", mode="hybrid")
    assert [function(0.0) for function in FUNCTIONS.values()] == [0.5, 0.5, 1.0]
    assert FUNCTIONS["dot"](-10_000.0) == 0.0


@pytest.mark.parametrize("metric", ["cosine", "dot", "l2"])
async def test_every_metric_has_the_nearest_first(server: Any, place: dict[str, Any], name: str, metric: Any) -> None:
    store = RagstoneVectorStore(Letters(), name, **place, schema=Schema(metric=metric))
    assert await store.asimilarity_search_with_relevance_scores("b") == []
    await store.aadd_texts(["ab", "bb", "cc"], ids=["ab", "bb", "cc"])
    found = await store.asimilarity_search_with_relevance_scores("bb", 3)
    assert ids([one for one, _ in found]) == ["bb", "ab", "cc"]
    assert all(0.0 <= relevance <= 1.0 for _, relevance in found)
    # One that is there already has the metric that it has.
    async with server.connect("async") as client:
        other = RagstoneVectorStore(Letters(), name, async_client=client)
        assert await other.asimilarity_search_with_relevance_scores("bb", 3) == found
    await store.adelete_collection()
    assert await store.asimilarity_search("b") == []
    await store.aclose()


def test_marginal_relevance_spreads(store: RagstoneVectorStore) -> None:
    assert ids(store.similarity_search("aaab", 2)) == ["ab", "a"]
    assert ids(store.max_marginal_relevance_search("aaab", 2, lambda_mult=1.0)) == ["ab", "a"]
    assert "ab" not in ids(store.max_marginal_relevance_search("aaa", 3, lambda_mult=0.0))
    assert ids(store.max_marginal_relevance_search_by_vector([3.0, 0.0, 0.0, 0.1], 1)) == ["a"]
    array: Any = numpy.array([3.0, 0.0, 0.0, 0.1])
    assert ids(store.max_marginal_relevance_search_by_vector(array, 1)) == ["a"]


def test_marginal_relevance_is_that_of_langchain() -> None:
    import numpy as np
    from langchain_core.vectorstores.utils import maximal_marginal_relevance

    random = np.random.default_rng(7)
    for weight in (0.0, 0.3, 0.5, 1.0):
        query, vectors = random.normal(size=5), random.normal(size=(20, 5))
        expected = maximal_marginal_relevance(query, list(vectors), weight, 8)
        assert spread(list(query), list(vectors), 8, weight) == expected


def test_metadata_comes_back_as_it_was(place: dict[str, Any], name: str) -> None:
    store = RagstoneVectorStore(Letters(), name, **place)
    metadata = {
        "text": "a",
        "number": 3,
        "share": 0.5,
        "yes": True,
        "none": None,
        "tags": ["a", "b"],
        "pages": [1, 2],
        "empty": [],
        "nested": {"deep": [{"er": 1}]},
        "large": 1 << 70,
        "_mine": "x",
        "page_content": "not the text",
        "metadata": {"not": "the rest"},
        "moment": datetime(2024, 5, 1, tzinfo=timezone.utc),
        "": "no name",
    }
    store.add_documents([Document(page_content="abc", metadata=metadata, id="one")])
    assert store.get_by_ids(["one", "other"]) == [Document(page_content="abc", metadata=metadata, id="one")]
    assert ids(store.similarity_search("a", filter={"pages": {"$contains": 2}})) == ["one"]
    assert ids(store.similarity_search("a", filter={"moment": {"$lt": datetime(2025, 1, 1)}})) == ["one"]
    store.close()


def test_numbers_of_numpy_are_numbers(place: dict[str, Any], name: str) -> None:
    import numpy as np

    store = RagstoneVectorStore(Letters(), name, **place)
    given = {
        "year": np.int64(2024),
        "share": np.float32(0.5),
        "yes": np.bool_(True),
        "pages": np.array([1, 2], dtype=np.uint8),
        "nested": {"counts": [np.int32(3), (np.float64(0.25),)]},
    }
    expected = {"year": 2024, "share": 0.5, "yes": True, "pages": [1, 2], "nested": {"counts": [3, [0.25]]}}
    store.add_texts(["abc"], [given], ids=["one"])
    [document] = store.get_by_ids(["one"])
    assert document.metadata == expected
    assert {type(document.metadata[field]) for field in ("year", "share", "yes")} == {int, float, bool}
    for filter in ({"year": np.int64(2024)}, {"share": {"$gt": np.float64(0.25)}}, {"yes": np.bool_(True)}):
        assert ids(store.similarity_search("a", filter=filter)) == ["one"]
    store.close()


def test_a_field_has_one_type_of_which_ints_and_floats_are_one(
    store: RagstoneVectorStore, place: dict[str, Any]
) -> None:
    other = RagstoneVectorStore(Letters(), store._twins.name, **place)
    other.add_texts(["more"], [{"rate": 7, "year": 2030.0}], ids=["more"])
    assert ids(other.similarity_search("a", filter={"rate": 7, "year": 2030})) == ["more"]
    with pytest.raises(ragstone.PayloadFieldType) as wrong:
        other.add_texts(["more"], [{"year": "MMXXX"}])
    assert "year" in (wrong.value.field or "")
    other.close()


def test_batches_ids_and_removal(place: dict[str, Any], name: str) -> None:
    store = RagstoneVectorStore(Letters(), name, **place, batch_size=2)
    given = store.add_texts(["a", "b", "c"], ids=["x", None, None])
    assert given[0] == "x"
    assert len(set(given)) == 3
    assert len(store.get_by_ids(given)) == 3
    with pytest.raises(ValueError, match="3 texts and 1 ids"):
        store.add_texts(["a", "b", "c"], ids=["x"])
    with pytest.raises(ValueError, match="1 texts and 2 metadatas"):
        store.add_texts(["a"], [{}, {}])
    assert store.delete([]) is True
    assert len(store.similarity_search("a")) == 3
    assert store.delete(filter={"nobody": 1}) is True
    assert len(store.similarity_search("a")) == 3
    with pytest.raises(ValueError, match="either ids or a filter"):
        store.delete(["x"], filter={})
    assert store.delete() is True
    assert store.similarity_search("a") == []
    store.close()


async def test_langchain_s_index_keeps_it_in_step(place: dict[str, Any], name: str) -> None:
    """It says how many texts are one batch, and that was taken for an option of the client's."""
    store = RagstoneVectorStore(Letters(), name, **place)
    records = InMemoryRecordManager(name)
    records.create_schema()
    documents = [Document(page_content=text, metadata={"source": text}) for text in ("a", "b", "c")]
    how: dict[str, Any] = {"cleanup": "full", "source_id_key": "source", "batch_size": 2, "key_encoder": "sha256"}
    assert index(documents, records, store, **how)["num_added"] == 3
    done = await aindex(documents[1:], records, store, **how)
    assert (done["num_skipped"], done["num_deleted"]) == (2, 1)
    assert sorted(one.page_content for one in store.similarity_search("a")) == ["b", "c"]
    with pytest.raises(ValueError, match="`batch_size` is at least 1"):
        store.add_texts(["a"], batch_size=0)
    await store.aclose()


async def test_what_is_awaited_uses_no_thread(
    store: RagstoneVectorStore, monkeypatch: pytest.MonkeyPatch, place: dict[str, Any]
) -> None:
    def refused(*_: object) -> None:
        raise AssertionError("a thread was asked for")

    awaited = [name for name, _ in inspect.getmembers(VectorStore, inspect.iscoroutinefunction)]
    inherited = {"aadd_documents", "asearch", "asimilarity_search_with_relevance_scores", "afrom_documents"}
    assert {name for name in awaited if name not in vars(RagstoneVectorStore)} <= inherited
    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refused)
    assert len(await store.asimilarity_search("a", 2)) == 2
    assert await store.aadd_documents([Document(page_content="a", id="new")]) == ["new"]
    assert len(await store.asimilarity_search_by_vector([1.0, 0.0, 0.0, 0.0])) == 4
    assert len(await store.amax_marginal_relevance_search_by_vector([1.0, 0.0, 0.0, 0.0], 2)) == 2
    assert await store.adelete(filter=F.lang == "en") is True
    assert len(await store.aget_by_ids([*IDS, "new"])) == 3
    other = await RagstoneVectorStore.afrom_texts(["a"], Letters(), collection=f"{store._twins.name[-100:]}-2", **place)
    assert len(await other.asimilarity_search("a")) == 1
    await other.aclose()
    await store.aclose()


def test_connections(client: ragstone.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="either `url`"):
        RagstoneVectorStore(Letters(), url="http://host:1", path=tmp_path)
    with pytest.raises(ValueError, match="a client is given"):
        RagstoneVectorStore(Letters(), client=client, api_key="x")
    store = RagstoneVectorStore(Letters(), "of-a-client", client=client)
    store.add_texts(["a"])
    store.close()
    client.ping()
    assert store.client is client
    with pytest.raises(ValueError, match="needs a `async_client`"):
        _ = store.async_client
    opened: list[Any] = []

    def open_directory(path: Path, **options: Any) -> ragstone.Client:
        opened.append((path, options))
        return client

    monkeypatch.setattr(ragstone, "open", open_directory)
    assert RagstoneVectorStore(Letters(), path=tmp_path, threads=2).client is client
    assert opened == [(tmp_path, {"threads": 2})]


def test_passages_of_ingested_documents(client: ragstone.Client) -> None:
    papers = client.create_collection("passages", exist_ok=True)
    papers.ingest_document("lease.md", "# Lease\n\nThe lease ends on 31 May.", metadata={"year": 2024})
    papers.ingest_document("bread.md", "# Bread\n\nFlour and time.", metadata={"year": 2019})
    retriever = RagstoneRetriever(collection="passages", client=client, mode="text")
    [found] = retriever.invoke("lease")
    assert (found.id, found.page_content) == ("lease.md#0", "# Lease\n\nThe lease ends on 31 May.")
    assert {**found.metadata, "score": 0} == {
        "document": "lease.md",
        "heading": "Lease",
        "start": 0,
        "end": 34,
        "score": 0,
    }
    for filter in ({"year": {"$lt": 2020}}, F.year < 2020, "year < 2020"):
        assert [one.id for one in retriever.invoke("time", mode="hybrid", filter=filter)] == ["bread.md#0"]
    with pytest.raises(ragstone.CollectionNotFound):
        RagstoneRetriever(collection="nowhere", client=client).invoke("lease")


def test_a_retriever_asks_once_which_fields_there_are(
    client: ragstone.Client, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    papers = client.create_collection(name)
    papers.ingest_document("lease.md", "The lease ends on 31 May.", metadata={"year": 2024})
    asked: list[str] = []
    info = ragstone.Collection.info

    def counted(collection: ragstone.Collection) -> ragstone.CollectionInfo:
        asked.append(collection.name)
        return info(collection)

    monkeypatch.setattr(ragstone.Collection, "info", counted)
    retriever = RagstoneRetriever(collection=name, client=client, mode="text")
    for year in (2024, 2024, 2019):
        assert len(retriever.invoke("lease", filter={"year": year})) == (year == 2024)
    assert asked == [name]
    # A field that is not known may have come meanwhile.
    papers.ingest_document("bread.md", "The lease of bread.", metadata={"kind": "food"})
    assert [one.id for one in retriever.invoke("lease", filter={"kind": "food"})] == ["bread.md#0"]
    assert asked == [name, name]
