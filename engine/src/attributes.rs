//! Attributes of a database: what the layers above the engine have to keep beside collections.
//!
//! **Problem.** Prompt templates, long operations and the like belong to the database: they must be as durable as its rows, and be
//! part of its snapshots. They are small and few, and no collection is the place for them.
//!
//! **Idea.** Keys with bytes, kept in the manifest and changed by records of the catalogue's log (`catalogue.rs`): durable when the
//! call returns, replayed, archived, restored and repaired like the making of a collection. The number of that record is the
//! attribute's *revision*, which a later change can [expect](Db::set_attribute_if): no two changes have the same.
//!
//! **Invariants.** Reads never wait for a disk. Keys that begin with `ragstone.` belong to the crates of Ragstone.
//!
//! **Cost.** A change is a frame of the log and a new manifest, which holds all attributes: some milliseconds on a disk, not a place
//! for what changes with every write. [`DB_ATTRIBUTES_BYTES_MAX`] bounds all of them together.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use crate::catalogue::CatalogueChange;
use crate::db::{Db, Store};
use crate::error::{Error, Result};
use crate::faults;
use crate::limits::{
    DB_ATTRIBUTE_BYTES_MAX, DB_ATTRIBUTE_KEY_BYTES_MAX, DB_ATTRIBUTES_BYTES_MAX, DB_ATTRIBUTES_MAX,
    check_limit,
};
use crate::point::Expect;

/// An attribute of a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    /// What was set.
    pub value: Arc<[u8]>,
    /// The change that set it: each later change of the database's attributes has a higher one.
    pub revision: u64,
}

/// By key.
pub(crate) type Attributes = BTreeMap<String, Attribute>;

impl Db {
    /// The attribute with a key, if it is set.
    pub fn attribute(&self, key: &str) -> Option<Attribute> {
        let attributes = &self.any_store().attributes;
        attributes.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// The attributes whose keys begin with `prefix`, by key.
    pub fn attributes(&self, prefix: &str) -> Vec<(String, Attribute)> {
        let attributes = self.any_store().attributes.read().unwrap_or_else(PoisonError::into_inner);
        let from = attributes.range(prefix.to_owned()..).take_while(|(key, _)| key.starts_with(prefix));
        from.map(|(key, attribute)| (key.clone(), attribute.clone())).collect()
    }

    /// Sets an attribute, or removes it; durable when it returns. Gives its revision, 0 of one that is removed.
    ///
    /// ```
    /// # let directory = tempfile::tempdir()?;
    /// let db = ragstone::Db::open(directory.path())?;
    /// db.set_attribute("example.colour", Some(b"green"))?;
    /// drop(db);
    ///
    /// let db = ragstone::Db::open(directory.path())?;
    /// assert_eq!(&*db.attribute("example.colour").unwrap().value, b"green");
    /// assert_eq!(db.attributes("example.").len(), 1);
    /// db.set_attribute("example.colour", None)?;
    /// assert_eq!(db.attribute("example.colour"), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty key; [`Error::Limit`] beyond [`DB_ATTRIBUTE_KEY_BYTES_MAX`] of the key,
    /// [`DB_ATTRIBUTE_BYTES_MAX`] of the value, [`DB_ATTRIBUTES_MAX`] attributes or [`DB_ATTRIBUTES_BYTES_MAX`] of all; as a write, what
    /// the disk refuses.
    pub fn set_attribute(&self, key: &str, value: Option<&[u8]>) -> Result<u64> {
        self.any_store().set_attribute(key, None, value)
    }

    /// The same, if the attribute is as expected when its turn comes: [absent](Expect::Absent), [there](Expect::Present), or of a
    /// revision ([`Expect::Etag`]).
    ///
    /// ```
    /// use ragstone::{Db, Error, Expect};
    ///
    /// let db = Db::in_memory()?;
    /// let first = db.set_attribute_if("counter", Expect::Absent, Some(b"1"))?;
    /// db.set_attribute_if("counter", Expect::Etag(first), Some(b"2"))?;
    /// let late = db.set_attribute_if("counter", Expect::Etag(first), Some(b"3"));
    /// assert!(matches!(late, Err(Error::AttributeChanged { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::AttributeChanged`] if it is not; otherwise as [`set_attribute`](Self::set_attribute).
    pub fn set_attribute_if(&self, key: &str, expect: Expect, value: Option<&[u8]>) -> Result<u64> {
        self.any_store().set_attribute(key, Some(expect), value)
    }
}

impl Store {
    fn set_attribute(&self, key: &str, expect: Option<Expect>, value: Option<&[u8]>) -> Result<u64> {
        if key.is_empty() {
            return Err(Error::invalid("key", "a key is not empty"));
        }
        check_limit("key", "DB_ATTRIBUTE_KEY_BYTES_MAX", DB_ATTRIBUTE_KEY_BYTES_MAX, key.len())?;
        let bytes = value.map_or(0, <[u8]>::len);
        check_limit("value", "DB_ATTRIBUTE_BYTES_MAX", DB_ATTRIBUTE_BYTES_MAX, bytes)?;
        self.log.check()?;
        let _changing = self.lock_changing();
        self.check_attribute(key, expect, value)?;
        faults::point("write.attribute");
        let value: Option<Arc<[u8]>> = value.map(Into::into);
        let is_absent = self.attributes.read().unwrap_or_else(PoisonError::into_inner).get(key).is_none();
        if value.is_none() && is_absent {
            return Ok(0);
        }
        let change = CatalogueChange::Attribute { key: key.to_owned(), value: value.clone() };
        let revision = self.change_catalogue(&change)?;
        let mut attributes = self.attributes.write().unwrap_or_else(PoisonError::into_inner);
        match value {
            Some(value) => {
                attributes.insert(key.to_owned(), Attribute { value, revision });
                Ok(revision)
            }
            None => {
                attributes.remove(key);
                Ok(0)
            }
        }
    }

    /// Whether an attribute is as expected, and there is room for its value.
    fn check_attribute(&self, key: &str, expect: Option<Expect>, value: Option<&[u8]>) -> Result<()> {
        let attributes = self.attributes.read().unwrap_or_else(PoisonError::into_inner);
        let actual = attributes.get(key).map(|attribute| attribute.revision);
        if let Some(expected) = expect
            && !expected.is_met_by(actual)
        {
            return Err(Error::AttributeChanged { key: key.to_owned(), expected, actual });
        }
        let Some(value) = value else { return Ok(()) };
        let others = || attributes.iter().filter(|(other, _)| *other != key);
        check_limit("attributes", "DB_ATTRIBUTES_MAX", DB_ATTRIBUTES_MAX, others().count() + 1)?;
        let bytes: usize = others().map(|(key, attribute)| key.len() + attribute.value.len()).sum();
        let all = bytes + key.len() + value.len();
        check_limit("attributes", "DB_ATTRIBUTES_BYTES_MAX", DB_ATTRIBUTES_BYTES_MAX, all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_refused_beyond_and_taken_at() {
        let db = Db::in_memory().unwrap();
        let limit = |result: Result<u64>| match result.unwrap_err() {
            Error::Limit { limit, .. } => limit,
            other => panic!("{other}"),
        };
        assert!(matches!(db.set_attribute("", Some(b"v")), Err(Error::Invalid { .. })));
        let long = "k".repeat(DB_ATTRIBUTE_KEY_BYTES_MAX);
        db.set_attribute(&long, Some(b"v")).unwrap();
        let error = db.set_attribute(&(long.clone() + "k"), Some(b"v"));
        assert_eq!(limit(error), "DB_ATTRIBUTE_KEY_BYTES_MAX");
        db.set_attribute(&long, None).unwrap();
        let most = vec![7; DB_ATTRIBUTE_BYTES_MAX];
        assert_eq!(limit(db.set_attribute("k", Some(&[&most[..], b"x"].concat()))), "DB_ATTRIBUTE_BYTES_MAX");
        let fit = DB_ATTRIBUTES_BYTES_MAX / (DB_ATTRIBUTE_BYTES_MAX + 2);
        for at in 0..fit {
            db.set_attribute(&format!("{at:02}"), Some(&most)).unwrap();
        }
        assert_eq!(limit(db.set_attribute("99", Some(&most))), "DB_ATTRIBUTES_BYTES_MAX");
        // In its own place there is room.
        db.set_attribute("00", Some(&most)).unwrap();
        for (key, _) in db.attributes("") {
            db.set_attribute(&key, None).unwrap();
        }
        for at in 0..DB_ATTRIBUTES_MAX {
            db.set_attribute(&at.to_string(), Some(b"")).unwrap();
        }
        assert_eq!(limit(db.set_attribute("one more", Some(b""))), "DB_ATTRIBUTES_MAX");
    }

    #[test]
    fn prefixes_and_revisions() {
        let db = Db::in_memory().unwrap();
        let set = |key: &str| db.set_attribute(key, Some(key.as_bytes())).unwrap();
        let revisions = [set("a/1"), set("b"), set("a/0"), set("a"), set("a/1")];
        assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
        let keys = |prefix| db.attributes(prefix).into_iter().map(|(key, _)| key).collect::<Vec<_>>();
        assert_eq!(keys("a/"), ["a/0", "a/1"]);
        assert_eq!(keys(""), ["a", "a/0", "a/1", "b"]);
        assert!(keys("c").is_empty());
        assert_eq!(db.attribute("a/1").unwrap().revision, revisions[4]);
        let before = db.attribute("a/1").unwrap();
        for unmet in [Expect::Absent, Expect::Etag(revisions[0]), Expect::Etag(0)] {
            let error = db.set_attribute_if("a/1", unmet, Some(b"new")).unwrap_err();
            assert!(matches!(error, Error::AttributeChanged { actual, .. } if actual == Some(revisions[4])));
            assert_eq!(db.attribute("a/1").unwrap(), before);
        }
        let next = db.set_attribute_if("a/1", Expect::Etag(revisions[4]), Some(b"new")).unwrap();
        assert_eq!(db.set_attribute_if("a/1", Expect::Present, None).unwrap(), 0);
        assert!(next > revisions[4]);
        assert!(db.set_attribute_if("a/1", Expect::Present, None).is_err());
        db.set_attribute_if("a/1", Expect::Absent, None).unwrap();
    }
}
