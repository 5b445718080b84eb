//! The catalogue in the log: which collections were made and removed.
//!
//! **Problem.** The manifest says which collections there are, but a log that is followed without the manifest (an archive
//! replayed onto an older snapshot) must know too, and in order with the writes.
//!
//! **Idea.** Making or removing a collection is a record of log id 0, which no collection has. It is logged, then done in
//! the manifest, then acknowledged. The manifest says up to which record it has the effect, so a replay repeats none; a crash
//! between the two leaves a record that the next opening carries out.
//!
//! ```text
//! change = 2 u8 | id u64 | collection as in the manifest, without segments                     made
//!        | 3 u8 | id u64                                                                       removed
//! ```

use crate::codec::{Decoded, Decoder, Encoder};
use crate::manifest::CollectionEntry;

/// The log id of the catalogue.
pub(crate) const CATALOGUE: u64 = 0;
const KIND_CREATE: u8 = 2;
const KIND_DELETE: u8 = 3;

/// A change of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CatalogueChange {
    Create { id: u64, entry: CollectionEntry },
    Delete { id: u64 },
}

impl CatalogueChange {
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
        }
        out.into_bytes()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Decoded<Self> {
        let mut decoder = Decoder::new(bytes);
        let kind = decoder.u8()?;
        let id = decoder.u64()?;
        let change = match kind {
            KIND_CREATE => {
                let entry = CollectionEntry::decode(&mut decoder)?;
                if entry.stored_seq > 0 || !entry.segments.is_empty() {
                    return decoder.error("a collection that was just made holds something");
                }
                Self::Create { id, entry }
            }
            KIND_DELETE => Self::Delete { id },
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
        let fields = FieldTable::declared(&schema.fields);
        let mut entry = CollectionEntry { name: "a".into(), schema, fields, stored_seq: 0, segments: vec![] };
        let create = CatalogueChange::Create { id: 7, entry: entry.clone() };
        for change in [create.clone(), CatalogueChange::Delete { id: 7 }] {
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
