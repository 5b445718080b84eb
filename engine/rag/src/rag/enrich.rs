//! Questions made answerable.

use super::timing::Stages;
use super::{Rag, retrieve};
use crate::embed::{Embedder, Role};
use crate::error::Result;
use crate::prompt::assemble::{Assembled, Assembly};
use crate::prompt::chat::{Conversation, said};
use crate::prompt::condense::condense;
use crate::prompt::marking::{DataMarking, Spotlight, random, random_delimiters};
use crate::prompt::template::Template;
use crate::prompt::{EnrichRequest, Enriched, TokenReport};
use crate::retrieve::{Expansion, RetrievalMode, RetrieveRequest, RetrievedChunk};

impl Rag {
    /// Makes a question answerable: retrieves chunks, packs them into the budget, renders the prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::Limit`](crate::Error::Limit) and
    /// [`Error::TokenLimit`](crate::Error::TokenLimit), naming the part of the request;
    /// [`Error::Template`](crate::Error::Template); otherwise as [`retrieve`](Rag::retrieve).
    pub fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<Enriched> {
        request.validate()?;
        let spoken = said(&request.messages);
        let conversation = Conversation::of(&request.messages, &spoken)?;
        let source = self.template_source(&request.template)?;
        let template = Template::new(source.text.as_deref())?;
        let counter = request.tokens_of.as_ref().map(|model| self.models.token_counter(model)).transpose()?;
        let (rows, embedder) = self.text_collection_and_model(collection)?;
        let mut stages = Stages::begin();
        let query = query(&conversation, request.mode, embedder.as_ref());
        let ask = RetrieveRequest {
            k: request.k,
            filter: request.filter.clone(),
            mode: request.mode,
            overflow: request.overflow,
            rerank: request.rerank.clone(),
            min_score: request.min_score,
            distinct: true,
            mmr: request.mmr,
            per_document: request.per_document,
            ..RetrieveRequest::new(query.as_str())
        };
        ask.validate()?;
        let mut found =
            retrieve::passages((&rows, &self.models), &ask, &|| Ok(embedder.clone()), &mut stages)?;
        if request.expand != Expansion::default() {
            let added = retrieve::beside(&found, request.filter.as_ref(), request.expand)?;
            found.chunks.extend(added);
            stages.end("expand");
        }
        let count = |text: &str| match &counter {
            Some(counter) => counter.count(text),
            None => counted_for_others(embedder.as_ref(), text),
        };
        let spotlight = spotlight(&conversation, &found.chunks, request.data_marking)?;
        let assembly = Assembly {
            conversation: &conversation,
            template: &template,
            spotlight: &spotlight,
            budget: request.token_budget,
            count: &count,
        };
        let assembled = assembly.of(found.chunks)?;
        let Assembled { messages, citations, tokens, .. } = assembled;
        let dropped = found.dropped.into_iter().chain(assembled.dropped).collect();
        stages.end("assemble");
        let counted_with = counter.map_or_else(|| embedder.info().name.clone(), |by| by.model().to_owned());
        Ok(Enriched {
            messages,
            query,
            citations,
            dropped,
            tokens: TokenReport { counted_with, ..tokens },
            template: source.called,
            truncated: found.truncated,
            rerank_truncated: found.rerank_truncated,
            timings_ms: stages.finish_with_total(),
        })
    }
}

/// What a conversation is searched for with.
fn query(conversation: &Conversation<'_>, mode: RetrievalMode, embedder: &dyn Embedder) -> String {
    let room = embedder.info().max_tokens.saturating_sub(embedder.overhead_tokens(Role::Query));
    // By word alone, nothing is embedded.
    let fits = |query: &str| mode == RetrievalMode::Text || embedder.count_tokens(query) <= room;
    condense(&conversation.asked(), &fits)
}

/// What sets passages apart from everything that the prompt may hold.
fn spotlight(
    conversation: &Conversation<'_>,
    chunks: &[RetrievedChunk],
    marking: DataMarking,
) -> Result<Spotlight> {
    let quoted = chunks.iter().flat_map(|found| {
        let chunk = &found.chunk;
        [&chunk.text, &chunk.document, &chunk.heading]
            .map(String::as_str)
            .into_iter()
            .chain(found.gap.as_deref())
    });
    let said = conversation.turns.iter().flat_map(|turn| turn.iter()).map(|message| message.content.as_str());
    let asked = conversation.instructions.iter().copied().chain([conversation.question]);
    Spotlight::pick(quoted.chain(said).chain(asked), marking, random_delimiters(), random() as usize)
}

/// Tokens of a text for a model whose tokenizer is not known: those of the embedding model, and a margin of [`MARGIN_PERCENT`]. Runs without
/// white space, which some tokenizers answer with a single "unknown", are counted in pieces.
pub(super) fn counted_for_others(embedder: &dyn Embedder, text: &str) -> usize {
    (embedder.count_tokens(&in_pieces(text)) * (100 + MARGIN_PERCENT)).div_ceil(100)
}

/// By how much of a hundred other tokenizers may count more than that of the embedding model.
const MARGIN_PERCENT: usize = 15;
/// Code points of a run without white space that are counted together.
const RUN_CHARS_MAX: usize = 64;

/// A text with a space in each long run.
fn in_pieces(text: &str) -> String {
    let (mut cut, mut run) = (String::with_capacity(text.len()), 0);
    for c in text.chars() {
        run = if c.is_whitespace() { 0 } else { run + 1 };
        if run > RUN_CHARS_MAX {
            cut.push(' ');
            run = 1;
        }
        cut.push(c);
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::BagOfWords;

    #[test]
    fn other_tokenizers_get_a_margin_and_long_runs_are_counted_in_pieces() {
        let embedder = BagOfWords::new("m", 256);
        assert_eq!(counted_for_others(&embedder, ""), 0);
        assert_eq!(counted_for_others(&embedder, "one"), 2);
        assert_eq!(counted_for_others(&embedder, &"one ".repeat(100)), 115);
        assert_eq!(counted_for_others(&embedder, &"x".repeat(100 * RUN_CHARS_MAX)), 115);
        assert_eq!(in_pieces(&"é".repeat(RUN_CHARS_MAX + 1)), format!("{} é", "é".repeat(RUN_CHARS_MAX)));
    }
}
