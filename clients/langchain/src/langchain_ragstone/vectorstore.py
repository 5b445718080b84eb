"""The vector store: texts with vectors that an embedding model of LangChain's makes.

Every method is there twice, blocking and awaited, and each of the two uses the client of its kind: nothing runs in a thread that waits. What a
method asks of the collection is written once, in `steps`; here is which vectors it is asked with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from typing import Any

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import VectorStore
from ragstone import Client, Hit
from ragstone.aio import AsyncClient
from ragstone.frameworks import Schema, Twins
from typing_extensions import Self

from langchain_ragstone.documents import document, metadata_of_each, new_ids
from langchain_ragstone.filters import FilterLike
from langchain_ragstone.relevance import spread
from langchain_ragstone.steps import Mode, Question, StoreSteps


class RagstoneVectorStore(VectorStore):
    """Texts in a collection of Ragstone's, found by meaning, by word, by both and by filter.

    The collection is made with the first text that is added, in the dimension of its vector; until then nothing is found. One that is there
    already is used as it is: hybrid and text searches need its field `page_content` to be searched by word.

    Args:
        embedding: Makes vectors of texts and questions.
        collection: The collection's name.
        url: The server's address; `http://127.0.0.1:6733` if neither this nor `path` nor a client is given.
        path: A directory that this process opens without a server (`pip install ./clients/embedded` in a clone of the project).
        client: A client that is there already, for what blocks; it is not closed.
        async_client: Likewise, for what is awaited.
        mode: How texts are found unless a search says otherwise: by `dense` vectors, by the words of their `text`, or `hybrid`, by both.
        schema: How the collection is made: metric, analyser, types of fields.
        batch_size: How many texts are embedded and stored at once. Each batch is stored whole or not at all.
        relevance_score_fn: Makes a relevance from 0 to 1 of a score; by default the one of the metric (see `langchain_ragstone.relevance`).
        options: Of `ragstone.connect` or `ragstone.open`, such as `api_key` and `timeout`.

    Filters are dicts (`{"year": {"$gte": 2020}}`), Ragstone's expressions (`F.year >= 2020`) or their texts (`'year >= 2020'`).
    """

    def __init__(
        self,
        embedding: Embeddings,
        collection: str = "langchain",
        *,
        url: str | None = None,
        path: str | PathLike[str] | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        mode: Mode = "dense",
        schema: Schema | None = None,
        batch_size: int = 500,
        relevance_score_fn: Callable[[float], float] | None = None,
        **options: Any,
    ) -> None:
        """Asks nothing of the server yet."""
        self._twins = Twins(collection, url=url, path=path, client=client, async_client=async_client, options=options)
        self._embedding = embedding
        self._schema = schema or Schema()
        self._steps = StoreSteps(self._schema)
        self._mode: Mode = mode
        self._batch_size = batch_size
        self._relevance_score_fn = relevance_score_fn

    @property
    def embeddings(self) -> Embeddings:
        """What makes the vectors."""
        return self._embedding

    @property
    def client(self) -> Client:
        """The client that blocks, for what LangChain has no words for."""
        return self._twins.client

    @property
    def async_client(self) -> AsyncClient:
        """The client that is awaited."""
        return self._twins.async_client

    def close(self) -> None:
        """Closes the connection of what blocks."""
        self._twins.close()

    async def aclose(self) -> None:
        """Closes both connections."""
        await self._twins.aclose()

    # Writing

    def add_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> list[str]:
        """Embeds texts and stores them, durably; one whose id is there already takes its place. Returns the ids.

        `batch_size` is the store's unless it is given, as LangChain's `index` does.
        """
        stored: list[str] = []
        for rows in self._batches(texts, metadatas, ids, batch_size):
            vectors = self._embedding.embed_documents([text for _, text, _ in rows])
            stored += self._twins.run(self._steps.add(rows, vectors, options))
        return stored

    async def aadd_texts(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        batch_size: int | None = None,
        **options: Any,
    ) -> list[str]:
        """`add_texts`, awaited."""
        stored: list[str] = []
        for rows in self._batches(texts, metadatas, ids, batch_size):
            vectors = await self._embedding.aembed_documents([text for _, text, _ in rows])
            stored += await self._twins.arun(self._steps.add(rows, vectors, options))
        return stored

    def _batches(
        self,
        texts: Iterable[str],
        metadatas: list[dict[str, Any]] | None,
        ids: Sequence[str | None] | None,
        batch_size: int | None,
    ) -> Iterable[list[tuple[str, str, Any]]]:
        all_texts = list(texts)
        count, size = len(all_texts), self._batch_size if batch_size is None else batch_size
        if size < 1:
            raise ValueError(f"`batch_size` is at least 1, and this one is {size}")
        rows = list(zip(new_ids(ids, count), all_texts, metadata_of_each(metadatas, count), strict=True))
        return [rows[start : start + size] for start in range(0, count, size)]

    def delete(self, ids: list[str] | None = None, *, filter: FilterLike = None, **options: Any) -> bool:
        """Removes texts by id or by filter, and all of them if neither is given. Ids that there are not are passed over."""
        return self._twins.run(self._steps.delete(ids, filter, options))

    async def adelete(self, ids: list[str] | None = None, *, filter: FilterLike = None, **options: Any) -> bool:
        """`delete`, awaited."""
        return await self._twins.arun(self._steps.delete(ids, filter, options))

    def delete_collection(self) -> None:
        """Removes the collection and all that it holds."""
        self._twins.client.delete_collection(self._twins.name, missing_ok=True)
        self._steps.forget()

    async def adelete_collection(self) -> None:
        """`delete_collection`, awaited."""
        await self._twins.async_client.delete_collection(self._twins.name, missing_ok=True)
        self._steps.forget()

    # Reading

    def get_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """The documents that there are, in the order of their ids."""
        return self._twins.run(self._steps.get(ids))

    async def aget_by_ids(self, ids: Sequence[str], /) -> list[Document]:
        """`get_by_ids`, awaited."""
        return await self._twins.arun(self._steps.get(ids))

    def similarity_search(
        self, query: str, k: int = 4, filter: FilterLike = None, mode: Mode | None = None, **options: Any
    ) -> list[Document]:
        """The `k` documents that are found for a question, best first. `options` are those of `ragstone.Collection.search` or `.hybrid`."""
        return [one for one, _ in self.similarity_search_with_score(query, k, filter, mode, **options)]

    async def asimilarity_search(
        self, query: str, k: int = 4, filter: FilterLike = None, mode: Mode | None = None, **options: Any
    ) -> list[Document]:
        """`similarity_search`, awaited."""
        return [one for one, _ in await self.asimilarity_search_with_score(query, k, filter, mode, **options)]

    def similarity_search_with_score(
        self, query: str, k: int = 4, filter: FilterLike = None, mode: Mode | None = None, **options: Any
    ) -> list[tuple[Document, float]]:
        """With scores: of `dense` the metric's (of `l2` the distance, which is less the nearer), of `text` BM25, of `hybrid` a sum by ranks."""
        question = Question(query, None, k, mode or self._mode, filter, options)
        if question.mode != "text":
            question.vector = self._embedding.embed_query(query)
        return scored(self._twins.run(self._steps.search(question)))

    async def asimilarity_search_with_score(
        self, query: str, k: int = 4, filter: FilterLike = None, mode: Mode | None = None, **options: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score`, awaited."""
        question = Question(query, None, k, mode or self._mode, filter, options)
        if question.mode != "text":
            question.vector = await self._embedding.aembed_query(query)
        return scored(await self._twins.arun(self._steps.search(question)))

    def similarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: FilterLike = None, **options: Any
    ) -> list[Document]:
        """The `k` documents nearest to a vector."""
        return [one for one, _ in self.similarity_search_with_score_by_vector(embedding, k, filter, **options)]

    async def asimilarity_search_by_vector(
        self, embedding: list[float], k: int = 4, filter: FilterLike = None, **options: Any
    ) -> list[Document]:
        """`similarity_search_by_vector`, awaited."""
        found = await self.asimilarity_search_with_score_by_vector(embedding, k, filter, **options)
        return [one for one, _ in found]

    def similarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: FilterLike = None, **options: Any
    ) -> list[tuple[Document, float]]:
        """The `k` documents nearest to a vector, with the metric's scores."""
        question = Question("", embedding, k, "dense", filter, options)
        return scored(self._twins.run(self._steps.search(question)))

    async def asimilarity_search_with_score_by_vector(
        self, embedding: list[float], k: int = 4, filter: FilterLike = None, **options: Any
    ) -> list[tuple[Document, float]]:
        """`similarity_search_with_score_by_vector`, awaited."""
        question = Question("", embedding, k, "dense", filter, options)
        return scored(await self._twins.arun(self._steps.search(question)))

    def _select_relevance_score_fn(self) -> Callable[[float], float]:
        """Of scores of vectors; those of words and of ranks have no scale."""
        return self._relevance_score_fn or self._twins.run(self._steps.relevance())

    def _similarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[Document, float]]:
        self._refuse_without_scale(options.setdefault("mode", "dense"))
        relevance = self._select_relevance_score_fn()
        found = self.similarity_search_with_score(query, k, **options)
        return [(one, relevance(score)) for one, score in found]

    async def _asimilarity_search_with_relevance_scores(
        self, query: str, k: int = 4, **options: Any
    ) -> list[tuple[Document, float]]:
        self._refuse_without_scale(options.setdefault("mode", "dense"))
        relevance = self._relevance_score_fn
        if relevance is None:
            relevance = await self._twins.arun(self._steps.relevance())
        found = await self.asimilarity_search_with_score(query, k, **options)
        return [(one, relevance(score)) for one, score in found]

    def _refuse_without_scale(self, mode: str) -> None:
        if mode != "dense" and self._relevance_score_fn is None:
            raise ValueError(f"scores of the mode `{mode}` have no scale from 0 to 1 without a `relevance_score_fn`")

    def max_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: FilterLike = None,
        mode: Mode | None = None,
        **options: Any,
    ) -> list[Document]:
        """`k` of the `fetch_k` best documents that are near the question and unlike each other: `lambda_mult` is 1 for the former alone, 0 for the latter."""
        question = Question(query, self._embedding.embed_query(query), fetch_k, mode or self._mode, filter, options)
        return chosen(question, self._twins.run(self._steps.search(question.with_vectors())), k, lambda_mult)

    async def amax_marginal_relevance_search(
        self,
        query: str,
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: FilterLike = None,
        mode: Mode | None = None,
        **options: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search`, awaited."""
        vector = await self._embedding.aembed_query(query)
        question = Question(query, vector, fetch_k, mode or self._mode, filter, options)
        return chosen(question, await self._twins.arun(self._steps.search(question.with_vectors())), k, lambda_mult)

    def max_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: FilterLike = None,
        **options: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search` for a vector."""
        question = Question("", embedding, fetch_k, "dense", filter, options)
        return chosen(question, self._twins.run(self._steps.search(question.with_vectors())), k, lambda_mult)

    async def amax_marginal_relevance_search_by_vector(
        self,
        embedding: list[float],
        k: int = 4,
        fetch_k: int = 20,
        lambda_mult: float = 0.5,
        filter: FilterLike = None,
        **options: Any,
    ) -> list[Document]:
        """`max_marginal_relevance_search_by_vector`, awaited."""
        question = Question("", embedding, fetch_k, "dense", filter, options)
        return chosen(question, await self._twins.arun(self._steps.search(question.with_vectors())), k, lambda_mult)

    # Making

    @classmethod
    def from_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,
    ) -> Self:
        """A store, made with `options` as by its constructor, and texts in it."""
        store = cls(embedding, **options)
        store.add_texts(texts, metadatas, ids=ids)
        return store

    @classmethod
    async def afrom_texts(
        cls,
        texts: list[str],
        embedding: Embeddings,
        metadatas: list[dict[str, Any]] | None = None,
        *,
        ids: Sequence[str | None] | None = None,
        **options: Any,
    ) -> Self:
        """`from_texts`, awaited."""
        store = cls(embedding, **options)
        await store.aadd_texts(texts, metadatas, ids=ids)
        return store


def scored(hits: Sequence[Hit]) -> list[tuple[Document, float]]:
    """Documents with their scores."""
    return [(document(hit), hit.score or 0.0) for hit in hits]


def chosen(question: Question, hits: Sequence[Hit], k: int, weight: float) -> list[Document]:
    """Those of the hits that are chosen for being near and unlike each other."""
    with_vectors = [hit for hit in hits if hit.vector is not None]
    places = spread(() if question.vector is None else question.vector, [hit.vector for hit in with_vectors], k, weight)
    return [document(with_vectors[place]) for place in places]
