//! The reference, a row at a time in words of 64 bits; the same with the instruction that counts ones, where the compiler may
//! use it.

use super::{LANES_BYTES, SKETCH_BLOCK, SKETCH_PLANES, SKETCH_WORD, Sifting, WORD_BITS, unpack_factors};

pub(super) fn sift(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
    each_row(sifting, out);
}

#[cfg(target_arch = "x86_64")]
pub(super) fn sift_counting(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
    #[target_feature(enable = "popcnt")]
    fn inner(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
        each_row(sifting, out);
    }
    // SAFETY: the dispatch has asked the processor.
    unsafe { inner(sifting, out) }
}

#[inline(always)]
fn each_row(sifting: &Sifting<'_>, out: &mut Vec<u32>) {
    let Sifting { query, rows, bits, first, bound } = sifting;
    let form = query.bound;
    let all = (((1 << SKETCH_PLANES) - 1) * rows.words * SKETCH_WORD) as i32;
    for (number, word) in bits.iter().enumerate() {
        let mut left = *word;
        while left != 0 {
            let row = *first as usize + number * WORD_BITS + left.trailing_zeros() as usize;
            left &= left - 1;
            let block_bytes = rows.words * LANES_BYTES;
            let block = &rows.codes[row / SKETCH_BLOCK * block_bytes..][..block_bytes];
            let mut counts = [0; SKETCH_PLANES];
            for (planes, lanes) in query.planes.iter().zip(block.as_chunks::<LANES_BYTES>().0) {
                let code = u64::from_le_bytes(lanes.as_chunks::<8>().0[row % SKETCH_BLOCK]);
                for (count, plane) in counts.iter_mut().zip(planes) {
                    *count += (code ^ plane).count_ones();
                }
            }
            let differing: u32 = counts.iter().enumerate().map(|(bit, count)| count << bit).sum();
            let product = (all - 2 * differing as i32) as f32;
            let (factor, second) = unpack_factors(rows.factors[row]);
            let least = (form.constant + form.weight * second) - factor * (form.scale * product + form.slack);
            // Also what is no number.
            if least.is_nan() || least <= *bound {
                out.push(row as u32);
            }
        }
    }
}
