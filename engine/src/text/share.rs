//! Which rows of a segment an index is of: where those of a segment are in several, each row is looked for in one.

use super::index::Gone;

/// Which rows of a segment a part has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Share<'a> {
    /// All from its first one on.
    Whole,
    /// Those of them that are not gone; others have the live ones among these.
    Rest,
    /// These, in ascending order. What is gone is told by places among them.
    Listed(&'a [u32]),
}

impl Share<'_> {
    /// The place of a row in a part of so many, if it has its words.
    pub(crate) fn place(self, row: u32, gone: Gone<'_>, rows: u32) -> Option<u32> {
        let place = match self {
            Share::Listed(listed) => listed.binary_search(&row).ok()? as u32,
            Share::Whole | Share::Rest => row.checked_sub(gone.first).filter(|place| *place < rows)?,
        };
        let is_here = matches!(self, Share::Whole) || !gone.dead.contains(gone.first + place);
        is_here.then_some(place)
    }

    /// The row at a place of a part whose first row is this.
    pub(in crate::text) fn row(self, first: u32, place: u32) -> u32 {
        match self {
            // Whoever has a place has it of a row that there is.
            Share::Listed(listed) => listed.get(place as usize).copied().unwrap_or(u32::MAX),
            Share::Whole | Share::Rest => first + place,
        }
    }
}
