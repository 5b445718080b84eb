//! Which collections there are, what they are called, and how that changes: looked up first, then logged, then done in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError, RwLockReadGuard, RwLockWriteGuard};

use super::Store;
use crate::catalogue::CatalogueChange;
use crate::collection::{CollectionCore, Opened};
use crate::error::{Error, Result};
use crate::faults;
use crate::limits::{COLLECTIONS_MAX, check_limit};
use crate::manifest::CollectionEntry;
use crate::payload::FieldTable;
use crate::replacement::{hidden_name, is_hidden};
use crate::schema::Schema;
use crate::scope::Scope;
use crate::validate;

/// Names and what they stand for. Under one lock, so that who asks for an alias finds what it names at that moment.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) collections: BTreeMap<String, Arc<CollectionCore>>,
    /// The collection that each names.
    pub(crate) aliases: BTreeMap<String, String>,
}

impl Store {
    pub(crate) fn read_names(&self) -> RwLockReadGuard<'_, Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write_names(&self) -> RwLockWriteGuard<'_, Names> {
        self.names.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to change the catalogue.
    pub(crate) fn lock_changing(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The collection that a user's name or alias stands for.
    pub(crate) fn collection(&self, name: &str) -> Result<Arc<CollectionCore>> {
        if is_hidden(name) {
            return Err(Error::CollectionNotFound { name: name.to_owned() });
        }
        let names = self.read_names();
        let name = names.aliases.get(name).map_or(name, String::as_str);
        match names.collections.get(name) {
            Some(core) => Ok(core.clone()),
            None => Err(self.why_not(name)),
        }
    }

    /// The collection of exactly this name.
    pub(crate) fn by_name(&self, name: &str) -> Result<Arc<CollectionCore>> {
        self.read_names().collections.get(name).cloned().ok_or_else(|| self.why_not(name))
    }

    /// Why there is no such collection.
    fn why_not(&self, name: &str) -> Error {
        let damaged = self.damaged.read().unwrap_or_else(PoisonError::into_inner);
        match damaged.get(name) {
            Some((_, damage)) => damage.clone().into(),
            None => Error::CollectionNotFound { name: name.to_owned() },
        }
    }

    /// Whether it is what its name stands for.
    pub(crate) fn is_current(&self, core: &CollectionCore) -> bool {
        self.read_names().collections.get(&*core.name()).is_some_and(|found| found.id == core.id)
    }

    /// Every collection, by name, those included that nobody sees.
    pub(crate) fn collections(&self) -> Vec<Arc<CollectionCore>> {
        self.read_names().collections.values().cloned().collect()
    }

    pub(crate) fn create_collection(
        &self,
        name: &str,
        schema: Schema,
        scope: Option<&dyn Scope>,
    ) -> Result<Arc<CollectionCore>> {
        validate::collection_name(name)?;
        self.log.check()?;
        let _changing = self.lock_changing();
        self.check_free(name, scope)?;
        self.make_collection(name, schema, 0)
    }

    /// Refuses a name that a collection has, or an alias, or that is one too many of a handle's.
    pub(crate) fn check_free(&self, name: &str, scope: Option<&dyn Scope>) -> Result<()> {
        if matches!(self.by_name(name), Ok(_) | Err(Error::Corrupt { .. })) {
            return Err(Error::CollectionExists { name: name.to_owned() });
        }
        let named = self.read_names().aliases.get(name).cloned();
        match named {
            Some(collection) => Err(Error::AliasExists { alias: name.to_owned(), collection }),
            None => self.check_new(name, scope),
        }
    }

    /// Refuses a name that is free, where a handle has made as many as it may. What could not be opened has its name, too.
    pub(crate) fn check_new(&self, name: &str, scope: Option<&dyn Scope>) -> Result<()> {
        let Some(scope) = scope else { return Ok(()) };
        let names = self.read_names();
        let damaged = self.damaged.read().unwrap_or_else(PoisonError::into_inner);
        let collections = names.collections.keys().chain(damaged.keys()).filter(|name| !is_hidden(name));
        let taken: Vec<&str> = collections.chain(names.aliases.keys()).map(String::as_str).collect();
        scope.check_new_name(name, &taken)
    }

    /// Makes a collection whose writes count on from a number. Nobody else changes the catalogue meanwhile.
    pub(crate) fn make_collection(
        &self,
        name: &str,
        schema: Schema,
        stored_seq: u64,
    ) -> Result<Arc<CollectionCore>> {
        check_limit("collections", "COLLECTIONS_MAX", COLLECTIONS_MAX, self.collections().len() + 1)?;
        let fields = FieldTable::declared(&schema.fields).with_texts(&schema.texts);
        let (name, requests, time_us, segments) = (name.to_owned(), 0, 0, Vec::new());
        let entry = CollectionEntry { name, schema, fields, stored_seq, requests, time_us, segments };
        faults::point("write.create");
        let id = self.manifest.next_collection();
        self.change_catalogue(&CatalogueChange::Create { id, entry: entry.clone() })?;
        let core = Arc::new(CollectionCore::open(id, &entry, Opened::default(), &self.options.clock));
        core.end_replay(self);
        self.write_names().collections.insert(entry.name, core.clone());
        Ok(core)
    }

    /// Removes a collection: whichever has the name, or only that with a number.
    pub(crate) fn delete_collection(&self, name: &str, only: Option<u64>) -> Result<()> {
        if is_hidden(name) {
            return Err(Error::CollectionNotFound { name: name.to_owned() });
        }
        self.delete_by_name(name, only)
    }

    pub(crate) fn delete_by_name(&self, name: &str, only: Option<u64>) -> Result<()> {
        self.log.check()?;
        let _changing = self.lock_changing();
        self.check_no_alias(name)?;
        let damaged =
            self.damaged.read().unwrap_or_else(PoisonError::into_inner).get(name).map(|(id, _)| *id);
        if let Some(id) = damaged.filter(|_| only.is_none()) {
            return self.delete_damaged(id);
        }
        let core = self.by_name(name)?;
        if only.is_some_and(|id| id != core.id) {
            return Err(Error::CollectionNotFound { name: name.to_owned() });
        }
        core.mark_deleted(true);
        faults::point("write.remove");
        let removed = self.change_catalogue(&CatalogueChange::Delete { id: core.id });
        removed.inspect_err(|_| core.mark_deleted(false))?;
        self.write_names().collections.remove(name);
        self.forget_replacement(core.id);
        self.after_removal(&core)
    }

    /// Refuses to delete by an alias, or what an alias names.
    fn check_no_alias(&self, name: &str) -> Result<()> {
        let names = self.read_names();
        if let Some(collection) = names.aliases.get(name) {
            return Err(Error::AliasExists { alias: name.to_owned(), collection: collection.clone() });
        }
        match names.aliases.iter().find(|(_, collection)| *collection == name) {
            Some((alias, _)) => Err(Error::CollectionAliased { name: name.to_owned(), alias: alias.clone() }),
            None => Ok(()),
        }
    }

    /// Forgets what was to replace a collection that is gone: the record that removed this removed it, too.
    pub(crate) fn forget_replacement(&self, original: u64) {
        let hidden = hidden_name(original);
        let removed = self.write_names().collections.remove(&hidden);
        if let Some(core) = removed {
            core.mark_deleted(true);
            core.remove_files(self);
        }
        self.damaged.write().unwrap_or_else(PoisonError::into_inner).remove(&hidden);
    }

    /// Removes the files of a collection that is gone, and what of the log was for it alone.
    pub(crate) fn after_removal(&self, core: &CollectionCore) -> Result<()> {
        core.remove_files(self);
        let cut = self.cut_log();
        self.count_room();
        self.signal.notify();
        self.poison_on_error(cut)
    }

    /// Forgets a collection that could not be opened; the next opening removes its files.
    fn delete_damaged(&self, id: u64) -> Result<()> {
        self.change_catalogue(&CatalogueChange::Delete { id })?;
        let mut damaged = self.damaged.write().unwrap_or_else(PoisonError::into_inner);
        damaged.retain(|_, (damaged, _)| *damaged != id);
        drop(damaged);
        self.forget_replacement(id);
        self.poison_on_error(self.cut_log())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Damage;
    use crate::{Db, Sight};

    /// Sees everything, and may have two names that begin with `mine`, or that no user can give.
    struct Two;

    impl Scope for Two {
        fn sight(&self, _: &str) -> Sight {
            Sight::Whole
        }

        fn check_new_name(&self, _: &str, taken: &[&str]) -> Result<()> {
            let there = taken.iter().filter(|name| name.starts_with("mine") || is_hidden(name)).count();
            check_limit("names", "TWO", 2, there + 1)
        }
    }

    fn is_refused(result: Result<()>) -> bool {
        matches!(result, Err(Error::Limit { limit: "TWO", max: 2, actual: 3, .. }))
    }

    /// Whoever could make collections of some names could make as many as the database takes, and nobody else any more.
    #[test]
    fn a_handle_gives_as_many_names_as_its_scope_says_in_every_way_to_one() {
        let schema = || Schema::new(2).unwrap();
        let db = Db::in_memory().unwrap();
        db.create_collection("other", schema()).unwrap();
        let scoped = db.within(Arc::new(Two));
        scoped.create_collection("mine-1", schema()).unwrap();
        // Both begin before either has its name.
        let [first, second] =
            ["mine-2", "mine-3"].map(|name| scoped.stage_collection(name, schema()).unwrap());
        first.publish().unwrap();
        assert!(is_refused(second.publish().map(drop)));
        assert!(is_refused(scoped.stage_collection("mine-3", schema()).map(drop)));
        assert!(is_refused(scoped.create_collection("mine-3", schema()).map(drop)));
        assert!(is_refused(scoped.check_new_name("mine-3")));
        assert!(is_refused(scoped.set_alias("mine-3", "mine-1")));
        assert_eq!(db.collections().len(), 3, "what was refused is not there");
        // What is there goes on.
        scoped.stage_in_place_of("mine-1", schema()).unwrap().publish().unwrap();
        scoped.begin_replacement("mine-1", schema()).unwrap();
        scoped.delete_collection("mine-2").unwrap();
        scoped.set_alias("mine-3", "mine-1").unwrap();
        scoped.set_alias("mine-3", "other").unwrap();
        assert!(is_refused(scoped.create_collection("mine-2", schema()).map(drop)));
        scoped.delete_alias("mine-3").unwrap();
        scoped.create_collection("mine-2", schema()).unwrap();
        db.create_collection("mine-3", schema()).unwrap();
    }

    /// It was not counted, and is there again when its files are.
    #[test]
    fn what_could_not_be_opened_has_its_name_still() {
        let schema = || Schema::new(2).unwrap();
        let db = Db::in_memory().unwrap();
        let damage = Damage { file: "segment".into(), offset: 0, reason: "it is damaged".to_owned() };
        let mut damaged = db.any_store().damaged.write().unwrap();
        damaged.insert("mine-1".to_owned(), (9, damage.clone()));
        damaged.insert(hidden_name(7), (8, damage));
        drop(damaged);
        let scoped = db.within(Arc::new(Two));
        scoped.create_collection("mine-2", schema()).unwrap();
        assert!(is_refused(scoped.create_collection("mine-3", schema()).map(drop)));
        assert!(is_refused(scoped.set_alias("mine-3", "mine-2")));
    }
}
