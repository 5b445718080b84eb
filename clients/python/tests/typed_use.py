"""What people write, for mypy to read under `--strict`: it is not run. A type that is lost on the way is an error here."""

from __future__ import annotations

import ragstone
import ragstone.aio
from ragstone import Answer, CollectionInfo, Document, F, Filter, Hit, Point, QueryResult, RagstoneError, WriteReceipt


def blocking() -> float | None:
    with ragstone.connect(timeout=1.0) as client:
        notes: ragstone.Collection = client.create_collection("notes", dimension=2, fields={"year": "int"})
        receipt: WriteReceipt = notes.upsert([Point(1, [1.0, 2.0]), (2, [1.0, 2.0], {"a": 1}), {"id": 3}])
        # As an array of NumPy's does, these have a length and an order, and are no sequence.
        notes.upsert_columns({1: "a", 2: "b"}.keys(), [[1.0, 2.0], [2.0, 1.0]])
        both: Filter = (F.year >= 2020) & ~(F.lang == "en") | F.tags.contains(["a"])
        found: QueryResult = notes.search([1.0, 2.0], k=receipt.points, filter=both)
        first: Hit = found[0]
        ids: list[int | str] = [point.id for point in notes.scroll(filter="year exists")]
        documents: list[Document] = list(notes.list_documents())
        info: CollectionInfo = notes.info()
        with notes.generate("Why?") as generation:
            text: str = "".join(generation.texts())
        try:
            notes.count()
        except ragstone.CollectionNotFound as error:
            failed: RagstoneError = error
            print(failed.field, ids, documents, info.fields["year"], text)
        return first.score


def opened(path: str | None) -> ragstone.Client:
    options: ragstone.OpenOptions = {"model": "all-MiniLM-L6-v2", "timeout": 1.0}
    ragstone.open(path, modle="all-MiniLM-L6-v2")  # type: ignore[call-arg]
    ragstone.aio.open(path, read_only="yes")  # type: ignore[arg-type]
    return ragstone.open(path, **options)


async def awaited() -> Answer:
    async with ragstone.aio.connect() as client:
        notes: ragstone.aio.AsyncCollection = await client.create_collection("notes")
        found: QueryResult = await notes.search("text")
        points: list[Point] = [point async for point in notes.scroll()]
        print(len(found), points)
        return await notes.ask("Why?")
