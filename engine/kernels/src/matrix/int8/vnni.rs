//! AVX-512 with VNNI: four products of bytes and their sum in each of sixteen lanes (`VPDPBUSD`).

use std::arch::x86_64::*;

use super::super::avx512::Avx512;
use super::super::multiply::Job;
use super::{Int8Panels, PANEL_COLUMNS, Tile, TileKernel};

/// Groups of four inputs whose weights are asked for ahead of their use.
const PREFETCH_GROUPS: usize = 32;

/// Proof that the processor has AVX-512 with VNNI.
#[derive(Clone, Copy)]
struct Vnni(());

impl TileKernel for Vnni {
    type Input = u8;
    const ROWS: usize = 12;
    const WHOLE: bool = false;

    #[inline(always)]
    unsafe fn multiply(self, tile: &mut Tile<'_, u8>) {
        // SAFETY: the caller's obligation, passed on.
        unsafe {
            match tile.rows {
                1 => rows::<1>(tile),
                2 => rows::<2>(tile),
                3 => rows::<3>(tile),
                4 => rows::<4>(tile),
                5 => rows::<5>(tile),
                6 => rows::<6>(tile),
                7 => rows::<7>(tile),
                8 => rows::<8>(tile),
                9 => rows::<9>(tile),
                10 => rows::<10>(tile),
                11 => rows::<11>(tile),
                _ => rows::<12>(tile),
            }
        }
    }
}

/// Two registers of sums for each row.
///
/// # Safety
/// As [`TileKernel::multiply`]; the tile has `ROWS` rows.
#[inline(always)]
unsafe fn rows<const ROWS: usize>(tile: &mut Tile<'_, u8>) {
    // SAFETY: every offset stays within `ROWS` rows of `depth` bytes, the panel of `depth * 32` bytes and the sums of `ROWS` rows;
    // prefetching faults nowhere.
    unsafe {
        let to = tile.sums.as_mut_ptr();
        let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
        for (row, sums) in sums.iter_mut().enumerate() {
            let from = to.add(row * PANEL_COLUMNS);
            *sums = [_mm512_loadu_si512(from.cast()), _mm512_loadu_si512(from.add(16).cast())];
        }
        let (mut weights, mut input) = (tile.panel.as_ptr(), tile.input.as_ptr());
        for _ in 0..tile.depth / 4 {
            let ahead = weights.wrapping_add(PREFETCH_GROUPS * 4 * PANEL_COLUMNS);
            _mm_prefetch::<_MM_HINT_T0>(ahead);
            _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
            let left = _mm512_loadu_si512(weights.cast());
            let right = _mm512_loadu_si512(weights.add(64).cast());
            for (row, sums) in sums.iter_mut().enumerate() {
                let four = input.add(row * tile.depth).cast::<i32>().read_unaligned();
                let four = _mm512_set1_epi32(four);
                sums[0] = _mm512_dpbusd_epi32(sums[0], four, left);
                sums[1] = _mm512_dpbusd_epi32(sums[1], four, right);
            }
            weights = weights.add(4 * PANEL_COLUMNS);
            input = input.add(4);
        }
        for (row, sums) in sums.into_iter().enumerate() {
            _mm512_storeu_si512(to.add(row * PANEL_COLUMNS).cast(), sums[0]);
            _mm512_storeu_si512(to.add(row * PANEL_COLUMNS + 16).cast(), sums[1]);
        }
    }
}

/// See [`run`](super::run).
///
/// # Safety
/// The processor has AVX-512 F, BW, DQ, VL and VNNI, and the job's pointers are valid as it says.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx2,fma,f16c")]
pub(super) unsafe fn multiply(job: &Job<'_>, weights: &Int8Panels) {
    // SAFETY: the caller's obligation, passed on.
    unsafe { super::run(Avx512::new(), Vnni(()), job, weights) }
}
