//! The files of a directory, each read by itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use crate::batch::PreparedBatch;
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::collection::{self, is_request_file, request_file};
use crate::dir::{Dir, corrupt};
use crate::error::{Error, Result};
use crate::manifest::{CollectionEntry, MANIFEST_COPY_FILE, MANIFEST_FILE, Manifest, SegmentEntry};
use crate::payload::FieldTable;
use crate::segment::patching::Patched;
use crate::segment::{
    DeadRows, FileKind, Opening, Patches, SealedSegment, parse_file, patch_file, patching, segment_file,
    tombstone_file, tombstones,
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
pub(super) fn read_root(dir: &dyn Dir) -> Result<Root> {
    let names = dir.list()?;
    let damage = if names.iter().any(|name| name == MANIFEST_FILE) {
        let mut bytes = dir.read(MANIFEST_FILE)?;
        let (offset, reason) = match Manifest::decode(&bytes) {
            Ok(manifest) => return Ok(Root { manifest: Some(manifest), damage: None, remedy: None }),
            Err(fault) => fault,
        };
        let damage = damage(corrupt(dir, MANIFEST_FILE, offset as u64, reason))?;
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

/// Verifies a segment: every block, then how its parts agree.
pub(super) fn segment(
    dir: &dyn Dir,
    collection: &CollectionEntry,
    id: u64,
) -> Result<Result<SealedSegment, Vec<Damage>>> {
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
        Err(error) => {
            // What opening looks at is not all: the other places are worth naming too.
            let mut damaged = vec![damage(error)?];
            if let Ok(blob) = dir.map(&segment_file(id), crate::dir::Access::Near) {
                for (offset, reason) in crate::segment::damaged_blocks((*blob).as_ref()) {
                    if damaged.iter().all(|known| known.offset != offset as u64) {
                        damaged.push(damage(corrupt(dir, &segment_file(id), offset as u64, reason))?);
                    }
                }
            }
            return Ok(Err(damaged));
        }
    };
    match segment.verify(&mut |_| ControlFlow::Continue(())) {
        ControlFlow::Continue(damaged) if !damaged.is_empty() => Ok(Err(damaged)),
        _ => Ok(Ok(segment)),
    }
}

/// Reads the tombstones of a segment whose rows are known.
pub(super) fn tombstones(dir: &dyn Dir, entry: SegmentEntry, rows: u32) -> Result<Result<DeadRows, Damage>> {
    if entry.tombstones == 0 {
        return Ok(Ok(DeadRows::default()));
    }
    let name = tombstone_file(entry.id, entry.tombstones);
    match tombstones::read(dir, &name, entry.id, rows) {
        Ok(dead) => Ok(Ok(dead)),
        Err(error) => Ok(Err(damage(error)?)),
    }
}

/// Reads the patches of a segment whose rows are known.
pub(super) fn patches(
    dir: &dyn Dir,
    entry: SegmentEntry,
    rows: u32,
    fields: &FieldTable,
) -> Result<Result<Patches, Damage>> {
    if entry.patches == 0 {
        return Ok(Ok(Patches::default()));
    }
    let of = Patched { segment: entry.id, rows, fields };
    match patching::read(dir, &patch_file(entry.id, entry.patches), &of) {
        Ok(patches) => Ok(Ok(patches)),
        Err(error) => Ok(Err(damage(error)?)),
    }
}

/// Verifies the requests that a collection remembers.
pub(super) fn requests(dir: &dyn Dir, id: u64, entry: &CollectionEntry) -> Result<Option<Damage>> {
    if entry.requests == 0 {
        return Ok(None);
    }
    let read = collection::read_requests(dir, &request_file(id, entry.requests), id);
    read.err().map(damage).transpose()
}

/// Verifies the log: every frame, and that no write of a collection is missing. Without a manifest, the frames alone.
pub(super) fn log(dir: &dyn Dir, manifest: Option<&Manifest>) -> Result<(Vec<Damage>, Vec<String>)> {
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
        let is_torn = fault.as_ref().is_some_and(|fault| fault.torn) && index + 1 == names.len();
        match fault {
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
