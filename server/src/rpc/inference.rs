//! InferenceService.

use std::time::Instant;

use ragstone_proto::v1::inference_service_server::InferenceService;
use ragstone_proto::v1::{
    CountTokensRequest, CountTokensResponse, EmbedRequest, EmbedResponse, ListModelsRequest,
    ListModelsResponse, PullModelRequest, PullModelResponse, RerankRequest, RerankResponse,
};
use ragstone_rag::Rag;
use tonic::{Request, Response, Status};

use super::Services;
use crate::models::Kind;
use crate::telemetry::{About, Activity, Figures};
use crate::{convert, page};

#[tonic::async_trait]
impl InferenceService for Services {
    async fn embed(&self, request: Request<EmbedRequest>) -> Result<Response<EmbedResponse>, Status> {
        let request = request.into_inner();
        let (role, overflow) = convert::embed_options(&request)?;
        let model = self.loader().named(Kind::Embedder, request.model).await?;
        self.loader().require(&model).await?;
        let texts = request.texts;
        let about = About { embedder: Some(model.clone()), ..About::default() };
        let stages = self.stages(Activity::Embed, about);
        let embed = move |rag: &Rag| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let began = Instant::now();
            let embeddings = rag.embed(Some(&model), &texts, role, overflow)?;
            stages.was("embed", began.elapsed(), Figures::of(&embeddings));
            let info = rag.models().load(&model)?.info().clone();
            Ok(convert::embed_response(embeddings, info))
        };
        self.answer(embed).await
    }

    async fn rerank(&self, request: Request<RerankRequest>) -> Result<Response<RerankResponse>, Status> {
        let request = convert::rerank(request.into_inner())?;
        let model = self.loader().named(Kind::Reranker, request.model.clone()).await?;
        self.loader().require_kind(Kind::Reranker, &model).await?;
        let about = About { reranker: Some(model.clone()), ..About::default() };
        let stages = self.stages(Activity::Rerank, about);
        let rerank = move |rag: &Rag| {
            let passages: Vec<&str> = request.passages.iter().map(String::as_str).collect();
            let began = Instant::now();
            let scores = rag.rerank(&model, &request.query, &passages, request.overflow)?;
            let results = Some(passages.len());
            stages.was("rerank", began.elapsed(), Figures { results, ..Figures::default() });
            let info = rag.models().reranker(&model)?.info().clone();
            Ok(convert::rerank_response(scores, request.top_k, info))
        };
        self.answer(rerank).await
    }

    async fn count_tokens(
        &self,
        request: Request<CountTokensRequest>,
    ) -> Result<Response<CountTokensResponse>, Status> {
        let CountTokensRequest { model, texts } = request.into_inner();
        convert::check_texts(&texts)?;
        let model = self.loader().named(Kind::TokenCounter, model).await?;
        self.loader().require_kind(Kind::TokenCounter, &model).await?;
        let count = move |rag: &Rag| {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let (tokens, exact) = rag.count_tokens(Some(&model), &texts)?;
            Ok(convert::count_tokens_response(tokens, exact))
        };
        self.answer(count).await
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        let request = request.into_inner();
        let list = page::List::new(&["ListModels"]);
        let (size, after) = (page::size(request.page_size)?, list.key(&request.page_token)?);
        let default = self.loader().default_model().to_owned();
        let get = move |rag: &Rag| {
            let mut models = rag.models().list()?;
            models.sort_by(|one, other| one.name.cmp(&other.name));
            let (models, next) = page::cut(models, after.as_deref(), size, |model| model.name.as_str());
            Ok(ListModelsResponse {
                models: models.into_iter().map(|model| convert::model(model, &default)).collect(),
                next_page_token: next.map(|key| list.token(&key)).unwrap_or_default(),
            })
        };
        self.answer(get).await
    }

    async fn pull_model(
        &self,
        request: Request<PullModelRequest>,
    ) -> Result<Response<PullModelResponse>, Status> {
        let model = self.loader().named(Kind::Embedder, request.into_inner().model).await?;
        let pulled = self.loader().pull(model).await?;
        let (name, source, sha256) = (pulled.name, pulled.source, pulled.sha256);
        Ok(Response::new(PullModelResponse { name, source, sha256 }))
    }
}
