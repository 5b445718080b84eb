//! RagService.

use std::pin::Pin;

use ragstone_proto::v1::rag_service_server::RagService;
use ragstone_proto::v1::{
    EnrichRequest, EnrichResponse, GenerateRequest, GenerateResponse, RetrieveRequest, RetrieveResponse,
};
use ragstone_rag::prompt::EnrichRequest as Enriching;
use ragstone_rag::retrieve::{Rerank, RetrievalMode};
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::Services;
use crate::models::Kind;
use crate::telemetry::{About, Activity, Figures, Stages};
use crate::{convert, status};

#[tonic::async_trait]
impl RagService for Services {
    type GenerateStream = Pin<Box<dyn Stream<Item = Result<GenerateResponse, Status>> + Send>>;

    async fn retrieve(
        &self,
        request: Request<RetrieveRequest>,
    ) -> Result<Response<RetrieveResponse>, Status> {
        let mut request = request.into_inner();
        let at_least = std::mem::take(&mut request.at_least);
        let (collection, mut request) = convert::retrieve_request(request)?;
        let embedder = match request.mode {
            RetrievalMode::Text => None,
            _ => self.require_model_of(&collection).await?,
        };
        self.require_reranker(request.rerank.as_mut()).await?;
        let reading = self.reading(&collection, &at_least).await?;
        let mut budget = self.budget();
        let stages = self.stages(
            Activity::Retrieve,
            About {
                collection: collection.clone(),
                embedder,
                reranker: request.rerank.as_ref().map(|rerank| rerank.model.clone()),
                top_k: Some(request.k),
            },
        );
        self.answer(move |rag| {
            reading.collection(rag, &collection)?;
            let found = rag.retrieve(&collection, &request)?;
            let results = Some(found.chunks.len());
            stages.were(&found.timings_ms, Figures { results, ..Figures::default() });
            let (head, chunks) = convert::retrieved(found);
            let chunks = chunks.into_iter().map(|chunk| budget.spend(chunk)).collect::<Result<_, _>>()?;
            Ok(RetrieveResponse { chunks, ..head })
        })
        .await
    }

    async fn enrich(&self, request: Request<EnrichRequest>) -> Result<Response<EnrichResponse>, Status> {
        let mut request = request.into_inner();
        let at_least = std::mem::take(&mut request.at_least);
        let (collection, mut request) = convert::enrich_request(request)?;
        let stages = self.enriching(&collection, &mut request).await?;
        let reading = self.reading(&collection, &at_least).await?;
        self.answer(move |rag| {
            reading.collection(rag, &collection)?;
            let enriched = rag.enrich(&collection, &request)?;
            let results = Some(enriched.citations.len());
            stages.were(&enriched.timings_ms, Figures { results, ..Figures::default() });
            Ok(convert::enriched(enriched))
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

impl Services {
    /// Returns when every model that an enrichment needs is loaded; those that it names are such that it may. What comes back tells its stages.
    pub(crate) async fn enriching(
        &self,
        collection: &str,
        request: &mut Enriching,
    ) -> Result<Stages, Status> {
        let embedder = self.require_model_of(collection).await?;
        self.require_reranker(request.rerank.as_mut()).await?;
        if let Some(model) = request.tokens_of.take() {
            let model = self.allowed(Kind::TokenCounter, "tokens_of", model).await?;
            self.loader().require_kind(Kind::TokenCounter, &model).await?;
            request.tokens_of = Some(model);
        }
        Ok(self.stages(
            Activity::Enrich,
            About {
                collection: collection.to_owned(),
                embedder,
                reranker: request.rerank.as_ref().map(|rerank| rerank.model.clone()),
                top_k: Some(request.k),
            },
        ))
    }

    /// Returns when the re-ranker that a request names, if it names one, is loaded.
    async fn require_reranker(&self, rerank: Option<&mut Rerank>) -> Result<(), Status> {
        let Some(rerank) = rerank else { return Ok(()) };
        rerank.model =
            self.allowed(Kind::Reranker, "rerank.model", std::mem::take(&mut rerank.model)).await?;
        self.loader().require_kind(Kind::Reranker, &rerank.model).await
    }

    /// A model that a request names, if it may. There is no default one of its kind.
    async fn allowed(&self, kind: Kind, field: &str, model: String) -> Result<String, Status> {
        if model.is_empty() {
            return Err(status::invalid(field, "it must not be empty"));
        }
        self.loader().named(kind, model).await
    }
}
