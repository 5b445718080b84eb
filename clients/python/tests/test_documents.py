"""Documents, and questions about them, with the default embedding model."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from conftest import started

from ragstone import (
    Answer,
    Chunks,
    CollectionWithoutModel,
    Delta,
    DocumentInput,
    DocumentNotFound,
    Evidence,
    Expansion,
    F,
    GenerateModelNotFound,
    InvalidArgument,
    Message,
    ModelNotAllowed,
    Reranking,
)

ENDS = "# Lease\n\nThe lease ends on 31 May."
LEASE = f"{ENDS}\n\n# Rent\n\nThe rent is 900 euros a month."
BREAD = "# Bread\n\nFlour, water, salt and time make bread."


async def noted(client: Any, name: str) -> Any:
    notes = await client.create_collection(name)
    await notes.ingest_document("lease.md", LEASE, metadata={"kind": "house"})
    await notes.ingest_document("bread.md", BREAD, metadata={"kind": "food"}, title="Baking", source="kitchen")
    return notes


async def test_documents_are_stored_read_and_removed(client: Any, name: str) -> None:
    notes = await client.create_collection(name, chunks=Chunks(64, 8), analyzer="english")
    report = await notes.ingest_document("lease.md", LEASE, title="House", source="papers", metadata={"year": 2024})
    assert (report.status, report.chunks, report.chunks_added, report.repeated) == ("added", 2, 2, False)
    assert (
        await notes.ingest_document("lease.md", LEASE, title="House", source="papers", metadata={"year": 2024})
    ).status == "unchanged"
    document = await notes.get_document("lease.md")
    assert (document.text, document.media_type, document.title) == (LEASE, "markdown", "House")
    assert document.metadata == {"year": 2024}
    chunks = [chunk async for chunk in notes.list_chunks("lease.md")]
    assert [chunk.ordinal for chunk in chunks] == [0, 1]
    assert all(document.text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert [one.id async for one in notes.list_documents("papers")] == ["lease.md"]
    assert [one.id async for one in notes.list_documents("other")] == []
    assert await notes.delete_document("lease.md") is True
    assert await notes.delete_document("lease.md") is False
    with pytest.raises(DocumentNotFound):
        await notes.get_document("lease.md")
    info = await notes.info()
    assert (info.model.name, info.dimension, info.chunks) == ("all-MiniLM-L6-v2", 384, Chunks(64, 8))


async def test_streams_and_folders_of_documents(
    client: Any, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = await client.create_collection(name)
    told: list[int] = []
    documents = [
        DocumentInput("a", "first"),
        {"id": "b.md", "content": b"second"},
        DocumentInput("c.md", b"\xff\xfe\xfd"),
    ]
    done = await notes.ingest_documents(documents, progress=told.append)
    assert (done.stored, told, [(item.index, item.reason) for item in done.refused]) == (2, [1, 2], [(2, "NOT_TEXT")])
    with pytest.raises(NotADirectoryError, match="nowhere"):
        await notes.ingest_folder(tmp_path / "nowhere")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "lease.md").write_text(LEASE)
    (tmp_path / "code.py").write_text("def lease():\n    return 'May'\n")
    (tmp_path / ".hidden.md").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert (await notes.ingest_folder(tmp_path)).stored == 2
    monkeypatch.setenv("HOME", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    for same in (f"~/{tmp_path.name}", "."):
        assert (await notes.ingest_folder(same)).stored == 2
    assert [one.id async for one in notes.list_documents(tmp_path.name)] == ["code.py", "deep/lease.md"]


async def test_records_become_documents(client: Any, name: str) -> None:
    notes = await client.create_collection(name)
    lines = [{"id": 1, "text": "one", "year": 2024}, {"id": 2, "nothing": True}]
    content = "\n".join(map(json.dumps, lines))
    done = await notes.ingest_records("rows.jsonl", content, "json_lines", metadata={"from": "test"})
    assert (done.added, done.failed, len(done.failures)) == (1, 1, 1)
    assert (await notes.get_document("rows.jsonl#1")).metadata == {"year": 2024, "from": "test"}


async def test_passages_are_found_by_meaning_and_by_word(client: Any, name: str) -> None:
    notes = await noted(client, name)
    for mode in ("hybrid", "dense", "text"):
        found = await notes.retrieve("When does the lease end?", k=1, mode=mode)
        assert (found[0].chunk.document, found[0].chunk.text) == ("lease.md", ENDS)
        assert (found[0].scores.nearness is None) == (mode == "text")
        assert (found[0].scores.words is None) == (mode == "dense")
    found = await notes.retrieve(
        "lease", filter=F.kind == "food", distinct=True, mmr=0.5, per_document=1, min_score=0.0
    )
    assert [one.chunk.document for one in found] == ["bread.md"]
    assert [hit.payload["_document"] for hit in await notes.search("baking a loaf", k=1)] == ["bread.md"]
    assert (await notes.hybrid("baking a loaf", k=1))[0].payload["_document"] == "bread.md"


async def test_prompts_cite_what_they_hold(client: Any, name: str) -> None:
    notes = await noted(client, name)
    enriched = await notes.enrich("When does the lease end?", k=1, expand=Expansion(after=1), data_marking="off")
    assert [message.role for message in enriched.messages] == ["system", "user"]
    [citation] = enriched.citations
    assert (citation.document, citation.index) == ("lease.md", 1)
    assert citation.text == LEASE[citation.start : citation.end]
    assert citation.text in enriched.prompt
    assert [chunk.beside for chunk in citation.chunks] == [None, 0]
    assert enriched.tokens.total <= enriched.tokens.budget == 4_000
    talk = [
        ("user", "Where is the lease?"),
        Message("assistant", "Here."),
        {"role": "user", "content": "When does it end?"},
    ]
    enriched = await notes.enrich(messages=talk, token_budget=2_000)
    assert (enriched.messages[-1].role, "lease" in enriched.query) == ("user", True)
    with pytest.raises(TypeError, match="either a question or messages"):
        await notes.enrich()
    with pytest.raises(InvalidArgument) as wrong:
        await notes.enrich("When?", token_budget=0)
    assert wrong.value.field == "token_budget"
    with pytest.raises(ModelNotAllowed):
        await notes.retrieve("When?", rerank=Reranking("org/none", 10))


async def test_a_collection_without_a_model_says_so(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=2)
    with pytest.raises(CollectionWithoutModel):
        await notes.ingest_document("a.md", "text")


class ChatService(BaseHTTPRequestHandler):
    """A language model that says what the test has it say, in OpenAI's protocol."""

    PIECES = ("The lease ends ", "on 31 May [1], ", "not later [7].")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        events: list[Any] = [{"choices": [{"index": 0, "delta": {"content": piece}}]} for piece in self.PIECES]
        events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        events.append({"choices": [], "usage": {"prompt_tokens": 90, "completion_tokens": 12, "total_tokens": 102}})
        for event in events:
            self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory, model: str) -> Iterator[Any]:
    service = ThreadingHTTPServer(("127.0.0.1", 0), ChatService)
    thread = threading.Thread(target=service.serve_forever, daemon=True)
    thread.start()
    url = f"small=http://127.0.0.1:{service.server_address[1]}/v1"
    server = started(tmp_path_factory.mktemp("answering"), model=model, generate_models=[url])
    yield server
    server.stop()
    service.shutdown()
    service.server_close()


async def test_answers_come_piece_by_piece_and_their_citations_are_checked(
    kind: str, answering: Any, name: str
) -> None:
    async with answering.connect(kind) as client:
        notes = await noted(client, name)
        generation = await notes.generate(
            "When does the lease end?", model="small", temperature=0.0, stop=["\n"], seed=7
        )
        async with generation:
            events = [event async for event in generation]
        assert isinstance(events[0], Evidence)
        assert isinstance(events[-1], Answer)
        text = "".join(event.text for event in events if isinstance(event, Delta))
        assert events[-1].text == text == "".join(ChatService.PIECES)
        assert [one async for one in (await notes.generate("When?")).texts()] == list(ChatService.PIECES)

        answer = await notes.ask(messages=[("user", "When does the lease end?")], k=1, max_tokens=100)
        assert (answer.text, answer.finish_reason, answer.model) == (text, "stop", "small")
        assert (answer.citations.cited, answer.citations.unknown) == ([1], [7])
        assert answer.text[answer.citations.uses[0].start : answer.citations.uses[0].end] == "[1]"
        assert (answer.usage.prompt_tokens, answer.usage.completion_tokens) == (90, 12)
        assert answer.evidence.citations[0].text == ENDS
        with pytest.raises(GenerateModelNotFound):
            await notes.ask("When?", model="large")
        generation = await notes.generate("When?")
        generation.close() if kind == "async" else generation.inner.close()
