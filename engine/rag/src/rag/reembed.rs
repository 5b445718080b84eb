//! Moving a collection to another embedding model, while it serves.
//!
//! **Problem.** Vectors of two models do not compare, and what a model is asked with must be what made the vectors. A better
//! model means all vectors anew: hours, during which the collection is searched and written, and machines stop.
//!
//! **Idea.** A [`Replacement`] of the engine is filled with the same rows under vectors of the new model, in passes: the first
//! copies every row in the order of the ids, each further one what was written since the one before it began, which is less and
//! less; the last one, while writes are held, copies what is left, and the replacement takes the place in one record of the log. How far it is
//! is kept in an attribute of the database after each part: whoever begins the same again goes on from there.
//!
//! **What becomes of rows.**
//! - Chunks keep their ids, text, headings, places and fields; of their tokens there are as many as the new model's tokenizer says. Documents
//!   with a chunk that the new model cannot read whole are split anew from their stored text.
//! - A user's own points keep everything where they have no default vector. Where they have one, nothing says what text it was made of
//!   but the user: [`ReembedOptions::text_field`] names the field. Without it, such points are refused before anything is done.
//! - Etags are others than before, and higher: who read a row before the exchange and writes it with a precondition is refused.
//!
//! **Invariants.** A reader gets rows of one model or the other, and questions are embedded with the model of the rows that they are put
//! to. An interrupted re-embedding that is gone on with ends in the same rows as one that was not interrupted.
//!
//! **Cost.** Embedding each text once, and again what is written meanwhile; the disk holds both until the exchange. Each pass looks
//! at all ids, not rows. Writes wait for the last pass: for as long as embedding [`HELD_TEXTS`] texts takes, if they let it come to that within
//! [`PASSES_MAX`] passes since it was begun or gone on with, and never for more than [`HELD_ROWS_MAX`] rows.

mod copy;
mod state;
#[cfg(test)]
mod tests;
mod under_way;

use std::sync::Arc;

use ragstone::{CancelToken, Collection, Filter, Replacement, Schema, View};

use self::copy::Copying;
use self::state::State;
pub(super) use self::under_way::UnderWay;
use super::{Rag, contract, invalid};
use crate::embed::{Embedder, ModelInfo, Wanted};
use crate::error::{Error, Result};
use crate::progress::Progress;
use crate::reserved;

/// While more rows than these were written since the last pass began, another pass follows before writes are held.
const HELD_TEXTS: usize = 64;
/// Passes of a run after which writes are held although more was written: those who write nearly as fast as the model embeds must
/// wait for it at last.
const PASSES_MAX: u32 = 16;
/// Rows beyond which writes are not held for them: they are let go for another pass, or, after [`PASSES_MAX`], for good.
const HELD_ROWS_MAX: usize = 1_024;

/// How a collection is moved to another model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedOptions {
    /// The model that it is moved to.
    pub model: String,
    /// The field with the text that the default vectors of a user's own points are made of, embedded as a passage. Documents need
    /// none.
    pub text_field: Option<String>,
}

impl ReembedOptions {
    /// To a model, of a collection in which only documents have default vectors.
    pub fn to(model: impl Into<String>) -> Self {
        Self { model: model.into(), text_field: None }
    }

    /// Makes the vectors of a user's own points of the text in a field.
    #[must_use]
    pub fn text_field(mut self, field: impl Into<String>) -> Self {
        self.text_field = Some(field.into());
        self
    }
}

/// What a re-embedding did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReembedReport {
    /// Texts that were embedded, before an interruption included.
    pub texts: u64,
    /// Tokens of these.
    pub tokens: u64,
    /// Documents that were split anew.
    pub split_anew: u64,
    /// Passes over the collection, the last one included.
    pub passes: u32,
    /// Whether it went on with one that was interrupted.
    pub resumed: bool,
}

/// A re-embedding that is under way, or was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reembedding {
    /// What was asked for.
    pub options: ReembedOptions,
    /// Texts that are embedded.
    pub done: u64,
    /// Texts that there were when it began.
    pub total: u64,
}

impl Rag {
    /// Moves a collection to another model, while it serves: see [`ReembedOptions`]. If one to the same model was interrupted, goes on
    /// with it. Ends early, as interrupted, when `cancel` is cancelled.
    ///
    /// # Errors
    /// [`Error::NoModel`]; [`Error::Invalid`] naming `model` if it is the collection's already, if another re-embedding is
    /// not finished, or if the model cannot take the place; naming `text_field`, if points of the user's own need one;
    /// [`Error::TokenLimit`] naming a point; [`Error::Interrupted`]; what loading the model gives; the engine's errors. Then the
    /// collection is as it was, and what is done stays for who begins again, until
    /// [`abandon_reembedding`](Self::abandon_reembedding).
    pub fn reembed(
        &self,
        collection: &str,
        options: &ReembedOptions,
        progress: &dyn Progress,
        cancel: &CancelToken,
    ) -> Result<ReembedReport> {
        let (rows, _) = self.text_collection(collection)?;
        let _turn = self.reembedding.begin(rows.name())?;
        let goes_on = || check_cancelled(cancel);
        let embedder = self.models.load_wanted(&options.model, Wanted::while_ok(&goes_on))?;
        let (replacement, mut state) = self.replacement_for(rows.name(), options, embedder.as_ref())?;
        let resumed = state.pass > 0 || state.at > 0;
        progress.begin("re-embed", Some(state.total), "texts");
        progress.advance(state.done.min(state.total));
        let run = Run { rag: self, replacement: &replacement, embedder, options, progress, cancel };
        let done = run.finish(&mut state);
        progress.end();
        let is_gone = done.as_ref().is_err_and(state::is_of_one_that_is_gone);
        if done.is_ok() || is_gone {
            state::forget(&self.db, replacement.id());
        }
        if is_gone {
            // What was to take the place went with the collection that was deleted or replaced meanwhile.
            let name = rows.name().to_owned();
            self.db.collection(&name)?;
            return Err(ragstone::Error::CollectionReplaced { name }.into());
        }
        done?;
        let State { done: texts, tokens, split_anew, pass: passes, .. } = state;
        Ok(ReembedReport { texts, tokens, split_anew, passes, resumed })
    }

    /// Whether a collection can be moved to another model so: fails at once as [`reembed`](Self::reembed) would after a moment, and
    /// changes nothing.
    ///
    /// # Errors
    /// As there, but for what only the rows tell.
    pub fn check_reembed(&self, collection: &str, options: &ReembedOptions) -> Result<()> {
        let (rows, current) = self.text_collection(collection)?;
        let embedder = self.load_model(&options.model)?;
        match self.db.replacement(rows.name())? {
            Some(replacement) => self.begun_state(&replacement, options, embedder.as_ref()).map(drop),
            None => check_new(&rows, (&current, embedder.info()), options),
        }
    }

    /// The re-embedding of a collection that is under way, or was interrupted.
    ///
    /// # Errors
    /// The engine's errors, such as an unknown collection.
    pub fn reembedding(&self, collection: &str) -> Result<Option<Reembedding>> {
        let Some(replacement) = self.db.replacement(collection)? else { return Ok(None) };
        let state = State::load(&self.db, &replacement)?;
        Ok(state.map(|state| Reembedding { options: state.options(), done: state.done, total: state.total }))
    }

    /// Gives up the re-embedding of a collection, which stays as it is; whether there was one.
    ///
    /// # Errors
    /// [`ragstone::Error::Replacement`] while this process is at it: cancel it first; the engine's errors.
    pub fn abandon_reembedding(&self, collection: &str) -> Result<bool> {
        let name = self.db.collection(collection)?.name().to_owned();
        let _turn = self.reembedding.begin(&name)?;
        // One that cannot be opened can be given up as well.
        let id = self.db.replacement(&name).ok().flatten().map(|replacement| replacement.id());
        match self.db.abandon_replacement(&name) {
            Ok(()) => {
                id.into_iter().for_each(|id| state::forget(&self.db, id));
                Ok(true)
            }
            Err(ragstone::Error::Replacement { is_under_way: false, .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// What is to take the place, and how far it is: as an interrupted run left both, or new.
    fn replacement_for(
        &self,
        name: &str,
        options: &ReembedOptions,
        embedder: &dyn Embedder,
    ) -> Result<(Replacement, State)> {
        if let Some(replacement) = self.db.replacement(name)? {
            let state = self.begun_state(&replacement, options, embedder)?;
            return Ok((replacement, state));
        }
        let (rows, current) = self.text_collection(name)?;
        check_new(&rows, (&current, embedder.info()), options)?;
        state::forget_those_that_are_gone(&self.db);
        let schema = schema_for(&rows.schema(), embedder.info())?;
        let replacement = self.db.begin_replacement(name, schema)?;
        let state = State::new(options, rows.info().vectors);
        state.save(&self.db, &replacement)?;
        Ok((replacement, state))
    }

    /// How far an interrupted run is, if it was for the same.
    fn begun_state(
        &self,
        replacement: &Replacement,
        options: &ReembedOptions,
        embedder: &dyn Embedder,
    ) -> Result<State> {
        let name = replacement.original().name();
        let begun = contract::read(name, &replacement.collection().schema())?;
        // A crash may have come before the first state was kept.
        let state = State::load(&self.db, replacement)?;
        let is_same = begun.as_ref() == Some(embedder.info())
            && state.as_ref().is_none_or(|state| state.options().text_field == options.text_field);
        if !is_same {
            let model = begun.map_or_else(|| "no model".to_owned(), |model| model.name);
            let reason = format!(
                "a re-embedding of collection `{name}` to {model} is not finished: go on with it, or give it up first"
            );
            return Err(invalid("model", &reason));
        }
        Ok(state.unwrap_or_else(|| State::new(options, replacement.original().info().vectors)))
    }
}

/// Refuses what can be known not to come to its end.
fn check_new(
    rows: &Collection,
    (current, wanted): (&ModelInfo, &ModelInfo),
    options: &ReembedOptions,
) -> Result<()> {
    if current == wanted {
        let reason = format!("collection `{}` has model {} already", rows.name(), current.name);
        return Err(invalid("model", &reason));
    }
    check_own_points(&rows.view(), &rows.schema(), options)
}

/// The schema of a collection as another model wants it.
fn schema_for(schema: &Schema, model: &ModelInfo) -> Result<Schema> {
    let chunking = reserved::CHUNKS_ATTRIBUTE;
    let builder = schema.to_builder().dimension(model.dimension);
    let builder = builder.attribute(contract::ATTRIBUTE, contract::write(model)?);
    let kept = schema.attributes().get(chunking);
    let builder = kept.into_iter().fold(builder, |builder, kept| builder.attribute(chunking, kept));
    Ok(builder.build()?)
}

/// Refuses points of the user's own whose default vectors cannot be made anew.
fn check_own_points(view: &View, schema: &Schema, options: &ReembedOptions) -> Result<()> {
    let chunks = match schema.fields().contains_key(reserved::KIND) {
        true => view.count(Some(&Filter::And(vec![
            Filter::AllTenants,
            Filter::eq(reserved::KIND, reserved::KIND_CHUNK),
        ])))?,
        false => 0,
    };
    let own = view.vectors().saturating_sub(chunks);
    let Some(field) = &options.text_field else {
        if own == 0 {
            return Ok(());
        }
        let reason = format!(
            "{own} points that are not chunks of documents have a vector; name the field with the text that theirs are made of, or \
             remove their vectors"
        );
        return Err(invalid("text_field", &reason));
    };
    match schema.fields().get(field) {
        Some(ragstone::FieldType::String) => Ok(()),
        Some(other) => Err(invalid("text_field", &format!("field `{field}` is {other}, not a string"))),
        None => Err(invalid("text_field", &format!("the collection has no field `{field}`"))),
    }
}

fn check_cancelled(cancel: &CancelToken) -> Result<()> {
    match cancel.is_cancelled() {
        true => Err(Error::Interrupted { operation: "re-embedding" }),
        false => Ok(()),
    }
}

/// A re-embedding under way.
struct Run<'a> {
    rag: &'a Rag,
    replacement: &'a Replacement,
    embedder: Arc<dyn Embedder>,
    options: &'a ReembedOptions,
    progress: &'a dyn Progress,
    cancel: &'a CancelToken,
}

impl Run<'_> {
    fn finish(&self, state: &mut State) -> Result<()> {
        // Counted from here: whoever goes on with one that gave up would be refused at once, however little is written by now.
        let passes_max = state.pass.saturating_add(PASSES_MAX);
        loop {
            let view = self.replacement.original().view();
            let may_be_last = state.is_between()
                && (self.has_changed_at_most(HELD_TEXTS, &view, state)? || state.pass >= passes_max);
            if !may_be_last {
                self.pass(&view, state, true)?;
                continue;
            }
            drop(view);
            let (before, mut is_behind) = (state.clone(), false);
            let finished = self.replacement.finish(|view| self.last_pass(view, state, &mut is_behind));
            let Err(error) = finished else { return Ok(()) };
            // What was copied in it is copied again.
            *state = before;
            if !is_behind || state.pass >= passes_max {
                return Err(error);
            }
            self.pass(&self.replacement.original().view(), state, true)?;
        }
    }

    /// The pass for which writes are held: of what they brought until then, if that is not too much.
    fn last_pass(&self, view: &View, state: &mut State, is_behind: &mut bool) -> Result<()> {
        if view.seq() == state.base {
            return Ok(());
        }
        *is_behind = !self.has_changed_at_most(HELD_ROWS_MAX, view, state)?;
        if *is_behind {
            let reason = "more is written than the model embeds meanwhile; what is done stays: go on when less is written";
            return Err(invalid("collection", reason));
        }
        self.pass(view, state, false)
    }

    /// Whether no more rows were written since the last pass began.
    fn has_changed_at_most(&self, max: usize, view: &View, state: &State) -> Result<bool> {
        let changed = view.ids(None)?.filter(|(_, etag)| *etag > state.base).take(max + 1).count();
        Ok(changed <= max)
    }

    /// Brings the replacement up to a view, from where the last pass began or was interrupted.
    fn pass(&self, view: &View, state: &mut State, is_kept: bool) -> Result<()> {
        // What a damaged segment hides would be gone with it.
        view.verify()?;
        self.take_fields()?;
        if state.at == 0 {
            state.at = view.seq();
        }
        let mut copying = Copying::new(self, view, state.base)?;
        copying.remove_gone()?;
        let after = state.after();
        for row in view.ids(after.as_ref())? {
            check_cancelled(self.cancel)?;
            let id = row.0.clone();
            if copying.take(row)? {
                copying.flush(state)?;
                state.set_after(&id);
                if is_kept {
                    state.save(&self.rag.db, self.replacement)?;
                }
            }
        }
        copying.flush(state)?;
        // Whoever asked for its end while the last texts were embedded has it, before the one takes the other's place.
        check_cancelled(self.cancel)?;
        state.end_pass();
        if is_kept { state.save(&self.rag.db, self.replacement) } else { Ok(()) }
    }

    /// Gives the replacement the fields that came to the original since it was made.
    fn take_fields(&self) -> Result<()> {
        let (from, to) = (self.replacement.original().schema(), self.replacement.collection());
        let known = to.schema();
        for (name, field_type) in from.fields() {
            if !known.fields().contains_key(name) {
                to.add_field(name, *field_type)?;
            }
        }
        for (name, analyzer) in from.texts() {
            if !known.texts().contains_key(name) {
                to.add_text(name, *analyzer)?;
            }
        }
        Ok(())
    }
}
