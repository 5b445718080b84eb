//! What an enriched prompt is asked for with.

use ragstone::Filter;

use super::chat::ChatMessage;
use super::check_range;
use super::marking::DataMarking;
use super::registry::TemplateChoice;
use crate::embed::Overflow;
use crate::error::Result;
use crate::limits::PROMPT_TOKENS_MAX;
use crate::retrieve::{Expansion, Rerank, RetrievalMode};

/// Asks for an enriched prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct EnrichRequest {
    /// The conversation, oldest message first; the last one is the user's question. What it is searched for with is said in
    /// [`Enriched::query`](super::Enriched::query).
    pub messages: Vec<ChatMessage>,
    /// Chunks that are retrieved, 1 to [`K_MAX`](ragstone::limits::K_MAX).
    pub k: usize,
    /// Tokens that all messages together may take, 1 to [`PROMPT_TOKENS_MAX`]: instructions, passages and the lines that name their source, history and
    /// question.
    pub token_budget: usize,
    /// The model that the prompt is for, whose tokenizer counts: `gpt-4o`, an `org/name` of the hub, a directory, as
    /// [`Models::token_counter`](crate::embed::Models::token_counter) takes it. Without one, that of the embedding model counts, and 15 % are added, as
    /// other models' tokenizers differ; scripts other than Latin are counted by a high estimate for each.
    pub tokens_of: Option<String>,
    /// Only chunks whose fields pass.
    pub filter: Option<Filter>,
    /// How chunks are found.
    pub mode: RetrievalMode,
    /// What becomes of a question of more tokens than the embedding model reads. Of the prompt's question nothing is left out.
    pub overflow: Overflow,
    /// Ranks the best of what is found anew.
    pub rerank: Option<Rerank>,
    /// Leaves out chunks whose score is less.
    pub min_score: Option<f32>,
    /// Chooses chunks by maximal marginal relevance: how much relevance counts, 1 for relevance alone, 0 for novelty alone; `k` is
    /// [`MMR_CHUNKS_MAX`](crate::limits::MMR_CHUNKS_MAX) at most then, chosen from the best
    /// [`MMR_POOL_MAX`](crate::limits::MMR_POOL_MAX) at most. Without it, the best by score are taken. Chunks that say what a better one says
    /// are left out in any case.
    pub mmr: Option<f32>,
    /// How many of the chunks that are found are of one document at most.
    pub per_document: Option<usize>,
    /// What is added beside the chunks that were found, as far as there is room.
    pub expand: Expansion,
    /// What renders the prompt.
    pub template: TemplateChoice,
    /// How passages are marked as quoted.
    pub data_marking: DataMarking,
}

impl EnrichRequest {
    /// A question with every default: 8 chunks, found by meaning and by word, 4,000 tokens.
    pub fn new(question: impl Into<String>) -> Self {
        Self::chat(vec![ChatMessage::user(question)])
    }

    /// The same of a conversation, oldest message first, whose last message is the question.
    pub fn chat(messages: Vec<ChatMessage>) -> Self {
        Self {
            messages,
            k: 8,
            token_budget: 4_000,
            tokens_of: None,
            filter: None,
            mode: RetrievalMode::default(),
            overflow: Overflow::Error,
            rerank: None,
            min_score: None,
            mmr: None,
            per_document: None,
            expand: Expansion::default(),
            template: TemplateChoice::default(),
            data_marking: DataMarking::default(),
        }
    }

    /// Refuses what no collection could answer; messages are checked where they are taken apart, what is asked of the retrieval there.
    pub(crate) fn validate(&self) -> Result<()> {
        self.expand.validate(self.k)?;
        check_range("token_budget", self.token_budget, "PROMPT_TOKENS_MAX", PROMPT_TOKENS_MAX)
    }
}
