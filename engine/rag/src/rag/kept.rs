//! Looking up answers that are kept. [`answers`](crate::answers) says which are.

use std::sync::Arc;

use ragstone::Collection;

use super::enrich::as_message;
use super::{Rag, embed_query};
use crate::answers::{AnswerCache, Partition, Place, Question, key};
use crate::embed::Embedder;
use crate::error::Result;
use crate::generate::{GenerateRequest, Generation};
use crate::prompt::chat::{Conversation, said};
use crate::prompt::{EnrichRequest, Enriched};
use crate::retrieve::RetrievalMode;

/// A question that was looked up: what its evidence is to be found in if there is no answer, and where that belongs.
pub(super) struct LookedUp {
    place: Place,
    rows: Collection,
    embedder: Arc<dyn Embedder>,
}

impl Rag {
    /// The same, which keeps answers and gives them again ([`answers`](crate::answers)).
    #[must_use]
    pub fn with_answer_cache(self, answers: AnswerCache) -> Rag {
        Rag { answers, ..self }
    }

    /// The same, for somebody of this name: answers that are kept for others are not for them, whatever they see.
    #[must_use]
    pub fn asked_by(&self, caller: impl Into<Arc<str>>) -> Rag {
        Rag { caller: caller.into(), ..self.clone() }
    }

    /// What is to be looked up of a question, if it is one of those that are.
    pub(super) fn looked_up(&self, collection: &str, request: &GenerateRequest) -> Result<Option<LookedUp>> {
        let GenerateRequest { enrich, options } = request;
        if !self.answers.is_on() {
            return Ok(None);
        }
        enrich.validate()?;
        let spoken = said(&enrich.messages);
        let conversation = Conversation::of(&enrich.messages, &spoken)?;
        if !conversation.turns.is_empty() {
            return Ok(None);
        }
        let template = self.template_source(&enrich.template)?;
        let (rows, embedder) = self.text_collection_and_model(collection)?;
        let reranker = enrich.rerank.as_ref().map(|rerank| self.load_reranker(&rerank.model)).transpose();
        // What is wrong with it is for the retrieval to say.
        let Ok(reranker) = reranker else { return Ok(None) };
        let vector = if self.answers.is_by_meaning() && enrich.mode != RetrievalMode::Text {
            self.question_vector(&rows, embedder.as_ref(), (conversation.question, enrich))?
        } else {
            None
        };
        let partition = Partition {
            caller: self.caller.to_string(),
            rows: rows.row_filter().map(key::shown_rows),
            version: rows.version(),
            filter: enrich.filter.as_ref().map(|filter| format!("{filter:?}")),
            template: (template.called, template.text),
            embedder: key::shown_embedder(embedder.info()),
            reranker: reranker.map(|reranker| key::shown_reranker(reranker.info())),
            model: key::shown_model(self.generate_models.get(&options.model)?.as_ref()),
            options: key::shown_options(options),
            enrich: key::shown_enrich(enrich),
            instructions: conversation.instructions.iter().map(|told| (*told).to_owned()).collect(),
        };
        let question = Question::new(conversation.question, vector);
        let place = Place { cache: self.answers.clone(), partition, question };
        Ok(Some(LookedUp { place, rows, embedder }))
    }

    /// The vector that a question is near others by; none if it was cut, as others that begin alike would have the same.
    fn question_vector(
        &self,
        rows: &Collection,
        embedder: &dyn Embedder,
        (question, enrich): (&str, &EnrichRequest),
    ) -> Result<Option<Vec<f32>>> {
        let check_wanted = || -> Result<()> { Ok(rows.check_wanted()?) };
        let wanted = self.wanted(&check_wanted);
        let embedded = embed_query(embedder, ("question", question), enrich.overflow, wanted)
            .map_err(|error| as_message(error, enrich.messages.len()))?;
        Ok((!embedded.truncated).then_some(embedded.values))
    }

    /// The answer that is kept, or a model's, which is to be kept.
    pub(super) fn kept_or_generated(
        &self,
        looked_up: LookedUp,
        request: &GenerateRequest,
        told: impl FnOnce(&Enriched),
    ) -> Result<Generation> {
        let LookedUp { place, rows, embedder } = looked_up;
        if let Some(kept) = self.answers.get(&place.partition, &place.question) {
            return Ok(Generation::kept(&kept));
        }
        let enriched = self.enriched(&|| Ok((rows.clone(), Arc::clone(&embedder))), &request.enrich)?;
        told(&enriched);
        // Of what was written while the evidence was found, it is not known whether that has it.
        let is_same =
            rows.version() == place.partition.version && enriched.template == place.partition.template.0;
        let generation = self.generate_from(enriched, &request.options)?;
        Ok(generation.looked_up(is_same.then_some(place)))
    }
}
