//! The files of a directory, each read by itself.

use std::collections::BTreeMap;

use crate::batch::PreparedBatch;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::{self, is_request_file, request_file};
use crate::dir::{Dir, FailingDir, Unreadable, corrupt};
use crate::error::{Error, Result};
use crate::manifest::{CollectionEntry, MANIFEST_COPY_FILE, MANIFEST_FILE, Manifest, SegmentEntry};
use crate::payload::FieldTable;
use crate::segment::patching::Patched;
use crate::segment::{
    BlockReader, DeadRows, FileKind, Opening, Patches, SealedSegment, parse_file, patch_file, patching,
    segment_file, tombstone_file, tombstones,
};
use crate::vectors::Encodings;
use crate::verify::{Damage, OnDamage};
use crate::wal;

/// What a file is, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Manifest,
    Log,
    Kept,
    Segment,
    Tombstones,
    Patches,
    Words,
    Requests,
}

impl Kind {
    pub(super) fn of(name: &str) -> Option<Self> {
        match parse_file(name) {
            Some((_, FileKind::Rows)) => Some(Kind::Segment),
            Some((_, FileKind::Tombstones)) => Some(Kind::Tombstones),
            Some((_, FileKind::Patches)) => Some(Kind::Patches),
            Some((_, FileKind::Words(_))) => Some(Kind::Words),
            None if name == MANIFEST_FILE => Some(Kind::Manifest),
            None if is_request_file(name) => Some(Kind::Requests),
            None if wal::kept_number(name).is_some() => Some(Kind::Kept),
            None => wal::is_log_file(name).then_some(Kind::Log),
        }
    }
}

/// The root as far as it can be read.
pub(super) struct Root {
    pub(super) manifest: Option<Manifest>,
    /// What is wrong with the file.
    pub(super) damage: Option<Damage>,
    /// How the manifest was found all the same.
    pub(super) remedy: Option<&'static str>,
}

/// Reads the manifest; a damaged one by turning a bit back, or from its copy.
pub(super) fn read_root(dir: &FailingDir) -> Result<Root> {
    let names = dir.list()?;
    let damage = if names.iter().any(|name| name == MANIFEST_FILE) {
        let mut bytes = dir.read(MANIFEST_FILE)?;
        let (offset, reason) = match Manifest::decode(&bytes) {
            Ok(manifest) => return Ok(Root { manifest: Some(manifest), damage: None, remedy: None }),
            Err(fault) => fault,
        };
        let damage = match unreadable(dir, MANIFEST_FILE).into_iter().next() {
            Some(damage) => damage,
            None => damage(corrupt(dir, MANIFEST_FILE, offset as u64, reason))?,
        };
        if super::bits::correct(&mut bytes) == Some(true)
            && let Ok(manifest) = Manifest::decode(&bytes)
        {
            let remedy = Some("a flipped bit of the manifest is turned back");
            return Ok(Root { manifest: Some(manifest), damage: Some(damage), remedy });
        }
        damage
    } else {
        damage(corrupt(dir, MANIFEST_FILE, 0, "the file is missing"))?
    };
    let copy = names.iter().any(|name| name == MANIFEST_COPY_FILE).then(|| dir.read(MANIFEST_COPY_FILE));
    let mut copy = copy.transpose()?.unwrap_or_default();
    super::bits::correct(&mut copy);
    let manifest = Manifest::decode(&copy).ok();
    let remedy = manifest.is_some().then_some("the manifest is taken from its copy");
    Ok(Root { manifest, damage: Some(damage), remedy })
}

/// The damage that an error tells of; other errors end the work.
pub(super) fn damage(error: Error) -> Result<Damage> {
    error.into_damage(OnDamage::Isolate)
}

/// What the disk could not read of a file so far, of those that are read as a whole.
pub(super) fn unreadable(dir: &FailingDir, name: &str) -> Vec<Damage> {
    let file = dir.file_path(name);
    let damage =
        |unread: Unreadable| Damage { file: file.clone(), offset: unread.range.start, reason: unread.reason };
    dir.unreadable(name).into_iter().map(damage).collect()
}

/// What was read of a file, unless it is damaged or not all of it could be read.
fn whole<T>(dir: &FailingDir, name: &str, read: Result<T>) -> Result<Result<T, Damage>> {
    if let Some(unread) = unreadable(dir, name).into_iter().next() {
        return Ok(Err(unread));
    }
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(error) => Ok(Err(damage(error)?)),
    }
}

/// The damaged places of a file with blocks, by ordinary reads.
pub(super) fn damaged_blocks(dir: &dyn Dir, name: &str) -> Result<Vec<Damage>> {
    let mut file = match BlockReader::open(dir, name) {
        Ok(file) => file,
        Err(error) => return Ok(vec![damage(error)?]),
    };
    let faults = crate::segment::damaged_blocks(&mut file).into_iter();
    faults.map(|(offset, reason)| damage(corrupt(dir, name, offset as u64, reason))).collect()
}

/// Verifies a segment: every block, then how its parts agree. It is mapped only if all of it can be read.
pub(super) fn segment(
    dir: &dyn Dir,
    collection: &CollectionEntry,
    id: u64,
) -> Result<Result<SealedSegment, Vec<Damage>>> {
    let damaged = damaged_blocks(dir, &segment_file(id))?;
    if !damaged.is_empty() {
        return Ok(Err(damaged));
    }
    let encodings = Encodings::all(&collection.schema);
    let opening = Opening::mapped(&collection.schema, &encodings);
    let opened = SealedSegment::open(dir, id, &opening).and_then(|segment| {
        match segment.has_only(&collection.fields) {
            true => Ok(segment),
            false => Err(corrupt(
                dir,
                &segment_file(id),
                0,
                "a column is of a field that the collection does not have",
            )),
        }
    });
    let segment = match opened {
        Ok(segment) => segment,
        Err(error) => return Ok(Err(vec![damage(error)?])),
    };
    Ok(match segment.damaged_parts() {
        Some(damage) => Err(vec![damage]),
        None => Ok(segment),
    })
}

/// Reads the tombstones of a segment whose rows are known.
pub(super) fn tombstones(
    dir: &FailingDir,
    entry: SegmentEntry,
    rows: u32,
) -> Result<Result<DeadRows, Damage>> {
    if entry.tombstones == 0 {
        return Ok(Ok(DeadRows::default()));
    }
    let name = tombstone_file(entry.id, entry.tombstones);
    let read = tombstones::read(dir, &name, entry.id, rows);
    whole(dir, &name, read)
}

/// Reads the patches of a segment whose rows are known.
pub(super) fn patches(
    dir: &FailingDir,
    entry: SegmentEntry,
    rows: u32,
    fields: &FieldTable,
) -> Result<Result<Patches, Damage>> {
    if entry.patches == 0 {
        return Ok(Ok(Patches::default()));
    }
    let of = Patched { segment: entry.id, rows, fields };
    let name = patch_file(entry.id, entry.patches);
    let read = patching::read(dir, &name, &of);
    whole(dir, &name, read)
}

/// Verifies the requests that a collection remembers.
pub(super) fn requests(dir: &FailingDir, id: u64, entry: &CollectionEntry) -> Result<Option<Damage>> {
    if entry.requests == 0 {
        return Ok(None);
    }
    let name = request_file(id, entry.requests);
    let read = collection::read_requests(dir, &name, id);
    Ok(whole(dir, &name, read)?.err())
}

/// Verifies the log: every frame, and that no write of a collection is missing. Without a manifest, the frames alone.
pub(super) fn log(dir: &FailingDir, manifest: Option<&Manifest>) -> Result<(Vec<Damage>, Vec<String>)> {
    let (mut damaged, mut notes) = (Vec::new(), Vec::new());
    let mut last: BTreeMap<u64, u64> = BTreeMap::new();
    // As the records make it.
    let mut root = manifest.cloned();
    if let Some(manifest) = manifest {
        last.extend(manifest.collections.iter().map(|(id, entry)| (*id, entry.stored_seq)));
    }
    let names: Vec<String> = dir.list()?.into_iter().filter(|name| wal::is_log_file(name)).collect();
    for (index, name) in names.iter().enumerate() {
        let bytes = dir.read(name)?;
        let mut wrong = None;
        let fault = wal::read_log_file(&bytes, name, |place, record| {
            if wrong.is_none()
                && let Some(root) = &mut root
                && let Err(reason) = in_turn(root, &mut last, &record)
            {
                wrong = Some((place.offset, reason));
            }
        });
        let unread = unreadable(dir, name);
        let is_torn = fault.as_ref().is_some_and(|fault| fault.torn) && index + 1 == names.len();
        match fault {
            // Nobody knows what was there; what follows it was durable, and no crash tore it.
            _ if !unread.is_empty() => damaged.extend(unread),
            Some(fault) if is_torn => {
                notes.push(format!(
                    "{name} ends in a frame that a crash tore at byte {}; it was never acknowledged",
                    fault.offset
                ));
            }
            Some(fault) => damaged.push(damage(corrupt(dir, name, fault.offset as u64, fault.reason))?),
            None => {}
        }
        // What follows damage has gaps because of it.
        if damaged.is_empty()
            && let Some((offset, reason)) = wrong
        {
            damaged.push(damage(corrupt(dir, name, offset as u64, reason))?);
        }
    }
    Ok((damaged, notes))
}

/// The first damaged place of each file that is kept of the log for an archive.
pub(super) fn kept(dir: &FailingDir) -> Result<Vec<Damage>> {
    let mut damaged = Vec::new();
    for name in wal::kept_files(dir)? {
        let found = wal::damage_of_kept(dir, &name)?;
        damaged.extend(unreadable(dir, &name).into_iter().next().or(found));
    }
    Ok(damaged)
}

/// Whether a record can be applied after those before it.
fn in_turn(
    root: &mut Manifest,
    last: &mut BTreeMap<u64, u64>,
    record: &wal::Record<'_>,
) -> Result<(), String> {
    if record.log_id == CATALOGUE {
        if let Some(CatalogueChange::Create { id, entry }) = CatalogueChange::replay(record, root)? {
            last.insert(id, entry.stored_seq);
        }
        return Ok(());
    }
    let Some(entry) = root.collections.get(&record.log_id) else {
        return match record.log_id < root.next_collection {
            true => Ok(()),
            false => Err(format!("the record is of collection {}, which never was", record.log_id)),
        };
    };
    let last = last.entry(record.log_id).or_default();
    if record.seq <= *last {
        return Ok(());
    }
    if record.seq != *last + 1 {
        return Err(format!("write {} follows write {last}: some are missing", record.seq));
    }
    *last = record.seq;
    let decoded = PreparedBatch::decode(record.body, &entry.schema);
    decoded.map(drop).map_err(|error| format!("byte {} of the record: {}", error.offset, error.reason))
}
