//! The operations on AVX-512: a block is a vector.

use std::arch::x86_64::*;

use super::{BLOCK, Operations};

pub(super) struct Avx512;

// SAFETY: each method uses AVX-512F only.
unsafe impl Operations for Avx512 {
    #[inline(always)]
    unsafe fn nearer(block: &[f32; BLOCK], bound: f32) -> u32 {
        // SAFETY: the caller vouches for the instruction set; a block is one vector.
        unsafe {
            let distances = _mm512_loadu_ps(block.as_ptr());
            u32::from(_mm512_cmp_ps_mask::<_CMP_LT_OQ>(distances, _mm512_set1_ps(bound)))
        }
    }

    #[inline(always)]
    unsafe fn place(sorted: &[[f32; BLOCK]], distance: f32) -> usize {
        let mut place = 0;
        // SAFETY: the caller vouches for the instruction set; a block is one vector.
        unsafe {
            let distance = _mm512_set1_ps(distance);
            for block in sorted {
                let smaller = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(_mm512_loadu_ps(block.as_ptr()), distance);
                place += smaller.count_ones() as usize;
            }
        }
        place
    }

    #[inline(always)]
    unsafe fn move_up(distances: &mut [f32], tagged: &mut [u32], place: usize, end: usize) {
        let own = place / BLOCK * BLOCK;
        let mut from = end / BLOCK * BLOCK;
        assert!(place <= end && from + BLOCK < distances.len() && from + BLOCK < tagged.len());
        // SAFETY: the caller vouches for the instruction set; a block from `from` on, moved by one, ends at
        // `from + BLOCK`, which is within both, and `from` only becomes less.
        unsafe {
            let (distances, tagged) = (distances.as_mut_ptr(), tagged.as_mut_ptr().cast::<i32>());
            while from > own {
                let (d, t) = (_mm512_loadu_ps(distances.add(from)), _mm512_loadu_epi32(tagged.add(from)));
                _mm512_storeu_ps(distances.add(from + 1), d);
                _mm512_storeu_epi32(tagged.add(from + 1), t);
                from -= BLOCK;
            }
            let behind = u16::MAX << (place - own);
            let (d, t) = (_mm512_loadu_ps(distances.add(own)), _mm512_loadu_epi32(tagged.add(own)));
            _mm512_mask_storeu_ps(distances.add(own + 1), behind, d);
            _mm512_mask_storeu_epi32(tagged.add(own + 1), behind, t);
        }
    }
}
