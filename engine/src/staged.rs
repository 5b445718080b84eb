//! A collection that nobody sees until all of it is there.
//!
//! **Problem.** What is made of a copy or of a file takes minutes or hours, and until its end it is half of something: whoever finds it
//! takes it for the whole, and whoever gives it up has to clear it away.
//!
//! **Idea.** It is made under a name that no user can give. One record of the catalogue gives it its own (`catalogue.rs`): a name that
//! none has, or that of a collection which goes at that moment. One that is dropped before is removed, and what a process that died was at
//! is removed when the database is opened again.
//!
//! **Invariants.**
//! - Under the name is nothing, or what was there before, or all of the new one.
//! - Of a collection that it takes the place of holds what [replacements](crate::Replacement) promise: numbers of writes go on above, a
//!   handle on what was there reads on and writes no more, aliases name what has the name. Nothing that was written there is kept.
//! - Whoever makes a collection of the name meanwhile, or removes or replaces the one whose place it was to take, is not undone: then
//!   it gets no name.

use std::sync::Arc;

use crate::catalogue::CatalogueChange;
use crate::collection::{Collection, CollectionCore};
use crate::db::{Db, Store};
use crate::error::{Error, Result};
use crate::faults;
use crate::replacement::begins_at;
use crate::schema::Schema;
use crate::scope::Scope;
use crate::validate;

/// No collection's name begins so.
const PREFIX: &str = ".staged-";

/// The name of a staged collection.
pub(crate) fn staged_name(id: u64) -> String {
    format!("{PREFIX}{id:016x}")
}

/// Whether it is such a name.
pub(crate) fn is_staged(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// A collection that nobody sees until it is [published](Self::publish). Dropped before, it is removed with all that it holds.
///
/// ```
/// use ragstone::{Db, Point, Schema};
///
/// let db = Db::in_memory()?;
/// let staged = db.stage_collection("notes", Schema::new(2)?)?;
/// staged.collection().upsert(vec![Point::new(1, [1.0, 0.0])])?;
/// assert!(db.collection("notes").is_err(), "nobody sees it");
/// let notes = staged.publish()?;
/// assert_eq!((notes.name(), notes.info().points), ("notes", 1));
///
/// drop(db.stage_in_place_of("notes", Schema::new(3)?)?);
/// assert_eq!(db.collection("notes")?.schema().dimension(), 2, "given up");
/// db.stage_in_place_of("notes", Schema::new(3)?)?.publish()?;
/// assert_eq!(db.collection("notes")?.schema().dimension(), 3);
/// # Ok::<(), ragstone::Error>(())
/// ```
#[derive(Debug)]
pub struct Staged {
    db: Db,
    /// What it is going to be called.
    name: String,
    /// What it takes the place of.
    original: Option<Collection>,
    collection: Collection,
    is_published: bool,
}

impl Db {
    /// Makes a collection that nobody sees and that takes rows only through [`Staged::collection`]; [`Staged::publish`] gives it the
    /// name.
    ///
    /// # Errors
    /// As [`create_collection`](Self::create_collection).
    pub fn stage_collection(&self, name: &str, schema: Schema) -> Result<Staged> {
        validate::collection_name(name)?;
        self.check_whole(name)?;
        self.stage(name.to_owned(), None, schema)
    }

    /// The same, of a collection that takes the place of one that is there then, which goes with all that it holds.
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::Corrupt`] if what is there could not be opened; what the disk refuses.
    pub fn stage_in_place_of(&self, name: &str, schema: Schema) -> Result<Staged> {
        let original = self.whole_collection(name)?;
        self.stage(original.name().to_owned(), Some(original), schema)
    }

    /// Whether a collection of this name could be made now: for who makes one later.
    ///
    /// # Errors
    /// As [`create_collection`](Self::create_collection), but for what making one takes.
    pub fn check_new_name(&self, name: &str) -> Result<()> {
        validate::collection_name(name)?;
        self.check_whole(name)?;
        self.any_store().check_free(name, self.scope.as_deref()).map_err(|error| self.veiled(error))
    }

    fn stage(&self, name: String, original: Option<Collection>, schema: Schema) -> Result<Staged> {
        let place = (name.as_str(), original.as_ref().map(Collection::core));
        let staged = self.any_store().stage(place, schema, self.scope.as_deref());
        let core = staged.map_err(|error| self.veiled(error))?;
        let collection = self.handle_of(core);
        Ok(Staged { db: self.clone(), name, original, collection, is_published: false })
    }
}

impl Staged {
    /// What is to be filled.
    pub fn collection(&self) -> &Collection {
        &self.collection
    }

    /// What it is going to be called: of one that takes the place of what an alias named, that one's own name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives it its name, atomically; durable when it returns. If a [replacement](crate::Replacement::finish) is about to take the place of the
    /// same collection, waits until that has done so or given up.
    ///
    /// # Errors
    /// [`Error::CollectionExists`] or [`Error::AliasExists`] if something has the name meanwhile; [`Error::CollectionNotFound`] or
    /// [`Error::CollectionReplaced`] if what it takes the place of is not there any more; what the handle's [scope](crate::Scope) refuses a new name
    /// with; what the disk refuses. Then it is removed.
    pub fn publish(mut self) -> Result<Collection> {
        let store = self.db.any_store();
        store.log.check()?;
        let original = self.original.as_ref().map(Collection::core);
        let held = original.map(|original| original.hold_writes_in_turn(store)).transpose()?;
        faults::point("write.name");
        let place = (self.name.as_str(), original);
        let named = store.name_staged(self.collection.core(), place, self.db.scope.as_deref());
        named.map_err(|error| self.db.veiled(error))?;
        drop(held);
        self.is_published = true;
        // A handle tells the name that there was when it was made.
        Ok(self.db.handle_of(self.collection.core().clone()))
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_published {
            self.db.any_store().remove_one_staged(self.collection.name());
        }
    }
}

/// The name that one is to have, and whose place it takes.
type Place<'a> = (&'a str, Option<&'a Arc<CollectionCore>>);

impl Store {
    fn stage(
        &self,
        place: Place<'_>,
        schema: Schema,
        scope: Option<&dyn Scope>,
    ) -> Result<Arc<CollectionCore>> {
        self.log.check()?;
        let _changing = self.lock_changing();
        self.check_place(place, scope)?;
        let staged = staged_name(self.manifest.next_collection());
        self.make_collection(&staged, schema, place.1.map_or(0, |original| begins_at(original)))
    }

    /// The name is free, and the handle may give one more, or still that of the one whose place is to be taken.
    fn check_place(&self, (name, original): Place<'_>, scope: Option<&dyn Scope>) -> Result<()> {
        match original {
            Some(original) if self.is_current(original) => Ok(()),
            Some(_) => Err(Error::CollectionNotFound { name: name.to_owned() }),
            None => self.check_free(name, scope),
        }
    }

    /// Gives a staged collection a name; if it is that of another, writes of that one are held.
    fn name_staged(
        &self,
        staged: &Arc<CollectionCore>,
        (name, original): Place<'_>,
        scope: Option<&dyn Scope>,
    ) -> Result<()> {
        let _changing = self.lock_changing();
        self.check_place((name, original), scope)?;
        let change = CatalogueChange::Name {
            id: staged.id,
            name: name.to_owned(),
            original: original.map(|original| original.id),
        };
        self.change_catalogue(&change)?;
        let Some(original) = original else {
            let mut names = self.write_names();
            names.collections.remove(&*staged.name());
            staged.rename(name.into());
            names.collections.insert(name.to_owned(), staged.clone());
            return Ok(());
        };
        self.take_place(original, staged);
        self.forget_replacement(original.id);
        self.after_removal(original)
    }

    /// Removes what a process that died had staged.
    pub(crate) fn remove_staged(&self) {
        if self.is_read_only() {
            return;
        }
        let opened = self.collections().into_iter().map(|core| core.name().to_string());
        let damaged = self.damaged().into_iter().map(|(name, _)| name);
        opened.chain(damaged).filter(|name| is_staged(name)).for_each(|name| self.remove_one_staged(&name));
    }

    /// One that the disk does not let go stays unseen, until the database is opened again.
    fn remove_one_staged(&self, name: &str) {
        match self.delete_by_name(name, None) {
            Ok(()) | Err(Error::CollectionNotFound { .. }) => {}
            Err(error) => tracing::warn!(%error, name, "a collection that was being made is not removed"),
        }
    }
}
