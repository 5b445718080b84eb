//! AVX2: bytes widened to sixteen bits, whose products and their sums by pairs are exact (`VPMADDWD`), unlike those of
//! `VPMADDUBSW`, which saturate. Those of the left-hand side are widened once, when they are rounded; those of the weights on their way
//! into the registers.

use std::arch::x86_64::*;

use super::super::avx2::Avx2;
use super::super::multiply::Job;
use super::{Int8Panels, PANEL_COLUMNS, Tile, TileKernel};

/// Proof that the processor has AVX2.
#[derive(Clone, Copy)]
struct Pairs(());

impl TileKernel for Pairs {
    type Input = i16;
    const ROWS: usize = 6;
    const WHOLE: bool = false;

    #[inline(always)]
    unsafe fn multiply(self, tile: &mut Tile<'_, i16>) {
        for column in (0..PANEL_COLUMNS).step_by(8) {
            // SAFETY: the caller's obligation, passed on; eight columns of the panel's 32 from here on.
            unsafe {
                match tile.rows {
                    1 => columns::<1>(tile, column),
                    2 => columns::<2>(tile, column),
                    3 => columns::<3>(tile, column),
                    4 => columns::<4>(tile, column),
                    5 => columns::<5>(tile, column),
                    _ => columns::<6>(tile, column),
                }
            }
        }
    }
}

/// Eight columns of `ROWS` rows.
///
/// # Safety
/// As [`TileKernel::multiply`]; the tile has `ROWS` rows, and `column + 8` is at most 32.
#[inline(always)]
unsafe fn columns<const ROWS: usize>(tile: &mut Tile<'_, i16>, column: usize) {
    // SAFETY: every offset stays within `ROWS` rows of `depth` numbers, the panel of `depth * 32` bytes and the sums of `ROWS` rows.
    unsafe {
        // Of each column two sums, of the first and the last two of every four inputs.
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        let mut weights = tile.panel.as_ptr().add(column * 4);
        let mut input = tile.input.as_ptr();
        for _ in 0..tile.depth / 4 {
            let left = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.cast()));
            let right = _mm256_cvtepi8_epi16(_mm_loadu_si128(weights.add(16).cast()));
            for (row, sums) in sums.iter_mut().enumerate() {
                let four = input.add(row * tile.depth).cast::<i64>().read_unaligned();
                let four = _mm256_set1_epi64x(four);
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(four, left));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(four, right));
            }
            weights = weights.add(4 * PANEL_COLUMNS);
            input = input.add(4);
        }
        for (row, [left, right]) in sums.into_iter().enumerate() {
            // Neighbours are added within halves of the registers, so the middle quarters change places.
            let both = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_hadd_epi32(left, right));
            let to = tile.sums.as_mut_ptr().add(row * PANEL_COLUMNS + column).cast();
            _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), both));
        }
    }
}

/// See [`run`](super::run).
///
/// # Safety
/// The processor has AVX2, FMA and F16C, and the job's pointers are valid as it says.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn multiply(job: &Job<'_>, weights: &Int8Panels) {
    // SAFETY: the caller's obligation, passed on.
    unsafe { super::run(Avx2::new(), Pairs(()), job, weights) }
}
