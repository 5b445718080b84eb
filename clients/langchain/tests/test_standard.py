"""LangChain's own suites for vector stores and retrievers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import ragstone
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests import RetrieversIntegrationTests, VectorStoreIntegrationTests

from langchain_ragstone import RagstoneRetriever, RagstoneVectorStore


class TestRagstoneVectorStore(VectorStoreIntegrationTests):
    @pytest.fixture
    def vectorstore(self, place: dict[str, Any], name: str) -> Iterator[RagstoneVectorStore]:
        store = RagstoneVectorStore(self.get_embeddings(), name, **place)
        yield store
        store.delete_collection()
        store.close()


class TestRagstoneRetriever(RetrieversIntegrationTests):
    @pytest.fixture(autouse=True)
    def notes(self, place: dict[str, Any], client: ragstone.Client) -> None:
        self.place = place
        notes = client.create_collection("retriever", exist_ok=True)
        for subject in ("lease", "rent", "bread", "tax"):
            notes.ingest_document(f"{subject}.md", f"# {subject.title()}\n\nAll about the {subject}.")

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return RagstoneRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"collection": "retriever", **self.place}

    @property
    def retriever_query_example(self) -> str:
        return "When does the lease end?"
