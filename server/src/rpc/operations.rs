//! OperationsService.

use std::pin::Pin;
use std::time::Duration;

use ragstone_proto::v1::operations_service_server::OperationsService;
use ragstone_proto::v1::{
    CancelOperationRequest, CancelOperationResponse, DeleteOperationRequest, DeleteOperationResponse,
    GetOperationRequest, GetOperationResponse, ListOperationsRequest, ListOperationsResponse,
    WatchOperationRequest, WatchOperationResponse,
};
use tokio::sync::watch;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Services;
use crate::operations::{Asked, Kind, Operation};
use crate::{convert, page, status};

/// Between two messages of a watch, but for the last one: who watches sees a bar move, and no more is of use.
const WATCH_PAUSE: Duration = Duration::from_millis(100);

/// What is sent of an operation.
type Watching = Pin<Box<dyn Stream<Item = Result<WatchOperationResponse, Status>> + Send>>;

#[tonic::async_trait]
impl OperationsService for Services {
    type WatchOperationStream = Watching;

    async fn get_operation(
        &self,
        request: Request<GetOperationRequest>,
    ) -> Result<Response<GetOperationResponse>, Status> {
        let operation = self.seen(&request.into_inner().id)?;
        Ok(Response::new(GetOperationResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn list_operations(
        &self,
        request: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsResponse>, Status> {
        let request = request.into_inner();
        let state = convert::state_in(request.state)?;
        let list = page::List::new(&["ListOperations", &request.state.to_string()]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let is_listed = |operation: &Operation| {
            self.shows(operation)
                && state.is_none_or(|state| operation.state == state)
                && after.as_ref().is_none_or(|after| operation.id < *after)
        };
        let mut operations: Vec<Operation> =
            self.operations().list().into_iter().rev().filter(is_listed).take(size + 1).collect();
        let more = operations.len() > size;
        operations.truncate(size);
        let last = operations.last().filter(|_| more);
        let next_page_token = last.map(|last| list.token(&last.id)).unwrap_or_default();
        let operations = operations.into_iter().map(convert::operation).collect();
        Ok(Response::new(ListOperationsResponse { operations, next_page_token }))
    }

    async fn watch_operation(
        &self,
        request: Request<WatchOperationRequest>,
    ) -> Result<Response<Watching>, Status> {
        let id = request.into_inner().id;
        self.seen(&id)?;
        let operation = self.operations().watch(&id)?;
        Ok(Response::new(Box::pin(watched(operation))))
    }

    async fn cancel_operation(
        &self,
        request: Request<CancelOperationRequest>,
    ) -> Result<Response<CancelOperationResponse>, Status> {
        let id = request.into_inner().id;
        self.seen(&id)?;
        let operations = self.operations().clone();
        // It waits for the disk.
        let operation = self.work().run(move || operations.cancel(&id)).await??;
        self.give_up(&operation).await?;
        Ok(Response::new(CancelOperationResponse { operation: Some(convert::operation(operation)) }))
    }

    async fn delete_operation(
        &self,
        request: Request<DeleteOperationRequest>,
    ) -> Result<Response<DeleteOperationResponse>, Status> {
        let (operations, id) = (self.operations().clone(), request.into_inner().id);
        self.seen(&id)?;
        // It waits for the disk.
        let deleted = self.work().run(move || operations.delete(&id)).await?;
        deleted.map(|()| Response::new(DeleteOperationResponse {}))
    }
}

impl Services {
    /// An operation, if its caller may see it: who manages what it is done to.
    fn seen(&self, id: &str) -> Result<Operation, Status> {
        let operation = self.operations().get(id)?;
        if self.shows(&operation) { Ok(operation) } else { Err(status::operation_not_found(id)) }
    }

    fn shows(&self, operation: &Operation) -> bool {
        let Asked { kind, target, .. } = &operation.asked;
        let collection = match kind {
            Kind::Reembed | Kind::Export | Kind::Import => Some(target.as_str()),
            Kind::TakeSnapshot | Kind::VerifySnapshot | Kind::RestoreCollection => None,
        };
        self.access().manages(collection)
    }
}

/// An operation as it is now, then as it is whenever that has changed, until it has ended.
fn watched(
    operation: watch::Receiver<Operation>,
) -> impl Stream<Item = Result<WatchOperationResponse, Status>> + Send {
    enum Next {
        First,
        Changed,
        Over,
    }
    let message =
        |operation: Operation| Ok(WatchOperationResponse { operation: Some(convert::operation(operation)) });
    futures_util::stream::unfold((operation, Next::First), move |(mut operation, next)| async move {
        match next {
            Next::First => {}
            Next::Changed => {
                // An end is told at once; all else is put together for a moment.
                // Of a copy, so that what changes meanwhile is news afterwards.
                let mut pausing = operation.clone();
                let ended = tokio::time::timeout(WATCH_PAUSE, ended(&mut pausing)).await;
                let is_there = match ended {
                    Ok(is_there) => is_there,
                    Err(_) => operation.changed().await.is_ok(),
                };
                if !is_there {
                    return Some((Err(status::shutting_down()), (operation, Next::Over)));
                }
            }
            Next::Over => return None,
        }
        let now = operation.borrow_and_update().clone();
        let next = if now.has_ended() { Next::Over } else { Next::Changed };
        Some((message(now), (operation, next)))
    })
}

/// Waits until an operation has ended; whether it is there still.
async fn ended(operation: &mut watch::Receiver<Operation>) -> bool {
    operation.wait_for(Operation::has_ended).await.is_ok()
}
