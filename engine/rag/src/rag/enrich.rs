//! Questions made answerable.

use super::timing::Stages;
use super::{Rag, retrieve};
use crate::error::Result;
use crate::prompt::pack::pack;
use crate::prompt::render::{Template, random_delimiters};
use crate::prompt::{EnrichRequest, Enriched};
use crate::retrieve::RetrieveRequest;

impl Rag {
    /// Makes a question answerable: retrieves chunks, packs them into the budget, renders the prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::Limit`](crate::Error::Limit) and
    /// [`Error::TokenLimit`](crate::Error::TokenLimit), naming the part of the request;
    /// [`Error::Template`](crate::Error::Template); otherwise as [`retrieve`](Rag::retrieve).
    pub fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<Enriched> {
        request.validate()?;
        let template = Template::new(request.template.as_deref())?;
        let (rows, embedder) = self.text_collection_and_model(collection)?;
        let mut stages = Stages::begin();
        let ask = RetrieveRequest {
            k: request.k,
            filter: request.filter.clone(),
            mode: request.mode,
            ..RetrieveRequest::new(request.question.as_str())
        };
        let found = retrieve::passages(&rows, &ask, &|| Ok(embedder.clone()), &mut stages)?;
        let packed = pack(found.chunks, request.token_budget, &|text| embedder.count_tokens(text));
        stages.end("pack");
        let prompt = template.render(&request.question, &packed.citations, random_delimiters())?;
        let prompt_tokens = embedder.count_tokens(&prompt);
        stages.end("render");
        Ok(Enriched {
            prompt,
            citations: packed.citations,
            dropped: packed.dropped,
            prompt_tokens,
            timings_ms: stages.finish_with_total(),
        })
    }
}
