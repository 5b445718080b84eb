//! Making good what can be made good.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use fixedbitset::FixedBitSet;

use super::files::{self, Root};
use super::{CheckReport, Loss, RepairReport};
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::dir::{Access, Dir, corrupt, io_error};
use crate::error::Result;
use crate::lineage::Lineage;
use crate::manifest::{CollectionEntry, MANIFEST_FILE, Manifest, ManifestStore, SegmentEntry};
use crate::point::PointId;
use crate::segment::{
    DeadRows, GrowingSegment, Salvage, Saved, SealRequest, SegmentView, seal, segment_file, tombstone_file,
    tombstones,
};
use crate::threads::{Pools, Work};
use crate::vectors::Encodings;
use crate::verify::{Damage, Storage};
use crate::wal::{self, Salvaged};

/// Where damaged files are kept.
const KEPT_FOLDER: &str = "damaged";

/// A repair under way.
struct Repair {
    dir: Arc<dyn Dir>,
    is_dry_run: bool,
    next_segment: u64,
    pools: Pools,
    report: RepairReport,
    /// Files that the new manifest does not name.
    obsolete: Vec<String>,
}

/// Repairs a locked directory.
pub(super) fn repair(dir: Arc<dyn Dir>, is_dry_run: bool) -> Result<RepairReport> {
    let Root { manifest, damage, remedy } = files::read_root(&*dir)?;
    let Some(mut manifest) = manifest else {
        let reason =
            "neither it nor its copy says which collections there are; what the files hold cannot be told";
        return Err(corrupt(&*dir, MANIFEST_FILE, damage.map_or(0, |damage| damage.offset), reason));
    };
    let is_root_damaged = damage.is_some();
    // Ids that a crash left in use by files that no manifest names are not used again.
    let on_disk =
        dir.list()?.iter().filter_map(|name| crate::segment::parse_file(name)).map(|(id, _)| id).max();
    let next_segment = manifest.next_segment.max(on_disk.map_or(0, |id| id + 1));
    let pools = Pools::new(None, dir.path());
    let (report, obsolete) = (RepairReport::default(), Vec::new());
    let mut repair = Repair { dir, is_dry_run, next_segment, pools, report, obsolete };
    if let Some(damage) = damage {
        repair.keep(&[damage])?;
        repair.report.actions.extend(remedy.map(str::to_owned));
    }
    let mut of_copy = CheckReport::default();
    let names = repair.dir.list()?;
    super::check::check_copy(&*repair.dir, &names, Some(&manifest), &mut of_copy)?;
    if !of_copy.damaged.is_empty() {
        repair.keep(&of_copy.damaged)?;
        repair.report.actions.push("the copy of the manifest is written anew".into());
    }
    let before = manifest.clone();
    for collection in manifest.collections.values_mut() {
        repair.collection(collection)?;
    }
    let log = repair.log(&mut manifest)?;
    if manifest != before || log.is_some() {
        // Names and positions may stand for something else than they did in copies and archives.
        manifest.lineage = Lineage::new();
    }
    let has_changed = manifest != before || is_root_damaged || !of_copy.damaged.is_empty();
    if has_changed && !repair.is_dry_run {
        manifest.next_segment = repair.next_segment;
        manifest.generation += 1;
        repair.dir.sync()?;
        ManifestStore::replace(&*repair.dir, &manifest)?;
        for name in std::mem::take(&mut repair.obsolete) {
            if let Err(error) = repair.dir.remove(&name) {
                tracing::debug!(%error, "left an obsolete file for the next opening");
            }
        }
    }
    repair.kept(log.is_some())?;
    if let Some(salvaged) = log
        && !repair.is_dry_run
    {
        let stored = manifest.collections.iter().map(|(id, entry)| (*id, entry.stored_seq)).collect();
        salvaged.write(&*repair.dir, &stored, manifest.log)?;
    }
    Ok(repair.report)
}

impl Repair {
    /// Notes damage, and keeps the files as they are.
    fn keep(&mut self, damaged: &[Damage]) -> Result<()> {
        for damage in damaged {
            if !self.is_dry_run && damage.file.exists() {
                keep_file(self.dir.path(), &damage.file)?;
            }
            if !self.report.damaged.contains(damage) {
                self.report.damaged.push(damage.clone());
            }
        }
        Ok(())
    }

    fn collection(&mut self, collection: &mut CollectionEntry) -> Result<()> {
        let mut segments = Vec::new();
        for entry in collection.segments.clone() {
            segments.extend(match files::segment(&*self.dir, collection, entry.id)? {
                Ok(segment) => {
                    let dead = files::tombstones(&*self.dir, entry, segment.rows(), segment.vectors())?;
                    match dead {
                        Ok(_) => Some(entry),
                        Err(damage) => {
                            self.keep(&[damage])?;
                            let rows = (segment.rows(), segment.vectors());
                            Some(self.tombstones(collection, entry, rows)?.0)
                        }
                    }
                }
                Err(damaged) => {
                    self.keep(&damaged)?;
                    self.segment(collection, entry)?
                }
            });
        }
        collection.segments = segments;
        Ok(())
    }

    /// Writes damaged tombstones anew with a bit turned back; or without them, all rows of the segment live.
    fn tombstones(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        (rows, vectors): (u32, u32),
    ) -> Result<(SegmentEntry, DeadRows)> {
        let name = tombstone_file(entry.id, entry.tombstones);
        let next = SegmentEntry { id: entry.id, tombstones: entry.tombstones + 1 };
        let bytes = self.dir.read(&name).ok();
        let corrected = bytes.and_then(|mut bytes| super::bits::correct(&mut bytes).map(|_| bytes));
        let dead = corrected.and_then(|bytes| tombstones::decode(&bytes, entry.id, rows, vectors).ok());
        self.obsolete.push(name.clone());
        let Some(dead) = dead else {
            let action = format!(
                "{name} cannot be read: which rows of {} were replaced or deleted is not known, and they are back; of an \
                 id that is twice in the collection, the later segment's row counts",
                segment_file(entry.id)
            );
            self.report.actions.push(action);
            let what = format!("deletions in {}", segment_file(entry.id));
            self.report.lost.push(Loss {
                collection: collection.name.clone(),
                what,
                ids: Vec::new(),
                rows_without_id: None,
                writes: Vec::new(),
            });
            return Ok((SegmentEntry { id: entry.id, tombstones: 0 }, DeadRows::default()));
        };
        if !self.is_dry_run {
            let name = tombstone_file(next.id, next.tombstones);
            tombstones::write(&*self.dir, &name, next.id, rows, &dead)?;
        }
        self.report.actions.push(format!("a flipped bit of {name} is turned back"));
        Ok((next, dead))
    }

    /// Makes a damaged segment good, in its place or as another; `None` if nothing of it is left.
    fn segment(&mut self, collection: &CollectionEntry, entry: SegmentEntry) -> Result<Option<SegmentEntry>> {
        let name = segment_file(entry.id);
        let salvage = match self.dir.map(&name, Access::Near) {
            Ok(blob) => Salvage::of((*blob).as_ref(), entry.id, &collection.schema),
            Err(_) => None,
        };
        let Some(salvage) = salvage else {
            self.report.actions.push(format!("{name} is left out: nothing in it can be vouched for"));
            self.report.lost.push(Loss {
                collection: collection.name.clone(),
                what: format!("all rows of {name}"),
                ids: Vec::new(),
                rows_without_id: None,
                writes: Vec::new(),
            });
            self.obsolete.push(name);
            return Ok(None);
        };
        if salvage.is_whole() && !salvage.turned.is_empty() {
            let places: Vec<String> = salvage.turned.iter().map(usize::to_string).collect();
            self.report
                .actions
                .push(format!("a flipped bit of {name} is turned back at byte {}", places.join(", ")));
            if !self.is_dry_run {
                salvage.replace(&*self.dir, &name)?;
            }
            let rows = (salvage.rows(), salvage.vectors());
            return match files::tombstones(&*self.dir, entry, rows.0, rows.1)? {
                Ok(_) => Ok(Some(entry)),
                Err(damage) => {
                    self.keep(&[damage])?;
                    Ok(Some(self.tombstones(collection, entry, rows)?.0))
                }
            };
        }
        self.rewrite(collection, entry, &salvage)
    }

    /// Writes the rows that can be vouched for as a new segment: its graph, codes and order of ids are made anew.
    fn rewrite(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        salvage: &Salvage,
    ) -> Result<Option<SegmentEntry>> {
        let name = segment_file(entry.id);
        let dead = match files::tombstones(&*self.dir, entry, salvage.rows(), salvage.vectors())? {
            Ok(dead) => dead,
            Err(damage) => {
                self.keep(&[damage])?;
                self.tombstones(collection, entry, (salvage.rows(), salvage.vectors()))?.1
            }
        };
        let encodings = Encodings::new(&collection.schema);
        let total = Arc::new(AtomicU64::new(0));
        let growing = Arc::new(GrowingSegment::new(&collection.schema, encodings.growing.clone(), total));
        let (mut rows, mut vectorless, mut lost, mut unknown) = (0, FixedBitSet::new(), Vec::new(), 0);
        for slot in (0..salvage.rows()).filter(|slot| !dead.contains(*slot)) {
            match salvage.row(slot) {
                Saved::Row(row, vector) => {
                    growing.push(row, vector.as_deref());
                    vectorless.grow(rows as usize + 1);
                    vectorless.set(rows as usize, vector.is_none());
                    rows += 1;
                }
                Saved::Lost(Some(id)) => lost.push(id),
                Saved::Lost(None) => unknown += 1,
            }
        }
        let view = SegmentView { rows, vectorless: Arc::new(vectorless), ..SegmentView::growing(growing) };
        self.note_rewrite(collection, &name, rows, lost, unknown);
        self.obsolete.push(name);
        if entry.tombstones > 0 {
            self.obsolete.push(tombstone_file(entry.id, entry.tombstones));
        }
        let id = self.next_segment;
        self.next_segment += 1;
        if rows == 0 {
            return Ok(None);
        }
        if !self.is_dry_run {
            let request = SealRequest {
                id,
                sources: &[view],
                schema: &collection.schema,
                fields: &collection.fields,
                encodings: &encodings,
                storage: Storage::Mapped,
                filter_cache_bytes: 0,
            };
            self.pools.run(Work::Flush, || seal(&*self.dir, &request))??;
        }
        Ok(Some(SegmentEntry { id, tombstones: 0 }))
    }

    fn note_rewrite(
        &mut self,
        collection: &CollectionEntry,
        name: &str,
        rows: u32,
        ids: Vec<PointId>,
        unknown: u64,
    ) {
        let new = segment_file(self.next_segment);
        self.report.actions.push(match rows {
            0 => format!("{name} is left out: none of its rows can be vouched for"),
            _ => format!("{rows} rows of {name} are written to {new}, with their graph and codes made anew"),
        });
        if !ids.is_empty() || unknown > 0 {
            self.report.lost.push(Loss {
                collection: collection.name.clone(),
                what: format!("{} rows of {name}", ids.len() as u64 + unknown),
                ids,
                rows_without_id: Some(unknown),
                writes: Vec::new(),
            });
        }
    }

    /// What is to become the new log, if it is damaged; the manifest is prepared for it.
    fn log(&mut self, manifest: &mut Manifest) -> Result<Option<Salvaged>> {
        let (damaged, _) = files::log(&*self.dir, Some(manifest))?;
        if damaged.is_empty() {
            return Ok(None);
        }
        // All of it: a sound file behind a damaged one cannot be read without what it follows.
        let names = self.dir.list()?;
        if !self.is_dry_run {
            for name in names.iter().filter(|name| wal::is_log_file(name)) {
                keep_file(self.dir.path(), &self.dir.file_path(name))?;
            }
        }
        self.keep(&damaged)?;
        let salvaged = Salvaged::read(&*self.dir)?;
        let mut missing = self.catalogue(&salvaged, manifest)?;
        for (id, entry) in &manifest.collections {
            let writes = salvaged.missing(*id, entry.stored_seq);
            missing += writes.len();
            self.note_writes(&entry.name, "writes", writes);
        }
        let mended = salvaged.mended;
        self.report.actions.push(format!(
            "the log is written anew: {mended} records with a flipped bit turned back, {missing} writes left out"
        ));
        manifest.note_log(salvaged.mark());
        Ok(Some(salvaged))
    }

    /// Carries out what the log says of collections that were made and removed, as far as it can be read; how many of
    /// these records are lost.
    fn catalogue(&mut self, salvaged: &Salvaged, manifest: &mut Manifest) -> Result<usize> {
        let done = manifest.catalogue_seq;
        let mut lost = salvaged.missing(CATALOGUE, done);
        for (seq, body) in salvaged.bodies(&*self.dir, CATALOGUE, done)? {
            let change = CatalogueChange::decode(&body);
            if !change.is_ok_and(|change| change.apply(seq, manifest).is_ok()) {
                lost.push(seq);
                manifest.catalogue_seq = seq;
            }
        }
        let count = lost.len();
        self.note_writes("", "changes of which collections there are", lost);
        Ok(count)
    }

    fn note_writes(&mut self, collection: &str, kind: &str, writes: Vec<u64>) {
        if !writes.is_empty() {
            self.report.lost.push(Loss {
                collection: collection.to_owned(),
                what: format!("{} {kind} of the log", writes.len()),
                ids: Vec::new(),
                rows_without_id: None,
                writes,
            });
        }
    }

    /// Puts away what is kept of the log for an archive: up to the last damaged file, or all if another log takes the place
    /// of the one that it continues in. The archive has a gap there.
    fn kept(&mut self, is_log_new: bool) -> Result<()> {
        let damaged = files::kept(&*self.dir)?;
        self.keep(&damaged)?;
        let names = self.dir.list()?;
        let of_name = |name: &str| wal::kept_number(name);
        let of_damage = |damage: &Damage| of_name(damage.file.file_name()?.to_str()?);
        let up_to = if is_log_new { Some(u64::MAX) } else { damaged.iter().filter_map(of_damage).max() };
        let is_useless = |name: &&String| of_name(name).zip(up_to).is_some_and(|(number, end)| number <= end);
        let useless: Vec<&String> = names.iter().filter(is_useless).collect();
        if useless.is_empty() {
            return Ok(());
        }
        self.report.actions.push(format!(
            "{} log files that are kept for an archive are put away; what it has not copied of them is a gap",
            useless.len()
        ));
        if self.is_dry_run {
            return Ok(());
        }
        for name in useless {
            keep_file(self.dir.path(), &self.dir.file_path(name))?;
            self.dir.remove(name)?;
        }
        self.dir.sync()
    }
}

/// Keeps a damaged file under its name in the folder for them, durably; one that is there already stays.
fn keep_file(root: &Path, file: &Path) -> Result<()> {
    let folder = root.join(KEPT_FOLDER);
    let failed = |source| io_error("keep a copy of", file, source);
    fs::create_dir_all(&folder).map_err(failed)?;
    let Some(name) = file.file_name() else { return Ok(()) };
    let (kept, partial) = (folder.join(name), folder.join("partial"));
    if kept.exists() {
        return Ok(());
    }
    // A copy, not a link: the file may be written to in place, by whoever looks at it.
    fs::copy(file, &partial).map_err(failed)?;
    fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(failed)?;
    fs::rename(&partial, &kept).map_err(failed)?;
    crate::dir::sync_directory(&folder)?;
    crate::dir::sync_directory(root)
}
