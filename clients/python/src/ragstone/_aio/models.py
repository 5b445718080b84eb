"""What a client does with models and prompt templates."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ragstone import _methods as methods
from ragstone import v1
from ragstone._admin import SamplePassage, Template, read_template
from ragstone._aio.core import AsyncCore
from ragstone._enums import number
from ragstone._inference import Embeddings, Model, PulledModel, Reranked, TextRole, TokenCounts, read_model
from ragstone._rag import DataMarking, Message, MessageLike, chat, marking_number, read_messages
from ragstone._values import several


class AsyncModels:
    """The part of a client that is about models and templates."""

    _core: AsyncCore

    async def embed(
        self,
        texts: Sequence[str],
        *,
        model: str | None = None,
        role: TextRole = "plain",
        truncate: bool = False,
        timeout: float | None = None,
    ) -> Embeddings:
        """Turns texts, at most 2,048 of at most 1 MiB each, into vectors: a sequence of `array.array('f')`, each of the model's dimension.

        >>> vectors = await client.embed(["a lease", "a loaf"], role="passage")
        >>> len(vectors), len(vectors[0]), vectors.tokens
        (2, 384, [4, 4])

        Raises `TokenLimit`, naming the text (`texts[2]`), unless `truncate` cuts it; `ModelNotFound`, `ModelNotAllowed`, `ModelInvalid`,
        `ModelLoading` when that takes longer than the deadline (120 s by default).
        """
        overflow = "ON_OVERFLOW_TRUNCATE" if truncate else "ON_OVERFLOW_ERROR"
        request = v1.EmbedRequest(
            model=model or "",
            texts=several(texts, "texts"),
            role=number(v1.TextRole, "TEXT_ROLE", role, "role"),
            on_overflow=overflow,
        )
        return Embeddings(await self._core.call(methods.EMBED, request, v1.EmbedResponse, timeout))

    async def rerank(
        self,
        query: str,
        passages: Sequence[str],
        *,
        model: str,
        top_k: int | None = None,
        truncate: bool = False,
        timeout: float | None = None,
    ) -> list[Reranked]:
        """Tells how well passages, at most 1,000, answer a query, by a cross-encoder: the best first.

        Raises what `embed` does, naming `passages[2]` or `query`.
        """
        overflow = "ON_OVERFLOW_TRUNCATE" if truncate else "ON_OVERFLOW_ERROR"
        request = v1.RerankRequest(
            model=model,
            query=query,
            passages=several(passages, "passages"),
            top_k=top_k or 0,
            on_overflow=overflow,
        )
        answer = await self._core.call(methods.RERANK, request, v1.RerankResponse, timeout)
        return [Reranked(one.index, one.score, one.tokens, one.truncated) for one in answer.passages]

    async def count_tokens(
        self, texts: Sequence[str], *, model: str | None = None, timeout: float | None = None
    ) -> TokenCounts:
        """Counts the tokens of texts as a model does (`gpt-4o`, an embedding model), without special tokens. Raises what `embed` does."""
        request = v1.CountTokensRequest(model=model or "", texts=several(texts, "texts"))
        answer = await self._core.call(methods.COUNT_TOKENS, request, v1.CountTokensResponse, timeout)
        return TokenCounts(list(answer.tokens), answer.estimated)

    async def list_models(self, *, timeout: float | None = None) -> list[Model]:
        """The models that the server has without a download, by name."""
        models: list[Model] = []
        async for page in self._core.pages(methods.LIST_MODELS, v1.ListModelsRequest(), v1.ListModelsResponse, timeout):
            models += map(read_model, page.models)
        return models

    async def pull_model(self, model: str | None = None, *, timeout: float | None = None) -> PulledModel:
        """Has the server fetch a model into its cache, verified. 1,800 s by default. Raises `ModelNotFound`, `ModelNotAllowed`, `ModelInvalid`."""
        request = v1.PullModelRequest(model=model or "")
        answer = await self._core.call(methods.PULL_MODEL, request, v1.PullModelResponse, timeout)
        return PulledModel(answer.name, answer.source, answer.sha256)

    async def register_template(self, name: str, source: str, *, timeout: float | None = None) -> Template:
        """Registers a prompt template as the next version of its name. Raises `InvalidArgument`, naming `source` and the line."""
        request = v1.RegisterTemplateRequest(name=name, source=source)
        answer = await self._core.call(methods.REGISTER_TEMPLATE, request, v1.RegisterTemplateResponse, timeout)
        return read_template(answer.template)

    async def get_template(self, template: str, *, timeout: float | None = None) -> Template:
        """A template with its source: `name@version`, or `name` for the newest. Raises `TemplateNotFound`."""
        request = v1.GetTemplateRequest(template=template)
        answer = await self._core.call(methods.GET_TEMPLATE, request, v1.GetTemplateResponse, timeout)
        return read_template(answer.template)

    async def list_templates(self, name: str | None = None, *, timeout: float | None = None) -> list[Template]:
        """The versions of a name, or of all, without their sources."""
        request = v1.ListTemplatesRequest(name=name or "")
        templates: list[Template] = []
        async for page in self._core.pages(methods.LIST_TEMPLATES, request, v1.ListTemplatesResponse, timeout):
            templates += map(read_template, page.templates)
        return templates

    async def delete_template(self, template: str, *, timeout: float | None = None) -> int:
        """Removes a version of a template (`name@version`), or all (`name`); how many there were."""
        request = v1.DeleteTemplateRequest(template=template)
        answer = await self._core.call(methods.DELETE_TEMPLATE, request, v1.DeleteTemplateResponse, timeout)
        return answer.deleted

    async def preview_template(
        self,
        question: str | None = None,
        *,
        messages: Sequence[MessageLike] | None = None,
        passages: Iterable[SamplePassage] = (),
        template: str | None = None,
        template_source: str | None = None,
        data_marking: DataMarking | None = None,
        timeout: float | None = None,
    ) -> list[Message]:
        """Renders a template with sample passages, without a collection: what would be sent. Raises `TemplateNotFound`, `TemplateInvalid`."""
        samples = [v1.SamplePassage(document=one.document, heading=one.heading, text=one.text) for one in passages]
        request = v1.PreviewTemplateRequest(
            template=template,
            template_source=template_source,
            question=question or "",
            messages=chat(messages or ()),
            passages=samples,
            data_marking=marking_number(data_marking),
        )
        answer = await self._core.call(methods.PREVIEW_TEMPLATE, request, v1.PreviewTemplateResponse, timeout)
        return read_messages(answer.messages)
