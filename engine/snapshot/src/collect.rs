//! Garbage: objects that no snapshot names.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use ragstone::Lineage;

use crate::error::Result;
use crate::guard::{DEAD_AFTER, Mark};
use crate::manifest::Snapshot;
use crate::names::{DAMAGED, LOG, LogObject, OBJECTS, noted};
use crate::progress::{Meter, Progress};
use crate::repository::Repository;
use crate::staged;

/// What was collected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Collected {
    /// Objects and unfinished files removed.
    pub removed: usize,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Objects that stay.
    pub kept: usize,
}

/// What is needed, by the snapshots that there are.
struct Needed {
    objects: BTreeSet<String>,
    /// Of each lineage, the position of its first snapshot: archived log after it leads on from there.
    first: BTreeMap<Lineage, u64>,
}

impl Needed {
    fn by(snapshots: &[Snapshot]) -> Self {
        let mut first = BTreeMap::new();
        for snapshot in snapshots {
            let position = first.entry(snapshot.lineage).or_insert(snapshot.position);
            *position = snapshot.position.min(*position);
        }
        let files = snapshots.iter().flat_map(|snapshot| &snapshot.files);
        Self { objects: files.map(|file| file.object.clone()).collect(), first }
    }

    fn needs(&self, object: &str) -> bool {
        self.objects.contains(object)
            || LogObject::parse(object)
                .is_some_and(|log| self.first.get(&log.lineage).is_some_and(|first| log.last > *first))
    }
}

impl Repository {
    /// Removes every object that no snapshot names, archived log that no snapshot leads to, and what a process that died left
    /// an hour ago or more: its mark, and in a directory what it had half written. Safe beside archiving, restoring and
    /// deleting; a snapshot is not taken meanwhile. Nothing is removed if a snapshot's manifest is damaged: what it named is not known.
    ///
    /// # Errors
    /// [`Error::Busy`](crate::Error::Busy) beside a snapshot; [`Error::Damaged`](crate::Error::Damaged),
    /// [`Error::Store`](crate::Error::Store), [`Error::File`](crate::Error::File) if an unfinished file cannot be removed,
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn collect_garbage(
        &self,
        mut progress: impl FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Collected> {
        let mut mark = Mark::of_collection(self)?;
        // After the mark: a snapshot that was completed before it is in the list.
        let needed = Needed::by(&self.list()?);
        let mut collected = Collected::default();
        let mut garbage = Vec::new();
        for below in [OBJECTS, LOG] {
            for meta in self.list_objects(below)? {
                let name = self.name_of(&meta.location);
                if needed.needs(&name) { collected.kept += 1 } else { garbage.push((name, meta.size)) }
            }
        }
        for meta in self.list_objects(DAMAGED)? {
            let name = self.name_of(&meta.location);
            if !noted(&name).is_some_and(|object| needed.needs(object)) {
                garbage.push((name, meta.size));
            }
        }
        let staged = match &self.directory {
            Some(directory) => staged::find(directory, mark.time()?.into(), DEAD_AFTER)?,
            None => Vec::new(),
        };
        let sizes = garbage.iter().map(|(_, size)| size).chain(staged.iter().map(|file| &file.size_bytes));
        let mut meter = Meter::new(sizes.sum(), &mut progress);
        for file in staged {
            mark.renew()?;
            meter.advance(0)?;
            file.remove()?;
            collected.removed += 1;
            collected.removed_bytes += file.size_bytes;
            meter.advance(file.size_bytes)?;
        }
        for (name, size_bytes) in garbage {
            mark.renew()?;
            meter.advance(0)?;
            self.remove(&name)?;
            collected.removed += 1;
            collected.removed_bytes += size_bytes;
            meter.advance(size_bytes)?;
        }
        Ok(collected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::Hash;

    #[test]
    fn log_is_needed_from_the_first_snapshot_of_its_lineage_on() {
        let lineage = |digit: char| digit.to_string().repeat(32).parse::<Lineage>().unwrap();
        let snapshot = |lineage, position| Snapshot {
            name: "s".into(),
            lineage,
            position,
            time_us: 0,
            created_us: 0,
            collections: Vec::new(),
            files: Vec::new(),
        };
        let needed = Needed::by(&[snapshot(lineage('a'), 20), snapshot(lineage('a'), 10)]);
        let log = |lineage, first, last| LogObject { lineage, first, last, hash: Hash::of(b"") }.name();
        assert!(needed.needs(&log(lineage('a'), 10, 11)));
        assert!(!needed.needs(&log(lineage('a'), 9, 10)));
        assert!(!needed.needs(&log(lineage('b'), 30, 31)));
        assert!(!needed.needs("objects/aa/b"));
    }
}
