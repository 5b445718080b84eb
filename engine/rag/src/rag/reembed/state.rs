//! How far a re-embedding is, kept in an attribute of the database.
//!
//! | between passes | `base` is the write that all before it has been copied |
//! | in a pass | `at` is the write that the pass began after, `after` the last id that it came to |
//!
//! After an interruption rows up to `after` are as of `at` at least, and those behind it as of `base`. The pass goes on behind `after` with
//! what was written since `base`, on the rows as they are then; it counts as one that began at `at`, so that the next one makes good
//! what was written meanwhile to rows that it had passed.

use std::collections::BTreeSet;

use ragstone::{Attribute, Db, PointId, Replacement};
use serde::{Deserialize, Serialize};

use super::ReembedOptions;
use crate::error::{Error, Result};

/// What the keys of these attributes begin with.
const PREFIX: &str = "ragstone.reembed/";

/// The attribute of a replacement.
fn key(replacement: &Replacement) -> String {
    key_of(replacement.id())
}

/// The same, by the replacement's id.
fn key_of(replacement: u64) -> String {
    format!("{PREFIX}{replacement:016x}")
}

/// Forgets how far a re-embedding is that is over. What the disk refuses is some bytes that are kept for longer, and no failure.
pub(super) fn forget(db: &Db, replacement: u64) {
    let key = key_of(replacement);
    if db.attribute(&key).is_some()
        && let Err(error) = db.set_attribute(&key, None)
    {
        tracing::warn!(%error, key, "how far a re-embedding was is kept, though it is over");
    }
}

/// Forgets how far those are of which nothing is left: their collections were deleted or replaced since they were interrupted, or they had
/// no time to forget it themselves. Asked for whenever one is begun, so that notes do not pile up.
pub(super) fn forget_those_that_are_gone(db: &Db) {
    let id = |(key, _): (String, Attribute)| u64::from_str_radix(key.strip_prefix(PREFIX)?, 16).ok();
    let noted: BTreeSet<u64> = db.attributes(PREFIX).into_iter().filter_map(id).collect();
    // Of a collection that cannot be opened it is not known what was to replace it.
    if noted.is_empty() || !db.damaged().is_empty() {
        return;
    }
    // After the notes: what was begun since is none of theirs.
    let of = |name: &str| db.replacement(name).ok().flatten().map(|replacement| replacement.id());
    let there: BTreeSet<u64> = db.collections().iter().filter_map(|info| of(&info.name)).collect();
    noted.difference(&there).for_each(|gone| forget(db, *gone));
}

/// Whether the collection, or what was to take its place, is not there any more, so that nothing goes on with it.
pub(super) fn is_of_one_that_is_gone(error: &Error) -> bool {
    use ragstone::Error::{CollectionNotFound, CollectionReplaced};
    matches!(error, Error::Engine(CollectionNotFound { .. } | CollectionReplaced { .. }))
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    model: String,
    text_field: Option<String>,
    /// Passes that were ended.
    pub(super) pass: u32,
    pub(super) base: u64,
    pub(super) at: u64,
    after: Option<After>,
    /// Texts that were embedded, and how many there were to embed at the beginning.
    pub(super) done: u64,
    pub(super) total: u64,
    pub(super) tokens: u64,
    pub(super) split_anew: u64,
}

/// A point's id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum After {
    Number(u64),
    Text(String),
}

impl State {
    pub(super) fn new(options: &ReembedOptions, total: u64) -> Self {
        let ReembedOptions { model, text_field } = options.clone();
        let (pass, base, at, after, done, tokens, split_anew) = (0, 0, 0, None, 0, 0, 0);
        Self { model, text_field, pass, base, at, after, done, total, tokens, split_anew }
    }

    pub(super) fn options(&self) -> ReembedOptions {
        ReembedOptions { model: self.model.clone(), text_field: self.text_field.clone() }
    }

    /// Whether a pass was ended, and none is begun.
    pub(super) fn is_between(&self) -> bool {
        self.pass > 0 && self.at == 0
    }

    pub(super) fn after(&self) -> Option<PointId> {
        self.after.clone().map(|after| match after {
            After::Number(number) => PointId::Num(number),
            After::Text(text) => PointId::Str(text),
        })
    }

    pub(super) fn set_after(&mut self, id: &PointId) {
        self.after = Some(match id {
            PointId::Num(number) => After::Number(*number),
            PointId::Str(text) => After::Text(text.clone()),
        });
    }

    pub(super) fn end_pass(&mut self) {
        self.pass += 1;
        self.base = std::mem::take(&mut self.at);
        self.after = None;
    }

    pub(super) fn load(db: &Db, replacement: &Replacement) -> Result<Option<Self>> {
        let key = key(replacement);
        let Some(attribute) = db.attribute(&key) else { return Ok(None) };
        let state = serde_json::from_slice(&attribute.value).map_err(|error| Error::Invalid {
            field: format!("attribute `{key}`"),
            reason: format!("it does not say how far a re-embedding is: {error}"),
        })?;
        Ok(Some(state))
    }

    pub(super) fn save(&self, db: &Db, replacement: &Replacement) -> Result<()> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::Invalid { field: key(replacement), reason: error.to_string() })?;
        db.set_attribute(&key(replacement), Some(&json))?;
        Ok(())
    }
}
