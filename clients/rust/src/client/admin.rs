//! The calls of AdminService.

use ragstone_proto::v1;
use ragstone_proto::v1::admin_service_client::AdminServiceClient;

use super::{Calling, Client, LIST_PAGE_SIZE, service};
use crate::call::{call, methods};
use crate::error::Result;
use crate::exchange::{ExportCollection, ImportCollection};
use crate::operation::{Operation, Snapshot, Stats};

/// A collection of a snapshot to put into the database.
///
/// ```
/// use ragstone_client::RestoreCollection;
///
/// let yesterday = RestoreCollection::new("papers").snapshot("20260101T000000Z").named("papers-before");
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct RestoreCollection(v1::RestoreCollectionRequest);

impl RestoreCollection {
    /// A collection of the newest snapshot in the only store of the server, under its own name, which no other has.
    pub fn new(collection: impl Into<String>) -> Self {
        Self(v1::RestoreCollectionRequest { collection: collection.into(), ..Default::default() })
    }

    /// Of a store, one that the server was started with.
    #[must_use]
    pub fn store(mut self, store: impl Into<String>) -> Self {
        self.0.store = store.into();
        self
    }

    /// From this snapshot.
    #[must_use]
    pub fn snapshot(mut self, name: impl Into<String>) -> Self {
        self.0.snapshot = name.into();
        self
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.0.name = name.into();
        self
    }

    /// In place of the collection that has the name, if there is one, which goes with all that it holds.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.0.replace = true;
        self
    }
}

impl Client {
    /// Tells what the server holds, and what it is at. 30 s by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn stats(&self) -> Result<Stats> {
        let service = self.admin();
        let response = call(self.policy, methods::GET_STATS, v1::GetStatsRequest {}, |request| {
            let mut service = service.clone();
            async move { service.get_stats(request).await }
        })
        .await?;
        Ok(Stats::from_wire(response))
    }

    /// Begins to copy the database to a store: the one named, or the only one that the server was started with. 60 s by default.
    ///
    /// # Errors
    /// `Code::PermissionDenied` for a store that it was not started with; `Code::AlreadyExists` while a snapshot is being taken to it.
    pub async fn take_snapshot(&self, store: Option<&str>) -> Result<Operation> {
        let service = self.admin();
        let request = v1::TakeSnapshotRequest { store: store.unwrap_or_default().to_owned() };
        let response = call(self.policy, methods::TAKE_SNAPSHOT, request, |request| {
            let mut service = service.clone();
            async move { service.take_snapshot(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Shows the snapshots in a store, the oldest first. 120 s a page by default.
    ///
    /// # Errors
    /// `Code::PermissionDenied` as above; `Code::Unavailable` if the store does not answer.
    pub async fn list_snapshots(&self, store: Option<&str>) -> Result<Vec<Snapshot>> {
        let service = self.admin();
        let store = store.unwrap_or_default().to_owned();
        let (mut snapshots, mut page_token) = (Vec::new(), String::new());
        loop {
            let page_size = LIST_PAGE_SIZE;
            let request = v1::ListSnapshotsRequest { store: store.clone(), page_size, page_token };
            let response = call(self.policy, methods::LIST_SNAPSHOTS, request, |request| {
                let mut service = service.clone();
                async move { service.list_snapshots(request).await }
            })
            .await?;
            snapshots.extend(response.snapshots.into_iter().map(Snapshot::from_wire));
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(snapshots);
            }
        }
    }

    /// Begins to compare a snapshot with its checksums: the one named, or the newest. 120 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::PermissionDenied` as above.
    pub async fn verify_snapshot(&self, store: Option<&str>, name: Option<&str>) -> Result<Operation> {
        let service = self.admin();
        let (store, name) = (store.unwrap_or_default().to_owned(), name.unwrap_or_default().to_owned());
        let request = v1::VerifySnapshotRequest { store, name };
        let response = call(self.policy, methods::VERIFY_SNAPSHOT, request, |request| {
            let mut service = service.clone();
            async move { service.verify_snapshot(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Begins to put a collection of a snapshot into the database. 120 s by default.
    ///
    /// # Errors
    /// `Code::NotFound` if there is no such snapshot, or no such collection in it; `Code::AlreadyExists` if the name is taken, or being
    /// restored to; `Code::PermissionDenied` as above.
    pub async fn restore_collection(&self, request: RestoreCollection) -> Result<Operation> {
        let service = self.admin();
        let response = call(self.policy, methods::RESTORE_COLLECTION, request.0, |request| {
            let mut service = service.clone();
            async move { service.restore_collection(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Begins to write a collection to an Arrow or Parquet file in the folder that the server was started with: all of it, of every tenant, or what
    /// passes a filter, which of a collection with a tenant key says whose points it means, as that of any read does. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument` for more than a file's name; `Code::PermissionDenied` if the server has no folder.
    pub async fn export_collection(&self, request: ExportCollection) -> Result<Operation> {
        let service = self.admin();
        let response = call(self.policy, methods::EXPORT_COLLECTION, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.export_collection(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Begins to write the rows of such a file to a collection, which is made if it is not there. 60 s by default.
    ///
    /// # Errors
    /// As [`export_collection`](Self::export_collection).
    pub async fn import_collection(&self, request: ImportCollection) -> Result<Operation> {
        let service = self.admin();
        let response = call(self.policy, methods::IMPORT_COLLECTION, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.import_collection(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    pub(super) fn admin(&self) -> AdminServiceClient<Calling> {
        service!(self, AdminServiceClient)
    }
}
