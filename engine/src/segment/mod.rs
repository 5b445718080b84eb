//! Segments: the parts that a collection's rows lie in.
//!
//! A segment numbers its rows by slot. The *growing* one takes writes in memory (`growing.rs`); when it is large enough
//! it is frozen, rewritten as an immutable file (`writer.rs`) in another order (`placing.rs`), and read through a map from
//! then on (`sealed.rs`).
//! Several small or decayed sealed segments are rewritten as one by the same writer (`merge_policy.rs` says which).
//! A replacement is a new row and a death of the old one; deaths are a bitmap beside the segment (`tombstones.rs`). What updates
//! change of a row lies beside it, too (`patches.rs`, on disk `patching.rs`, the words of texts `moved.rs`), and so do the words of a field that came to be searched by word
//! when the segment was there already (`words.rs`).
//!
//! ```text
//! growing --freeze--> frozen --seal--> sealed --merge--> sealed (another)
//!    rows added       deaths only      deaths only       gone once no view shows it
//! ```

mod ahead;
mod append;
mod appending;
mod block_reader;
mod blocks;
mod counted;
mod dense_view;
mod expiry;
mod growing;
mod ids;
mod indexed;
mod integrity;
mod made;
pub(crate) mod merge_policy;
mod meta;
mod moved;
mod names;
mod ordered;
mod others;
mod parts;
mod patches;
pub(crate) mod patching;
mod placing;
mod salvage;
mod sealed;
mod selecting;
mod sorted_runs;
mod tenants;
pub(crate) mod tombstones;
mod view;
mod words;
mod writer;

pub(crate) use ahead::HITS_AHEAD;
pub(crate) use appending::Appending;
pub(crate) use block_reader::BlockReader;
#[cfg(test)]
pub(crate) use blocks::with_block_bytes;
pub(crate) use counted::Counted;
pub(crate) use dense_view::{Candidates, DenseView, Parts};
pub(crate) use expiry::Expiring;
pub(crate) use growing::{GrowingDense, GrowingRow, GrowingSegment};
pub(crate) use indexed::{IndexedRows, TextPart};
pub(crate) use names::{
    FileKind, is_unfinished_words, parse_file, patch_file, segment_file, tombstone_file, words_file,
};
pub(crate) use ordered::{OrderRequest, Place, by_value};
pub(crate) use others::{MultiRow, SparseRow};
pub(crate) use patches::{Patch, Patches, SlotPatch};
pub(crate) use salvage::{Salvage, Saved, damaged_blocks};
pub(crate) use sealed::{Check, Opening, SealedSegment};
pub(crate) use tombstones::DeadRows;
pub(crate) use view::{Segment, SegmentView};
pub(crate) use words::{AddedWords, WordsRequest, write_words};
pub(crate) use writer::{SealRequest, SealedFrom, seal};
