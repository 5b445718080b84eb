"""The retriever: documents that Ragstone ingested, split and embedded, which need no embedding model on this side."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr
from ragstone import Client, Filter, Reranking, RetrievedChunk
from ragstone.aio import AsyncClient
from ragstone.frameworks import Rows, Schema, Steps, Twins

from langchain_ragstone import filters


class RagstoneRetriever(BaseRetriever):
    """Finds the passages of ingested documents that a question is about, by meaning and by word.

    A document's metadata says where the passage stands: `document`, `heading`, `start` and `end` (code points of the document's text) and `score`. What may be
    given here may be given to `invoke`, too, for one question: `retriever.invoke("When?", k=3, filter=F.year >= 2020)`. Texts whose vectors
    LangChain makes are found by `RagstoneVectorStore(...).as_retriever()`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    collection: str
    """The collection's name, or an alias."""
    url: str | None = None
    """The server's address; `http://127.0.0.1:6733` if neither this nor `path` nor a client is given."""
    path: str | PathLike[str] | None = None
    """A directory that this process opens without a server."""
    client: Client | None = Field(default=None, exclude=True, repr=False)
    """A client that is there already, for what blocks."""
    async_client: AsyncClient | None = Field(default=None, exclude=True, repr=False)
    """Likewise, for what is awaited."""
    options: dict[str, Any] = Field(default_factory=dict, exclude=True, repr=False)
    """Of `ragstone.connect` or `ragstone.open`, such as `api_key` and `timeout`."""
    k: int = 4
    """How many passages."""
    mode: Literal["hybrid", "dense", "text"] = "hybrid"
    """By words and vectors, by vectors, or by words."""
    filter: Filter | str | Mapping[str, Any] | None = None
    """Of documents' metadata: a dict, an expression of Ragstone's or its text."""
    min_score: float | None = None
    """Leaves out passages whose score is less."""
    distinct: bool = False
    """Leaves out passages that say what a better one says."""
    mmr: float | None = None
    """Spreads passages over what is different: from 1 for relevance alone to 0 for novelty alone."""
    per_document: int | None = None
    """How many passages of one document at most."""
    rerank: Reranking | None = None
    """Ranks what is found anew, by a model that reads question and passage together."""

    _twins: Twins = PrivateAttr()
    # Keeps what fields there are, which filters that are dicts need. It makes no collection.
    _rows: Rows = PrivateAttr(default_factory=lambda: Rows(Schema(), ""))

    def model_post_init(self, context: Any, /) -> None:
        """Asks nothing of the server yet."""
        super().model_post_init(context)
        self._twins = Twins(
            self.collection,
            url=self.url,
            path=self.path,
            client=self.client,
            async_client=self.async_client,
            options=self.options,
        )

    def close(self) -> None:
        """Closes the connection of what blocks."""
        self._twins.close()

    async def aclose(self) -> None:
        """Closes both connections."""
        await self._twins.aclose()

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        del run_manager
        return self._twins.run(self._retrieve(query, options))

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        del run_manager
        return await self._twins.arun(self._retrieve(query, options))

    def _retrieve(self, query: str, options: Mapping[str, Any]) -> Steps[list[Document]]:
        mine = {name: getattr(self, name) for name in OPTIONS}
        asked = {**mine, **options}
        asked["filter"] = yield from filters.of_rows(asked["filter"], self._rows)
        found = yield lambda collection: collection.retrieve(query, **asked)
        return [passage(one) for one in found]


OPTIONS = ("k", "mode", "filter", "min_score", "distinct", "mmr", "per_document", "rerank")


def passage(found: RetrievedChunk) -> Document:
    """A passage as a document of LangChain's."""
    chunk = found.chunk
    metadata = {
        "document": chunk.document,
        "heading": chunk.heading,
        "start": chunk.start,
        "end": chunk.end,
        "score": found.score,
    }
    return Document(id=f"{chunk.document}#{chunk.ordinal}", page_content=chunk.text, metadata=metadata)
