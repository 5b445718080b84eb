//! The calls of RagService.

use ragstone_proto::v1::rag_service_client::RagServiceClient;
use tonic::transport::Channel;

use super::{Client, service};
use crate::call::{call, methods};
use crate::enrich::{Enrich, Enriched};
use crate::error::Result;
use crate::retrieve::{Retrieve, Retrieved};

impl Client {
    /// Finds the chunks that a question is about. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field; `Code::FailedPrecondition` (the collection has no
    /// model, or its model differs); `Code::Unavailable` while its model is loaded.
    pub async fn retrieve(&self, request: Retrieve) -> Result<Retrieved> {
        let service = self.rag();
        let response = call(self.policy, methods::RETRIEVE, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.retrieve(request).await }
        })
        .await?;
        Retrieved::from_wire(response)
    }

    /// Retrieves what bears on a question and packs it, cited, into a prompt. 30 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`; `Code::InvalidArgument`, naming the field; `Code::FailedPrecondition` (the collection has no
    /// model, or its model differs); `Code::Unavailable` while its model is loaded.
    pub async fn enrich(&self, request: Enrich) -> Result<Enriched> {
        let service = self.rag();
        let response = call(self.policy, methods::ENRICH, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.enrich(request).await }
        })
        .await?;
        Enriched::from_wire(response)
    }

    fn rag(&self) -> RagServiceClient<Channel> {
        service!(self, RagServiceClient)
    }
}
