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
        let mut request = request.into_inner();
        let at_least = std::mem::take(&mut request.at_least);
        let (collection, request) = convert::retrieve_request(request)?;
        if request.mode != RetrievalMode::Text {
            self.require_model_of(&collection).await?;
        }
        let (mut budget, reading) = (self.budget(), self.reading());
        self.answer(move |rag| {
            reading.collection(rag, &collection, &at_least)?;
            let found = rag.retrieve(&collection, &request)?;
            let (head, chunks) = convert::retrieved(found);
            let chunks = chunks.into_iter().map(|chunk| budget.spend(chunk)).collect::<Result<_, _>>()?;
            Ok(RetrieveResponse { chunks, ..head })
        })
        .await
    }

    async fn enrich(&self, request: Request<EnrichRequest>) -> Result<Response<EnrichResponse>, Status> {
        let mut request = request.into_inner();
        let at_least = std::mem::take(&mut request.at_least);
        let (collection, request) = convert::enrich_request(request)?;
        self.require_model_of(&collection).await?;
        let reading = self.reading();
        self.answer(move |rag| {
            reading.collection(rag, &collection, &at_least)?;
            Ok(convert::enriched(rag.enrich(&collection, &request)?))
        })
        .await
    }

    async fn generate(
        &self,
        request: Request<GenerateRequest>,
    ) -> Result<Response<Self::GenerateStream>, Status> {
        let mut request = request.into_inner();
        let at_least = request.enrich.as_mut().map(|enrich| std::mem::take(&mut enrich.at_least));
        let (collection, request) = convert::generate_request(request)?;
        self.wait_for(&collection, at_least.unwrap_or_default()).await?;
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
