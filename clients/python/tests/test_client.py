"""What a client does beside collections' contents: schemas, aliases, models, templates, operations, snapshots, files, keys."""

from __future__ import annotations

import asyncio
import datetime
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme
from conftest import Server, connect

from ragstone import (
    AliasNotFound,
    CollectionAliased,
    CollectionExists,
    CollectionNotFound,
    DenseVector,
    F,
    FailedPrecondition,
    FileExists,
    Filter,
    ForeignWriteToken,
    Graph,
    InvalidArgument,
    KeyLimits,
    KeyNotFound,
    Message,
    ModelNotAllowed,
    MultiVectors,
    OperationNotFound,
    PermissionDenied,
    PreconditionFailed,
    RateLimited,
    SamplePassage,
    SnapshotNotFound,
    SparseVectors,
    TemplateNotFound,
    TokenLimit,
    Unauthenticated,
    Unavailable,
)


async def test_collections_are_what_they_were_made(client: Any, name: str) -> None:
    vectors = {
        "title": DenseVector(4, "l2", "f16", "int8", 2, Graph(16, 64)),
        "words": SparseVectors(),
        "tokens": MultiVectors(8, "dot", "f16"),
    }
    notes = await client.create_collection(
        name,
        dimension=3,
        metric="dot",
        fields={"year": "int", "who": "string"},
        texts={"body": "german"},
        strict=True,
        vectors=vectors,
        tenant="who",
        encoding="bit1",
    )
    info = await notes.info()
    assert (info.name, info.dimension, info.metric, info.strict, info.tenant) == (name, 3, "dot", True, "who")
    assert (info.fields["year"], info.texts, info.model, info.points) == ("int", {"body": "german"}, None, 0)
    assert {key: info.vectors[key] for key in vectors} == vectors
    assert info.vectors[""].encoding == "bit1"

    with pytest.raises(CollectionExists):
        await client.create_collection(name, dimension=3)
    assert (await client.create_collection(name, dimension=3, exist_ok=True)).name == name
    assert await client.has_collection(name)
    assert name in [one.name for one in await client.list_collections()]
    changed = await notes.add_fields({"day": "timestamp"}, texts=["note"])
    assert (changed.fields["day"], changed.texts["note"]) == ("timestamp", "english")
    with pytest.raises(InvalidArgument) as wrong:
        await notes.add_fields({"year": "string"})
    assert wrong.value.field == "fields.year"
    with pytest.raises(PreconditionFailed):
        await client.delete_collection(name, etag=info.etag)
    await notes.drop()
    assert not await client.has_collection(name)
    with pytest.raises(CollectionNotFound):
        await client.delete_collection(name)
    await client.delete_collection(name, missing_ok=True)
    with pytest.raises(TypeError, match="one of dimension, model"):
        await client.create_collection(name, dimension=3, model="x")
    with pytest.raises(ValueError, match="`metric` is one of cosine, dot, l2"):
        await client.create_collection(name, dimension=3, metric="l1")


async def test_aliases_name_collections(client: Any, name: str) -> None:
    await client.create_collection(name, dimension=1)
    alias = f"{name}-alias"
    assert (await client.set_alias(alias, name)).collection == name
    assert [one.alias for one in await client.list_aliases(name)] == [alias]
    assert await client.collection(alias).count() == 0
    with pytest.raises(CollectionAliased):
        await client.delete_collection(name)
    await client.delete_alias(alias)
    with pytest.raises(AliasNotFound):
        await client.delete_alias(alias)


async def test_models_embed_and_count(client: Any) -> None:
    made = await client.embed(["a lease", "a loaf of bread"], role="query")
    assert (len(made), len(made[0]), made.truncated) == (2, 384, [False, False])
    assert sum(component * component for component in made[1]) == pytest.approx(1.0)
    assert (made.model.name, made.model.dimension) == ("all-MiniLM-L6-v2", 384)
    with pytest.raises(TokenLimit) as wrong:
        await client.embed(["short", "word " * 2_000])
    assert wrong.value.field == "texts[1]"
    assert (await client.embed(["word " * 2_000], truncate=True)).truncated == [True]
    counts = await client.count_tokens(["a lease", ""])
    assert (counts.tokens, counts.estimated) == ([2, 0], False)
    assert any(model.default and model.info.dimension == 384 for model in await client.list_models())
    assert (await client.pull_model()).source == "cache"
    with pytest.raises(ModelNotAllowed):
        await client.rerank("a", ["b"], model="org/none", top_k=1)


async def test_templates_are_kept_by_version(client: Any, name: str) -> None:
    source = "{% system %}\nBe brief.\n{% user %}\n{{ question }}: {{ citations[0].text }}"
    first = await client.register_template(name, source)
    second = await client.register_template(name, source + "!")
    assert (first.version, second.version) == (1, 2)
    assert (await client.get_template(name)).source == source + "!"
    assert [one.version for one in await client.list_templates(name)] == [1, 2]
    passages = [SamplePassage("a.md", "the passage")]
    shown = await client.preview_template("Why?", passages=passages, template=f"{name}@1", data_marking="off")
    assert shown == [Message("system", "Be brief."), Message("user", "Why?: the passage")]
    with pytest.raises(InvalidArgument) as wrong:
        await client.register_template(name, "{% if %}")
    assert wrong.value.field == "source"
    assert await client.delete_template(name) == 2
    with pytest.raises(TemplateNotFound):
        await client.get_template(name)


async def test_snapshots_files_and_operations(client: Any, name: str) -> None:
    notes = await client.create_collection(name, dimension=1)
    await notes.upsert([(1, [1.0], {"n": 1}), (2, [1.0], {"n": 2})])
    taken = await client.wait_operation((await client.take_snapshot()).id)
    assert (taken.state, taken.kind, taken.has_ended) == ("succeeded", "take_snapshot", True)
    assert taken.result["name"] in [one.name for one in await client.list_snapshots()]
    states: list[str] = []
    verifying = await client.verify_snapshot(taken.result["name"])
    await client.wait_operation(verifying.id, progress=lambda operation: states.append(operation.state))
    assert states[-1] == "succeeded"
    await notes.delete([1])
    restoring = await client.restore_collection(name, name=f"{name}-before", snapshot=taken.result["name"])
    await client.wait_operation(restoring.id)
    assert await client.collection(f"{name}-before").count() == 2

    file = f"{name}.parquet"
    exporting = await client.export_collection(name, file, filter=F.n == 2)
    assert (await client.wait_operation(exporting.id)).result["rows"] == "1"
    again = await client.export_collection(name, file)
    with pytest.raises(FileExists):
        await client.wait_operation(again.id)
    assert again.id in [one.id for one in await client.list_operations("failed")]
    importing = await client.import_collection(file, f"{name}-copy")
    await client.wait_operation(importing.id)
    assert [point.id for point in await client.collection(f"{name}-copy").get([1, 2])] == [2]
    how: dict[str, Any] = {"format": "arrow", "compression": "lz4", "id_column": "key", "vector_column": "embedding"}
    exporting = await client.export_collection(name, f"{name}.data", **how)
    await client.wait_operation(exporting.id)
    wrong = await client.import_collection(f"{name}.data", f"{name}-none", format="arrow", columns=["colour"])
    with pytest.raises(InvalidArgument, match=r"`key`.*`embedding`") as refused:
        await client.wait_operation(wrong.id)
    assert refused.value.field == "columns"
    few = await client.import_collection(
        f"{name}.data", f"{name}-few", format="arrow", without=["n"], batch_rows=1, id_column="key"
    )
    assert (await client.wait_operation(few.id)).result["rows"] == "1"
    assert [point.payload for point in await client.collection(f"{name}-few").get([2])] == [{}]

    assert (await client.cancel_operation(importing.id)).state == "succeeded"
    assert (await client.get_operation(importing.id)).result["rows"] == "1"
    await client.delete_operation(importing.id)
    for ask in (client.get_operation, client.delete_operation, client.wait_operation):
        with pytest.raises(OperationNotFound):
            await ask(importing.id)
    with pytest.raises(SnapshotNotFound):
        await client.verify_snapshot("nobody")
    stats = await client.stats()
    assert next(one.points for one in stats.collections if one.name == name) == 1


async def test_reads_find_what_was_written(client: Any, name: str) -> None:
    own = client.reading_own_writes()
    notes = await own.create_collection(name, dimension=1)
    receipt = await notes.upsert([(1, [1.0])])
    assert own.write_token == client.write_token == receipt.write_token
    assert await client.at_least(receipt.write_token).collection(name).count() == 1
    foreign = f"{receipt.write_token[0]}{'0' * 32}{receipt.write_token[33:]}"
    with pytest.raises(ForeignWriteToken):
        await client.at_least(foreign).collection(name).count()


@pytest.mark.server_only("who opens a directory may do everything")
async def test_tenants_see_what_is_theirs(
    kind: str, tmp_path_factory: pytest.TempPathFactory, model: str, name: str
) -> None:
    place = tmp_path_factory.mktemp("keys")
    open_server = Server(place, "--model", model)
    async with connect(kind, open_server.url) as client:
        admin = await client.create_key("admin", ["admin"])
    open_server.stop()
    server = Server(place, "--model", model, "--auth")
    try:
        async with connect(kind, server.url) as nobody:
            with pytest.raises(Unauthenticated):
                await nobody.list_collections()
        assert admin.secret not in repr(admin)
        async with connect(kind, server.url, api_key=admin.secret) as operator:
            await tenants(kind, server.url, operator, name)
    finally:
        server.stop()


async def tenants(kind: str, url: str, operator: Any, name: str) -> None:
    notes = await operator.create_collection(name, dimension=1, tenant="who")
    await notes.upsert([(1, [1.0], {"who": "a"}), (2, [1.0], {"who": "b"})])
    assert await notes.count(Filter.all_tenants()) == 2
    assert await notes.count(F.who == "a") == 1
    grant = f"write on {name} where who = $claims.who"
    ends = datetime.datetime(2100, 1, 1, tzinfo=datetime.timezone.utc)
    made = await operator.create_key("a", [grant], claims={"who": "a"}, expires_at=ends)
    assert (made.key.claims, made.key.expires_at, made.key.grants) == ({"who": "a"}, ends, [grant])
    async with connect(kind, url, api_key=made.secret) as tenant:
        theirs = tenant.collection(name)
        assert [hit.id for hit in await theirs.search([1.0], filter=F.who == "a")] == [1]
        assert [point.id for point in await theirs.get([1, 2])] == [1]
        with pytest.raises(PermissionDenied):
            await theirs.upsert([(3, [1.0], {"who": "b"})])
        with pytest.raises(PermissionDenied):
            await tenant.stats()
        renewed = await operator.rotate_key(made.key.id)
        with pytest.raises(Unauthenticated):
            await theirs.count(F.who == "a")
    slow = await operator.create_key("slow", [f"read on {name}"], limits=KeyLimits(per_second=0.001, burst=1))
    async with connect(kind, url, api_key=slow.secret, retries=0) as bounded:
        await bounded.collection(name).info()
        with pytest.raises(RateLimited) as limited:
            await bounded.collection(name).info()
        assert limited.value.retry_after > 1.0
    ids = [key.id for key in await operator.list_keys()]
    assert renewed.key.id in ids
    await operator.revoke_key(renewed.key.id)
    with pytest.raises(KeyNotFound):
        await operator.revoke_key("nobody")


@pytest.mark.server_only("a directory has no URL")
async def test_a_client_says_what_of_its_url_makes_no_sense(kind: str) -> None:
    for url, options in [
        ("127.0.0.1:1", {}),
        ("ftp://host", {}),
        ("http://host/path", {}),
        ("http://host:99999", {}),
        ("http://host:0", {}),
        ("http://[::1", {}),
        ("http://user:secret@host", {}),
        ("http://host?collection=notes", {}),
        ("http://host", {"ca": b"x"}),
        ("http://host", {"api_key": "a\nb"}),
        ("http://host", {"compression": "zstd"}),
    ]:
        with pytest.raises(InvalidArgument):
            connect(kind, url, **options)


@pytest.mark.server_only("there is no connection")
async def test_both_sides_show_certificates(kind: str, tmp_path: Path, model: str) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    ours, theirs = authority.issue_cert("127.0.0.1"), authority.issue_cert("client@example.com")
    files = {name: tmp_path / name for name in ("ca.pem", "server.pem", "server.key")}
    authority.cert_pem.write_to_path(files["ca.pem"])
    ours.private_key_pem.write_to_path(files["server.key"])
    ours.cert_chain_pems[0].write_to_path(files["server.pem"])
    arguments = [
        "--tls-cert",
        files["server.pem"],
        "--tls-key",
        files["server.key"],
        "--tls-client-ca",
        files["ca.pem"],
    ]
    server = Server(tmp_path / "data", "--model", model, *map(str, arguments))
    url = server.url.replace("http:", "https:")
    identity = (theirs.cert_chain_pems[0].bytes(), theirs.private_key_pem.bytes())
    try:
        async with connect(kind, url, ca=files["ca.pem"], identity=identity) as client:
            assert await client.list_collections() == []
        text = authority.cert_pem.bytes().decode()
        for ca, shown in [(text, None), (stranger.cert_pem.bytes(), identity)]:
            async with connect(kind, url, ca=ca, identity=shown, retries=0) as client:
                with pytest.raises(Unavailable):
                    await client.list_collections()
    finally:
        server.stop()


async def test_one_client_serves_many_at_once(kind: str, server: Any, name: str) -> None:
    async with server.connect(kind) as client:
        notes = await client.create_collection(name, dimension=1)
        await notes.upsert([(number, [1.0], {"n": number}) for number in range(50)])
        if kind == "async":
            counts = await asyncio.gather(*(notes.count(F.n < number) for number in range(50)))
        else:
            with ThreadPoolExecutor(8) as threads:
                counts = list(threads.map(lambda number: notes.inner.count(F.n < number), range(50)))
    assert counts == list(range(50))


def test_an_awaited_client_may_be_used_from_several_loops(server: Any) -> None:
    client = server.connect("async")
    loops = [asyncio.new_event_loop() for _ in range(2)]
    for loop in (*loops, *loops):
        assert loop.run_until_complete(client.has_collection("nobody")) is False
    loops[0].close()
    assert asyncio.run(client.has_collection("nobody")) is False
    loops[1].run_until_complete(client.close())
    loops[1].close()


async def test_a_closed_client_says_so(kind: str, server: Any) -> None:
    client = server.connect(kind)
    assert await client.has_collection("nobody") is False
    other = client.with_options(timeout=5.0)
    await client.close()
    for ask in (client.stats, other.list_collections, client.ping):
        with pytest.raises(FailedPrecondition, match="closed"):
            await ask()
    with pytest.raises(FailedPrecondition, match="closed"):
        await client.collection("x").ingest([(1, [1.0])])


@pytest.mark.server_only("there is no connection")
async def test_messages_may_be_compressed(kind: str, server: Any, name: str) -> None:
    async with server.connect(kind, compression="gzip") as client:
        await client.ping()
        notes = await client.create_collection(name, dimension=1)
        await notes.upsert([(1, [1.0], {"text": "a" * 10_000})])
        assert (await notes.get([1]))[0].payload == {"text": "a" * 10_000}
