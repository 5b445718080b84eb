//! The operations on AVX-512: a block is a vector.

use std::arch::x86_64::*;

use super::{BLOCK, EXPANDED, Operations, POOL_NODES_MAX};

/// The widest pool that [`offer`] takes: of eight vectors, as many nodes, and what moves them.
pub(super) const WIDTH_MAX: usize = 8 * BLOCK;

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

/// Offers a batch to a pool of `width` entries, all of which are admitted, as the batch is. Returns how many were nearer than
/// the bound, and the first place whose entry is not expanded.
///
/// The pool is in registers meanwhile, so that no entry waits for the one before it to be written and read at another
/// place. What is put in moves what is behind it by one lane: for distances that is `min(old, max(moved, new))`.
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt,lzcnt")]
pub(super) unsafe fn offer(
    pool: (&mut [f32], &mut [u32]),
    batch: (&[u32], &[f32]),
    (width, bound): (usize, f32),
) -> (usize, usize) {
    // SAFETY: this function has the instruction set.
    unsafe {
        match width.div_ceil(BLOCK) {
            0..=1 => offer_in::<1>(pool, batch, (width, bound)),
            2 => offer_in::<2>(pool, batch, (width, bound)),
            3 => offer_in::<3>(pool, batch, (width, bound)),
            4 => offer_in::<4>(pool, batch, (width, bound)),
            5..=6 => offer_in::<6>(pool, batch, (width, bound)),
            _ => offer_in::<8>(pool, batch, (width, bound)),
        }
    }
}

/// # Safety
/// As [`offer`].
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,bmi1,bmi2,popcnt,lzcnt")]
unsafe fn offer_in<const VECTORS: usize>(
    (pool_distances, pool_tagged): (&mut [f32], &mut [u32]),
    (nodes, distances): (&[u32], &[f32]),
    (width, bound): (usize, f32),
) -> (usize, usize) {
    assert!(nodes.len() == distances.len() && width <= VECTORS * BLOCK);
    let (pool_distances, pool_tagged) =
        (&mut pool_distances[..VECTORS * BLOCK], &mut pool_tagged[..VECTORS * BLOCK]);
    let mut near = [_mm512_setzero_ps(); VECTORS];
    let mut tagged = [_mm512_setzero_si512(); VECTORS];
    for vector in 0..VECTORS {
        // SAFETY: both slices are `VECTORS` blocks long.
        unsafe {
            near[vector] = _mm512_loadu_ps(pool_distances.as_ptr().add(vector * BLOCK));
            tagged[vector] = _mm512_loadu_si512(pool_tagged.as_ptr().add(vector * BLOCK).cast());
        }
    }
    let mut entered = 0;
    for (nodes, distances) in nodes.chunks(BLOCK).zip(distances.chunks(BLOCK)) {
        let there = u16::MAX >> (BLOCK - distances.len());
        // SAFETY: the mask has a bit for each distance; masked lanes are not read from memory.
        let block = unsafe { _mm512_maskz_loadu_ps(there, distances.as_ptr()) };
        let mut wanted = _mm512_mask_cmp_ps_mask::<_CMP_LT_OQ>(there, block, _mm512_set1_ps(bound));
        entered += wanted.count_ones() as usize;
        while wanted != 0 {
            let place = wanted.trailing_zeros() as usize;
            wanted &= wanted - 1;
            let node = nodes[place];
            assert!(node < POOL_NODES_MAX, "node {node}");
            // Zero gets one sign.
            let new = _mm512_set1_ps(distances[place] + 0.0);
            let new_tag = _mm512_set1_epi32(node as i32);
            let mut before = (_mm512_set1_ps(f32::NEG_INFINITY), new_tag);
            for vector in 0..VECTORS {
                let old = (near[vector], tagged[vector]);
                let moved = _mm512_castsi512_ps(_mm512_alignr_epi32::<15>(
                    _mm512_castps_si512(old.0),
                    _mm512_castps_si512(before.0),
                ));
                let moved_tag = _mm512_alignr_epi32::<15>(old.1, before.1);
                // Behind the new entry; and behind that by one at least.
                let behind = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(new, old.0);
                let far_behind = _mm512_cmp_ps_mask::<_CMP_LT_OQ>(new, moved);
                near[vector] = _mm512_min_ps(_mm512_max_ps(moved, new), old.0);
                let replacing = _mm512_mask_blend_epi32(far_behind, new_tag, moved_tag);
                tagged[vector] = _mm512_mask_blend_epi32(behind, old.1, replacing);
                before = old;
            }
        }
    }
    let mut front = usize::MAX;
    for vector in (0..VECTORS).rev() {
        // What was moved beyond the width is gone.
        let kept = width.saturating_sub(vector * BLOCK).min(BLOCK);
        let kept = ((1_u32 << kept) - 1) as u16;
        near[vector] = _mm512_mask_blend_ps(kept, _mm512_set1_ps(f32::INFINITY), near[vector]);
        let waiting = _mm512_testn_epi32_mask(tagged[vector], _mm512_set1_epi32(EXPANDED as i32));
        if waiting != 0 {
            front = vector * BLOCK + waiting.trailing_zeros() as usize;
        }
        // SAFETY: both slices are `VECTORS` blocks long.
        unsafe {
            _mm512_storeu_ps(pool_distances.as_mut_ptr().add(vector * BLOCK), near[vector]);
            _mm512_storeu_si512(pool_tagged.as_mut_ptr().add(vector * BLOCK).cast(), tagged[vector]);
        }
    }
    (entered, front)
}
