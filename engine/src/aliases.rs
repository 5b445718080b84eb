//! Aliases: further names of collections, which can be pointed at another collection from one moment to the next.
//!
//! **Problem.** Whoever asks by a name goes on asking by it when the rows behind it are to be others. **Idea.** An alias names a collection
//! wherever a collection is named, and is repointed by one record of the catalogue (`catalogue.rs`). Names and aliases are under one
//! lock: who asks for an alias finds the one collection or the other, and never none.
//!
//! **Rules.** An alias is spelled like a collection's name and hides none: neither can be made while the other has the name. It names
//! a collection, not another alias. A collection with an alias is not deleted: whoever asks for the alias would find nothing. A
//! [replacement](crate::Replacement) takes the name, so the aliases of what it replaces are its own.

use crate::catalogue::CatalogueChange;
use crate::db::{Db, Store};
use crate::error::{Error, Result};
use crate::faults;
use crate::limits::{ALIASES_MAX, check_limit};
use crate::scope::{Scope, out_of_scope};
use crate::validate;

impl Db {
    /// Has an alias name a collection, whether it is new or named another; durable when it returns.
    ///
    /// ```
    /// use ragstone::{Db, Error, Schema};
    ///
    /// let db = Db::in_memory()?;
    /// db.create_collection("notes-1", Schema::new(2)?)?;
    /// db.create_collection("notes-2", Schema::new(3)?)?;
    /// db.set_alias("notes", "notes-1")?;
    /// assert_eq!(db.collection("notes")?.name(), "notes-1");
    /// db.set_alias("notes", "notes-2")?;
    /// assert_eq!(db.collection("notes")?.name(), "notes-2");
    /// assert!(matches!(db.delete_collection("notes-2"), Err(Error::CollectionAliased { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::CollectionNotFound`]; [`Error::CollectionExists`] if a collection has that name; [`Error::Invalid`] or
    /// [`Error::Limit`] for the name, for an alias as the collection or beyond [`ALIASES_MAX`]; what the handle's [scope](crate::Scope) refuses a new
    /// name with; as a write, what the disk refuses.
    pub fn set_alias(&self, alias: &str, collection: &str) -> Result<()> {
        self.check_whole(alias)?;
        self.check_whole(collection)?;
        match self.named_by(alias) {
            Some(named) if !self.shows(&named) => return Err(out_of_scope(alias)),
            Some(named) => self.check_whole(&named)?,
            None => {}
        }
        self.any_store().set_alias(alias, collection, self.scope.as_deref())
    }

    /// Removes an alias; the collection stays. Durable when it returns.
    ///
    /// # Errors
    /// [`Error::AliasNotFound`]; as a write, what the disk refuses.
    pub fn delete_alias(&self, alias: &str) -> Result<()> {
        match self.named_by(alias) {
            Some(named) if !self.shows(&named) => Err(Error::AliasNotFound { alias: alias.to_owned() }),
            Some(named) => self.check_whole(&named).and_then(|()| self.any_store().delete_alias(alias)),
            None => self.any_store().delete_alias(alias),
        }
    }

    /// The collection that an alias names.
    pub(crate) fn named_by(&self, alias: &str) -> Option<String> {
        self.any_store().read_names().aliases.get(alias).cloned()
    }

    /// Every alias with the name of its collection, by alias.
    pub fn aliases(&self) -> Vec<(String, String)> {
        let names = self.any_store().read_names();
        let seen = names.aliases.iter().filter(|(_, collection)| self.shows(collection));
        seen.map(|(alias, collection)| (alias.clone(), collection.clone())).collect()
    }
}

impl Store {
    fn set_alias(&self, alias: &str, collection: &str, scope: Option<&dyn Scope>) -> Result<()> {
        validate::collection_name(alias).map_err(|error| error.renamed("name", "alias"))?;
        self.log.check()?;
        let _changing = self.lock_changing();
        if matches!(self.by_name(alias), Ok(_) | Err(Error::Corrupt { .. })) {
            return Err(Error::CollectionExists { name: alias.to_owned() });
        }
        let names = self.read_names();
        if names.aliases.contains_key(collection) {
            return Err(Error::invalid(
                "collection",
                format!("`{collection}` is an alias itself; name a collection"),
            ));
        }
        let others = names.aliases.keys().filter(|other| *other != alias).count();
        let named = names.aliases.get(alias);
        let (is_new, is_set) = (named.is_none(), named.is_some_and(|named| named == collection));
        drop(names);
        check_limit("aliases", "ALIASES_MAX", ALIASES_MAX, others + 1)?;
        match self.collection(collection) {
            // Of one that could not be opened, every read tells why.
            Ok(_) | Err(Error::Corrupt { .. }) => {}
            Err(error) => return Err(error),
        }
        if is_set {
            return Ok(());
        }
        if is_new {
            self.check_new(alias, scope)?;
        }
        faults::point("write.alias");
        let (alias, named) = (alias.to_owned(), Some(collection.to_owned()));
        self.change_catalogue(&CatalogueChange::Alias { alias: alias.clone(), collection: named })?;
        self.write_names().aliases.insert(alias, collection.to_owned());
        Ok(())
    }

    fn delete_alias(&self, alias: &str) -> Result<()> {
        self.log.check()?;
        let _changing = self.lock_changing();
        if !self.read_names().aliases.contains_key(alias) {
            return Err(Error::AliasNotFound { alias: alias.to_owned() });
        }
        faults::point("write.alias");
        self.change_catalogue(&CatalogueChange::Alias { alias: alias.to_owned(), collection: None })?;
        self.write_names().aliases.remove(alias);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{Point, Schema, Sight};

    /// Nothing of the collection `secret`, and all of the rest.
    struct ButOne;

    impl Scope for ButOne {
        fn sight(&self, collection: &str) -> Sight {
            if collection == "secret" { Sight::Hidden } else { Sight::Whole }
        }
    }

    /// Each of these refusals named the collection.
    #[test]
    fn what_an_alias_names_is_told_to_who_sees_it() {
        let schema = || Schema::new(2).unwrap();
        let db = Db::in_memory().unwrap();
        for (alias, name) in [("a", "secret"), ("b", "plain")] {
            db.create_collection(name, schema()).unwrap();
            db.set_alias(alias, name).unwrap();
        }
        let scoped = db.within(Arc::new(ButOne));
        let refusals = |alias: &str| {
            let refused = [
                scoped.create_collection(alias, schema()).map(drop),
                scoped.stage_collection(alias, schema()).map(drop),
                scoped.check_new_name(alias),
                scoped.delete_collection(alias),
            ];
            refused.map(Result::unwrap_err)
        };
        for refused in refusals("b") {
            assert!(
                matches!(&refused, Error::AliasExists { collection, .. } if collection == "plain"),
                "{refused}"
            );
        }
        let moved = scoped.set_alias("a", "plain").unwrap_err();
        for refused in refusals("a").into_iter().chain([moved]) {
            assert!(
                matches!(&refused, Error::OutOfScope { field } if field == "collection `a`"),
                "{refused}"
            );
        }
        assert_eq!(db.collection("a").unwrap().name(), "secret");
    }

    /// It was found to be hidden by its own name alone.
    #[test]
    fn what_an_alias_names_is_not_told_to_be_damaged_either() {
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(directory.path()).unwrap();
        let secret = db.create_collection("secret", Schema::new(2).unwrap()).unwrap();
        secret.upsert(vec![Point::new(1, [1.0, 0.0])]).unwrap();
        db.set_alias("a", "secret").unwrap();
        db.flush().unwrap();
        drop((secret, db));
        let files = std::fs::read_dir(directory.path()).unwrap();
        let segment = files.map(Result::unwrap).find(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with("segment-")
        });
        let segment = segment.unwrap().path();
        let mut bytes = std::fs::read(&segment).unwrap();
        // In its header, which opening looks at.
        bytes[3] ^= 1;
        std::fs::write(&segment, bytes).unwrap();
        let db = Db::open(directory.path()).unwrap();
        let whole = db.collection("a").map(drop);
        assert!(matches!(whole, Err(Error::Corrupt { .. })), "{whole:?}");
        let hidden = db.within(Arc::new(ButOne)).collection("a").map(drop);
        assert!(matches!(&hidden, Err(Error::CollectionNotFound { name }) if name == "a"), "{hidden:?}");
    }
}
