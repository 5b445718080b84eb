"""Documents, chunks, and what became of those that were stored."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ragstone import v1
from ragstone._enums import number, word
from ragstone._found import read_timings
from ragstone._values import Value, fill, read_payload

MediaType: TypeAlias = Literal[
    "text",
    "markdown",
    "html",
    "pdf",
    "code",
    "rust",
    "python",
    "javascript",
    "typescript",
    "tsx",
    "go",
    "java",
    "c",
    "cpp",
]
"""What a document's bytes are."""
RecordFormat: TypeAlias = Literal["json_lines", "csv", "tsv"]
"""How a file of records is written."""

EXTENSIONS: dict[str, MediaType] = {
    "txt": "text", "text": "text", "md": "markdown", "markdown": "markdown", "html": "html", "htm": "html", "pdf": "pdf",
    "rs": "rust", "py": "python", "js": "javascript", "jsx": "javascript", "mjs": "javascript", "ts": "typescript",
    "tsx": "tsx", "go": "go", "java": "java", "c": "c", "h": "c", "cc": "cpp", "cpp": "cpp", "hpp": "cpp",
}  # fmt: skip
"""The files that `ingest_folder` takes, by their extensions."""


@dataclass(slots=True)
class DocumentInput:
    """A document to store."""

    id: str
    """Names the document within the collection, 1 to 400 bytes: a path, for files."""
    content: str | bytes
    """Text, or the bytes of a file (16 MiB at most): UTF-8, unless it is a PDF."""
    title: str = ""
    """What it is called; stands before the headings of its chunks and is embedded with them."""
    source: str = ""
    """What it belongs to: the folder that is kept in step, for instance."""
    media_type: MediaType | None = None
    """By the id's extension if None; a text whose id has none that is known is taken as Markdown."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Fields that every chunk gets, for filters, 16 KiB at most."""

    def wire(self, collection: str = "", request_id: str = "") -> v1.IngestDocumentRequest:
        """For the client itself."""
        media_type = self.media_type
        is_text = isinstance(self.content, str)
        if is_text and media_type is None and Path(self.id).suffix[1:].lower() not in EXTENSIONS:
            media_type = "markdown"
        wire = v1.IngestDocumentRequest(
            collection=collection,
            id=self.id,
            source=self.source,
            media_type=number(v1.MediaType, "MEDIA_TYPE", media_type, "media_type"),
            content=content_bytes(self.content),
            title=self.title,
            request_id=request_id,
        )
        fill(wire.metadata, self.metadata)
        return wire


def content_bytes(content: str | bytes) -> bytes:
    """What a file holds, on the wire. On its own that would take None for a file of nothing."""
    if isinstance(content, str):
        return content.encode()
    if not isinstance(content, bytes):
        raise TypeError(f"`content` is a text or the bytes of a file, and this is {type(content).__name__}")
    return content


def as_document(document: DocumentInput | Mapping[str, Any]) -> DocumentInput:
    """A document of whatever form."""
    return document if isinstance(document, DocumentInput) else DocumentInput(**document)


def folder(path: Path, pattern: str) -> Iterator[DocumentInput]:
    """The files below a folder whose extension is known, in the order of their names, but for hidden ones. Raises `OSError` if there is no such folder."""
    path = path.expanduser()
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "no such folder", str(path))
    for file in sorted(path.glob(pattern)):
        relative = file.relative_to(path)
        is_hidden = any(part.startswith(".") for part in relative.parts)
        if not is_hidden and file.suffix[1:].lower() in EXTENSIONS and file.is_file():
            yield DocumentInput(relative.as_posix(), file.read_bytes(), source=path.name or path.absolute().name)


@dataclass(slots=True)
class Document:
    """A document as it is stored."""

    id: str
    source: str
    media_type: MediaType
    content_sha256: str
    """Of its bytes, in hex."""
    text: str
    """The extracted text, which `start` and `end` of chunks and citations count code points of, as Python's slices do; empty in listings."""
    chunks: int
    metadata: dict[str, Value]
    title: str


@dataclass(slots=True)
class Chunk:
    """A piece of a document."""

    document: str
    ordinal: int
    """Its place among the document's chunks, from 0."""
    heading: str
    """The document's title and the headings above it, outermost first, joined by ` > `."""
    start: int
    end: int
    text: str
    """Exactly `document.text[start:end]`."""
    tokens: int
    content_sha256: str


@dataclass(slots=True)
class IngestReport:
    """What storing a document did."""

    status: Literal["added", "replaced", "unchanged"]
    chunks: int
    chunks_added: int
    chunks_kept: int
    """Chunks that were there before: they keep their vectors."""
    chunks_removed: int
    tokens: int
    embedded: int
    """Texts that were embedded."""
    repeated: bool
    """Whether this was done before under its request id."""
    timings: dict[str, float]
    """Milliseconds of `extract`, `split`, `embed`, `store`."""
    write_token: str


@dataclass(slots=True)
class RefusedItem:
    """A point or a document of a stream that was not stored."""

    index: int
    """Which of those that were given, from 0."""
    reason: str
    """Why, for programs: `INVALID_FIELD`, `LIMIT_EXCEEDED` … With `TOO_MANY_REQUESTS` it is a PDF whose turn did not come, and may be sent again."""
    field: str
    """The field that is wrong; empty if it is no field."""
    message: str
    """Why, for people."""


@dataclass(slots=True)
class Ingested:
    """What a whole stream came to."""

    stored: int = 0
    """Points or documents that are durable."""
    refused: list[RefusedItem] = field(default_factory=list)
    """Those that were not stored."""


@dataclass(slots=True)
class RecordFailure:
    """A record that was left out, and why."""

    id: str
    reason: str


@dataclass(slots=True)
class IngestedRecords:
    """What became of a file of records."""

    added: int
    replaced: int
    unchanged: int
    failed: int
    failures: list[RecordFailure]
    """The first 100 of those that failed."""
    chunks: int
    chunks_kept: int
    embedded: int
    tokens: int


def read_document(wire: v1.Document) -> Document:
    """A document that was read."""
    return Document(
        id=wire.id,
        source=wire.source,
        media_type=word(v1.MediaType, "MEDIA_TYPE", wire.media_type),
        content_sha256=wire.content_sha256,
        text=wire.text,
        chunks=wire.chunks,
        metadata=read_payload(wire.metadata),
        title=wire.title,
    )


def read_chunk(wire: v1.Chunk) -> Chunk:
    """A chunk that was read."""
    return Chunk(
        wire.document, wire.ordinal, wire.heading, wire.start, wire.end, wire.text, wire.tokens, wire.content_sha256
    )


def read_report(wire: v1.IngestDocumentResponse) -> IngestReport:
    """A report that was read."""
    return IngestReport(
        status=word(v1.IngestStatus, "INGEST_STATUS", wire.status),
        chunks=wire.chunks,
        chunks_added=wire.chunks_added,
        chunks_kept=wire.chunks_kept,
        chunks_removed=wire.chunks_removed,
        tokens=wire.tokens,
        embedded=wire.embedded,
        repeated=wire.repeated,
        timings=read_timings(wire.timings),
        write_token=wire.write_token,
    )


def read_refused(wire: v1.RefusedItem, before: int) -> RefusedItem:
    """A refusal that was read; `before` counts what was given before its message."""
    reason = word(v1.ErrorReason, "ERROR_REASON", wire.reason).upper()
    return RefusedItem(before + wire.index, reason, wire.field, wire.message)


def read_records(wire: v1.IngestRecordsResponse) -> IngestedRecords:
    """What became of a file, as it was read."""
    return IngestedRecords(
        added=wire.added,
        replaced=wire.replaced,
        unchanged=wire.unchanged,
        failed=wire.failed,
        failures=[RecordFailure(failure.id, failure.reason) for failure in wire.failures],
        chunks=wire.chunks,
        chunks_kept=wire.chunks_kept,
        embedded=wire.embedded,
        tokens=wire.tokens,
    )
