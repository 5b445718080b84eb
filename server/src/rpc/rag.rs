//! RagService.

use std::pin::Pin;

use ragstone_proto::v1::rag_service_server::RagService;
use ragstone_proto::v1::{
    EnrichRequest, EnrichResponse, GenerateRequest, GenerateResponse, RetrieveRequest, RetrieveResponse,
};
use ragstone_rag::retrieve::RetrievalMode;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::Services;
use crate::convert;

#[tonic::async_trait]
impl RagService for Services {
    type GenerateStream = Pin<Box<dyn Stream<Item = Result<GenerateResponse, Status>> + Send>>;

    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        let (collection, request) = convert::retrieve_request(request.into_inner())?;
        if request.mode != RetrievalMode::Text {
            self.require_model_of(&collection).await?;
        }
        let mut budget = self.budget();
        self.answer(move |rag| {
            let found = rag.retrieve(&collection, &request)?;
            let (head, chunks) = convert::retrieved(found);
            let chunks = chunks.into_iter().map(|chunk| budget.spend(chunk)).collect::<Result<_, _>>()?;
            Ok(RetrieveResponse { chunks, ..head })
        })
        .await
    }

    async fn enrich(&self, request: Request<EnrichRequest>) -> Result<Response<EnrichResponse>, Status> {
        let (collection, request) = convert::enrich_request(request.into_inner())?;
        self.require_model_of(&collection).await?;
        self.answer(move |rag| Ok(convert::enriched(rag.enrich(&collection, &request)?))).await
    }

    async fn generate(
        &self,
        request: Request<GenerateRequest>,
    ) -> Result<Response<Self::GenerateStream>, Status> {
        let (collection, request) = convert::generate_request(request.into_inner())?;
        let events = self.generate_events(collection, request).await?;
        let budget = self.budget();
        let messages = events.map(move |event| {
            // Each message is measured by itself: what the client takes is bounded by message.
            let mut budget = budget;
            budget.spend(convert::generated(event?))
        });
        Ok(Response::new(Box::pin(messages)))
    }
}
