//! A collection that is made to take the place of another, which serves all the while.
//!
//! **Problem.** What a schema says of vectors cannot change: another embedding model, dimension or encoding means all rows anew,
//! which takes hours. Readers must see the old rows or the new ones, never some of each.
//!
//! **Idea.** The new rows go to a collection that nobody sees, under a name that no user can give. When it has all rows, writes
//! of the original are held for a moment, the last ones are copied, and one record of the catalogue gives it the name of the
//! original, which goes (`catalogue.rs`). A crash leaves both as they are or the exchange done. What is half made stays, and is gone
//! on with after a restart ([`Db::replacement`]), until it is finished or abandoned.
//!
//! **Invariants.**
//! - Whoever looks a name up gets a handle on one of the two; a handle on the original goes on reading what that was, and each of its
//!   writes fails with [`Error::CollectionReplaced`]: none goes to a collection that is gone, and none of one
//!   collection's vectors to the other.
//! - Numbers of writes go on above those of the original, so that no etag of one is an etag of the other, and who waits for a
//!   write of the original to show has it.
//! - Aliases name what has the name. Deleting the original deletes what was to replace it, in the same record.
//!
//! **Cost.** Both are on the disk until the exchange. Ids of [requests](crate::Batch::request_id) are forgotten by it.

use std::sync::Arc;

use crate::catalogue::CatalogueChange;
use crate::collection::{Collection, CollectionCore, View};
use crate::db::{Db, Store};
use crate::error::{Error, Result};
use crate::faults;
use crate::schema::Schema;
use crate::staged::is_staged;

/// Numbers of writes of a replacement begin at a multiple of this: no collection gets so many while it is being replaced.
pub(crate) const SEQ_GAP: u64 = 1 << 32;
/// No collection's name begins so.
const PREFIX: &str = ".replacement-";

/// The name of what is to replace a collection.
pub(crate) fn hidden_name(original: u64) -> String {
    format!("{PREFIX}{original:016x}")
}

/// Whether a collection of this name is seen by nobody: one that is to replace another, or is [staged](crate::Staged).
pub(crate) fn is_hidden(name: &str) -> bool {
    name.starts_with(PREFIX) || is_staged(name)
}

/// The number of the first write of a collection that is to take the place of another, less one.
pub(crate) fn begins_at(original: &CollectionCore) -> u64 {
    (original.next_seq() / SEQ_GAP + 1) * SEQ_GAP
}

/// A collection that is being made to take the place of another.
///
/// ```
/// use ragstone::{Db, Point, Schema};
///
/// let db = Db::in_memory()?;
/// let notes = db.create_collection("notes", Schema::new(2)?)?;
/// notes.upsert(vec![Point::new(1, [1.0, 0.0]).with("text", "tea")])?;
///
/// let replacement = db.begin_replacement("notes", Schema::new(3)?)?;
/// assert_eq!(db.collections().len(), 1, "nobody sees it");
/// replacement.finish(|rows| {
///     let copy = |point: Point| Point { vector: Some(vec![1.0, 0.0, 0.0]), ..point };
///     let points = rows.iter().map(|point| point.map(copy)).collect::<ragstone::Result<_>>()?;
///     replacement.collection().upsert(points).map(drop)
/// })?;
/// assert_eq!(db.collection("notes")?.schema().dimension(), 3);
/// assert!(notes.delete(&[1.into()]).is_err(), "a handle on what was there");
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Replacement {
    db: Db,
    original: Collection,
    collection: Collection,
}

impl Db {
    /// Makes the collection that is to take the place of another; durable when it returns. It is in none of the lists, and takes
    /// rows only through [`Replacement::collection`].
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::Replacement`] if there is one already; as
    /// [`create_collection`](Self::create_collection), what the disk refuses.
    pub fn begin_replacement(&self, name: &str, schema: Schema) -> Result<Replacement> {
        let original = self.whole_collection(name)?;
        let core = self.any_store().begin_replacement(original.core(), schema)?;
        let collection = self.handle_of(core);
        Ok(Replacement { db: self.clone(), original, collection })
    }

    /// The collection that is being made to take the place of another, if there is one: an interrupted replacement is gone on
    /// with by it.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::Corrupt`] if it could not be opened.
    pub fn replacement(&self, name: &str) -> Result<Option<Replacement>> {
        let original = self.whole_collection(name)?;
        let found = self.any_store().by_name(&hidden_name(original.core().id));
        match found {
            Ok(core) => {
                let collection = self.handle_of(core);
                Ok(Some(Replacement { db: self.clone(), original, collection }))
            }
            Err(Error::CollectionNotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes what was to take the place of a collection, whatever it holds.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::Replacement`] if there is none; what the disk refuses.
    pub fn abandon_replacement(&self, name: &str) -> Result<()> {
        let original = self.whole_collection(name)?;
        let hidden = hidden_name(original.core().id);
        self.any_store().delete_by_name(&hidden, None).map_err(|error| match error {
            Error::CollectionNotFound { .. } => {
                Error::Replacement { name: original.name().to_owned(), is_under_way: false }
            }
            error => error,
        })
    }
}

impl Replacement {
    /// Tells this replacement from every other of the database.
    pub fn id(&self) -> u64 {
        self.collection.core().id
    }

    /// What takes the place, to be filled.
    pub fn collection(&self) -> &Collection {
        &self.collection
    }

    /// What it takes the place of.
    pub fn original(&self) -> &Collection {
        &self.original
    }

    /// Takes the place, atomically; durable when it returns. Writes of the original wait from the moment when `catch_up` is called with
    /// its last state: that brings the replacement up to it, and should not take long. If it fails, or anything else does,
    /// writes go on and the replacement stays as it is.
    ///
    /// `catch_up` must neither write the original, nor make or delete collections, attributes or aliases.
    ///
    /// # Errors
    /// What `catch_up` gives; [`Error::Corrupt`] if a segment of the original is damaged; [`Error::CollectionNotFound`] or [`Error::CollectionReplaced`] if the original is not there any
    /// more, or the replacement was abandoned; what the disk refuses.
    pub fn finish<E: From<Error>>(
        &self,
        catch_up: impl FnOnce(&View) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let (store, original) = (self.db.any_store(), self.original.core());
        store.log.check()?;
        // Whatever is copied of a damaged segment, what it lacks would be gone with the original.
        self.original.view().verify()?;
        let held = original.hold_writes(store)?;
        catch_up(&self.original.view())?;
        original.view().check()?;
        faults::point("write.replace");
        store.replace(original, self.collection.core())?;
        drop(held);
        Ok(())
    }
}

impl Store {
    fn begin_replacement(&self, original: &CollectionCore, schema: Schema) -> Result<Arc<CollectionCore>> {
        self.log.check()?;
        let _changing = self.lock_changing();
        if !self.is_current(original) {
            return Err(Error::CollectionNotFound { name: original.name().to_string() });
        }
        let hidden = hidden_name(original.id);
        if matches!(self.by_name(&hidden), Ok(_) | Err(Error::Corrupt { .. })) {
            return Err(Error::Replacement { name: original.name().to_string(), is_under_way: true });
        }
        self.make_collection(&hidden, schema, begins_at(original))
    }

    /// Gives a collection the name of another, in place of it, whose writes are held.
    fn replace(&self, original: &Arc<CollectionCore>, with: &Arc<CollectionCore>) -> Result<()> {
        let _changing = self.lock_changing();
        if !self.is_current(original) || !self.is_current(with) {
            return Err(Error::CollectionNotFound { name: original.name().to_string() });
        }
        self.change_catalogue(&CatalogueChange::Replace { id: with.id, original: original.id })?;
        self.take_place(original, with);
        self.after_removal(original)
    }

    /// The same in memory: from one moment to the next, whoever asks finds the other.
    pub(crate) fn take_place(&self, original: &Arc<CollectionCore>, with: &Arc<CollectionCore>) {
        let name = original.name();
        let mut names = self.write_names();
        names.collections.remove(&*with.name());
        with.rename(name.clone());
        names.collections.insert(name.to_string(), with.clone());
        drop(names);
        original.mark_replaced();
    }
}
