//! Segments: the parts that a collection's rows lie in.
//!
//! A segment numbers its rows by slot. The *growing* one takes writes in memory (`growing.rs`); when it is large enough
//! it is frozen, rewritten as an immutable file (`writer.rs`), and read through a map from then on (`sealed.rs`).
//! Several small or decayed sealed segments are rewritten as one by the same writer (`merge_policy.rs` says which).
//! An update is a new row and a death of the old one; deaths are a bitmap beside the segment (`tombstones.rs`).
//!
//! ```text
//! growing --freeze--> frozen --seal--> sealed --merge--> sealed (another)
//!    rows added       deaths only      deaths only       gone once no view shows it
//! ```

mod append;
mod blocks;
mod counted;
mod growing;
mod ids;
mod integrity;
pub(crate) mod merge_policy;
mod meta;
mod ordered;
mod parts;
mod salvage;
mod sealed;
pub(crate) mod tombstones;
mod view;
mod writer;

#[cfg(test)]
pub(crate) use blocks::with_block_bytes;
pub(crate) use counted::Counted;
pub(crate) use growing::{GrowingRow, GrowingSegment};
pub(crate) use ordered::{OrderRequest, Place, by_value};
pub(crate) use salvage::{Salvage, Saved, damaged_blocks};
pub(crate) use sealed::{Check, Opening, SealedSegment};
pub(crate) use tombstones::DeadRows;
pub(crate) use view::{Candidates, Parts, Segment, SegmentView};
pub(crate) use writer::{SealRequest, SealedFrom, seal};

/// The name of a segment file.
pub(crate) fn segment_file(id: u64) -> String {
    format!("segment-{id:016x}")
}

/// The name of a tombstone file.
pub(crate) fn tombstone_file(segment: u64, generation: u64) -> String {
    format!("dead-{segment:016x}-{generation:016x}")
}

/// What a file name of ours stands for: a segment, or with a generation its tombstones.
pub(crate) fn parse_file(name: &str) -> Option<(u64, Option<u64>)> {
    let number = |digits: &str| (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    if let Some(digits) = name.strip_prefix("segment-") {
        return Some((number(digits)?, None));
    }
    let (segment, generation) = name.strip_prefix("dead-")?.split_once('-')?;
    Some((number(segment)?, Some(number(generation)?)))
}
