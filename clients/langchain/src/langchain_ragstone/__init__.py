"""LangChain over Ragstone, the vector database for retrieval-augmented generation.

`RagstoneVectorStore` keeps texts whose vectors an embedding model of LangChain's makes. `RagstoneRetriever` asks documents that Ragstone itself
ingested, split and embedded.
"""

from ragstone.frameworks import Schema

from langchain_ragstone.retriever import RagstoneRetriever
from langchain_ragstone.vectorstore import RagstoneVectorStore

__all__ = ["RagstoneRetriever", "RagstoneVectorStore", "Schema"]
