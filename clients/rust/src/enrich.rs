//! Questions made answerable.

use ragstone_proto::v1;

use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::point::{StageTiming, timings_from_wire};
use crate::retrieve::{DroppedChunk, RetrievalMode, StageScores};

/// Who says a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChatRole {
    /// Whoever runs the application: instructions to the model.
    System,
    /// The person who asks.
    User,
    /// The model.
    Assistant,
}

impl ChatRole {
    /// Its name, as chat endpoints have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatMessage {
    /// Who says it.
    pub role: ChatRole,
    /// What is said.
    pub content: String,
}

impl ChatMessage {
    /// A message of some role.
    pub fn new(role: ChatRole, content: impl Into<String>) -> Self {
        Self { role, content: content.into() }
    }

    pub(crate) fn into_wire(self) -> v1::ChatMessage {
        let role = match self.role {
            ChatRole::System => v1::ChatRole::System,
            ChatRole::User => v1::ChatRole::User,
            ChatRole::Assistant => v1::ChatRole::Assistant,
        };
        v1::ChatMessage { role: role.into(), content: self.content }
    }

    pub(crate) fn from_wire(wire: v1::ChatMessage) -> Result<Self> {
        let role = match wire.role() {
            v1::ChatRole::System => ChatRole::System,
            v1::ChatRole::User => ChatRole::User,
            v1::ChatRole::Assistant => ChatRole::Assistant,
            v1::ChatRole::Unspecified => return Err(Error::missing("messages.role")),
        };
        Ok(Self { role, content: wire.content })
    }
}

/// How passages are marked as quoted, in what the model reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DataMarking {
    /// Not at all: they stand between lines with a random delimiter alone.
    Off,
    /// At the beginning of each line.
    #[default]
    Lines,
    /// At the beginning of each line, and in the place of each space between words.
    Words,
}

impl DataMarking {
    pub(crate) fn into_wire(self) -> v1::DataMarking {
        match self {
            DataMarking::Off => v1::DataMarking::Off,
            DataMarking::Lines => v1::DataMarking::Lines,
            DataMarking::Words => v1::DataMarking::Words,
        }
    }
}

/// Asks for an enriched prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Enrich {
    wire: v1::EnrichRequest,
}

impl Enrich {
    /// The question, in the user's words, with every default: 8 chunks, 4,000 tokens.
    pub fn new(collection: impl Into<String>, question: impl Into<String>) -> Self {
        Self {
            wire: v1::EnrichRequest {
                collection: collection.into(),
                question: question.into(),
                ..Default::default()
            },
        }
    }

    /// A conversation, oldest message first, whose last message is the question.
    pub fn chat(collection: impl Into<String>, messages: impl IntoIterator<Item = ChatMessage>) -> Self {
        let messages = messages.into_iter().map(ChatMessage::into_wire).collect();
        Self { wire: v1::EnrichRequest { collection: collection.into(), messages, ..Default::default() } }
    }

    /// Chunks that are retrieved, 1 to 10,000.
    #[must_use]
    pub fn k(mut self, k: u32) -> Self {
        self.wire.k = Some(k);
        self
    }

    /// Tokens that all messages of the prompt may take together, 1 to 1,000,000.
    #[must_use]
    pub fn token_budget(mut self, token_budget: u32) -> Self {
        self.wire.token_budget = Some(token_budget);
        self
    }

    /// Only chunks whose fields pass.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.wire.filter = Some(filter.into_wire());
        self
    }

    /// How chunks are found; by meaning and by word unless this is called.
    #[must_use]
    pub fn mode(mut self, mode: RetrievalMode) -> Self {
        self.wire.mode = mode.into_wire().into();
        self
    }

    /// How passages are marked as quoted; at the beginning of each line unless this is called.
    #[must_use]
    pub fn data_marking(mut self, data_marking: DataMarking) -> Self {
        self.wire.data_marking = data_marking.into_wire().into();
        self
    }

    /// A registered template, `name@version`, or `name` for its newest version, instead of the built-in one.
    #[must_use]
    pub fn template(mut self, template: impl Into<String>) -> Self {
        self.wire.template = Some(template.into());
        self
    }

    /// This template instead of a registered one.
    #[must_use]
    pub fn template_source(mut self, source: impl Into<String>) -> Self {
        self.wire.template_source = Some(source.into());
        self
    }

    /// Ranks the best `candidates` of what is found anew by a re-ranker; 1,000 at most.
    #[must_use]
    pub fn rerank(mut self, model: impl Into<String>, candidates: u32) -> Self {
        self.wire.rerank = Some(v1::Reranking { model: model.into(), candidates: Some(candidates) });
        self
    }

    /// Counts tokens with the tokenizer of the model that the prompt is for, such as `gpt-4o`.
    #[must_use]
    pub fn tokens_of(mut self, model: impl Into<String>) -> Self {
        self.wire.tokens_of = Some(model.into());
        self
    }

    /// Leaves out chunks whose score is less.
    #[must_use]
    pub fn min_score(mut self, min_score: f32) -> Self {
        self.wire.min_score = Some(min_score);
        self
    }

    /// Chooses chunks by maximal marginal relevance: how much relevance counts, from 1 for relevance alone to 0 for novelty alone.
    #[must_use]
    pub fn mmr(mut self, lambda: f32) -> Self {
        self.wire.mmr = Some(lambda);
        self
    }

    /// How many of the chunks that are found are of one document at most.
    #[must_use]
    pub fn per_document(mut self, chunks: u32) -> Self {
        self.wire.per_document = Some(chunks);
        self
    }

    /// Adds so many chunks before and after each that is found, 32 at most, as far as there is room.
    #[must_use]
    pub fn neighbours(mut self, before: u32, after: u32) -> Self {
        let expand = self.wire.expand.get_or_insert_default();
        (expand.before, expand.after) = (before, after);
        self
    }

    /// Adds the section of each chunk that is found, as far as there is room: the chunks around it that stand under the headings that it stands under, or
    /// below these.
    #[must_use]
    pub fn section(mut self) -> Self {
        self.wire.expand.get_or_insert_default().section = true;
        self
    }

    /// Adds so many of the sections around that one, too, from the innermost up to the whole document, 16 at most, as far as there is room.
    #[must_use]
    pub fn parents(mut self, levels: u32) -> Self {
        self.wire.expand.get_or_insert_default().parents = levels;
        self
    }

    pub(crate) fn into_wire(self) -> v1::EnrichRequest {
        self.wire
    }
}

/// A passage that the prompt contains under `[index]`: a chunk, or neighbouring chunks put together.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// The number in the prompt, from 1.
    pub index: usize,
    /// The document's id.
    pub document: String,
    /// The headings above all of it, joined by ` > `.
    pub heading: String,
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// The best score among its chunks; see [`RetrievedChunk::score`](crate::RetrievedChunk::score).
    pub score: f32,
    /// Exactly that slice of the document's text.
    pub text: String,
    /// The chunks that it consists of, in the order of the text.
    pub chunks: Vec<CitedChunk>,
}

/// A chunk that a citation consists of.
#[derive(Clone, Debug, PartialEq)]
pub struct CitedChunk {
    /// Its place among the document's chunks, from 0.
    pub ordinal: usize,
    /// Its first code point in the document's text, from 0.
    pub start: usize,
    /// One past its last code point.
    pub end: usize,
    /// What it was ranked by; see [`RetrievedChunk::score`](crate::RetrievedChunk::score).
    pub score: f32,
    /// Its scores by each stage of the retrieval; none if it was not found.
    pub scores: StageScores,
    /// Of a chunk that was not found but stands beside one that was: the place of that one in the document.
    pub beside: Option<usize>,
}

/// What the tokens of a prompt are spent on. The parts add up to the total.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenReport {
    /// The system's message, and what the template says beside question and passages.
    pub instructions: usize,
    /// Passages, the lines that name their source and set them apart.
    pub context: usize,
    /// What was said before the question.
    pub history: usize,
    /// The question.
    pub question: usize,
    /// All messages.
    pub total: usize,
    /// What was allowed.
    pub budget: usize,
    /// Messages of the history that were left out, as there was no room for their turns.
    pub history_messages_dropped: usize,
    /// The model whose tokenizer counted.
    pub counted_with: String,
}

impl TokenReport {
    pub(crate) fn from_wire(wire: v1::TokenReport) -> TokenReport {
        TokenReport {
            instructions: wire.instructions as usize,
            context: wire.context as usize,
            history: wire.history as usize,
            question: wire.question as usize,
            total: wire.total as usize,
            budget: wire.budget as usize,
            history_messages_dropped: wire.history_messages_dropped as usize,
            counted_with: wire.counted_with,
        }
    }
}

/// A question made answerable.
#[derive(Clone, Debug, PartialEq)]
pub struct Enriched {
    /// What to send to a language model: instructions as the system's message, if there are any, what was said before, and last the user's
    /// message, with passages and question.
    pub messages: Vec<ChatMessage>,
    /// What was searched for: the question, and of the user's messages before it those that it cannot do without.
    pub query: String,
    /// What the prompt's `[n]` stand for, in order.
    pub citations: Vec<Citation>,
    /// What was found and left out, and why.
    pub dropped: Vec<DroppedChunk>,
    /// What the prompt's tokens are spent on.
    pub tokens: TokenReport,
    /// The template that rendered it: `name@version`, `built-in`, or `given` with the request.
    pub template: String,
    /// How many chunks were cut for the re-ranker; of the prompt nothing is cut.
    pub rerank_truncated: usize,
    /// Milliseconds of each stage on the server, in order, `total` last.
    pub timings: Vec<StageTiming>,
}

impl Enriched {
    /// All messages in one text, for a model that takes one. Who says what is lost.
    pub fn prompt(&self) -> String {
        self.messages.iter().map(|message| message.content.as_str()).collect::<Vec<_>>().join("\n\n")
    }

    pub(crate) fn from_wire(wire: v1::EnrichResponse) -> Result<Enriched> {
        Ok(Enriched {
            messages: wire.messages.into_iter().map(ChatMessage::from_wire).collect::<Result<_>>()?,
            query: wire.query,
            citations: wire.citations.into_iter().map(Citation::from_wire).collect(),
            dropped: wire.dropped.into_iter().map(DroppedChunk::from_wire).collect::<Result<_>>()?,
            tokens: TokenReport::from_wire(wire.tokens.unwrap_or_default()),
            template: wire.template,
            rerank_truncated: wire.rerank_truncated as usize,
            timings: timings_from_wire(wire.timings),
        })
    }
}

impl Citation {
    pub(crate) fn from_wire(wire: v1::Citation) -> Citation {
        let cited = |chunk: v1::CitedChunk| CitedChunk {
            ordinal: chunk.ordinal as usize,
            start: chunk.start as usize,
            end: chunk.end as usize,
            score: chunk.score,
            scores: StageScores::from_wire(chunk.scores),
            beside: chunk.beside.map(|ordinal| ordinal as usize),
        };
        Citation {
            index: wire.index as usize,
            document: wire.document,
            heading: wire.heading,
            start: wire.start as usize,
            end: wire.end as usize,
            score: wire.score,
            text: wire.text,
            chunks: wire.chunks.into_iter().map(cited).collect(),
        }
    }
}
