"""LlamaIndex over Ragstone, the vector database for retrieval-augmented generation."""

from llama_index.vector_stores.ragstone.base import RagstoneVectorStore
from ragstone.frameworks import Schema

__all__ = ["RagstoneVectorStore", "Schema"]
