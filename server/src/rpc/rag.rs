//! RagService.

use ragstone_proto::v1::rag_service_server::RagService;
use ragstone_proto::v1::{EnrichRequest, EnrichResponse};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::Services;
use crate::convert;

#[tonic::async_trait]
impl RagService for Services {
    async fn enrich(&self, request: Request<EnrichRequest>) -> Result<Response<EnrichResponse>, Status> {
        let request = request.into_inner();
        self.require_model_of(&request.collection).await?;
        let enrich = move |rag: &Rag| {
            let rows = rag.db().collection(&request.collection)?;
            let request = convert::enrich_request(request, &rows)?;
            Ok(convert::enriched(rag.enrich(rows.name(), &request)?))
        };
        self.answer(enrich).await
    }
}
