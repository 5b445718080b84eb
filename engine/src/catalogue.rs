//! The catalogue in the log: which collections were made, removed and replaced, what they are called besides, and the
//! attributes of the database.
//!
//! **Problem.** The manifest says which collections there are, but a log that is followed without the manifest (an archive
//! replayed onto an older snapshot) must know too, and in order with the writes.
//!
//! **Idea.** Making or removing a collection is a record of log id 0, which no collection has. It is logged, then done in
//! the manifest, then acknowledged; the next manifest is on the disk before it is logged, so that a full disk refuses both or
//! neither. The manifest says up to which record it has the effect, so a replay repeats none; a crash
//! between the two leaves a record that the next opening carries out.
//!
//! ```text
//! change = 2 u8 | id u64 | collection as in the manifest, without segments                     made
//!        | 3 u8 | id u64                       removed, with its aliases and what was to replace it
//!        | 4 u8                                        nothing: the number of a change that a full disk refused
//!        | 5 u8 | key str | 0 u8  or  1 u8 | length u32 | bytes              an attribute is removed, or set
//!        | 6 u8 | alias str | 0 u8  or  1 u8 | collection str                    an alias is removed, or set
//!        | 7 u8 | id u64 | original u64      a collection takes the name of another, which is removed
//!        | 8 u8 | id u64 | 0 u8  or  1 u8 | original u64 | name str     a staged collection gets a name, in place of the one that has it
//!                                                                     or of none
//! ```
//!
//! **One record, one moment.** Each change is whole or not there, whatever happens to the machine: so an alias names the old
//! collection or the new one, and a [replacement](crate::Replacement) shows under the name of its original or does not, as a
//! [staged collection](crate::Staged) under its own.

use std::sync::Arc;

use crate::attributes::Attribute;
use crate::codec::{Decoded, Decoder, Encoder};
use crate::manifest::{COUNT_MAX, CollectionEntry, Manifest};
use crate::replacement::{hidden_name, is_hidden};
use crate::staged::staged_name;
use crate::wal::Record;

/// The log id of the catalogue.
pub(crate) const CATALOGUE: u64 = 0;
const KIND_CREATE: u8 = 2;
const KIND_DELETE: u8 = 3;
const KIND_NOTHING: u8 = 4;
const KIND_ATTRIBUTE: u8 = 5;
const KIND_ALIAS: u8 = 6;
const KIND_REPLACE: u8 = 7;
const KIND_NAME: u8 = 8;

/// A change of the catalogue.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum CatalogueChange {
    Create {
        id: u64,
        entry: CollectionEntry,
    },
    Delete {
        id: u64,
    },
    Nothing,
    /// Sets an attribute of the database, or removes it.
    Attribute {
        key: String,
        value: Option<Arc<[u8]>>,
    },
    /// Has an alias name a collection, or nothing any more.
    Alias {
        alias: String,
        collection: Option<String>,
    },
    /// A collection that was made for it takes the place of another.
    Replace {
        id: u64,
        original: u64,
    },
    /// A staged collection gets a name: that of another, which is removed with what was to replace it, or one that none has.
    Name {
        id: u64,
        name: String,
        original: Option<u64>,
    },
}

impl CatalogueChange {
    /// Does it in a root that has done those before; the error is why it cannot be one.
    pub(crate) fn apply(&self, seq: u64, root: &mut Manifest) -> Result<(), String> {
        if !self.is_possible(root) {
            return Err("the catalogue cannot have been changed so".into());
        }
        root.catalogue_seq = seq;
        match self {
            Self::Create { id, entry } => {
                root.next_collection = id + 1;
                root.collections.insert(*id, entry.clone());
            }
            Self::Delete { id } => {
                let removed = root.collections.remove(id);
                root.aliases.retain(|_, name| removed.as_ref().is_none_or(|removed| removed.name != *name));
                let replacement = hidden_name(*id);
                root.collections.retain(|_, entry| entry.name != replacement);
            }
            Self::Nothing => {}
            Self::Attribute { key, value: Some(value) } => {
                let attribute = Attribute { value: value.clone(), revision: seq };
                root.attributes.insert(key.clone(), attribute);
            }
            Self::Attribute { key, value: None } => drop(root.attributes.remove(key)),
            Self::Alias { alias, collection: Some(name) } => {
                root.aliases.insert(alias.clone(), name.clone());
            }
            Self::Alias { alias, collection: None } => drop(root.aliases.remove(alias)),
            Self::Replace { id, original } => {
                let name = root.collections.remove(original).map(|entry| entry.name);
                if let Some((entry, name)) = root.collections.get_mut(id).zip(name) {
                    entry.name = name;
                }
            }
            Self::Name { id, name, original } => {
                if let Some(original) = original {
                    let replacement = hidden_name(*original);
                    root.collections.retain(|id, entry| id != original && entry.name != replacement);
                }
                if let Some(entry) = root.collections.get_mut(id) {
                    entry.name.clone_from(name);
                }
            }
        }
        Ok(())
    }

    fn is_possible(&self, root: &Manifest) -> bool {
        let is_collection = |name: &String| root.collections.values().any(|entry| entry.name == *name);
        match self {
            Self::Create { id, entry } => {
                (root.next_collection..COUNT_MAX).contains(id)
                    && !is_collection(&entry.name)
                    && !root.aliases.contains_key(&entry.name)
            }
            Self::Delete { id } => root.collections.contains_key(id),
            Self::Nothing | Self::Attribute { .. } => true,
            Self::Alias { alias, collection: Some(name) } => !is_collection(alias) && is_collection(name),
            Self::Alias { alias, collection: None } => root.aliases.contains_key(alias),
            Self::Replace { id, original } => {
                let replacement = root.collections.get(id);
                root.collections.contains_key(original)
                    && replacement.is_some_and(|entry| entry.name == hidden_name(*original))
            }
            Self::Name { id, name, original } => {
                let named = |id: &u64| root.collections.get(id).map(|entry| entry.name.as_str());
                let may_have_it = match original {
                    Some(original) => named(original) == Some(name.as_str()) && !is_hidden(name),
                    None => !is_collection(name) && !root.aliases.contains_key(name) && !is_hidden(name),
                };
                may_have_it && named(id) == Some(staged_name(*id).as_str())
            }
        }
    }

    /// Does a record of the log in a root, unless it is done already: what it changed, or why it cannot be one.
    pub(crate) fn replay(record: &Record<'_>, root: &mut Manifest) -> Result<Option<Self>, String> {
        let done = root.catalogue_seq;
        if record.seq <= done {
            return Ok(None);
        }
        if record.seq != done + 1 {
            return Err(format!("change {} of the catalogue follows {done}: some are missing", record.seq));
        }
        let change = Self::decode(record.body)
            .map_err(|error| format!("byte {} of the record: {}", error.offset, error.reason))?;
        change.apply(record.seq, root)?;
        Ok(Some(change))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::new();
        match self {
            Self::Create { id, entry } => {
                out.u8(KIND_CREATE);
                out.u64(*id);
                entry.encode(&mut out);
            }
            Self::Delete { id } => {
                out.u8(KIND_DELETE);
                out.u64(*id);
            }
            Self::Nothing => out.u8(KIND_NOTHING),
            Self::Attribute { key, value } => {
                out.u8(KIND_ATTRIBUTE);
                out.str(key);
                out.u8(u8::from(value.is_some()));
                if let Some(value) = value {
                    out.bytes(value);
                }
            }
            Self::Alias { alias, collection } => {
                out.u8(KIND_ALIAS);
                out.str(alias);
                out.u8(u8::from(collection.is_some()));
                if let Some(collection) = collection {
                    out.str(collection);
                }
            }
            Self::Replace { id, original } => {
                out.u8(KIND_REPLACE);
                out.u64(*id);
                out.u64(*original);
            }
            Self::Name { id, name, original } => {
                out.u8(KIND_NAME);
                out.u64(*id);
                out.u8(u8::from(original.is_some()));
                if let Some(original) = original {
                    out.u64(*original);
                }
                out.str(name);
            }
        }
        out.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let change = match decoder.u8()? {
            KIND_CREATE => {
                let id = decoder.u64()?;
                let entry = CollectionEntry::decode(&mut decoder)?;
                // Only one that nobody sees goes on where the numbers of another are.
                if entry.stored_seq > 0 && !is_hidden(&entry.name) || !entry.segments.is_empty() {
                    return decoder.error("a collection that was just made holds something");
                }
                Self::Create { id, entry }
            }
            KIND_DELETE => Self::Delete { id: decoder.u64()? },
            KIND_NOTHING => Self::Nothing,
            KIND_ATTRIBUTE => {
                let key = decoder.str()?.to_owned();
                let value = if decoder.bool()? { Some(decoder.bytes()?.into()) } else { None };
                Self::Attribute { key, value }
            }
            KIND_ALIAS => {
                let alias = decoder.str()?.to_owned();
                let collection = if decoder.bool()? { Some(decoder.str()?.to_owned()) } else { None };
                Self::Alias { alias, collection }
            }
            KIND_REPLACE => Self::Replace { id: decoder.u64()?, original: decoder.u64()? },
            KIND_NAME => {
                let id = decoder.u64()?;
                let original = if decoder.bool()? { Some(decoder.u64()?) } else { None };
                Self::Name { id, name: decoder.str()?.to_owned(), original }
            }
            other => return decoder.error(format!("unknown change {other} of the catalogue")),
        };
        decoder.finish()?;
        Ok(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::FieldTable;
    use crate::schema::Schema;

    fn entry(name: &str) -> CollectionEntry {
        let schema = Schema::new(3).unwrap();
        let fields = FieldTable::declared(&schema.fields).with_texts(&schema.texts);
        let (stored_seq, requests, time_us, segments) = (0, 0, 0, vec![]);
        CollectionEntry { name: name.into(), schema, fields, stored_seq, requests, time_us, segments }
    }

    fn attribute(key: &str, value: Option<&[u8]>) -> CatalogueChange {
        CatalogueChange::Attribute { key: key.into(), value: value.map(Into::into) }
    }

    fn alias(alias: &str, collection: Option<&str>) -> CatalogueChange {
        CatalogueChange::Alias { alias: alias.into(), collection: collection.map(Into::into) }
    }

    fn named(id: u64, name: &str, original: Option<u64>) -> CatalogueChange {
        CatalogueChange::Name { id, name: name.into(), original }
    }

    #[test]
    fn changes_come_back_and_nonsense_is_refused() {
        let create = CatalogueChange::Create { id: 7, entry: entry("a") };
        let replace = CatalogueChange::Replace { id: 8, original: 7 };
        let (delete, nothing) = (CatalogueChange::Delete { id: 7 }, CatalogueChange::Nothing);
        let attributes = [attribute("k", Some(b"\xff\0")), attribute("k", Some(b"")), attribute("", None)];
        let aliases = [alias("b", Some("a")), alias("b", None)];
        let names = [None, Some(7)].map(|original| named(8, "b", original));
        let changes = [create, delete, nothing, replace].into_iter().chain(names);
        for change in changes.chain(attributes).chain(aliases) {
            let bytes = change.encode();
            assert_eq!(CatalogueChange::decode(&bytes).unwrap(), change);
            assert!((0..bytes.len()).all(|length| CatalogueChange::decode(&bytes[..length]).is_err()));
            assert!(CatalogueChange::decode(&[&bytes[..], b"x"].concat()).is_err());
        }
        assert!(CatalogueChange::decode(&[9, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        let begun = |name: &str| {
            let entry = CollectionEntry { stored_seq: 1, ..entry(name) };
            CatalogueChange::Create { id: 7, entry }
        };
        assert!(CatalogueChange::decode(&begun("a").encode()).is_err());
        CatalogueChange::decode(&begun(&hidden_name(3)).encode()).unwrap();
        CatalogueChange::decode(&begun(&staged_name(7)).encode()).unwrap();
    }

    /// Records as they lie in logs that were written: what these bytes mean never changes.
    #[test]
    fn the_bytes_of_records() {
        let bytes = |change: &CatalogueChange| change.encode().escape_ascii().to_string();
        for (change, golden) in [
            (CatalogueChange::Delete { id: 7 }, "\\x03\\x07\\x00\\x00\\x00\\x00\\x00\\x00\\x00"),
            (CatalogueChange::Nothing, "\\x04"),
            (attribute("k", None), "\\x05\\x01\\x00\\x00\\x00k\\x00"),
            (attribute("k", Some(b"vw")), "\\x05\\x01\\x00\\x00\\x00k\\x01\\x02\\x00\\x00\\x00vw"),
            (alias("b", None), "\\x06\\x01\\x00\\x00\\x00b\\x00"),
            (alias("b", Some("a")), "\\x06\\x01\\x00\\x00\\x00b\\x01\\x01\\x00\\x00\\x00a"),
            (
                CatalogueChange::Replace { id: 8, original: 7 },
                "\\x07\\x08\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x07\\x00\\x00\\x00\\x00\\x00\\x00\\x00",
            ),
            (named(8, "b", None), "\\x08\\x08\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00b"),
            (
                named(8, "b", Some(7)),
                "\\x08\\x08\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x07\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x00\\x00\\x00b",
            ),
        ] {
            assert_eq!(bytes(&change), golden, "{change:?}");
        }
    }

    #[test]
    fn what_cannot_have_been_is_refused_and_changes_nothing() {
        let mut root = Manifest { next_collection: 1, ..Manifest::default() };
        let create = |id, name: &str| CatalogueChange::Create { id, entry: entry(name) };
        let mut seq = 0;
        let mut possible = |root: &mut Manifest, change: CatalogueChange| {
            seq += 1;
            change.apply(seq, root).unwrap();
        };
        let impossible = |root: &mut Manifest, change: CatalogueChange| {
            let before = root.clone();
            change.apply(99, root).unwrap_err();
            assert_eq!(*root, before, "{change:?}");
        };
        possible(&mut root, create(1, "a"));
        impossible(&mut root, create(1, "b"));
        // There is no id behind it.
        impossible(&mut root, create(u64::MAX, "b"));
        impossible(&mut root, create(2, "a"));
        impossible(&mut root, alias("x", Some("b")));
        impossible(&mut root, alias("a", Some("a")));
        impossible(&mut root, alias("x", None));
        possible(&mut root, alias("x", Some("a")));
        impossible(&mut root, create(2, "x"));
        possible(&mut root, create(2, "b"));
        impossible(&mut root, CatalogueChange::Replace { id: 2, original: 1 });
        possible(&mut root, create(3, &hidden_name(1)));
        impossible(&mut root, CatalogueChange::Replace { id: 3, original: 2 });
        possible(&mut root, attribute("k", Some(b"v")));
        assert_eq!(root.attributes["k"].revision, 5);
        let names = |root: &Manifest| -> Vec<(u64, String)> {
            root.collections.iter().map(|(id, entry)| (*id, entry.name.clone())).collect()
        };
        let mut replaced = root.clone();
        possible(&mut replaced, CatalogueChange::Replace { id: 3, original: 1 });
        assert_eq!(names(&replaced), [(2, "b".into()), (3, "a".into())]);
        assert_eq!(replaced.aliases["x"], "a");
        let mut staged = root.clone();
        possible(&mut staged, create(4, &staged_name(4)));
        // One that is not staged, names that are taken, that of another than the one that goes, one that nobody sees, one that is not.
        let hidden = hidden_name(9);
        for (id, name, original) in [(2, "c", None), (4, "b", None), (4, "x", None), (4, "b", Some(1))] {
            impossible(&mut staged, named(id, name, original));
        }
        impossible(&mut staged, named(4, &hidden, None));
        impossible(&mut staged, named(9, "c", None));
        let mut beside = staged.clone();
        possible(&mut beside, named(4, "c", None));
        assert_eq!(names(&beside)[2..], [(3, hidden_name(1)), (4, "c".into())]);
        possible(&mut staged, named(4, "a", Some(1)));
        assert_eq!(names(&staged), [(2, "b".into()), (4, "a".into())]);
        assert_eq!(staged.aliases["x"], "a");
        // With its alias and its replacement.
        possible(&mut root, CatalogueChange::Delete { id: 1 });
        assert_eq!(names(&root), [(2, "b".into())]);
        assert!(root.aliases.is_empty());
    }
}
