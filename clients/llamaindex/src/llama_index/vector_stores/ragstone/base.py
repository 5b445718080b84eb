"""The vector store. Every method is there twice, blocking and awaited, and each of the two uses the client of its kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryResult,
)

from llama_index.vector_stores.ragstone.steps import StoreSteps
from ragstone import Client
from ragstone.aio import AsyncClient
from ragstone.frameworks import Schema, Twins


class RagstoneVectorStore(BasePydanticVectorStore):
    """Nodes in a collection of Ragstone's, found by meaning, by word, by both and by filter.

    The collection is made with the first node that is added, in the dimension of its embedding; until then nothing is found. One that is there already is
    used as it is: text and hybrid queries need its field `text` to be searched by word.

    Args:
        collection: The collection's name.
        url: The server's address; `http://127.0.0.1:6733` if neither this nor `path` nor a client is given.
        path: A directory that this process opens without a server (`pip install ./clients/embedded` in a clone of the project).
        client: A client that is there already, for what blocks; it is not closed.
        async_client: Likewise, for what is awaited.
        schema: How the collection is made: metric, analyser, types of fields.
        batch_size: How many nodes are stored at once. Each batch is stored whole or not at all.
        options: Of `ragstone.connect` or `ragstone.open`, such as `api_key` and `timeout`.

    Modes: `DEFAULT`; `TEXT_SEARCH` and `SPARSE`, by BM25; `HYBRID`, both fused by rank with `alpha`; `SEMANTIC_HYBRID`, found by both and ranked
    by nearness; `MMR` (`mmr_threshold`, `mmr_prefetch_factor`, `mmr_prefetch_k`).
    """

    stores_text: bool = True
    flat_metadata: bool = False

    collection: str
    url: str | None = None
    path: str | None = None
    batch_size: int = 1_000

    _twins: Twins = PrivateAttr()
    _steps: StoreSteps = PrivateAttr()

    def __init__(
        self,
        collection: str = "llama_index",
        *,
        url: str | None = None,
        path: str | None = None,
        client: Client | None = None,
        async_client: AsyncClient | None = None,
        schema: Schema | None = None,
        batch_size: int = 1_000,
        **options: Any,
    ) -> None:
        """Asks nothing of the server yet."""
        for name in ("class_name", "stores_text", "is_embedding_query", "flat_metadata"):
            options.pop(name, None)  # As `from_dict` has them.
        super().__init__(  # type: ignore[call-arg]  # pydantic's plugin is not LlamaIndex's users' to have
            collection=collection, url=url, path=None if path is None else str(path), batch_size=batch_size
        )
        self._twins = Twins(collection, url=url, path=path, client=client, async_client=async_client, options=options)
        self._steps = StoreSteps(schema or Schema())

    @classmethod
    def class_name(cls) -> str:
        """The name that it is saved under."""
        return "RagstoneVectorStore"

    @property
    def client(self) -> Client:
        """The client that blocks, for what LlamaIndex has no words for."""
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

    def add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        """Stores nodes with their embeddings, durably; one whose id is there already takes its place. Returns the ids."""
        return self._twins.run(self._steps.add(nodes, self.batch_size, options))

    async def async_add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        """`add`, awaited."""
        return await self._twins.arun(self._steps.add(nodes, self.batch_size, options))

    def delete(self, ref_doc_id: str, **options: Any) -> None:
        """Removes the nodes of a document."""
        self._twins.run(self._steps.delete_document(ref_doc_id, options))

    async def adelete(self, ref_doc_id: str, **options: Any) -> None:
        """`delete`, awaited."""
        await self._twins.arun(self._steps.delete_document(ref_doc_id, options))

    def delete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **options: Any
    ) -> None:
        """Removes nodes by id, by filter, or those of these ids that pass."""
        self._twins.run(self._steps.delete_nodes(node_ids, filters, options))

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **options: Any
    ) -> None:
        """`delete_nodes`, awaited."""
        await self._twins.arun(self._steps.delete_nodes(node_ids, filters, options))

    def clear(self) -> None:
        """Removes all nodes; the collection stays."""
        self._twins.run(self._steps.clear())

    async def aclear(self) -> None:
        """`clear`, awaited."""
        await self._twins.arun(self._steps.clear())

    def get_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None) -> list[BaseNode]:
        """Reads nodes by id, in that order; or those that pass; or all."""
        return self._twins.run(self._steps.get(node_ids, filters))

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:
        """`get_nodes`, awaited."""
        return await self._twins.arun(self._steps.get(node_ids, filters))

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """Finds nodes, best first. Similarities are the metric's (of `l2`: 1 / (1 + distance)), BM25, or a sum by ranks."""
        return self._twins.run(self._steps.query(query, options))

    async def aquery(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """`query`, awaited."""
        return await self._twins.arun(self._steps.query(query, options))
