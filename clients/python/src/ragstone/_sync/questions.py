# Made of _aio/questions.py by scripts/unasync.py: change that one.
"""What a collection with a model does with questions: finds passages, packs them into a prompt, has it answered."""

from __future__ import annotations

from collections.abc import Sequence

from ragstone import _methods as methods
from ragstone import v1
from ragstone._rag import (
    Answer,
    DataMarking,
    Enriched,
    Expansion,
    MessageLike,
    Mode,
    Reranking,
    Retrieved,
    enrich_request,
    mode_number,
    read_enriched,
    reranking,
)
from ragstone._sync.core import Core
from ragstone._sync.generation import Generation
from ragstone._values import several
from ragstone.filters import FilterLike, as_wire


class Questions:
    """The part of a collection that is about questions."""

    name: str
    _core: Core

    def retrieve(
        self,
        question: str,
        k: int = 8,
        *,
        mode: Mode = "hybrid",
        filter: FilterLike = None,
        min_score: float | None = None,
        distinct: bool = False,
        mmr: float | None = None,
        per_document: int | None = None,
        rerank: Reranking | None = None,
        timeout: float | None = None,
    ) -> Retrieved:
        """Finds the `k` (1 to 10,000) chunks of documents that a question is about, best first.

        `distinct` leaves out chunks that say what a better one says; `mmr`, from 1 for relevance alone to 0 for novelty alone, spreads them over
        what is different; `per_document` bounds how many are of one document. Mode `text` needs no model. Raises `CollectionNotFound`;
        `CollectionWithoutModel`; `InvalidArgument`, naming the field; `ModelLoading`.
        """
        request = v1.RetrieveRequest(
            collection=self.name,
            question=question,
            k=k,
            filter=as_wire(filter),
            mode=mode_number(mode),
            min_score=min_score,
            distinct=distinct,
            mmr=mmr,
            per_document=per_document,
            rerank=reranking(rerank),
            at_least=self._core.written.at_least,
        )
        return Retrieved(self._core.call(methods.RETRIEVE, request, v1.RetrieveResponse, timeout))

    def _enrich(self, **options: object) -> v1.EnrichRequest:
        return enrich_request(self.name, self._core.written.at_least, options)

    def enrich(
        self,
        question: str | None = None,
        *,
        messages: Sequence[MessageLike] | None = None,
        k: int | None = None,
        mode: Mode = "hybrid",
        filter: FilterLike = None,
        token_budget: int | None = None,
        template: str | None = None,
        template_source: str | None = None,
        data_marking: DataMarking | None = None,
        min_score: float | None = None,
        mmr: float | None = None,
        per_document: int | None = None,
        expand: Expansion | None = None,
        rerank: Reranking | None = None,
        tokens_of: str | None = None,
        timeout: float | None = None,
    ) -> Enriched:
        """Finds what bears on a question, alone or at the end of a conversation, and packs it, cited, into the messages of a prompt.

        `k` chunks are retrieved (8 by default); the prompt has `token_budget` tokens at most (4,000 by default), counted as the model `tokens_of` does.
        The first argument is the question, or `messages` is a conversation whose last message is the question.

        >>> notes = client.create_collection("asked")
        >>> _ = notes.ingest_document("lease.md", "# Lease\\n\\nThe lease ends on 31 May.")
        >>> enriched = notes.enrich("When does the lease end?")
        >>> [(citation.index, citation.document, citation.text) for citation in enriched.citations]
        [(1, 'lease.md', '# Lease\\n\\nThe lease ends on 31 May.')]
        >>> [message.role for message in enriched.messages]
        ['system', 'user']

        Raises what `retrieve` does; `TemplateNotFound`, `TemplateInvalid`; `TypeError` unless there is either a question or messages.
        """
        request = self._enrich(
            question=question,
            messages=messages,
            k=k,
            mode=mode,
            filter=filter,
            token_budget=token_budget,
            template=template,
            template_source=template_source,
            data_marking=data_marking,
            min_score=min_score,
            mmr=mmr,
            per_document=per_document,
            expand=expand,
            rerank=rerank,
            tokens_of=tokens_of,
        )
        return read_enriched(self._core.call(methods.ENRICH, request, v1.EnrichResponse, timeout))

    def generate(
        self,
        question: str | None = None,
        *,
        messages: Sequence[MessageLike] | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        k: int | None = None,
        mode: Mode = "hybrid",
        filter: FilterLike = None,
        token_budget: int | None = None,
        template: str | None = None,
        template_source: str | None = None,
        data_marking: DataMarking | None = None,
        min_score: float | None = None,
        mmr: float | None = None,
        per_document: int | None = None,
        expand: Expansion | None = None,
        rerank: Reranking | None = None,
        tokens_of: str | None = None,
        timeout: float | None = None,
    ) -> Generation:
        """Has a language model of the server's answer a question: first the evidence, then the answer piece by piece, and last what it cites.

        The model is one that the server's operator listed, by its name there; the first one if None. Returns when the evidence is there; the
        deadline, 1,800 s by default, is for the whole. Raises what `enrich` does, and `GenerateModelNotFound`, `GenerateRefused`,
        `GenerateFailed`; a generation that has begun is not repeated.
        """
        request = v1.GenerateRequest(
            enrich=self._enrich(
                question=question,
                messages=messages,
                k=k,
                mode=mode,
                filter=filter,
                token_budget=token_budget,
                template=template,
                template_source=template_source,
                data_marking=data_marking,
                min_score=min_score,
                mmr=mmr,
                per_document=per_document,
                expand=expand,
                rerank=rerank,
                tokens_of=tokens_of,
            ),
            model=model or "",
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=several(stop, "stop"),
            seed=seed,
        )
        stream, first = self._core.open(methods.GENERATE, request, timeout)
        return Generation(stream, first)

    def ask(
        self,
        question: str | None = None,
        *,
        messages: Sequence[MessageLike] | None = None,
        model: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        stop: Sequence[str] = (),
        seed: int | None = None,
        k: int | None = None,
        mode: Mode = "hybrid",
        filter: FilterLike = None,
        token_budget: int | None = None,
        template: str | None = None,
        template_source: str | None = None,
        data_marking: DataMarking | None = None,
        min_score: float | None = None,
        mmr: float | None = None,
        per_document: int | None = None,
        expand: Expansion | None = None,
        rerank: Reranking | None = None,
        tokens_of: str | None = None,
        timeout: float | None = None,
    ) -> Answer:
        """The whole answer of `generate`, with its evidence and what it cites of that. Raises what `generate` does."""
        generation = self.generate(
            question,
            messages=messages,
            model=model,
            max_tokens=max_tokens,
            temperature=temperature,
            top_p=top_p,
            stop=stop,
            seed=seed,
            k=k,
            mode=mode,
            filter=filter,
            token_budget=token_budget,
            template=template,
            template_source=template_source,
            data_marking=data_marking,
            min_score=min_score,
            mmr=mmr,
            per_document=per_document,
            expand=expand,
            rerank=rerank,
            tokens_of=tokens_of,
            timeout=timeout,
        )
        with generation:
            return generation.result()
