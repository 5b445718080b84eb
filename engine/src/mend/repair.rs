//! Making good what can be made good: the root, the log, what is kept. The rows are in `rows.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use super::files::{self, Root};
use super::{CheckReport, Loss, RepairReport};
use crate::catalogue::{CATALOGUE, CatalogueChange};
use crate::dir::{Dir, FailingDir, corrupt, io_error};
use crate::error::Result;
use crate::lineage::Lineage;
use crate::manifest::{COUNT_MAX, MANIFEST_FILE, Manifest, ManifestStore};
use crate::replacement::SEQ_GAP;
use crate::threads::Pools;
use crate::verify::Damage;
use crate::wal::{self, MISSING_MAX, Salvaged};

/// Where damaged files are kept.
const KEPT_FOLDER: &str = "damaged";

/// What the log has of collections that were made, named and removed.
const CHANGES: &str = "changes of the catalogue";

/// A repair under way.
pub(super) struct Repair {
    pub(super) dir: Arc<FailingDir>,
    pub(super) is_dry_run: bool,
    pub(super) next_segment: u64,
    pub(super) pools: Pools,
    pub(super) report: RepairReport,
    /// Files that the new manifest does not name.
    pub(super) obsolete: Vec<String>,
}

/// Repairs a locked directory.
pub(super) fn repair(dir: Arc<FailingDir>, is_dry_run: bool) -> Result<RepairReport> {
    let Root { manifest, damage, remedy } = files::read_root(&dir)?;
    let Some(mut manifest) = manifest else {
        let reason =
            "neither it nor its copy says which collections there are; what the files hold cannot be told";
        return Err(corrupt(&*dir, MANIFEST_FILE, damage.map_or(0, |damage| damage.offset), reason));
    };
    let is_root_damaged = damage.is_some();
    // Ids that a crash left in use by files that no manifest names are not used again. Nobody comes to others that are beyond all counting.
    let names = dir.list()?;
    let ids = names.iter().filter_map(|name| crate::segment::parse_file(name)).map(|(id, _)| id);
    let on_disk = ids.filter(|id| *id < COUNT_MAX).max();
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
    super::check::check_copy(&repair.dir, &names, Some(&manifest), &mut of_copy)?;
    if !of_copy.damaged.is_empty() {
        repair.keep(&of_copy.damaged)?;
        repair.report.actions.push("the copy of the manifest is written anew".into());
    }
    let before = manifest.clone();
    for (id, collection) in &mut manifest.collections {
        repair.requests(*id, collection)?;
        repair.collection(collection)?;
    }
    let log = repair.log(&mut manifest)?;
    repair.words(manifest != before || log.is_some() || is_root_damaged)?;
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
    pub(super) fn keep(&mut self, damaged: &[Damage]) -> Result<()> {
        for damage in damaged {
            let name = damage.file.file_name().and_then(|name| name.to_str());
            if let Some(name) = name.filter(|_| !self.is_dry_run && damage.file.exists()) {
                keep_file(&self.dir, name)?;
            }
            if !self.report.damaged.contains(damage) {
                self.report.damaged.push(damage.clone());
            }
        }
        Ok(())
    }

    /// What is to become the new log, if it is damaged; the manifest is prepared for it.
    fn log(&mut self, manifest: &mut Manifest) -> Result<Option<Salvaged>> {
        let (damaged, _) = files::log(&self.dir, Some(manifest))?;
        if damaged.is_empty() {
            return Ok(None);
        }
        // All of it: a sound file behind a damaged one cannot be read without what it follows.
        let names = self.dir.list()?;
        if !self.is_dry_run {
            for name in names.iter().filter(|name| wal::is_log_file(name)) {
                keep_file(&self.dir, name)?;
            }
        }
        self.keep(&damaged)?;
        let is_read = |name: &str| self.dir.unreadable(name).is_empty();
        let salvaged = Salvaged::read(&*self.dir, is_read)?;
        let (before, mut given_up) = (manifest.clone(), self.catalogue(&salvaged, manifest)?);
        for (id, entry) in &manifest.collections {
            given_up += self.note_lost(&salvaged, (*id, entry.stored_seq), (&entry.name, "writes"));
        }
        // Records that are lost behind all others of their log id leave no gap among these.
        let entry = |log_id| before.collections.get(&log_id).or_else(|| manifest.collections.get(&log_id));
        // Of one whose making is lost: its writes go on from there (`replacement.rs`).
        let begun = |log_id| salvaged.numbers(log_id).next().unwrap_or_default() / SEQ_GAP * SEQ_GAP;
        let stored = |log_id| entry(log_id).map_or_else(|| begun(log_id), |entry| entry.stored_seq);
        let stored = |log_id| if log_id == CATALOGUE { before.catalogue_seq } else { stored(log_id) };
        let nameless = salvaged.nameless(&stored);
        given_up += nameless;
        if nameless > 0 {
            let what = format!(
                "{nameless} records of the log, as far as they can be counted, of which nothing can be read: they are the \
                 last of their collection, or of the changes of the catalogue, or are in segments already"
            );
            self.report.lost.push(Loss::of("", what));
        }
        let mended = salvaged.mended;
        self.report.actions.push(format!(
            "the log is written anew: {mended} records with a flipped bit turned back, {given_up} writes left out"
        ));
        manifest.note_log(salvaged.mark());
        Ok(Some(salvaged))
    }

    /// Carries out what the log says of collections that were made and removed, as far as it can be read; how many records
    /// are given up for what cannot.
    fn catalogue(&mut self, salvaged: &Salvaged, manifest: &mut Manifest) -> Result<u64> {
        let (done, first_new) = (manifest.catalogue_seq, manifest.next_collection);
        let mut given_up = self.note_lost(salvaged, (CATALOGUE, done), ("", CHANGES));
        let (mut lost, mut made) = (Vec::new(), BTreeSet::new());
        for (seq, body) in salvaged.bodies(&*self.dir, CATALOGUE, done)? {
            match CatalogueChange::decode(&body) {
                Ok(change) if change.apply(seq, manifest).is_ok() => {
                    made.extend(if let CatalogueChange::Create { id, .. } = change {
                        Some(id)
                    } else {
                        None
                    });
                }
                _ => {
                    lost.push(seq);
                    manifest.catalogue_seq = seq;
                }
            }
        }
        given_up += lost.len() as u64;
        self.note_writes("", &format!("{CHANGES} that can be read, but not carried out, out"), lost);
        // Without the record that made it, nobody knows the dimension of a collection.
        for log_id in salvaged.log_ids().filter(|log_id| *log_id >= first_new && !made.contains(log_id)) {
            let writes: Vec<u64> = salvaged.numbers(log_id).collect();
            given_up += writes.len() as u64;
            let kind = format!("writes to a collection (number {log_id}) whose making cannot be read, out");
            self.note_writes("", &kind, writes);
            if log_id < COUNT_MAX {
                manifest.next_collection = manifest.next_collection.max(log_id + 1);
            }
        }
        Ok(given_up)
    }

    /// Notes the writes of a log id behind a number that are lost; how many there are.
    fn note_lost(
        &mut self,
        salvaged: &Salvaged,
        (log_id, stored): (u64, u64),
        (collection, kind): (&str, &str),
    ) -> u64 {
        let (missing, too_far) = (salvaged.missing(log_id, stored), salvaged.too_far(log_id, stored));
        let lost = missing.len() + too_far.len();
        self.note_writes(collection, kind, missing);
        let left_out = format!(
            "{kind} that can be read, but have more missing before them than MISSING_MAX = {MISSING_MAX}, so that their numbers are \
             taken for wrong, and they stay in the folder `{KEPT_FOLDER}` alone, out"
        );
        self.note_writes(collection, &left_out, too_far);
        lost as u64
    }

    fn note_writes(&mut self, collection: &str, kind: &str, writes: Vec<u64>) {
        if !writes.is_empty() {
            let what = format!("{} {kind} of the log", writes.len());
            self.report.lost.push(Loss { writes, ..Loss::of(collection, what) });
        }
    }

    /// Puts away what is kept of the log for an archive: up to the last damaged file, or all if another log takes the place
    /// of the one that it continues in. The archive has a gap there.
    fn kept(&mut self, is_log_new: bool) -> Result<()> {
        let damaged = files::kept(&self.dir)?;
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
            keep_file(&self.dir, name)?;
            self.dir.remove(name)?;
        }
        self.dir.sync()
    }
}

/// Keeps a damaged file in the folder for them, durably, under its name, or as `name.2`, `name.3` … beside what an earlier repair
/// kept under it. What is kept already is not kept again. What cannot be read of it is zeros there.
fn keep_file(dir: &FailingDir, name: &str) -> Result<()> {
    let (root, file) = (dir.path(), dir.file_path(name));
    let folder = root.join(KEPT_FOLDER);
    let failed = |source| io_error("keep a copy of", &file, source);
    fs::create_dir_all(&folder).map_err(failed)?;
    let mut kept = folder.join(name);
    for number in 2.. {
        // One that cannot be read is not the same.
        if !kept.exists() {
            break;
        }
        if has_same_bytes(&kept, dir.around(name)?).unwrap_or(false) {
            return Ok(());
        }
        kept = folder.join(format!("{name}.{number}"));
    }
    let partial = folder.join("partial");
    // A copy, not a link: the file may be written to in place, by whoever looks at it.
    let mut from = BufReader::with_capacity(1 << 20, dir.around(name)?);
    let copied = fs::File::create(&partial).and_then(|mut copy| {
        copy.set_permissions(fs::metadata(&file)?.permissions())?;
        io::copy(&mut from, &mut copy)?;
        copy.sync_all()
    });
    copied.map_err(failed)?;
    fs::rename(&partial, &kept).map_err(failed)?;
    crate::dir::sync_directory(&folder)?;
    crate::dir::sync_directory(root)
}

fn has_same_bytes(kept: &Path, file: impl Read) -> io::Result<bool> {
    let mut one = BufReader::with_capacity(1 << 20, fs::File::open(kept)?);
    let mut other = BufReader::with_capacity(1 << 20, file);
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if length == 0 {
            return Ok(left.len() == right.len());
        }
        if left[..length] != right[..length] {
            return Ok(false);
        }
        one.consume(length);
        other.consume(length);
    }
}
