//! How far a copy goes, by what was copied alone.

use std::collections::BTreeMap;

use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::dir::{Dir, corrupt};
use crate::error::Result;
use crate::manifest::Manifest;
use crate::wal;

/// The last write of each collection of a copy, by its manifest and its log.
pub(super) fn seqs_of_copy(dir: &dyn Dir, mut root: Manifest) -> Result<BTreeMap<String, u64>> {
    let mut last: BTreeMap<u64, u64> =
        root.collections.iter().map(|(id, entry)| (*id, entry.stored_seq)).collect();
    for name in dir.list()?.iter().filter(|name| wal::is_log_file(name)) {
        let mut wrong = None;
        let fault = wal::read_log_file(&dir.read(name)?, name, |place, record| {
            if record.log_id != CATALOGUE {
                let last = last.entry(record.log_id).or_default();
                *last = record.seq.max(*last);
            } else if let Err(reason) = CatalogueChange::replay(&record, &mut root) {
                wrong.get_or_insert((place.offset, reason));
            }
        });
        let fault = fault.map(|fault| (fault.offset, fault.reason)).or(wrong);
        if let Some((offset, reason)) = fault {
            return Err(corrupt(dir, name, offset as u64, reason));
        }
    }
    // Of one that was made in the log, and not written since, the number that its writes go on from.
    let seq = |id: &u64, begun: u64| last.get(id).copied().unwrap_or_default().max(begun);
    Ok(root.collections.iter().map(|(id, entry)| (entry.name.clone(), seq(id, entry.stored_seq))).collect())
}
