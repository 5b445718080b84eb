//! Handles that show a part of a database: some collections, and of these some rows.
//!
//! **Problem.** Whoever answers for others, as a server does, must keep from each what is not theirs, in every way that leads to a row: searches, pages,
//! counts, facets, examples, neighbours, updates, deletes. A condition that each call has to add is forgotten in one of them.
//!
//! **Idea.** The handle carries it ([`Db::within`]), as it carries a [token](Db::cancelled_by). A collection that is had from it has its rows restricted, and so
//! has each view of that: there, one function makes the filter of every read (`ViewState::compiled`), and another finds rows by their
//! ids (`ViewState::visible`). Writes are resolved against the rows that are seen (`collection/restricted.rs`).
//!
//! **Invariants.**
//! - A row that does not pass reads as not there, and so does a collection that is hidden, whose name no error tells either. What cannot be told is taken for
//!   no: a filter on a field that the collection has with another type shows nothing.
//! - No write through such a handle makes a row that does not pass, nor changes or replaces one. That an id is taken by a row that is not seen is
//!   told to who wants to write it, as it must be.
//! - Nor does one bring a field that the collection does not have: fields are of all rows, and the first who writes one says of which type it is. Those that
//!   the filter itself asks for come with the first row that passes.
//! - What is had through it goes on being restricted as it was when it was asked for.
//!
//! **What it does not hide.** The schema, how many segments there are, positions of the log, how long calls take; and scores of searches by word rest on how
//! rare a word is in all rows. Attributes, flushing, pins and what a database holds in numbers belong to the database, not to a collection, and are not restricted.
//!
//! **Cost.** A read's filter has one more condition, so a field that is asked for this way should be the collection's tenant key, or be
//! indexed as such. A write looks its rows up before it is queued, and waits for those queued before it.

mod tag;

use std::sync::Arc;

use crate::collection::{Collection, CollectionCore, CollectionInfo};
use crate::db::Db;
use crate::error::{Error, Result};
use crate::limits::{FILTER_DEPTH_MAX, FILTER_TERMS_MAX, PAYLOAD_BYTES_MAX, check_limit};
use crate::payload::{CompiledFilter, FieldTable, Filter, Payload, Value};

/// The rows that a handle shows of a collection: those that pass a filter.
#[derive(Clone, Debug, PartialEq)]
pub struct RowFilter {
    filter: Filter,
    /// The fields that it asks for.
    fields: Vec<String>,
    /// Tells its requests from those of others, also after a restart.
    tag: String,
    /// Whether it shows nothing, as the fields at hand are not of the types that it asks for.
    is_misfit: bool,
}

impl RowFilter {
    /// Of a filter that can be asked of a row by itself.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that searches by word or means all tenants; [`Error::Limit`] beyond the limits of a filter.
    pub fn new(filter: Filter) -> Result<RowFilter> {
        let mut terms = 0;
        check(&filter, 1, &mut terms)?;
        let mut fields = Vec::new();
        filter.fields(&mut fields);
        fields.sort_unstable();
        fields.dedup();
        let tag = tag::of(&filter);
        Ok(RowFilter { filter, fields, tag, is_misfit: false })
    }

    /// Shows no row.
    pub(crate) fn none() -> Arc<RowFilter> {
        let filter = Filter::Or(Vec::new());
        Arc::new(RowFilter { filter, fields: Vec::new(), tag: String::new(), is_misfit: false })
    }

    /// The filter.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    pub(crate) fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Whether a row with these values is shown.
    pub(crate) fn shows(&self, payload: &Payload) -> bool {
        !self.is_misfit && self.filter.passes(payload) == Some(true)
    }

    /// The same for a collection with these fields. Of a row by itself it can be told that it lacks a field, but not that the field is of another type than the
    /// filter asks for: no read finds any row then, so none is shown by its id either.
    pub(crate) fn fitted(self: &Arc<Self>, fields: &FieldTable) -> Arc<Self> {
        match CompiledFilter::fits(self, fields) {
            true => Arc::clone(self),
            false => Arc::new(RowFilter { is_misfit: true, ..Self::clone(self) }),
        }
    }

    /// What a request of the handle is called among those of the collection: it is not the one that somebody else gave the same id.
    pub(crate) fn request_id(&self, id: &str) -> String {
        format!("{id}\u{1f}{}", self.tag)
    }
}

fn check(filter: &Filter, depth: usize, terms: &mut usize) -> Result<()> {
    check_limit("filter", "FILTER_DEPTH_MAX", FILTER_DEPTH_MAX, depth)?;
    *terms += match filter {
        Filter::In(_, values) => 1 + values.len(),
        Filter::Contains(_, values) => 1 + values.len(),
        _ => 1,
    };
    check_limit("filter", "FILTER_TERMS_MAX", FILTER_TERMS_MAX, *terms)?;
    check_limit("filter", "PAYLOAD_BYTES_MAX", PAYLOAD_BYTES_MAX, longest_bytes(filter))?;
    match filter {
        Filter::Match(..) => {
            Err(Error::invalid("filter", "a row by itself is not searched by word: take another condition"))
        }
        Filter::AllTenants => Err(Error::invalid("filter", "it restricts nothing")),
        Filter::And(filters) | Filter::Or(filters) => {
            filters.iter().try_for_each(|filter| check(filter, depth + 1, terms))
        }
        Filter::Not(filter) => check(filter, depth + 1, terms),
        _ => Ok(()),
    }
}

/// Bytes of the longest name or value that a condition has of its own. No row has one beyond the limit of payloads; and what tells the
/// filter from others is made of all of them, which has four bytes for the length of each.
fn longest_bytes(filter: &Filter) -> usize {
    match filter {
        Filter::Eq(field, value) => field.len().max(value.size_bytes()),
        Filter::In(field, values) => values.iter().map(Value::size_bytes).fold(field.len(), usize::max),
        Filter::Range(field, range) => {
            let bounds = [&range.gt, &range.gte, &range.lt, &range.lte].into_iter().flatten();
            bounds.map(Value::size_bytes).fold(field.len(), usize::max)
        }
        Filter::Prefix(field, text) | Filter::Match(field, text) => field.len().max(text.len()),
        Filter::Contains(field, texts) => texts.iter().map(String::len).fold(field.len(), usize::max),
        Filter::Exists(field) | Filter::GeoRadius(field, ..) => field.len(),
        Filter::And(_) | Filter::Or(_) | Filter::Not(_) | Filter::AllTenants => 0,
    }
}

/// What a handle shows of a collection.
#[derive(Clone, Debug, PartialEq)]
pub enum Sight {
    /// All of it.
    Whole,
    /// Some of its rows.
    Rows(Arc<RowFilter>),
    /// That it is there; every call on it is refused.
    Refused,
    /// Nothing: it reads as not there.
    Hidden,
}

/// What a handle shows of each collection: [`Db::within`]. It is asked whenever a collection is asked for, by the collection's own name, whichever alias the
/// caller knows.
pub trait Scope: Send + Sync {
    /// What is shown of the collection.
    fn sight(&self, collection: &str) -> Sight;

    /// Refuses a name for one more collection or alias, where as many are there as the handle may make: by default the limits of the database are all there is.
    /// `taken` are the names of all collections and aliases, seen or not.
    ///
    /// It is asked again when a [staged](crate::Staged) collection gets its name, and not for what takes the place of a collection or repoints an alias. The
    /// names are locked meanwhile: it must not call the database.
    ///
    /// # Errors
    /// [`Error::Limit`], which whoever makes it gets.
    fn check_new_name(&self, name: &str, taken: &[&str]) -> Result<()> {
        let _ = (name, taken);
        Ok(())
    }
}

impl Db {
    /// The same database, through a handle that shows what a scope says, and so do the collections and views that are had from it. In place of the
    /// scope that this handle has, if it has one.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use ragstone::{Db, Filter, Point, RowFilter, Schema, Scope, Sight};
    ///
    /// struct Tenant(Arc<RowFilter>);
    ///
    /// impl Scope for Tenant {
    ///     fn sight(&self, collection: &str) -> Sight {
    ///         if collection == "notes" { Sight::Rows(self.0.clone()) } else { Sight::Hidden }
    ///     }
    /// }
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// let note = |id: u64, tenant: &str| Point::new(id, [1.0, 0.0]).with("tenant", tenant);
    /// notes.upsert(vec![note(1, "a"), note(2, "b")])?;
    ///
    /// let rows = Arc::new(RowFilter::new(Filter::eq("tenant", "a"))?);
    /// let theirs = db.within(Arc::new(Tenant(rows))).collection("notes")?;
    /// assert_eq!(theirs.count(None)?, 1);
    /// assert_eq!(theirs.get(&[2.into()])?, [None]);
    /// assert_eq!(theirs.delete(&[2.into()])?.deleted, 0);
    /// assert!(theirs.upsert(vec![note(3, "b")]).is_err(), "they could not see it");
    /// assert!(theirs.upsert(vec![note(2, "a")]).is_err(), "it would replace what they do not see");
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    #[must_use]
    pub fn within(&self, scope: Arc<dyn Scope>) -> Db {
        let mut restricted = self.clone();
        restricted.scope = Some(scope);
        restricted
    }

    /// The rows that are shown of a collection, which was asked for by a name of it; all of them where there is no restriction.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`] if it is hidden, [`Error::OutOfScope`] if it is refused.
    pub(crate) fn rows_of(&self, collection: &str, asked: &str) -> Result<Option<Arc<RowFilter>>> {
        match self.scope.as_ref().map(|scope| scope.sight(collection)) {
            None | Some(Sight::Whole) => Ok(None),
            Some(Sight::Rows(rows)) => Ok(Some(rows)),
            Some(Sight::Refused) => Err(out_of_scope(asked)),
            Some(Sight::Hidden) => Err(Error::CollectionNotFound { name: asked.to_owned() }),
        }
    }

    /// The collection that a name stands for, and the rows that are shown of it.
    pub(crate) fn seen(&self, name: &str) -> Result<(Arc<CollectionCore>, Option<Arc<RowFilter>>)> {
        match self.any_store().collection(name) {
            Ok(core) => {
                // What it is called now is of account only to who does not see everything.
                let rows = match self.scope {
                    Some(_) => self.rows_of(&core.name(), name)?,
                    None => None,
                };
                Ok((core, rows))
            }
            // What is hidden is not told to be damaged either.
            Err(error) => {
                let named = self.named_by(name);
                Err(self.rows_of(named.as_deref().unwrap_or(name), name).err().unwrap_or(error))
            }
        }
    }

    /// What a list tells of a collection, if that is in it.
    pub(crate) fn info_of(&self, core: Arc<CollectionCore>) -> Option<CollectionInfo> {
        let name = core.name();
        if !self.shows(&name) {
            return None;
        }
        // One that is refused is there, and no more is told of it than of one of which no row is shown.
        let rows = self.rows_of(&name, &name).unwrap_or_else(|_| Some(RowFilter::none()));
        Some(self.handle_on(core, rows).info())
    }

    /// A collection that is all shown.
    ///
    /// # Errors
    /// As [`collection`](Self::collection); [`Error::OutOfScope`] if some of its rows are not shown.
    pub(crate) fn whole_collection(&self, name: &str) -> Result<Collection> {
        let collection = self.collection(name)?;
        self.check_whole(collection.name())?;
        Ok(collection)
    }

    /// What is refused for an alias that has the name, without the collection that it names where that is not shown.
    pub(crate) fn veiled(&self, error: Error) -> Error {
        match error {
            Error::AliasExists { alias, collection } if !self.shows(&collection) => out_of_scope(&alias),
            error => error,
        }
    }

    /// Whether this handle shows anything of a collection, be there one of this name or not.
    pub fn shows(&self, collection: &str) -> bool {
        self.scope.as_ref().is_none_or(|scope| scope.sight(collection) != Sight::Hidden)
    }

    /// Refuses what concerns all rows of a collection, or the collection itself, where not all of it is shown. A name that nothing has yet is asked for
    /// likewise.
    ///
    /// # Errors
    /// [`Error::OutOfScope`]: whether there is such a collection is not told.
    pub(crate) fn check_whole(&self, collection: &str) -> Result<()> {
        match self.scope.as_ref().map(|scope| scope.sight(collection)) {
            None | Some(Sight::Whole) => Ok(()),
            Some(_) => Err(out_of_scope(collection)),
        }
    }
}

/// The refusal of what is done to a collection.
pub(crate) fn out_of_scope(collection: &str) -> Error {
    Error::OutOfScope { field: format!("collection `{collection}`") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Range;

    /// A text of four gigabytes once ended the program that made a filter of it.
    #[test]
    fn a_text_that_no_row_can_have_is_refused() {
        let text = "x".repeat(PAYLOAD_BYTES_MAX + 1);
        let range = Range { lt: Some(text.as_str().into()), ..Range::default() };
        for filter in [
            Filter::eq("tenant", text.as_str()),
            Filter::In("tenant".into(), vec!["a".into(), text.as_str().into()]),
            Filter::Range("tenant".into(), range),
            Filter::Prefix("tenant".into(), text.clone()),
            Filter::Not(Box::new(Filter::contains("tags", text.as_str()))),
            Filter::Or(vec![Filter::eq("tenant", "a"), Filter::Exists(text.clone())]),
        ] {
            match RowFilter::new(filter).unwrap_err() {
                Error::Limit { field, limit, .. } => {
                    assert_eq!((field.as_str(), limit), ("filter", "PAYLOAD_BYTES_MAX"));
                }
                other => panic!("{other}"),
            }
        }
        RowFilter::new(Filter::eq("tenant", &text[1_000..])).unwrap();
    }
}
