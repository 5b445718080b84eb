//! RagService.

use ragstone_proto::v1::rag_service_server::RagService;
use ragstone_proto::v1::{EnrichRequest, EnrichResponse};
use tonic::{Request, Response, Status};

use super::Services;
use crate::convert;

#[tonic::async_trait]
impl RagService for Services {
    async fn enrich(&self, request: Request<EnrichRequest>) -> Result<Response<EnrichResponse>, Status> {
        let (collection, request) = convert::enrich_request(request.into_inner())?;
        self.require_model_of(&collection).await?;
        self.answer(move |rag| Ok(convert::enriched(rag.enrich(&collection, &request)?))).await
    }
}
