"""The store, blocking and awaited, beside LlamaIndex's own: what that finds, this finds."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import ragstone
from conftest import Awaited
from llama_index.core import MockEmbedding, StorageContext, VectorStoreIndex
from llama_index.core.schema import (
    BaseNode,
    Document,
    ImageNode,
    IndexNode,
    NodeRelationship,
    RelatedNodeInfo,
    TextNode,
)
from llama_index.core.vector_stores import SimpleVectorStore
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
)

from llama_index.vector_stores.ragstone import RagstoneVectorStore, Schema
from llama_index.vector_stores.ragstone.nodes import node, points
from llama_index.vector_stores.ragstone.steps import StoreSteps

VECTORS = {"a": [1.0, 0.0, 0.0], "b": [0.9, 0.1, 0.0], "c": [0.0, 1.0, 0.0], "d": [0.0, 0.3, 1.0]}
ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "a": ("The lease ends on 31 May.", {"rank": "one", "weight": 1.0, "tags": ["old", "house"], "pages": [1, 2]}),
    "b": ("Leases are signed twice.", {"rank": "two", "weight": 2.5, "tags": ["house"], "empty": ""}),
    "c": ("Bread needs flour and time.", {"rank": "Two", "weight": 3, "note": "needs salt"}),
    "d": ("The rent is due in May.", {"weight": 4.0, "year": 2024}),
}
EVERY = list(ROWS)


def nodes() -> list[TextNode]:
    made = []
    for id, (text, metadata) in ROWS.items():
        document = "house" if id in "ab" else "other"
        relationships = {NodeRelationship.SOURCE: RelatedNodeInfo(node_id=document)}
        made.append(
            TextNode(id_=id, text=text, embedding=VECTORS[id], metadata=dict(metadata), relationships=relationships)
        )
    return made


@pytest.fixture(params=["sync", "async"])
async def store(request: pytest.FixtureRequest, place: dict[str, Any], name: str) -> Any:
    made = RagstoneVectorStore(name, **place)
    store = made if request.param == "async" else Awaited(made)
    assert await store.async_add(nodes()) == EVERY
    yield store
    await made.aclose()


async def found(store: Any, filters: MetadataFilters | None = None, **options: Any) -> list[str]:
    query = VectorStoreQuery(query_embedding=[1.0, 0.05, 0.0], similarity_top_k=10, filters=filters, **options)
    result = await store.aquery(query)
    assert [node.node_id for node in result.nodes] == result.ids
    assert len(result.similarities) == len(result.ids)
    return list(result.ids)


def filters_of(*filters: Any, condition: FilterCondition = FilterCondition.AND) -> MetadataFilters:
    made = [
        one if isinstance(one, MetadataFilters) else MetadataFilter(key=one[0], operator=one[1], value=one[2])
        for one in filters
    ]
    return MetadataFilters(filters=made, condition=condition)


COMPARISONS: list[tuple[str, str, Any]] = [
    ("rank", "==", "two"),
    ("rank", "==", "none"),
    ("weight", "==", 3),
    ("weight", "==", 2.5),
    ("nobody", "==", "x"),
    ("rank", "!=", "two"),
    ("weight", "!=", 1),
    ("nobody", "!=", "x"),
    ("weight", ">", 2),
    ("weight", ">", 3),
    ("weight", ">=", 3),
    ("weight", "<", 2.5),
    ("weight", "<=", 2.5),
    ("year", ">", 2023.5),
    ("year", "<", 2024),
    ("nobody", ">", 1),
    ("rank", ">", "one"),
    ("rank", "in", ["one", "Two"]),
    ("weight", "in", [1, 4]),
    ("rank", "nin", ["one", "Two"]),
    ("nobody", "in", ["x"]),
    ("nobody", "nin", ["x"]),
    ("tags", "any", ["old", "new"]),
    ("tags", "any", ["new"]),
    ("tags", "all", ["old", "house"]),
    ("tags", "all", ["house"]),
    ("rank", "any", ["ne", "zzz"]),
    ("note", "all", ["needs", "salt"]),
    ("tags", "contains", "house"),
    ("pages", "contains", 2),
    ("note", "contains", "salt"),
    ("rank", "text_match", "wo"),
    ("rank", "text_match", "Tw"),
    ("rank", "text_match_insensitive", "tW"),
    ("nobody", "text_match", "x"),
    ("rank", "is_empty", None),
    ("empty", "is_empty", None),
    ("tags", "is_empty", None),
    ("nobody", "is_empty", None),
]


def test_every_operator_is_compared() -> None:
    assert {operator for _, operator, _ in COMPARISONS} == {operator.value for operator in FilterOperator}


async def test_filters_find_what_those_of_the_simple_store_find(store: Any) -> None:
    simple = SimpleVectorStore()
    simple.add(nodes())
    differing = []
    for comparison in COMPARISONS:
        for condition in FilterCondition:
            for filters in ([comparison], [comparison, ("weight", "<", 3)]):
                asked = filters_of(*filters, condition=condition)
                expected = await found(Simple(simple), asked)
                if await found(store, asked) != expected:
                    differing.append((asked, expected, await found(store, asked)))
    assert differing == []


class Simple:
    """LlamaIndex's store, with the nodes that it found."""

    def __init__(self, store: SimpleVectorStore) -> None:
        self.store = store

    async def aquery(self, query: VectorStoreQuery) -> Any:
        result = self.store.query(query)
        result.nodes = [TextNode(id_=id) for id in result.ids or []]
        return result


async def test_conditions_nest(store: Any) -> None:
    either = filters_of(("rank", "==", "one"), ("rank", "==", "two"), condition=FilterCondition.OR)
    assert await found(store, filters_of(either, ("weight", ">", 1))) == ["b"]
    neither = MetadataFilters(filters=[either], condition=FilterCondition.NOT)
    assert await found(store, neither) == ["c", "d"]
    deep = filters_of(filters_of(neither, ("weight", ">", 3)), ("rank", "==", "one"), condition=FilterCondition.OR)
    assert await found(store, deep) == ["a", "d"]
    assert await found(store, MetadataFilters(filters=[], condition=FilterCondition.OR)) == EVERY


async def test_filters_on_text_and_on_documents(store: Any) -> None:
    assert await found(store, filters_of(("text", "text_match", "lease"))) == ["a", "b"]
    for name in ("ref_doc_id", "doc_id", "document_id"):
        assert await found(store, filters_of((name, "==", "house"))) == ["a", "b"]
    assert await found(store, doc_ids=["other"]) == ["c", "d"]
    assert await found(store, node_ids=["d", "a", "nobody"]) == ["a", "d"]
    assert await found(store, filters_of(("weight", ">", 1)), node_ids=["d", "a"], doc_ids=["other"]) == ["d"]


@pytest.mark.parametrize(
    ("comparison", "error"),
    [
        (("rank", "==", ["one"]), ValueError),
        (("weight", "text_match", "1"), TypeError),
        (("rank", "text_match", 1), TypeError),
    ],
)
async def test_filters_that_mean_nothing(store: Any, comparison: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=comparison[0]):
        await found(store, filters_of(comparison))


async def test_modes(store: Any) -> None:
    assert await found(store) == EVERY
    assert sorted(await found(store, query_str="lease", mode=VectorStoreQueryMode.TEXT_SEARCH)) == ["a", "b"]
    assert await found(store, query_str="flour", mode=VectorStoreQueryMode.SPARSE, sparse_top_k=1) == ["c"]
    hybrid: dict[str, Any] = {"query_str": "bread", "mode": VectorStoreQueryMode.HYBRID}
    assert (await found(store, alpha=0.1, **hybrid))[0] == "c"
    assert (await found(store, alpha=1.0, **hybrid))[0] == "a"
    assert await found(store, hybrid_top_k=2, alpha=0.4, **hybrid) == ["c", "a"]
    semantic = await found(store, query_str="bread", mode=VectorStoreQueryMode.SEMANTIC_HYBRID)
    assert semantic == EVERY
    with pytest.raises(ValueError, match="no mode svm"):
        await found(store, mode=VectorStoreQueryMode.SVM)
    with pytest.raises(ValueError, match="needs a `query_str`"):
        await found(store, mode=VectorStoreQueryMode.HYBRID)
    with pytest.raises(ValueError, match="needs a `query_embedding`"):
        await store.aquery(VectorStoreQuery())


async def test_marginal_relevance_is_that_of_the_simple_store(store: Any) -> None:
    simple = SimpleVectorStore()
    simple.add(nodes())
    for threshold in (0.1, 0.5, 0.9):
        query = VectorStoreQuery(query_embedding=[1.0, 0.2, 0.1], similarity_top_k=3, mode=VectorStoreQueryMode.MMR)
        expected = simple.query(query, mmr_threshold=threshold)
        result = await store.aquery(query, mmr_threshold=threshold)
        assert result.ids == expected.ids
        assert result.similarities == pytest.approx(expected.similarities, abs=1e-3)
    query.mmr_threshold, query.similarity_top_k = 0.1, 2
    assert (await store.aquery(query)).ids != ["a", "b"]
    spread = await store.aquery(query, mmr_prefetch_k=2)
    assert sorted(spread.ids) == ["a", "b"]
    assert [type(similarity) for similarity in spread.similarities] == [float, float]


async def test_similarities(store: Any, place: dict[str, Any], name: str) -> None:
    query = VectorStoreQuery(query_embedding=[1.0, 0.0, 0.0], similarity_top_k=2)
    result = await store.aquery(query)
    assert result.similarities[0] == pytest.approx(1.0, abs=1e-3)
    far = RagstoneVectorStore(f"l2-{name}"[:128], **place, schema=Schema(metric="l2"))
    await far.async_add(nodes())
    result = await far.aquery(query)
    assert result.ids == ["a", "b"]
    assert result.similarities == pytest.approx([1.0, 1.0 / (1.0 + 0.02**0.5)], abs=1e-3)
    # These were distances: the farther a node, the more similar it was said to be.
    semantic = replace(query, query_str="bread", mode=VectorStoreQueryMode.SEMANTIC_HYBRID)
    assert (await far.aquery(semantic)).similarities == pytest.approx(result.similarities, abs=1e-3)
    await far.aclose()


async def test_nodes_come_back_as_they_were(store: Any) -> None:
    whole = TextNode(
        id_="whole",
        text="All of it.",
        embedding=[0.0, 0.0, 1.0],
        metadata={"none": None, "nested": {"a": [1, {"b": 2}]}, "text": "not it", "large": 1 << 70, "_mine": "x"},
        excluded_embed_metadata_keys=["none"],
        start_char_idx=3,
        end_char_idx=9,
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(node_id="document", metadata={"kind": "a"}),
            NodeRelationship.PREVIOUS: RelatedNodeInfo(node_id="before"),
            NodeRelationship.NEXT: RelatedNodeInfo(node_id="after"),
            NodeRelationship.CHILD: [RelatedNodeInfo(node_id="one"), RelatedNodeInfo(node_id="two")],
        },
    )
    index = IndexNode(id_="index", text="points", index_id="elsewhere", embedding=[0.0, 0.0, 1.0])
    image = ImageNode(id_="image", text="a lease", image_url="http://host/lease.png", embedding=[0.0, 0.0, 1.0])
    stored: list[BaseNode] = [whole, index, image]
    await store.async_add(stored)
    read = await store.aget_nodes(["whole", "index", "image", "nobody"])
    for one, other in zip(read, stored, strict=True):
        expected = other.model_dump()
        expected["embedding"] = None
        assert type(one) is type(other)
        assert one.model_dump() == expected
    assert whole.embedding is not None
    assert whole.metadata["text"] == "not it"


async def test_reading_and_removing(store: Any) -> None:
    def ids(read: list[BaseNode]) -> list[str]:
        return [one.node_id for one in read]

    assert sorted(ids(await store.aget_nodes())) == EVERY
    assert ids(await store.aget_nodes(["d", "a"])) == ["d", "a"]
    heavy = filters_of(("weight", ">=", 2.5))
    assert sorted(ids(await store.aget_nodes(None, heavy))) == ["b", "c", "d"]
    assert ids(await store.aget_nodes(["a", "b"], heavy)) == ["b"]
    await store.adelete_nodes(["a", "b"], heavy)
    assert sorted(ids(await store.aget_nodes())) == ["a", "c", "d"]
    await store.adelete_nodes(None, filters_of(("rank", "==", "Two")))
    await store.adelete_nodes([])
    assert sorted(ids(await store.aget_nodes())) == ["a", "d"]
    await store.adelete("house")
    await store.adelete("nobody")
    assert sorted(ids(await store.aget_nodes())) == ["d"]
    with pytest.raises(ValueError, match="either node_ids or filters"):
        await store.adelete_nodes()
    changed = TextNode(id_="d", text="Changed.", embedding=[1.0, 0.0, 0.0])
    await store.async_add([changed])
    assert [one.get_content() for one in await store.aget_nodes()] == ["Changed."]
    await store.adelete_nodes(["d"])
    assert await found(store) == []
    await store.async_add(nodes())
    await store.aclear()
    assert await store.aget_nodes() == []


async def test_many_nodes_come_in_batches_and_pages(place: dict[str, Any], name: str) -> None:
    store = RagstoneVectorStore(name, **place, batch_size=300)
    many = [TextNode(id_=f"{number:04}", text=str(number), embedding=[1.0, number / 100]) for number in range(1_201)]
    assert len(store.add(many)) == 1_201
    assert sorted(one.node_id for one in store.get_nodes()) == [one.node_id for one in many]
    # Of 10,001 ids a filter was made, which has 10,000 values at most.
    store.delete_nodes([f"{number:05}" for number in range(10_000)] + [one.node_id for one in many[1:]])
    assert [one.node_id for one in store.get_nodes()] == [many[0].node_id]
    await store.adelete_nodes([many[0].node_id])
    assert await store.aget_nodes() == []
    await store.aclose()


def test_dates_come_back_as_the_texts_that_llamaindex_writes() -> None:
    made = TextNode(id_="a", text="x", embedding=[1.0], metadata={"day": date(2024, 5, 1), "deep": {"a": [1, None]}})
    assert node(points([made], {})[0]).metadata == {"day": "2024-05-01", "deep": {"a": [1, None]}}


def test_ids_to_remove_may_be_a_set_and_are_no_text() -> None:
    """Once they were sent in parts, a set had none."""

    class Asked:
        def delete(self, ids: list[str], **_options: Any) -> None:
            removed.append(sorted(ids))

    removed: list[list[str]] = []
    some: Any
    for some in ({"a", "b"}, {"a": 1, "b": 2}.keys(), ("a", "b")):
        for step in StoreSteps(Schema()).delete_nodes(some, None, {}):
            step(Asked())
    assert removed == [["a", "b"]] * 3
    for wanted in (None, MetadataFilters(filters=[])):
        with pytest.raises(TypeError, match="`node_ids` is a list, and not one text"):
            list(StoreSteps(Schema()).delete_nodes("ab", wanted, {}))


async def test_a_collection_that_is_not_there_is_empty(place: dict[str, Any], name: str) -> None:
    for store in (RagstoneVectorStore(name, **place), Awaited(RagstoneVectorStore(name, **place))):
        assert await found(store) == []
        assert await found(store, filters_of(("rank", "==", "one"))) == []
        assert await store.aget_nodes(["a"]) == []
        assert await store.async_add([]) == []
        await store.adelete("house")
        await store.adelete_nodes(["a"])
        await store.aclear()
        await store.aclose()


async def test_what_is_awaited_uses_no_thread(
    place: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    awaited = {name for name, _ in inspect.getmembers(BasePydanticVectorStore, inspect.iscoroutinefunction)}
    assert awaited <= vars(RagstoneVectorStore).keys()

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("what blocks was asked for")

    monkeypatch.setattr(ragstone, "connect", refused)
    monkeypatch.setattr(ragstone, "open", refused)
    monkeypatch.setattr(asyncio.get_running_loop(), "run_in_executor", refused)
    store = RagstoneVectorStore(name, **place)
    await store.async_add(nodes())
    assert await found(store, filters_of(("rank", "text_match", "o"))) == ["a", "b", "c"]
    await store.aclose()


async def test_an_index_over_it(place: dict[str, Any], name: str) -> None:
    store = RagstoneVectorStore(name, **place)
    context = StorageContext.from_defaults(vector_store=store)
    documents = [Document(text=text, id_=id, metadata={"kind": id}) for id, (text, _) in ROWS.items()]
    index = VectorStoreIndex.from_documents(documents, storage_context=context, embed_model=MockEmbedding(8))
    again = VectorStoreIndex.from_vector_store(store, embed_model=MockEmbedding(8))
    for one in (index, again):
        retriever = one.as_retriever(
            similarity_top_k=1, vector_store_query_mode="text_search", filters=filters_of(("kind", "!=", "b"))
        )
        [hit] = await retriever.aretrieve("When does the lease end?")
        assert (hit.node.ref_doc_id, hit.get_content()) == ("a", ROWS["a"][0])
        assert hit.score is not None
    index.delete_ref_doc("a")
    assert again.as_retriever(vector_store_query_mode="text_search").retrieve("31") == []
    await store.aclose()


def test_saving_and_connections(client: ragstone.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = "http://host:1"
    store = RagstoneVectorStore("saved", url=url, api_key="secret", batch_size=7)
    saved = store.to_dict()
    assert "secret" not in str(saved)
    again = RagstoneVectorStore.from_dict(saved)
    assert (again.collection, again.url, again.batch_size) == ("saved", url, 7)
    with pytest.raises(ValueError, match="either `url`"):
        RagstoneVectorStore(url=url, path=str(tmp_path))
    given = RagstoneVectorStore(client=client)
    given.close()
    assert given.client is client
    client.ping()
    with pytest.raises(ValueError, match="needs a `async_client`"):
        _ = given.async_client
    monkeypatch.setattr(ragstone, "open", lambda path: client if path == str(tmp_path) else None)
    assert RagstoneVectorStore(path=str(tmp_path)).client is client
