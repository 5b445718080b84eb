//! Instructions, history, passages and question into a budget of tokens.
//!
//! **Problem.** What a template makes of passages, and what a tokenizer makes of that, is known only afterwards: tokens of parts do not add up to those of
//! the whole.
//!
//! **Idea.** Instructions and question come first, and must fit. Of the room that is left, history gets its share and passages the rest, by
//! estimates; then the messages are rendered and counted as they are, and as long as they are too long, less is packed. What
//! passages do not use goes to older turns.
//!
//! **Invariant.** The messages never count more than the budget, whatever the tokenizer and the template are.

use super::chat::{ChatMessage, Conversation};
use super::history;
use super::marking::Spotlight;
use super::pack::{Costed, Packed, pack};
use super::response::{Citation, TokenReport};
use super::template::{FUEL_LIMIT, Input, Template};
use crate::error::{Error, Result};
use crate::retrieve::similar::Signature;
use crate::retrieve::{DroppedChunk, RetrievedChunk};

/// Tokens that a message takes besides its text: who says it, and where it ends. Chat formats take three to five.
pub(crate) const MESSAGE_TOKENS: usize = 4;

/// What a prompt is put together of.
pub(crate) struct Assembly<'a> {
    pub(crate) conversation: &'a Conversation<'a>,
    pub(crate) template: &'a Template<'a>,
    pub(crate) spotlight: &'a Spotlight,
    pub(crate) budget: usize,
    /// Tokens of a text.
    pub(crate) count: &'a dyn Fn(&str) -> usize,
    /// Fails once nobody waits for the prompt any more.
    pub(crate) check_wanted: &'a dyn Fn() -> Result<()>,
}

/// A prompt within its budget.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Assembled {
    pub(crate) messages: Vec<ChatMessage>,
    pub(crate) citations: Vec<Citation>,
    /// Chunks that did not fit or say what a better one says, in the order of rank.
    pub(crate) dropped: Vec<DroppedChunk>,
    pub(crate) tokens: TokenReport,
}

/// The two messages that a template renders.
struct Framed {
    system: Option<ChatMessage>,
    user: ChatMessage,
}

impl Assembly<'_> {
    /// Puts a prompt together of chunks, best first.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `token_budget`, if instructions and question alone are beyond it; what rendering gives.
    pub(crate) fn of(&self, chunks: Vec<RetrievedChunk>) -> Result<Assembled> {
        let bare = self.render(&[])?;
        let fixed = self.cost_of(&bare);
        if fixed > self.budget {
            return Err(Error::Invalid {
                field: "token_budget".to_owned(),
                reason: format!(
                    "instructions and question alone take {fixed} tokens, which is more than {}",
                    self.budget
                ),
            });
        }
        let turns: Vec<usize> = self
            .conversation
            .turns
            .iter()
            .map(|turn| turn.iter().map(|said| self.cost(said)).sum())
            .collect();
        let room = self.budget - fixed;
        let (_, history) = history::fitting(&turns, room * history::SHARE_PERCENT / 100);
        let costed = self.costed(chunks, &bare)?;
        let (packed, framed) = self.packed(&costed, fixed, room - history)?;
        let taken = self.cost_of(&framed);
        let (kept, history) = history::fitting(&turns, self.budget - taken);
        let tokens = self.report(fixed, taken, history);
        Ok(self.assembled(packed, framed, kept, tokens))
    }

    /// As many chunks as stay within `allowed` tokens, beside what is `fixed`, as the template renders them.
    fn packed(&self, costed: &[Costed], fixed: usize, allowed: usize) -> Result<(Packed, Framed)> {
        let mut room = allowed;
        loop {
            (self.check_wanted)()?;
            let packed = pack(costed, room);
            let taken = match self.render(&packed.citations) {
                Ok(framed) => {
                    let taken = self.cost_of(&framed).saturating_sub(fixed);
                    if taken <= allowed || packed.citations.is_empty() {
                        return Ok((packed, framed));
                    }
                    taken
                }
                // So many passages are more than the template may work on.
                Err(Error::Limit { limit: FUEL_LIMIT, .. }) if packed.citations.len() > 1 => 2 * allowed,
                Err(error) => return Err(error),
            };
            // In proportion, as what the estimate missed is as much for each; every chunk costs something by it, so there is less each time.
            room = (packed.used.saturating_mul(allowed) / taken.max(1)).min(packed.used.saturating_sub(1));
        }
    }

    fn render(&self, citations: &[Citation]) -> Result<Framed> {
        let question = self.conversation.question;
        let rendered = self.template.render(&Input { question, citations, spotlight: self.spotlight })?;
        let system = self.conversation.system_message(&rendered.system);
        Ok(Framed { system, user: ChatMessage::user(rendered.user) })
    }

    fn cost(&self, message: &ChatMessage) -> usize {
        MESSAGE_TOKENS + (self.count)(&message.content)
    }

    fn cost_of(&self, framed: &Framed) -> usize {
        framed.system.iter().chain([&framed.user]).map(|message| self.cost(message)).sum()
    }

    /// What each chunk costs, by itself.
    fn costed(&self, chunks: Vec<RetrievedChunk>, bare: &Framed) -> Result<Vec<Costed>> {
        let mut costed = Vec::with_capacity(chunks.len());
        for found in chunks {
            (self.check_wanted)()?;
            let text = (self.count)(&self.spotlight.apply(&found.chunk.text)).max(1);
            let signature = Signature::of(&found.chunk.text);
            costed.push(Costed { found, text, frame: 0, signature });
        }
        let names = |RetrievedChunk { chunk, .. }: &RetrievedChunk| {
            let (document, heading) =
                (self.spotlight.document(&chunk.document), self.spotlight.heading(&chunk.heading));
            (self.count)(&document) + (self.count)(&heading)
        };
        // By the shortest: a template that says texts twice would be taken for one that puts as much around each.
        let shortest: Option<Costed> = costed.iter().min_by_key(|costed| costed.text).cloned();
        let Some(shortest) = shortest else { return Ok(costed) };
        let (of_shortest, names_of_shortest) = (self.frame(&shortest, bare)?, names(&shortest.found));
        for costed in &mut costed {
            costed.frame = (of_shortest + names(&costed.found)).saturating_sub(names_of_shortest);
        }
        Ok(costed)
    }

    /// What the template puts around the text of a passage: what a prompt with one chunk has beside a prompt with none.
    fn frame(&self, of: &Costed, bare: &Framed) -> Result<usize> {
        let alone = Costed { text: 0, ..of.clone() };
        let citations = pack(&[alone], 0).citations;
        let with = self.cost_of(&self.render(&citations)?);
        Ok(with.saturating_sub(self.cost_of(bare) + of.text))
    }

    /// `fixed` is what a prompt without passages and history takes, `taken` one with passages.
    fn report(&self, fixed: usize, taken: usize, history: usize) -> TokenReport {
        let context = taken.saturating_sub(fixed);
        let question = (self.count)(self.conversation.question).min(taken - context);
        TokenReport {
            instructions: taken - context - question,
            context,
            history,
            question,
            total: taken + history,
            budget: self.budget,
            ..TokenReport::default()
        }
    }

    fn assembled(&self, packed: Packed, framed: Framed, turns: usize, tokens: TokenReport) -> Assembled {
        let (dropped, kept) = self.conversation.turns.split_at(self.conversation.turns.len() - turns);
        let tokens =
            TokenReport { history_messages_dropped: dropped.iter().map(|turn| turn.len()).sum(), ..tokens };
        let said = kept.iter().flat_map(|turn| turn.iter().cloned());
        let messages = framed.system.into_iter().chain(said).chain([framed.user]).collect();
        Assembled { messages, citations: packed.citations, dropped: packed.dropped, tokens }
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
