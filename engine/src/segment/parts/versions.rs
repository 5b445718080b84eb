//! The versions of a sealed segment's rows: by which write each was last changed.
//!
//! ```text
//! versions part = no info; sections: versions
//! versions = u64 * rows                    by slot
//! ```
//! What is read was perhaps not verified yet: any number is a version, and one that nobody was given is met by no
//! precondition.
//!
//! **Cost.** Eight bytes a row in the file, none in memory.

use std::ops::Range;

use super::{PartsFile, section};
use crate::codec::u64_at;
use crate::error::Result;
use crate::segment::blocks::{BlockWriter, Fault};
use crate::segment::meta::{Meta, Part, PartKind, Section};

/// Bytes of a version.
pub(in crate::segment) const VERSION_BYTES: usize = 8;
/// Of a row whose version was lost. No write has this number, so no etag that anybody read before is met.
pub(in crate::segment) const LOST: u64 = 0;

/// Writes the versions of the rows of a new segment, by slot.
pub(in crate::segment) fn write(
    out: &mut BlockWriter,
    mut versions: impl Iterator<Item = u64>,
) -> Result<Part> {
    let versions = section(out, |out| versions.try_for_each(|version| out.write(&version.to_le_bytes())))?;
    Ok(Part { kind: PartKind::Versions, number: 0, info: Vec::new(), sections: vec![versions] })
}

/// Where the versions lie.
pub(in crate::segment) fn find(meta: &Meta) -> Result<Section, String> {
    let part = meta.part(PartKind::Versions, 0).ok_or("the segment has no versions")?;
    let [versions] = part.sections()?;
    part.info(|_| Ok(()))?;
    Ok(versions)
}

/// The versions of a segment.
pub(in crate::segment) struct SealedVersions(Range<usize>);

impl SealedVersions {
    pub(in crate::segment) fn open(file: &PartsFile<'_>, meta: &Meta) -> Result<Self, Fault> {
        let versions = find(meta).map_err(|reason| file.fault(reason))?;
        file.range(versions, Some(file.rows as usize * VERSION_BYTES)).map(Self)
    }

    /// The version of a row, in the bytes of the file.
    pub(in crate::segment) fn get(&self, file: &[u8], slot: u32) -> u64 {
        let versions = &file[self.0.clone()];
        let is_there = (slot as usize + 1) * VERSION_BYTES <= versions.len();
        if is_there { u64_at(versions, slot as usize) } else { LOST }
    }

    /// Asks for it.
    pub(in crate::segment) fn prefetch(&self, file: &[u8], slot: u32) {
        if let Some(version) = file[self.0.clone()].get(slot as usize * VERSION_BYTES..) {
            ragstone_kernels::prefetch(&version[..version.len().min(VERSION_BYTES)]);
        }
    }
}
