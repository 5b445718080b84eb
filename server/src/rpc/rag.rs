//! RagService.

use ragstone_proto::v1::rag_service_server::RagService;
use ragstone_proto::v1::{EnrichRequest, EnrichResponse, RetrieveRequest, RetrieveResponse};
use ragstone_rag::retrieve::RetrievalMode;
use tonic::{Request, Response, Status};

use super::Services;
use crate::convert;

#[tonic::async_trait]
impl RagService for Services {
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
}
