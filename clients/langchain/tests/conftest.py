"""What the tests run against (`clients/python/tests/of_stores.py`), and embeddings whose vectors a test can tell."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

pytest_plugins = ["of_stores"]


class Letters(Embeddings):
    """Counts letters: texts with the same letters are near, and a test can tell which."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.asked += texts
        return [[float(text.count(letter)) for letter in "abc"] + [0.1] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)
