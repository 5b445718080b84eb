//! Questions made answerable.

use std::sync::Arc;

use ragstone::Collection;

use super::timing::Stages;
use super::{Rag, retrieve};
use crate::embed::{Embedder, Role};
use crate::error::{Error, Result};
use crate::prompt::assemble::{Assembled, Assembly};
use crate::prompt::chat::{Conversation, said};
use crate::prompt::condense::condense;
use crate::prompt::marking::{DataMarking, Spotlight, random, random_delimiters};
use crate::prompt::template::Template;
use crate::prompt::{EnrichRequest, Enriched, TokenReport};
use crate::retrieve::{Expansion, RetrievalMode, RetrieveRequest, RetrievedChunk};
use crate::tokens::scripts::{Letters, is_of_word};

/// What gives a collection and its model.
pub(super) type Open<'a> = dyn Fn() -> Result<(Collection, Arc<dyn Embedder>)> + 'a;

impl Rag {
    /// Makes a question answerable: retrieves chunks, packs them into the budget, renders the prompt.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid), [`Error::Limit`](crate::Error::Limit) and
    /// [`Error::TokenLimit`](crate::Error::TokenLimit), naming the part of the request;
    /// [`Error::Template`](crate::Error::Template); otherwise as [`retrieve`](Rag::retrieve).
    pub fn enrich(&self, collection: &str, request: &EnrichRequest) -> Result<Enriched> {
        self.enriched(&|| self.text_collection_and_model(collection), request)
    }

    /// The same of a collection that is opened, with its model, once the request is known to be one.
    pub(super) fn enriched(&self, open: &Open<'_>, request: &EnrichRequest) -> Result<Enriched> {
        request.validate()?;
        let spoken = said(&request.messages);
        let conversation = Conversation::of(&request.messages, &spoken)?;
        let source = self.template_source(&request.template)?;
        let template = Template::new(source.text.as_deref())?;
        let counter = request.tokens_of.as_ref().map(|model| self.load_token_counter(model)).transpose()?;
        let (rows, embedder) = open()?;
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
        let check_wanted = || -> Result<()> { Ok(rows.check_wanted()?) };
        let found = retrieve::passages((&rows, self), &ask, &|| Ok(embedder.clone()), &mut stages);
        let mut found = found.map_err(|error| as_message(error, request.messages.len()))?;
        if request.expand != Expansion::default() {
            let added = retrieve::beside(&found, request.filter.as_ref(), request.expand, &check_wanted)?;
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
            check_wanted: &check_wanted,
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

/// The question of a conversation is its last message, and errors about it name that.
pub(super) fn as_message(error: Error, messages: usize) -> Error {
    let named = |field: String| {
        let is_last = field == "question" && messages > 1;
        if is_last { format!("messages[{}].content", messages - 1) } else { field }
    };
    match error {
        Error::Invalid { field, reason } => Error::Invalid { field: named(field), reason },
        Error::Limit { field, limit, max, actual } => {
            Error::Limit { field: named(field), limit, max, actual }
        }
        Error::TokenLimit { field, model, tokens, max } => {
            Error::TokenLimit { field: named(field), model, tokens, max }
        }
        other => other,
    }
}

/// Tokens of a text for a model whose tokenizer is not known: those of the embedding model, and a margin of [`MARGIN_PERCENT`].
///
/// An embedding model's tokenizer may answer to what it does not know with a single "unknown", however long it is, and drops line ends and
/// layout; others spell all of it out. So words are counted by it only if they are mostly Latin, long runs in pieces; letters of other scripts
/// count by rates that hold a margin already ([`scripts`](crate::tokens::scripts)), other signs one less than their UTF-8 bytes, and line ends and runs of
/// spaces one each.
pub(crate) fn counted_for_others(embedder: &dyn Embedder, text: &str) -> usize {
    let (mut known, mut others, mut spelled) = (String::with_capacity(text.len()), 0, 0);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_same = |c: char| kind(c) == kind(first);
        let end = rest.find(|c: char| !is_same(c)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        match kind(first) {
            Kind::Word if is_latin(run) => in_pieces(run, &mut known),
            Kind::Word => {
                spelled += Letters::of(run).tokens();
                known.push(' ');
            }
            Kind::Sign => {
                others += run.chars().map(|c| c.len_utf8() - 1).sum::<usize>();
                known.push(' ');
            }
            Kind::Ascii => known.push_str(run),
            Kind::Space => {
                others += usize::from(run.len() > 1 || run != " ");
                known.push(' ');
            }
        }
    }
    ((embedder.count_tokens(&known) + others) * (100 + MARGIN_PERCENT)).div_ceil(100) + spelled
}

/// What a character is to a tokenizer that is not known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter or digit of any script, and signs of those that are counted by rates.
    Word,
    /// Punctuation of ASCII.
    Ascii,
    /// Any other sign.
    Sign,
    Space,
}

fn kind(c: char) -> Kind {
    match c {
        _ if c.is_whitespace() => Kind::Space,
        _ if is_of_word(c) => Kind::Word,
        _ if c.is_ascii() => Kind::Ascii,
        _ => Kind::Sign,
    }
}

/// Whether the letters are Latin, and most of them those of ASCII.
fn is_latin(run: &str) -> bool {
    let beyond_ascii = run.chars().filter(|c| !c.is_ascii()).count();
    2 * beyond_ascii <= run.chars().count() && run.chars().all(|c| c < '\u{250}')
}

/// By how much of a hundred other tokenizers may count more than that of the embedding model.
const MARGIN_PERCENT: usize = 15;
/// Code points of a run without white space that are counted together.
const RUN_CHARS_MAX: usize = 64;

/// Adds a run with a space wherever it becomes too long.
fn in_pieces(run: &str, known: &mut String) {
    for (at, c) in run.chars().enumerate() {
        if at > 0 && at % RUN_CHARS_MAX == 0 {
            known.push(' ');
        }
        known.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embed::{Embeddings, ModelInfo, Overflow};
    use crate::prompt::marking::MARKS;
    use crate::testing::BagOfWords;

    /// The least that a tokenizer may count: one "unknown" for whatever has no space in it.
    struct Spaces(ModelInfo);

    impl Spaces {
        fn new() -> Spaces {
            Spaces(BagOfWords::new("spaces", 256).info().clone())
        }
    }

    impl Embedder for Spaces {
        fn info(&self) -> &ModelInfo {
            &self.0
        }

        fn embed(&self, texts: &[&str], _: Role, _: Overflow) -> Result<Embeddings> {
            Ok(Embeddings { vectors: vec![vec![1.0]; texts.len()], ..Embeddings::default() })
        }

        fn count_tokens(&self, text: &str) -> usize {
            text.split_whitespace().count()
        }

        fn overhead_tokens(&self, _: Role) -> usize {
            0
        }
    }

    #[test]
    fn other_tokenizers_get_a_margin_and_what_is_not_known_is_spelled_out() {
        let embedder = Spaces::new();
        for (text, expected) in [
            ("".to_owned(), 0),
            ("one".to_owned(), 2),
            ("one ".repeat(100).trim_end().to_owned(), 115),
            ("x".repeat(100 * RUN_CHARS_MAX), 115),
            // 64 emoji of four bytes, 50 letters of Khmer of three, 20 of Chinese.
            ("\u{1f600}".repeat(64), (64 * 3 * 115_usize).div_ceil(100)),
            ("ក".repeat(50), 110),
            ("日".repeat(20), 30),
            ("日本語 one 日本語".to_owned(), 5 + 2 + 5),
            ("Größe".to_owned(), 2),
            ("a\nb".to_owned(), 4),
            ("a  b".to_owned(), 4),
        ] {
            assert_eq!(counted_for_others(&embedder, &text), expected, "{text:.20}");
        }
    }

    #[test]
    fn marked_texts_never_count_less() {
        let embedder = Spaces::new();
        let text = "The lease ends on the last day of May, and the deposit\nis paid back within a month of that day.";
        let plain = counted_for_others(&embedder, text);
        for mark in MARKS {
            for marking in [DataMarking::Lines, DataMarking::Words] {
                let marked = counted_for_others(&embedder, &marking.apply(mark, text));
                assert!(marked >= plain, "{mark} {marking}: {marked} < {plain}");
            }
        }
    }

    #[test]
    fn the_question_of_a_conversation_is_named_by_its_place() {
        let error = |field: &str| Error::Invalid { field: field.to_owned(), reason: String::new() };
        let named = |field: &str, messages: usize| match as_message(error(field), messages) {
            Error::Invalid { field, .. } => field,
            other => panic!("{other}"),
        };
        assert_eq!(named("question", 1), "question");
        assert_eq!(named("question", 3), "messages[2].content");
        assert_eq!(named("k", 3), "k");
    }
}
