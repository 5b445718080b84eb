//! Fields that a collection gets after it was made, a strict one too.
//!
//! A field is added by a batch without changes that lists it: so it is in the log, in the order of the writes, and known on every replay.
//! No row is touched; those that are there lack the field.
//!
//! So it is with a field that is searched by word, which rows may have already. Segments never change, and rows with patches have their words
//! elsewhere (`segment/moved.rs`): so it is settled which texts the segments that are there have, and their words can be made at any
//! time, by whoever asks first (`words.rs`).

use std::sync::Arc;

use super::state::{CollectionCore, lock};
use super::{Collection, WriteReceipt};
use crate::batch::{BatchField, PreparedBatch};
use crate::db::Store;
use crate::error::{Error, Result};
use crate::interrupt::Token;
use crate::payload::FieldType;
use crate::schema::check_field_name;
use crate::text::Analyzer;
use crate::threads::Work;

impl Collection {
    /// Adds a payload field; durable when it returns. Rows are not rewritten: those that are there lack the field. A field that is there
    /// already with this type stays as it is. Writes to a strict collection may use it from then on.
    ///
    /// # Errors
    /// [`Error::FieldType`](crate::Error::FieldType) if the field has another type, [`Error::Invalid`](crate::Error::Invalid) or
    /// [`Error::Limit`](crate::Error::Limit), naming `name`; others as [`write`](Self::write).
    pub fn add_field(&self, name: &str, field_type: FieldType) -> Result<WriteReceipt> {
        self.check_whole()?;
        self.core.add_field(self.db.store(), BatchField::new(name, field_type), self.token.as_ref())
    }

    /// Makes a field one that is searched by word, as [`SchemaBuilder::text`](crate::SchemaBuilder::text) does of a new collection: a
    /// new field, or a string field that rows have. Durable when it returns, and each search from then on finds every row that has the
    /// word. No row is rewritten, nor any vector or link.
    ///
    /// It takes as long as it takes to index the texts of the rows that are there, in bounded memory; writes and searches go on meanwhile. What
    /// a crash, or a full disk, keeps from being stored is made in memory for those who search, and stored later. A
    /// field that is searched by word already, with this analyser, stays as it is.
    ///
    /// ```
    /// use ragstone::{Analyzer, Db, Filter, Point, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// let notes = db.create_collection("notes", Schema::new(2)?)?;
    /// notes.upsert(vec![Point::new(1, [1.0, 0.0]).with("title", "Walks in the rain")])?;
    /// notes.add_text("title", Analyzer::English)?;
    /// assert_eq!(notes.count(Some(&Filter::Match("title".into(), "walking".into())))?, 1);
    /// # Ok::<(), ragstone::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::FieldType`](crate::Error::FieldType) if the field is no string; [`Error::Invalid`](crate::Error::Invalid) if it is
    /// searched by word with another analyser, or [`Error::Limit`](crate::Error::Limit), naming `name`; others as [`write`](Self::write).
    pub fn add_text(&self, name: &str, analyzer: Analyzer) -> Result<WriteReceipt> {
        self.check_whole()?;
        self.core.add_text(self.db.store(), (name, analyzer), self.token.as_ref())
    }
}

impl CollectionCore {
    /// Adds a field; one that is there like this stays as it is.
    fn add_field(
        self: &Arc<Self>,
        store: &Store,
        field: BatchField,
        token: Token<'_>,
    ) -> Result<WriteReceipt> {
        check_field_name("name", &field.name)?;
        store.log.check()?;
        let batch = PreparedBatch { fields: vec![field], ..PreparedBatch::default() };
        // Errors name a field by the point that brought it.
        self.write_fields(store, batch, token).map_err(|error| match error {
            Error::FieldType { expected, actual, .. } => {
                Error::FieldType { field: "name".into(), expected, actual }
            }
            Error::Limit { limit, max, actual, .. } => {
                Error::Limit { field: "name".into(), limit, max, actual }
            }
            Error::Invalid { reason, .. } => Error::invalid("name", reason),
            other => other,
        })
    }

    /// Has a field searched by word, and writes the words of the segments that are there.
    fn add_text(
        self: &Arc<Self>,
        store: &Store,
        (name, analyzer): (&str, Analyzer),
        token: Token<'_>,
    ) -> Result<WriteReceipt> {
        store.log.check()?;
        let fields = self.view().fields.clone();
        let is_known = fields.find(name).is_some_and(|(field, _)| fields.text(field) == Some(analyzer));
        let receipt = match is_known {
            true => self.unchanged(store),
            false => {
                let field = BatchField { text: Some(analyzer), ..BatchField::new(name, FieldType::String) };
                self.add_field(store, field, token)?
            }
        };
        let _merging = lock(&self.merging);
        match self.write_words(store, Work::Flush) {
            // The field is in the log; what is not stored is made in memory, and the next merge tries again.
            Err(error) if store.log.check().is_ok() && self.check().is_ok() => {
                tracing::warn!(%error, "could not write the words of a field");
                store.signal.notify();
                Ok(receipt)
            }
            result => result.map(|()| receipt),
        }
    }
}
