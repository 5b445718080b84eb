//! Reading everything and naming what is wrong.

use super::CheckReport;
use super::files::{self, Kind, Root, damage};
use crate::dir::{Dir, FailingDir, corrupt};
use crate::error::Result;
use crate::manifest::{MANIFEST_COPY_FILE, Manifest};
use crate::opening::is_unnamed;
use crate::segment::{FileKind, parse_file, segment_file};

/// Checks a locked directory.
pub(super) fn check(dir: &FailingDir) -> Result<CheckReport> {
    let mut report = CheckReport::default();
    let names = dir.list()?;
    for name in names.iter().filter(|name| Kind::of(name).is_some()) {
        report.files += 1;
        report.bytes += dir.size_bytes(name)?;
    }
    let Root { manifest, damage: of_root, remedy } = files::read_root(dir)?;
    report.damaged.extend(of_root);
    report.notes.extend(remedy.map(|remedy| format!("a repair is possible: {remedy}")));
    check_copy(dir, &names, manifest.as_ref(), &mut report)?;
    match &manifest {
        Some(manifest) => check_named(dir, &names, manifest, &mut report)?,
        None => check_blocks(dir, &names, &mut report)?,
    }
    report.damaged.extend(super::words::check(dir, &names)?);
    let (damaged, notes) = files::log(dir, manifest.as_ref())?;
    report.damaged.extend(damaged);
    report.damaged.extend(files::kept(dir)?);
    report.notes.extend(notes);
    Ok(report)
}

/// The copy follows the manifest, so a crash may leave an older or an unfinished one; the next opening writes it anew.
pub(super) fn check_copy(
    dir: &FailingDir,
    names: &[String],
    manifest: Option<&Manifest>,
    report: &mut CheckReport,
) -> Result<()> {
    if !names.iter().any(|name| name == MANIFEST_COPY_FILE) {
        return Ok(());
    }
    let mut bytes = dir.read(MANIFEST_COPY_FILE)?;
    if let Some(damage) = files::unreadable(dir, MANIFEST_COPY_FILE).into_iter().next() {
        report.damaged.push(damage);
        return Ok(());
    }
    match Manifest::decode(&bytes) {
        Ok(copy) if manifest.is_none_or(|manifest| copy == *manifest) => {}
        Ok(_) => report.notes.push(format!("{MANIFEST_COPY_FILE} is older than the manifest")),
        Err((offset, reason)) if super::bits::correct(&mut bytes) == Some(true) => {
            report.damaged.push(damage(corrupt(dir, MANIFEST_COPY_FILE, offset as u64, reason))?);
        }
        Err(_) => report.notes.push(format!("{MANIFEST_COPY_FILE} is unfinished")),
    }
    Ok(())
}

/// Everything that the manifest names.
fn check_named(
    dir: &FailingDir,
    names: &[String],
    manifest: &Manifest,
    report: &mut CheckReport,
) -> Result<()> {
    for (id, collection) in &manifest.collections {
        report.damaged.extend(files::requests(dir, *id, collection)?);
        for entry in &collection.segments {
            match files::segment(dir, collection, entry.id)? {
                Ok(segment) => {
                    let dead = files::tombstones(dir, *entry, segment.rows())?;
                    report.damaged.extend(dead.err());
                    let patches = files::patches(dir, *entry, segment.rows(), &collection.fields)?;
                    report.damaged.extend(patches.err());
                }
                Err(damaged) => report.damaged.extend(damaged),
            }
        }
    }
    let named = manifest.files();
    for name in names {
        if is_unnamed(name, &named) {
            report.notes.push(format!("{name} is not named by the manifest; the next opening removes it"));
        }
    }
    Ok(())
}

/// Without a manifest, nobody knows what belongs to what: each segment is compared with its checksums.
fn check_blocks(dir: &FailingDir, names: &[String], report: &mut CheckReport) -> Result<()> {
    for (id, kind) in names.iter().filter_map(|name| parse_file(name)) {
        if kind == FileKind::Rows {
            report.damaged.extend(files::damaged_blocks(dir, &segment_file(id))?);
        }
    }
    let is_beside =
        |name: &&String| matches!(Kind::of(name), Some(Kind::Tombstones | Kind::Patches | Kind::Requests));
    for name in names.iter().filter(is_beside) {
        let bytes = dir.read(name)?;
        let (content, crc) = bytes.split_at(bytes.len().saturating_sub(4));
        let unread = files::unreadable(dir, name);
        if !unread.is_empty() {
            report.damaged.extend(unread);
        } else if crc32fast::hash(content).to_le_bytes() != crc {
            report.damaged.push(damage(corrupt(dir, name, 0, "the checksum does not match"))?);
        }
    }
    Ok(())
}
