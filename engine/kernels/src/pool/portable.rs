//! The operations in plain code, which the compiler vectorises as far as it may.

use super::{BLOCK, Operations};

pub(super) struct Portable;

// SAFETY: plain code asks nothing of the processor.
unsafe impl Operations for Portable {
    #[inline(always)]
    unsafe fn nearer(block: &[f32; BLOCK], bound: f32) -> u32 {
        let mut mask = 0;
        for (i, distance) in block.iter().enumerate() {
            mask |= u32::from(*distance < bound) << i;
        }
        mask
    }

    #[inline(always)]
    unsafe fn place(sorted: &[[f32; BLOCK]], distance: f32) -> usize {
        let smaller = |block: &[f32; BLOCK]| block.iter().map(|x| usize::from(*x <= distance)).sum::<usize>();
        sorted.iter().map(smaller).sum()
    }

    #[inline(always)]
    unsafe fn move_up(distances: &mut [f32], tagged: &mut [u32], place: usize, end: usize) {
        distances.copy_within(place..end, place + 1);
        tagged.copy_within(place..end, place + 1);
    }
}
