"""What a collection with a model does with documents: stores, reads and removes them."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from ragstone import _methods as methods
from ragstone import v1
from ragstone._aio.core import AsyncCore
from ragstone._aio.ingest import AsyncStreamOut
from ragstone._documents import (
    Chunk,
    Document,
    DocumentInput,
    Ingested,
    IngestedRecords,
    IngestReport,
    MediaType,
    RecordFormat,
    RefusedItem,
    as_document,
    content_bytes,
    folder,
    read_chunk,
    read_document,
    read_records,
    read_refused,
    read_report,
)
from ragstone._enums import number
from ragstone._errors import RagstoneError
from ragstone._items import AsyncItems, adrawn, aiterate
from ragstone._points import of_item
from ragstone._progress import Progress, ProgressLike
from ragstone._retry import request_id as new_request_id
from ragstone._values import fill, several

UNDER_WAY_MAX = 128
"""Documents of a stream that are sent and not acknowledged, at most; the server embeds those together that have come."""
UNDER_WAY_BYTES_MAX = 16 << 20


class AsyncDocuments:
    """The part of a collection that is about documents."""

    name: str
    _core: AsyncCore

    async def ingest_document(
        self,
        id: str,
        content: str | bytes,
        *,
        title: str = "",
        source: str = "",
        media_type: MediaType | None = None,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
        timeout: float | None = None,
    ) -> IngestReport:
        """Stores a document: split, embedded, indexed, in place of its earlier version; durable when it returns.

        The content is text, or the bytes of a file (16 MiB at most); its type is that of the id's extension unless it is given. Chunks get the
        metadata as their fields.

        >>> notes = await client.create_collection("leases")
        >>> report = await notes.ingest_document("lease.md", "# Lease\\n\\nThe lease ends on 31 May.")
        >>> report.status, report.chunks
        ('added', 1)

        Raises `CollectionNotFound`; `CollectionWithoutModel`; `NotText`; `InvalidArgument`, naming the field; `ModelLoading` when that takes
        longer than the deadline (600 s by default).
        """
        document = DocumentInput(id, content, title, source, media_type, metadata or {})
        request = document.wire(self.name, request_id or new_request_id())
        answer = await self._core.call(methods.INGEST_DOCUMENT, request, v1.IngestDocumentResponse, timeout)
        self._core.written.note(answer.write_token)
        return read_report(answer)

    async def ingest_documents(
        self,
        documents: AsyncItems[DocumentInput | Mapping[str, Any]],
        *,
        progress: ProgressLike = False,
        on_refused: Callable[[RefusedItem], None] | None = None,
        timeout: float | None = None,
    ) -> Ingested:
        """Stores any number of documents as they come; those that have come are embedded together. Each is durable when it is told of.

        Those that are not acceptable are refused: they are listed in what is returned, or `on_refused` is told of each, and the others are stored.
        What was not acknowledged when a connection breaks is sent again; what is stored already is found to be unchanged. There is no
        deadline unless one is given. Raises `CollectionNotFound`, `CollectionWithoutModel`, and what ends the stream.
        """
        result, told_of = Ingested(), Progress(progress, "documents")

        def refuse(item: RefusedItem) -> None:
            (on_refused or result.refused.append)(item)

        def told(answer: bytes) -> int:
            wire = v1.IngestDocumentsResponse.FromString(answer)
            if wire.WhichOneof("outcome") == "refused":
                refuse(read_refused(wire.refused, wire.sequence))
            else:
                self._core.written.note(wire.stored.write_token)
                result.stored += 1
                told_of.add(1)
            return wire.sequence

        def too_large(sequence: int, error: RagstoneError) -> None:
            refuse(RefusedItem(sequence, "REQUEST_TOO_LARGE", "", error.message))

        async def messages() -> AsyncIterator[tuple[int, bytes]]:
            numbers = itertools.count()
            async for document in aiterate(documents):
                sequence = next(numbers)
                try:
                    wire = as_document(document).wire(self.name, new_request_id())
                except (TypeError, ValueError) as error:
                    raise of_item("documents", sequence, error) from None
                message = v1.IngestDocumentsRequest(sequence=sequence, document=wire)
                yield sequence, message.SerializeToString()

        window = (UNDER_WAY_MAX, UNDER_WAY_BYTES_MAX)
        stream = AsyncStreamOut(self._core, methods.INGEST_DOCUMENTS, window, timeout)
        try:
            await stream.run(messages(), told, too_large)
        finally:
            told_of.close()
        return result

    async def ingest_folder(
        self,
        path: str | PathLike[str],
        *,
        pattern: str = "**/*",
        progress: ProgressLike = False,
        on_refused: Callable[[RefusedItem], None] | None = None,
        timeout: float | None = None,
    ) -> Ingested:
        """Stores the files below a folder that are text of a known kind: Markdown, HTML, PDF, source code. Ids are their paths from the folder.

        Run it again, and only what changed is embedded; hidden files are passed over, and documents of files that are gone stay. Raises what
        `ingest_documents` does, and `OSError`.
        """
        documents = adrawn(folder(Path(path), pattern))
        return await self.ingest_documents(documents, progress=progress, on_refused=on_refused, timeout=timeout)

    async def ingest_records(
        self,
        file: str,
        content: str | bytes,
        format: RecordFormat,
        *,
        source: str = "",
        id_field: str = "",
        title_field: str = "",
        text_fields: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> IngestedRecords:
        """Stores every record of a file (16 MiB at most) of JSON Lines, CSV or TSV as a document; durable when it returns.

        The id of a record's document is `FILE#ID`. Text are `text_fields`, or the first of `text`, `content` and `body` that it has; other fields
        become fields of its chunks. Records that do not fit are listed. Raises what `ingest_document` does; some may be stored then.
        """
        request = v1.IngestRecordsRequest(
            collection=self.name,
            file=file,
            source=source,
            format=number(v1.RecordFormat, "RECORD_FORMAT", format, "format"),
            content=content_bytes(content),
            id_field=id_field,
            title_field=title_field,
            text_fields=several(text_fields, "text_fields"),
        )
        fill(request.metadata, metadata or {})
        answer = await self._core.call(methods.INGEST_RECORDS, request, v1.IngestRecordsResponse, timeout)
        self._core.written.note(answer.write_token)
        return read_records(answer)

    async def get_document(self, id: str, *, timeout: float | None = None) -> Document:
        """Reads a document with its extracted text. Raises `CollectionNotFound`, `DocumentNotFound`."""
        request = v1.GetDocumentRequest(collection=self.name, id=id, at_least=self._core.written.at_least)
        answer = await self._core.call(methods.GET_DOCUMENT, request, v1.GetDocumentResponse, timeout)
        return read_document(answer.document)

    async def list_documents(
        self, source: str | None = None, *, timeout: float | None = None
    ) -> AsyncIterator[Document]:
        """Goes through the documents of a source, or all, in the order of their ids, without their texts. Raises `CollectionNotFound`."""
        at_least = self._core.written.at_least
        request = v1.ListDocumentsRequest(collection=self.name, source=source, at_least=at_least)
        async for page in self._core.pages(methods.LIST_DOCUMENTS, request, v1.ListDocumentsResponse, timeout):
            for document in page.documents:
                yield read_document(document)

    async def delete_document(self, id: str, *, request_id: str | None = None, timeout: float | None = None) -> bool:
        """Removes a document and its chunks; durable when it returns. Whether there was one. Raises `CollectionNotFound`."""
        request_id = request_id or new_request_id()
        request = v1.DeleteDocumentRequest(collection=self.name, id=id, request_id=request_id)
        answer = await self._core.call(methods.DELETE_DOCUMENT, request, v1.DeleteDocumentResponse, timeout)
        self._core.written.note(answer.write_token)
        return answer.deleted

    async def list_chunks(self, document: str, *, timeout: float | None = None) -> AsyncIterator[Chunk]:
        """Goes through the chunks of a document, in their order. Raises `CollectionNotFound`, `DocumentNotFound`."""
        at_least = self._core.written.at_least
        request = v1.ListChunksRequest(collection=self.name, document=document, at_least=at_least)
        async for page in self._core.pages(methods.LIST_CHUNKS, request, v1.ListChunksResponse, timeout):
            for chunk in page.chunks:
                yield read_chunk(chunk)
