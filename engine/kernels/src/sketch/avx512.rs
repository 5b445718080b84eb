//! AVX-512 with VPOPCNTDQ: two blocks of eight rows at a time, at first a row in each half of a lane's bits, in the end one in
//! each of sixteen lanes.

use std::arch::x86_64::*;

use super::{LANES_BYTES, SKETCH_BLOCK, SKETCH_PLANES, SKETCH_WORD, Sifting, WORD_BITS};

/// Rows at a time.
const LANES: usize = 2 * SKETCH_BLOCK;

/// What is the same for all rows, in every lane.
struct Form {
    constant: __m512,
    weight: __m512,
    scale: __m512,
    slack: __m512,
    bound: __m512,
    /// The product of a row that differs in nothing.
    all: __m512i,
}

pub(super) fn sift(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
    #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,bmi1,bmi2,popcnt,lzcnt")]
    fn inner(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
        let bound = sifting.query.bound;
        let all = ((1 << SKETCH_PLANES) - 1) * sifting.rows.words * SKETCH_WORD;
        let form = Form {
            constant: _mm512_set1_ps(bound.constant),
            weight: _mm512_set1_ps(bound.weight),
            scale: _mm512_set1_ps(bound.scale),
            slack: _mm512_set1_ps(bound.slack),
            bound: _mm512_set1_ps(sifting.bound),
            all: _mm512_set1_epi32(all as i32),
        };
        // Sixteen at a time are written, of which those kept count.
        out.reserve(sifting.bits.len() * WORD_BITS + LANES);
        let mut len = out.len();
        for (number, word) in sifting.bits.iter().enumerate() {
            if *word == 0 {
                continue;
            }
            let from = sifting.first as usize + number * WORD_BITS;
            for quarter in 0..WORD_BITS / LANES {
                let wanted = (word >> (quarter * LANES)) as u16;
                if wanted != 0 {
                    let from = from + quarter * LANES;
                    // SAFETY: the dispatch has checked that every bit is a row's, so that the blocks with ones are there, and
                    // that the query has as many words as rows; there is room for all rows and sixteen more.
                    unsafe {
                        let kept = keep(sifting, &form, (from, wanted));
                        let counting =
                            _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                        let rows = _mm512_add_epi32(_mm512_set1_epi32(from as i32), counting);
                        let rows = _mm512_maskz_compress_epi32(kept, rows);
                        _mm512_storeu_si512(out.as_mut_ptr().add(len).cast(), rows);
                        len += kept.count_ones() as usize;
                    }
                }
            }
        }
        // SAFETY: there is room for so many, and they are written.
        unsafe { out.set_len(len) };
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(sifting, out) }
}

/// Which of the sixteen rows from `from` on may be near, of those that `wanted` names.
///
/// # Safety
/// The blocks that have ones in `wanted` are there; the query has as many words as rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,popcnt")]
unsafe fn keep(sifting: &Sifting<'_>, form: &Form, (from, wanted): (usize, u16)) -> u16 {
    let factors = sifting.rows.factors;
    let there = u16::MAX >> LANES.saturating_sub(factors.len() - from);
    let [low, high] = wanted.to_le_bytes();
    // SAFETY: blocks without ones are not read; the mask leaves out factors beyond the last row, and masked lanes are not read
    // from memory.
    let ([low, high], factors) = unsafe {
        let differing = match (low, high) {
            (0, _) => [_mm512_setzero_si512(), differing::<1>(sifting, from + SKETCH_BLOCK)[0]],
            (_, 0) => [differing::<1>(sifting, from)[0], _mm512_setzero_si512()],
            _ => differing::<2>(sifting, from),
        };
        (differing, _mm512_maskz_loadu_epi32(there, factors.as_ptr().add(from).cast()))
    };
    // The lower half of each lane of both.
    let lower_halves = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    let differing = _mm512_permutex2var_epi32(low, lower_halves, high);
    let product = _mm512_cvtepi32_ps(_mm512_sub_epi32(form.all, _mm512_add_epi32(differing, differing)));
    let first = _mm512_castsi512_ps(_mm512_and_si512(factors, _mm512_set1_epi32(0xffff_0000_u32 as i32)));
    let second = _mm512_castsi512_ps(_mm512_slli_epi32::<16>(factors));
    // Multiplied and added in two steps, as everywhere.
    let shared = _mm512_add_ps(form.constant, _mm512_mul_ps(form.weight, second));
    let scaled = _mm512_add_ps(_mm512_mul_ps(form.scale, product), form.slack);
    let least = _mm512_sub_ps(shared, _mm512_mul_ps(first, scaled));
    // Also what is no number.
    wanted & _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(least, form.bound)
}

/// The weighted numbers of differing bits of the blocks that begin with row `from`.
///
/// # Safety
/// The blocks are there; the query has as many words as rows.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")]
unsafe fn differing<const BLOCKS: usize>(sifting: &Sifting<'_>, from: usize) -> [__m512i; BLOCKS] {
    let Sifting { query, rows, .. } = sifting;
    let mut counts = [[_mm512_setzero_si512(); SKETCH_PLANES]; BLOCKS];
    let block_bytes = rows.words * LANES_BYTES;
    // SAFETY: the blocks are there, of as many words as the query.
    unsafe {
        let first = rows.codes.as_ptr().add(from / SKETCH_BLOCK * block_bytes);
        for (word, planes) in query.planes.iter().enumerate() {
            let planes = planes.map(|plane| _mm512_set1_epi64(plane as i64));
            for (block, counts) in counts.iter_mut().enumerate() {
                let codes = _mm512_loadu_si512(first.add(block * block_bytes + word * LANES_BYTES).cast());
                for (count, plane) in counts.iter_mut().zip(planes) {
                    *count = _mm512_add_epi64(*count, _mm512_popcnt_epi64(_mm512_xor_si512(codes, plane)));
                }
            }
        }
    }
    counts.map(|counts| {
        let doubled = |count| _mm512_add_epi64(count, count);
        counts
            .into_iter()
            .rev()
            .reduce(|high, count| _mm512_add_epi64(doubled(high), count))
            .unwrap_or(counts[0])
    })
}
