"""What an operator does with a client: operations, snapshots, files, keys."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ragstone import _methods as methods
from ragstone import v1
from ragstone._admin import (
    FileCompression,
    FileFormat,
    Key,
    KeyLimits,
    NewKey,
    Operation,
    OperationState,
    Snapshot,
    Stats,
    create_key_request,
    file_compression,
    file_format,
    read_key,
    read_operation,
    read_snapshot,
    read_stats,
)
from ragstone._aio.core import AsyncCore
from ragstone._enums import number
from ragstone._errors import Aborted, missing
from ragstone._schema import Metric, metric_number
from ragstone._values import several
from ragstone.filters import FilterLike, as_wire


class AsyncOperator:
    """The part of a client that is about running a server."""

    _core: AsyncCore

    async def stats(self, *, timeout: float | None = None) -> Stats:
        """What the database holds, and what it is at."""
        return read_stats(await self._core.call(methods.GET_STATS, v1.GetStatsRequest(), v1.GetStatsResponse, timeout))

    async def take_snapshot(self, store: str | None = None, *, timeout: float | None = None) -> Operation:
        """Begins to copy the database to a store of the server's; the only one if None. Raises `SnapshotStoreNotAllowed`, `OperationExists`."""
        request = v1.TakeSnapshotRequest(store=store or "")
        answer = await self._core.call(methods.TAKE_SNAPSHOT, request, v1.TakeSnapshotResponse, timeout)
        return read_operation(answer.operation)

    async def list_snapshots(self, store: str | None = None, *, timeout: float | None = None) -> list[Snapshot]:
        """The snapshots in a store, the oldest first. Raises `SnapshotStoreNotAllowed`, `SnapshotStoreFailed`."""
        request = v1.ListSnapshotsRequest(store=store or "")
        snapshots: list[Snapshot] = []
        async for page in self._core.pages(methods.LIST_SNAPSHOTS, request, v1.ListSnapshotsResponse, timeout):
            snapshots += map(read_snapshot, page.snapshots)
        return snapshots

    async def verify_snapshot(
        self, name: str | None = None, *, store: str | None = None, timeout: float | None = None
    ) -> Operation:
        """Begins to compare a snapshot, the newest if None, with its checksums. Raises `SnapshotNotFound`, `SnapshotStoreNotAllowed`."""
        request = v1.VerifySnapshotRequest(store=store or "", name=name or "")
        answer = await self._core.call(methods.VERIFY_SNAPSHOT, request, v1.VerifySnapshotResponse, timeout)
        return read_operation(answer.operation)

    async def restore_collection(
        self,
        collection: str,
        *,
        name: str | None = None,
        snapshot: str | None = None,
        store: str | None = None,
        replace: bool = False,
        timeout: float | None = None,
    ) -> Operation:
        """Begins to put a collection of a snapshot, the newest if None, into the database, under its own name or another.

        `replace` lets it take the place of a collection of that name. Raises `SnapshotNotFound`, `CollectionNotFound`,
        `CollectionExists`, `AliasExists`, `SnapshotStoreNotAllowed`.
        """
        request = v1.RestoreCollectionRequest(
            store=store or "", snapshot=snapshot or "", collection=collection, name=name or "", replace=replace
        )
        answer = await self._core.call(methods.RESTORE_COLLECTION, request, v1.RestoreCollectionResponse, timeout)
        return read_operation(answer.operation)

    async def export_collection(
        self,
        collection: str,
        file: str,
        *,
        filter: FilterLike = None,
        overwrite: bool = False,
        format: FileFormat | None = None,
        compression: FileCompression | None = None,
        id_column: str | None = None,
        vector_column: str | None = None,
        timeout: float | None = None,
    ) -> Operation:
        """Begins to write a collection to an Arrow or Parquet file, by its extension, in the server's folder for that.

        Without a filter it is all of it, of every tenant; of a collection with a tenant key a filter says whose points it means, or
        `Filter.all_tenants()`, as that of any read does. The columns with ids and default vectors are `id` and `vector` unless they are named;
        Parquet is compressed with Zstandard, Arrow not at all, unless `compression` says how.

        Raises `CollectionNotFound`, `ExchangeNotAllowed`; the operation fails with `FileExists` if the file is there, with
        `InvalidArgument` for a filter that does not fit.
        """
        request = v1.ExportCollectionRequest(
            collection=collection,
            file=file,
            filter=as_wire(filter),
            overwrite=overwrite,
            format=file_format(format),
            compression=file_compression(compression),
            id_column=id_column or "",
            vector_column=vector_column or "",
        )
        answer = await self._core.call(methods.EXPORT_COLLECTION, request, v1.ExportCollectionResponse, timeout)
        return read_operation(answer.operation)

    async def import_collection(
        self,
        file: str,
        collection: str,
        *,
        id_column: str | None = None,
        number_rows: bool = False,
        vector_column: str | None = None,
        expires_at_column: str | None = None,
        columns: Sequence[str] | None = None,
        without: Sequence[str] = (),
        metric: Metric | None = None,
        format: FileFormat | None = None,
        batch_rows: int | None = None,
        timeout: float | None = None,
    ) -> Operation:
        """Begins to write the rows of such a file to a collection, which is made if it is not there.

        `columns` are the only ones that are taken, beside that of the ids, `without` those that are not. `metric` is for a collection that is
        made of a file without a schema of its own. `batch_rows` (1 to 100,000) are one atomic write.

        Raises `ExchangeNotAllowed`; the operation fails with `FileNotFound`, or `InvalidArgument` for columns that do not fit.
        """
        request = v1.ImportCollectionRequest(
            file=file,
            collection=collection,
            id_column=id_column or "",
            number_rows=number_rows,
            vector_column=vector_column or "",
            expires_at_column=expires_at_column or "",
            columns=several(columns or (), "columns"),
            except_columns=several(without, "without"),
            metric=metric_number(metric),
            format=file_format(format),
            batch_rows=batch_rows,
        )
        answer = await self._core.call(methods.IMPORT_COLLECTION, request, v1.ImportCollectionResponse, timeout)
        return read_operation(answer.operation)

    async def get_operation(self, id: str, *, timeout: float | None = None) -> Operation:
        """An operation as it is. Raises `OperationNotFound`."""
        request = v1.GetOperationRequest(id=id)
        answer = await self._core.call(methods.GET_OPERATION, request, v1.GetOperationResponse, timeout)
        return read_operation(answer.operation)

    async def list_operations(
        self, state: OperationState | None = None, *, timeout: float | None = None
    ) -> list[Operation]:
        """The operations that the server knows, the newest first, those in a state or all."""
        request = v1.ListOperationsRequest(state=number(v1.OperationState, "OPERATION_STATE", state, "state"))
        operations: list[Operation] = []
        async for page in self._core.pages(methods.LIST_OPERATIONS, request, v1.ListOperationsResponse, timeout):
            operations += map(read_operation, page.operations)
        return operations

    async def watch_operation(self, id: str, *, timeout: float | None = None) -> AsyncIterator[Operation]:
        """An operation as it is, at once and whenever that has changed, until it has ended. No deadline unless one is given.

        Raises `OperationNotFound`; `Unavailable` when the server stops: watch it again.
        """
        request = v1.WatchOperationRequest(id=id).SerializeToString()
        limit = self._core.timeout if timeout is None else timeout
        stream = self._core.transport.stream(methods.WATCH_OPERATION.path, request, limit)
        try:
            while (message := await stream.read()) is not None:
                yield read_operation(v1.WatchOperationResponse.FromString(message).operation)
        finally:
            stream.cancel()

    async def wait_operation(
        self, id: str, *, progress: Callable[[Operation], None] | None = None, timeout: float | None = None
    ) -> Operation:
        """Waits until an operation has ended, and tells `progress` how it is meanwhile; what came of it.

        Raises the operation's own error if it failed, `Aborted` if it was cancelled; and what `watch_operation` does.
        """
        last: Operation | None = None
        async for operation in self.watch_operation(id, timeout=timeout):
            last = operation
            if progress is not None:
                progress(operation)
        if last is None:
            raise missing("operation")
        if last.error is not None:
            raise last.error
        if last.state == "cancelled":
            raise Aborted(f"the operation {id} was cancelled")
        return last

    async def cancel_operation(self, id: str, *, timeout: float | None = None) -> Operation:
        """Asks an operation to end; as it is now, which may be running still. Raises `OperationNotFound`."""
        request = v1.CancelOperationRequest(id=id)
        answer = await self._core.call(methods.CANCEL_OPERATION, request, v1.CancelOperationResponse, timeout)
        return read_operation(answer.operation)

    async def delete_operation(self, id: str, *, timeout: float | None = None) -> None:
        """Forgets an operation that has ended. Raises `OperationNotFound`; `OperationRunning`."""
        request = v1.DeleteOperationRequest(id=id)
        await self._core.call(methods.DELETE_OPERATION, request, v1.DeleteOperationResponse, timeout)

    async def create_key(
        self,
        name: str,
        grants: Sequence[str],
        *,
        claims: Mapping[str, Any] | None = None,
        limits: KeyLimits | None = None,
        expires_at: datetime | None = None,
        timeout: float | None = None,
    ) -> NewKey:
        """Makes an API key, whose secret is told once. `$claims.NAME` in a grant stands for what `claims` has under the name.

        A grant is `read on notes-*, drafts where tenant = $claims.tenant`, `write on *`, `manage on notes`, `admin` or `observe`;
        `manage on notes-* max 20` makes no further collection or alias while so many have names that it fits. Raises
        `InvalidArgument`, naming the field (`grants[1]`).
        """
        request = create_key_request(name, list(several(grants, "grants")), claims, limits, expires_at)
        answer = await self._core.call(methods.CREATE_KEY, request, v1.CreateKeyResponse, timeout)
        return NewKey(read_key(answer.key), answer.secret)

    async def list_keys(self, *, timeout: float | None = None) -> list[Key]:
        """The API keys, by id, without their secrets."""
        keys: list[Key] = []
        async for page in self._core.pages(methods.LIST_KEYS, v1.ListKeysRequest(), v1.ListKeysResponse, timeout):
            keys += map(read_key, page.keys)
        return keys

    async def revoke_key(self, id: str, *, timeout: float | None = None) -> None:
        """Takes an API key back: calls that come later are refused. Raises `KeyNotFound`."""
        await self._core.call(methods.REVOKE_KEY, v1.RevokeKeyRequest(id=id), v1.RevokeKeyResponse, timeout)

    async def rotate_key(self, id: str, *, grace: timedelta | None = None, timeout: float | None = None) -> NewKey:
        """Gives an API key another secret; the one before is taken as well for as long as `grace`. Raises `KeyNotFound`."""
        request = v1.RotateKeyRequest(id=id)
        if grace is not None:
            request.grace.FromTimedelta(grace)
        answer = await self._core.call(methods.ROTATE_KEY, request, v1.RotateKeyResponse, timeout)
        return NewKey(read_key(answer.key), answer.secret)
