//! AdminService.

use std::ops::ControlFlow;

use ragstone::CancelToken;
use ragstone_proto::v1::admin_service_server::AdminService;
use ragstone_proto::v1::{
    CreateKeyRequest, CreateKeyResponse, ExportCollectionRequest, ExportCollectionResponse, GetStatsRequest,
    GetStatsResponse, ImportCollectionRequest, ImportCollectionResponse, ListKeysRequest, ListKeysResponse,
    ListSnapshotsRequest, ListSnapshotsResponse, RestoreCollectionRequest, RestoreCollectionResponse,
    RevokeKeyRequest, RevokeKeyResponse, RotateKeyRequest, RotateKeyResponse, TakeSnapshotRequest,
    TakeSnapshotResponse, VerifySnapshotRequest, VerifySnapshotResponse,
};
use ragstone_rag::Rag;
use ragstone_rag::progress::Progress as _;
use ragstone_snapshot::{Progress, Repository, Snapshot};
use tonic::{Request, Response, Status};

use super::Services;
use crate::operations::{Asked, Kind, Outcome, Report};
use crate::{convert, page, status};

#[tonic::async_trait]
impl AdminService for Services {
    async fn get_stats(&self, _: Request<GetStatsRequest>) -> Result<Response<GetStatsResponse>, Status> {
        let running = self.operations().list().iter().filter(|operation| !operation.has_ended()).count();
        let stores = self.snapshot_stores().to_vec();
        self.answer(move |rag: &Rag| {
            let stats = rag.db().stats()?;
            Ok(GetStatsResponse {
                running_operations: u32::try_from(running).unwrap_or(u32::MAX),
                snapshot_stores: stores,
                ..convert::stats(stats)
            })
        })
        .await
    }

    async fn take_snapshot(
        &self,
        request: Request<TakeSnapshotRequest>,
    ) -> Result<Response<TakeSnapshotResponse>, Status> {
        let store = self.snapshot_store(request.into_inner().store)?;
        let rag = self.rag();
        let asked = asked(Kind::TakeSnapshot, &store, &[]);
        let operation = self
            .begin(asked, move |report, cancel| {
                let repository = Repository::open_or_make(&store).map_err(status::snapshot)?;
                report.begin("snapshot", None, "B");
                let taken =
                    repository.take(rag.db(), None, told(report, cancel)).map_err(status::snapshot)?;
                let snapshot = taken.snapshot;
                Ok(Outcome::from([
                    ("bytes".to_owned(), snapshot.size_bytes().to_string()),
                    ("position".to_owned(), snapshot.position.to_string()),
                    ("name".to_owned(), snapshot.name),
                ]))
            })
            .await?;
        Ok(Response::new(TakeSnapshotResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        let request = request.into_inner();
        let store = self.snapshot_store(request.store)?;
        let list = page::List::new(&["ListSnapshots", &store]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let listed = self.work().beside(move || {
            let mut snapshots = snapshots(&store)?;
            // The oldest first, and those of one moment by name: that is what a page goes on after.
            snapshots.sort_by_cached_key(key);
            let (page, next) = page::cut(
                snapshots.into_iter().map(|snapshot| (key(&snapshot), snapshot)).collect(),
                after.as_deref(),
                size,
                |(key, _)| key.as_str(),
            );
            let next_page_token = next.map(|key| list.token(&key)).unwrap_or_default();
            let snapshots = page.into_iter().map(|(_, snapshot)| convert::snapshot(snapshot)).collect();
            Ok(Response::new(ListSnapshotsResponse { snapshots, next_page_token }))
        });
        listed.await?
    }

    async fn verify_snapshot(
        &self,
        request: Request<VerifySnapshotRequest>,
    ) -> Result<Response<VerifySnapshotResponse>, Status> {
        let request = request.into_inner();
        let store = self.snapshot_store(request.store)?;
        let wanted = (store.clone(), request.name);
        // Refused now rather than later, if there is none.
        let name = self.work().beside(move || named(&wanted.0, wanted.1)).await??;
        let asked = asked(Kind::VerifySnapshot, &store, &[("name", &name)]);
        let operation = self
            .begin(asked, move |report, cancel| {
                let repository = Repository::open(&store).map_err(status::snapshot)?;
                report.begin("verify", None, "B");
                let verified = repository.verify(&name, told(report, cancel)).map_err(status::snapshot)?;
                if let Some(first) = verified.damaged.first() {
                    let (count, object, reason) = (verified.damaged.len(), &first.object, &first.reason);
                    return Err(status::snapshot_damaged(format!(
                        "snapshot `{name}`: {count} objects are damaged, the first is {object}: {reason}"
                    )));
                }
                Ok(Outcome::from([
                    ("bytes".to_owned(), verified.bytes.to_string()),
                    ("position".to_owned(), verified.position.to_string()),
                    ("name".to_owned(), name),
                ]))
            })
            .await?;
        Ok(Response::new(VerifySnapshotResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn restore_collection(
        &self,
        request: Request<RestoreCollectionRequest>,
    ) -> Result<Response<RestoreCollectionResponse>, Status> {
        let operation = self.restore(request.into_inner()).await?;
        Ok(Response::new(RestoreCollectionResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn export_collection(
        &self,
        request: Request<ExportCollectionRequest>,
    ) -> Result<Response<ExportCollectionResponse>, Status> {
        let operation = self.export(request.into_inner()).await?;
        Ok(Response::new(ExportCollectionResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn import_collection(
        &self,
        request: Request<ImportCollectionRequest>,
    ) -> Result<Response<ImportCollectionResponse>, Status> {
        let operation = self.import(request.into_inner()).await?;
        Ok(Response::new(ImportCollectionResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn create_key(
        &self,
        request: Request<CreateKeyRequest>,
    ) -> Result<Response<CreateKeyResponse>, Status> {
        self.make_key(request.into_inner()).await
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        self.show_keys(request.into_inner()).await
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        self.take_key_back(request.into_inner()).await
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        self.turn_key(request.into_inner()).await
    }
}

/// What is asked for of an operation.
pub(super) fn asked(kind: Kind, target: &str, arguments: &[(&str, &str)]) -> Asked {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Asked { kind, target: target.to_owned(), arguments: arguments.iter().map(owned).collect() }
}

/// Tells a report how far a work on a store is, and that work when to end.
fn told<'a>(report: &'a Report, cancel: &'a CancelToken) -> impl FnMut(Progress) -> ControlFlow<()> + 'a {
    move |progress| report.at(progress.bytes, Some(progress.bytes_total), cancel)
}

/// The snapshots in a store. One that nobody wrote to yet has none.
fn snapshots(store: &str) -> Result<Vec<Snapshot>, Status> {
    Repository::open_or_make(store).and_then(|repository| repository.list()).map_err(status::snapshot)
}

fn key(snapshot: &Snapshot) -> String {
    format!("{:020}/{}", snapshot.created_us, snapshot.name)
}

/// The name of a snapshot that is there: the one asked for, or the newest.
fn named(store: &str, name: String) -> Result<String, Status> {
    let found = match name.is_empty() {
        // One that nobody wrote to yet has none.
        true => Repository::open_or_make(store).and_then(|repository| repository.newest()),
        false => Repository::open(store).and_then(|repository| repository.snapshot(&name)),
    };
    Ok(found.map_err(status::snapshot)?.name)
}
