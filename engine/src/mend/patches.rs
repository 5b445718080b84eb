//! The patches of a segment: which are sound, and which can be made so.

use super::repair::Repair;
use super::rows::Readable;
use super::{Loss, files};
use crate::dir::Dir;
use crate::error::Result;
use crate::manifest::{CollectionEntry, SegmentEntry};
use crate::segment::patching::{self, Patched};
use crate::segment::{DeadRows, Patches, patch_file, segment_file};

/// What is different in the rows of a segment.
pub(super) struct Mended {
    pub(super) patches: Patches,
    /// Whether their file is to be another one.
    is_new: bool,
}

impl Repair {
    /// The patches of a segment: by their file, or by it with a bit turned back. Otherwise they are lost, and its rows are as
    /// they were before.
    pub(super) fn patches(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        segment: &Readable,
    ) -> Result<Mended> {
        let rows = segment.rows();
        let damage = match files::patches(&self.dir, entry, rows, &collection.fields)? {
            Ok(patches) => return Ok(Mended { patches, is_new: false }),
            Err(damage) => damage,
        };
        self.keep(&[damage])?;
        let name = patch_file(entry.id, entry.patches);
        self.obsolete.push(name.clone());
        let of = Patched { segment: entry.id, rows, fields: &collection.fields };
        let mended = self.dir.read(&name).ok().and_then(|mut bytes| {
            super::bits::correct(&mut bytes)?;
            patching::decode(&bytes, &of).ok()
        });
        if let Some(patches) = mended {
            self.report.actions.push(format!("a flipped bit of {name} is turned back"));
            return Ok(Mended { patches, is_new: true });
        }
        let file = segment_file(entry.id);
        self.report.actions.push(format!(
            "{name} cannot be read: rows of {file} some fields of which were updated are as they were before"
        ));
        self.report.lost.push(Loss::of(&collection.name, format!("updates of rows in {file}")));
        Ok(Mended { patches: Patches::default(), is_new: true })
    }

    /// Writes the patches anew if their file is damaged.
    pub(super) fn write_patches(
        &mut self,
        collection: &CollectionEntry,
        entry: SegmentEntry,
        segment: &Readable,
        mended: &Mended,
    ) -> Result<SegmentEntry> {
        if !mended.is_new {
            return Ok(entry);
        }
        if mended.patches.is_empty() {
            return Ok(SegmentEntry { patches: 0, ..entry });
        }
        let next = SegmentEntry { patches: entry.patches + 1, ..entry };
        if !self.is_dry_run {
            let name = patch_file(next.id, next.patches);
            let of = Patched { segment: next.id, rows: segment.rows(), fields: &collection.fields };
            patching::write(&*self.dir, &name, &of, &mended.patches, &DeadRows::default())?;
        }
        Ok(next)
    }
}
