//! What `store/room.rs` asks a collection before it takes a write. None of it takes a lock.

use super::state::{CollectionCore, ViewState};
use crate::error::Result;
use crate::limits::UNMERGED_SEGMENTS_MAX;
use crate::segment::SegmentView;
use crate::segment::merge_policy::{self, SegmentSize};

/// Frozen segments that may wait for their seal before writers wait too.
const FROZEN_MAX: usize = 2;

/// The sizes of the sealed segments, in their order.
pub(super) fn sizes_of(view: &ViewState) -> Vec<SegmentSize> {
    view.segments.iter().filter(|segment| segment.as_sealed().is_some()).map(size_of).collect()
}

/// The size of a segment.
pub(super) fn size_of(segment: &SegmentView) -> SegmentSize {
    SegmentSize {
        rows: segment.rows as usize,
        live: segment.live(),
        patched: segment.patches.count(),
        patch_bytes: patch_bytes(segment),
    }
}

/// What patches of a segment take in memory, and the words that they moved.
fn patch_bytes(segment: &SegmentView) -> usize {
    segment.patches.size_bytes() + segment.moved.size_bytes()
}

impl CollectionCore {
    /// Fails if damage was found: nothing is sealed or merged any more then.
    pub(crate) fn check(&self) -> Result<()> {
        self.view.load().check()
    }

    /// Whether so many segments wait for their seal that writers wait, too.
    pub(crate) fn is_behind_with_seals(&self) -> bool {
        self.view.load().frozen().count() >= FROZEN_MAX
    }

    /// Whether so many segments are to be merged that writers wait for that.
    pub(crate) fn is_behind_with_merges(&self) -> bool {
        let view = self.view.load();
        // Asked by every write, so the cheaper question first.
        let sealed = view.segments.iter().filter(|segment| segment.as_sealed().is_some());
        let patch_bytes = sealed.clone().map(patch_bytes).sum();
        merge_policy::is_behind_with_patches(patch_bytes)
            || sealed.count() >= UNMERGED_SEGMENTS_MAX && merge_policy::is_behind(&sizes_of(&view))
    }

    /// Sealed segments that it has.
    pub(crate) fn sealed_count(&self) -> usize {
        self.view.load().sealed().count()
    }
}
