//! What a segment file consists of: a file here for each kind of part, which writes it, opens it and checks it.
//!
//! ```text
//! kind     writes                 is read through     by number
//! ids      order, ends, ids       SealedIds           one, 0
//! dense    rows, codes, sketches, graph   SealedDense   of the vector
//! columns  Arrow file of fields   SealedColumns       one, 0
//! text     the words of a field   SealedIndexes       of the field
//! sparse index   rows by dimension   SealedIndexes   of the vector
//! sparse   entries                SealedSparse        of the vector
//! multi    rows of vectors        SealedMulti         of the vector
//! versions the write of each row  SealedVersions      one, 0
//! expiries when rows expire       SealedExpiries      one, 0, if some row does
//! ```
//! A kind is added by a code in `meta.rs`, a file here, and a line where `writer.rs` writes, `sealed.rs` opens and
//! `salvage.rs` saves.

pub(super) mod columns;
pub(super) mod dense;
pub(super) mod expiries;
pub(super) mod ids;
pub(super) mod indexes;
pub(super) mod multi;
pub(super) mod nodes;
pub(super) mod sparse;
pub(super) mod versions;

use std::cell::RefCell;
use std::ops::Range;

use super::block_reader::Headers;
use super::blocks::{BlockWriter, Blocks, Fault};
use super::meta::Section;
use crate::dir::Blob;
use crate::error::Result;

/// A file whose parts are being opened.
pub(super) struct PartsFile<'a> {
    pub(super) blob: &'a Blob,
    /// The file mapped once more, for scattered reads.
    pub(super) scattered: &'a Blob,
    pub(super) blocks: &'a Blocks,
    /// By which more of it is checked than the file's headers.
    pub(super) headers: RefCell<Headers>,
    /// Where the meta section begins, before which all others lie.
    pub(super) end: usize,
    /// Of the segment.
    pub(super) rows: u32,
}

impl PartsFile<'_> {
    /// Something wrong with what the directory of parts says.
    pub(super) fn fault(&self, reason: impl Into<String>) -> Fault {
        (self.end, reason.into())
    }

    /// Where a section lies, if it lies in the file and is as long as expected.
    pub(super) fn range(&self, section: Section, expected: Option<usize>) -> Result<Range<usize>, Fault> {
        let start = usize::try_from(section.offset).unwrap_or(usize::MAX);
        let bytes = usize::try_from(section.length_bytes).unwrap_or(usize::MAX);
        let end = start.checked_add(bytes).filter(|end| *end <= self.end);
        match end {
            Some(end) if expected.is_none_or(|expected| expected == bytes) => Ok(start..end),
            _ => Err((start.min(self.end), "a section does not fit the segment".to_owned())),
        }
    }

    /// Checks the blocks in which a range lies, before what it holds is copied.
    pub(super) fn check(&self, range: Range<usize>) -> Result<(), Fault> {
        self.headers.borrow_mut().check(self.blocks, range)
    }
}

/// Writes one aligned section.
pub(super) fn section(
    out: &mut BlockWriter,
    write: impl FnOnce(&mut BlockWriter) -> Result<()>,
) -> Result<Section> {
    out.align()?;
    let offset = out.position();
    write(out)?;
    Ok(Section { offset, length_bytes: out.position() - offset })
}

/// Writes numbers one after the other.
pub(super) fn floats(out: &mut BlockWriter, floats: &[f32]) -> Result<()> {
    floats.iter().try_for_each(|value| out.write(&value.to_le_bytes()))
}
