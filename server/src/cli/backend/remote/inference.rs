//! What a server's models do.

use anyhow::Result;
use ragstone_client as client;
use ragstone_rag::embed::{Overflow, Role};

use super::{Remote, wire_size};
use crate::cli::backend::{
    EmbeddingsView, ModelView, RerankAsk, RerankedPassageView, RerankedView, TokenCountsView,
};

fn on_overflow(overflow: Overflow) -> client::OnOverflow {
    match overflow {
        Overflow::Error => client::OnOverflow::Error,
        Overflow::Truncate => client::OnOverflow::Truncate,
    }
}

impl Remote {
    pub(super) fn embed_now(
        &self,
        model: Option<&str>,
        texts: &[&str],
        (role, overflow): (Role, Overflow),
    ) -> Result<EmbeddingsView> {
        let request = client::Embed::new(texts.iter().copied())
            .model(model.unwrap_or_default())
            .role(match role {
                Role::Query => client::TextRole::Query,
                Role::Passage => client::TextRole::Passage,
                Role::Plain => client::TextRole::Plain,
            })
            .on_overflow(on_overflow(overflow));
        let embedded = self.call(self.client.embed(request))?;
        Ok(EmbeddingsView {
            model: embedded.model.name,
            dimension: embedded.model.dimension,
            vectors: embedded.vectors,
            token_counts: embedded.token_counts.into_iter().map(|count| count as u64).collect(),
            truncated: embedded.truncated,
        })
    }

    pub(super) fn rerank_now(&self, ask: &RerankAsk<'_>) -> Result<RerankedView> {
        let request = client::Rerank::new(ask.model, ask.query, ask.passages.iter().copied())
            .top_k(wire_size(ask.top_k))
            .on_overflow(on_overflow(ask.overflow));
        let reranked = self.call(self.client.rerank(request))?;
        let view = |passage: client::RerankedPassage| RerankedPassageView {
            index: passage.index,
            score: passage.score,
            tokens: passage.tokens as u64,
            truncated: passage.truncated,
        };
        Ok(RerankedView {
            model: reranked.model.name,
            passages: reranked.passages.into_iter().map(view).collect(),
        })
    }

    pub(super) fn count_tokens_now(&self, model: Option<&str>, texts: &[&str]) -> Result<TokenCountsView> {
        let texts = texts.iter().copied();
        let counts = self.call(self.client.count_tokens(model.unwrap_or_default(), texts))?;
        let tokens = counts.tokens.into_iter().map(|tokens| tokens as u64).collect();
        Ok(TokenCountsView { tokens, estimated: counts.estimated })
    }

    pub(super) fn models_now(&self) -> Result<Vec<ModelView>> {
        let models = self.call(self.client.list_models())?;
        let view = |model: client::Model| ModelView {
            name: model.name,
            loaded: model.loaded,
            default: model.default,
            dimension: model.info.as_ref().map(|info| info.dimension as u64),
            max_tokens: model.info.as_ref().map(|info| info.max_tokens as u64),
            sha256: model.info.and_then(|info| info.sha256),
            path: None,
        };
        Ok(models.into_iter().map(view).collect())
    }
}
