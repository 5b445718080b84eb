//! The calls of OperationsService.

use ragstone_proto::v1;
use ragstone_proto::v1::operations_service_client::OperationsServiceClient;

use super::{Calling, Client, LIST_PAGE_SIZE, service};
use crate::call::{call, methods};
use crate::error::{Error, Result};
use crate::operation::{Operation, OperationState};

/// An operation as it is, whenever that has changed: [`Client::watch_operation`].
#[derive(Debug)]
pub struct OperationWatch(tonic::Streaming<v1::WatchOperationResponse>);

impl OperationWatch {
    /// How it is now, as soon as that is news; `None` after it has ended.
    ///
    /// # Errors
    /// `Code::Unavailable` when the server stops, or the connection breaks: watch it again.
    pub async fn next(&mut self) -> Result<Option<Operation>> {
        match self.0.message().await {
            Ok(Some(response)) => Operation::from_wire(response.operation).map(Some),
            Ok(None) => Ok(None),
            Err(status) => Err(Error::from_status(&status)),
        }
    }
}

impl Client {
    /// Shows an operation. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn get_operation(&self, id: &str) -> Result<Operation> {
        let service = self.operations();
        let request = v1::GetOperationRequest { id: id.to_owned() };
        let response = call(self.policy, methods::GET_OPERATION, request, |request| {
            let mut service = service.clone();
            async move { service.get_operation(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Shows the operations that the server knows, the newest first, those in a state or all. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_operations(&self, state: Option<OperationState>) -> Result<Vec<Operation>> {
        let service = self.operations();
        let state = state.map_or(0, |state| state.into_wire().into());
        let (mut operations, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListOperationsRequest { state, page_size: LIST_PAGE_SIZE, page_token };
            let response = call(self.policy, methods::LIST_OPERATIONS, request, |request| {
                let mut service = service.clone();
                async move { service.list_operations(request).await }
            })
            .await?;
            for operation in response.operations {
                operations.push(Operation::from_wire(Some(operation))?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(operations);
            }
        }
    }

    /// Watches an operation: it is told how it is at once, and whenever that has changed, until it has ended. There is no deadline.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn watch_operation(&self, id: &str) -> Result<OperationWatch> {
        let request = v1::WatchOperationRequest { id: id.to_owned() };
        let response = self.operations().watch_operation(request).await;
        Ok(OperationWatch(response.map_err(|status| Error::from_status(&status))?.into_inner()))
    }

    /// Asks an operation to end; as it is now, which may be running still. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`.
    pub async fn cancel_operation(&self, id: &str) -> Result<Operation> {
        let service = self.operations();
        let request = v1::CancelOperationRequest { id: id.to_owned() };
        let response = call(self.policy, methods::CANCEL_OPERATION, request, |request| {
            let mut service = service.clone();
            async move { service.cancel_operation(request).await }
        })
        .await?;
        Operation::from_wire(response.operation)
    }

    /// Forgets an operation that has ended. 60 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::FailedPrecondition` while it runs.
    pub async fn delete_operation(&self, id: &str) -> Result<()> {
        let service = self.operations();
        let request = v1::DeleteOperationRequest { id: id.to_owned() };
        call(self.policy, methods::DELETE_OPERATION, request, |request| {
            let mut service = service.clone();
            async move { service.delete_operation(request).await }
        })
        .await?;
        Ok(())
    }

    fn operations(&self) -> OperationsServiceClient<Calling> {
        service!(self, OperationsServiceClient)
    }
}
