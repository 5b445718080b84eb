//! The vectors of a document's chunks.

use super::prepare::{Pending, Preparation};
use crate::embed::{Overflow, Role};
use crate::error::{Error, Result};

/// Texts of several documents that are embedded in one call: enough to fill a model's passes, however short they are, and few enough for one request to a
/// remote one. A question that comes meanwhile waits for a part of a pass, not for the call.
pub(super) const EMBED_TEXTS: usize = 64;

/// Embeds what is left of a document, as many texts at a time as the model says.
///
/// # Errors
/// Those of the model; that the call is not wanted any more, which is looked at before each batch, and while a remote model is waited for.
pub(super) fn embed(preparation: &Preparation, pending: &mut Pending) -> Result<()> {
    let embedder = preparation.embedder()?;
    let check_wanted = || -> Result<()> { Ok(preparation.collection.check_wanted()?) };
    let wanted = preparation.wanted(&check_wanted);
    while pending.embedded.len() < pending.texts.len() {
        let from = pending.embedded.len();
        let at_a_time = embedder.texts_at_a_time().max(1);
        let texts = &pending.texts[from..pending.texts.len().min(from.saturating_add(at_a_time))];
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let embeddings = embedder
            .embed_wanted(&texts, Role::Passage, Overflow::Error, wanted)
            .map_err(|error| of_chunk(error, pending))?;
        pending.tokens += embeddings.token_counts.iter().sum::<usize>();
        pending.embedded.extend(embeddings.vectors);
    }
    Ok(())
}

/// A text over the limit as a chunk of its document: only a remote model, whose tokens are estimated, can find one.
fn of_chunk(error: Error, pending: &Pending) -> Error {
    match error {
        Error::TokenLimit { field, model, tokens, max } => {
            let field = format!("content of `{}`, as {field}", pending.head.id);
            Error::TokenLimit { field, model, tokens, max }
        }
        other => other,
    }
}
