//! The calls of InferenceService.

use ragstone_proto::v1;
use ragstone_proto::v1::inference_service_client::InferenceServiceClient;

use super::{Calling, Client, LIST_PAGE_SIZE, service};
use crate::call::{call, methods};
use crate::error::Result;
use crate::inference::{Embed, Embeddings, Model, PulledModel};
use crate::rerank::{Rerank, Reranked, TokenCounts};

impl Client {
    /// Turns texts into vectors. 120 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument`, naming the text (`texts[2]`): too many bytes, or tokens beyond the model's limit; of the
    /// model: `Code::NotFound`, `Code::FailedPrecondition`, `Code::PermissionDenied`, `Code::Unavailable`.
    pub async fn embed(&self, request: Embed) -> Result<Embeddings> {
        let service = self.inference();
        let response = call(self.policy, methods::EMBED, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.embed(request).await }
        })
        .await?;
        Embeddings::from_wire(response)
    }

    /// Brings passages into the order of how well they answer a query. 120 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument`, naming what is too long or missing (`passages[2]`, `query`, `model`); of the model, as
    /// [`embed`](Client::embed).
    pub async fn rerank(&self, request: Rerank) -> Result<Reranked> {
        let service = self.inference();
        let response = call(self.policy, methods::RERANK, request.into_wire(), |request| {
            let mut service = service.clone();
            async move { service.rerank(request).await }
        })
        .await?;
        Reranked::from_wire(response)
    }

    /// Counts the tokens of at most 2,048 texts as a model does: `gpt-4o`, an embedding model; empty for the server's default.
    /// 120 s by default.
    ///
    /// # Errors
    /// `Code::InvalidArgument`, naming the text that has too many bytes; of the model, as [`embed`](Client::embed).
    pub async fn count_tokens<T: Into<String>>(
        &self,
        model: &str,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<TokenCounts> {
        let service = self.inference();
        let texts = texts.into_iter().map(Into::into).collect();
        let request = v1::CountTokensRequest { model: model.to_owned(), texts };
        let response = call(self.policy, methods::COUNT_TOKENS, request, |request| {
            let mut service = service.clone();
            async move { service.count_tokens(request).await }
        })
        .await?;
        Ok(TokenCounts::from_wire(response))
    }

    /// Lists the models that the server has without a download. 30 s a page by default.
    ///
    /// # Errors
    /// Those of every call.
    pub async fn list_models(&self) -> Result<Vec<Model>> {
        let service = self.inference();
        let mut models = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = v1::ListModelsRequest { page_size: LIST_PAGE_SIZE, page_token };
            let response = call(self.policy, methods::LIST_MODELS, request, |request| {
                let mut service = service.clone();
                async move { service.list_models(request).await }
            })
            .await?;
            for model in response.models {
                models.push(Model::from_wire(model)?);
            }
            page_token = response.next_page_token;
            if page_token.is_empty() {
                return Ok(models);
            }
        }
    }

    /// Has the server fetch a model into its cache, verified; empty for its default model. 1,800 s by default.
    ///
    /// # Errors
    /// `Code::NotFound`, naming every place tried; `Code::PermissionDenied`; `Code::FailedPrecondition`.
    pub async fn pull_model(&self, model: &str) -> Result<PulledModel> {
        let service = self.inference();
        let request = v1::PullModelRequest { model: model.to_owned() };
        let response = call(self.policy, methods::PULL_MODEL, request, |request| {
            let mut service = service.clone();
            async move { service.pull_model(request).await }
        })
        .await?;
        Ok(PulledModel { name: response.name, source: response.source, sha256: response.sha256 })
    }

    fn inference(&self) -> InferenceServiceClient<Calling> {
        service!(self, InferenceServiceClient)
    }
}
