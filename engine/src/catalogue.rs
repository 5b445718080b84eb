//! The catalogue in the log: which collections were made and removed.
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
//!        | 3 u8 | id u64                                                                       removed
//!        | 4 u8                                        nothing: the number of a change that a full disk refused
//! ```

use crate::codec::{Decoded, Decoder, Encoder};
use crate::manifest::{CollectionEntry, Manifest};
use crate::wal::Record;

/// The log id of the catalogue.
pub(crate) const CATALOGUE: u64 = 0;
const KIND_CREATE: u8 = 2;
const KIND_DELETE: u8 = 3;
const KIND_NOTHING: u8 = 4;

/// A change of the catalogue.
#[derive(Clone, Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum CatalogueChange {
    Create { id: u64, entry: CollectionEntry },
    Delete { id: u64 },
    Nothing,
}

impl CatalogueChange {
    /// Does it in a root that has done those before; the error is why it cannot be one.
    pub(crate) fn apply(&self, seq: u64, root: &mut Manifest) -> Result<(), String> {
        let is_possible = match self {
            Self::Create { id, entry } => {
                *id >= root.next_collection
                    && root.collections.values().all(|collection| collection.name != entry.name)
            }
            Self::Delete { id } => root.collections.contains_key(id),
            Self::Nothing => true,
        };
        if !is_possible {
            return Err("the catalogue cannot have been changed so".into());
        }
        root.catalogue_seq = seq;
        match self {
            Self::Create { id, entry } => {
                root.next_collection = id + 1;
                root.collections.insert(*id, entry.clone());
            }
            Self::Delete { id } => drop(root.collections.remove(id)),
            Self::Nothing => {}
        }
        Ok(())
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
        }
        out.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let change = match decoder.u8()? {
            KIND_CREATE => {
                let id = decoder.u64()?;
                let entry = CollectionEntry::decode(&mut decoder)?;
                if entry.stored_seq > 0 || !entry.segments.is_empty() {
                    return decoder.error("a collection that was just made holds something");
                }
                Self::Create { id, entry }
            }
            KIND_DELETE => Self::Delete { id: decoder.u64()? },
            KIND_NOTHING => Self::Nothing,
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

    #[test]
    fn changes_come_back_and_nonsense_is_refused() {
        let schema = Schema::new(3).unwrap();
        let fields = FieldTable::declared(&schema.fields).with_texts(&schema.texts);
        let mut entry = CollectionEntry {
            name: "a".into(),
            schema,
            fields,
            stored_seq: 0,
            requests: 0,
            time_us: 0,
            segments: vec![],
        };
        let create = CatalogueChange::Create { id: 7, entry: entry.clone() };
        for change in [create.clone(), CatalogueChange::Delete { id: 7 }, CatalogueChange::Nothing] {
            let bytes = change.encode();
            assert_eq!(CatalogueChange::decode(&bytes).unwrap(), change);
            assert!((0..bytes.len()).all(|length| CatalogueChange::decode(&bytes[..length]).is_err()));
            assert!(CatalogueChange::decode(&[&bytes[..], b"x"].concat()).is_err());
        }
        assert!(CatalogueChange::decode(&[9, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        entry.stored_seq = 1;
        assert!(CatalogueChange::decode(&CatalogueChange::Create { id: 7, entry }.encode()).is_err());
    }
}
