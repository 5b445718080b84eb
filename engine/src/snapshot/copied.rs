//! What a copy says by itself, before it is opened: how far it goes, and what one of its collections needs.
//!
//! **A part of a copy.** Who wants one collection back need not fetch the segments of all others. The log of a copy is of all of them, and
//! what it says of names, aliases and replacements makes no sense without those that it is about. So they stay in the manifest by their
//! names, as collections without segments all of whose writes are stored: the log's records of the catalogue hold, and those of their
//! rows are passed over. Which of them has a name in the end is told by the manifest and the log together.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::dir::{Dir, corrupt};
use crate::error::{Error, Result};
use crate::manifest::Manifest;
use crate::wal::{self, Record};

/// Goes through the log of a copy: does in its root what records of the catalogue say, and calls `each` with every other.
fn walk_log(dir: &dyn Dir, root: &mut Manifest, mut each: impl FnMut(&Record<'_>)) -> Result<()> {
    for name in dir.list()?.iter().filter(|name| wal::is_log_file(name)) {
        let mut wrong = None;
        let fault = wal::read_log_file(&dir.read(name)?, name, |place, record| {
            if record.log_id != CATALOGUE {
                each(&record);
            } else if let Err(reason) = CatalogueChange::replay(&record, root) {
                wrong.get_or_insert((place.offset, reason));
            }
        });
        let fault = fault.map(|fault| (fault.offset, fault.reason)).or(wrong);
        if let Some((offset, reason)) = fault {
            return Err(corrupt(dir, name, offset as u64, reason));
        }
    }
    Ok(())
}

/// The last write of each collection of a copy, by its manifest and its log.
pub(super) fn seqs_of_copy(dir: &dyn Dir, mut root: Manifest) -> Result<BTreeMap<String, u64>> {
    let mut last: BTreeMap<u64, u64> =
        root.collections.iter().map(|(id, entry)| (*id, entry.stored_seq)).collect();
    walk_log(dir, &mut root, |record| {
        let last = last.entry(record.log_id).or_default();
        *last = record.seq.max(*last);
    })?;
    // Of one that was made in the log, and not written since, the number that its writes go on from.
    let seq = |id: &u64, begun: u64| last.get(id).copied().unwrap_or_default().max(begun);
    Ok(root.collections.iter().map(|(id, entry)| (entry.name.clone(), seq(id, entry.stored_seq))).collect())
}

/// The root of a copy without what other collections hold than the one that has a name in the end, and the files that this one needs.
pub(super) fn part_of_copy(
    dir: &dyn Dir,
    mut root: Manifest,
    collection: &str,
) -> Result<(Manifest, BTreeSet<String>)> {
    let mut last = root.clone();
    walk_log(dir, &mut last, |_| {})?;
    let found = last.collections.iter().find(|(_, entry)| entry.name == collection);
    let Some((id, _)) = found else {
        return Err(Error::CollectionNotFound { name: collection.to_owned() });
    };
    root.keep_only(*id);
    let files = root.files();
    Ok((root, files))
}
