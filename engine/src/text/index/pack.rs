//! How small numbers lie in bits.
//!
//! A full block of 128 numbers lies in four lanes, as in Lemire and Boytsov, *Decoding billions of integers per second
//! through vectorization* (2015): number `4 i + l` is the `i`-th of lane `l`, whose bits fill every fourth u32. So four numbers
//! are taken out by the same shift and mask, which a compiler turns into vector instructions. Fewer numbers, at the end of
//! a list, lie one after the other.
//!
//! Nothing read is trusted: bytes that are missing stand for zeros.

/// Numbers of a full block.
pub(in crate::text) const BLOCK: usize = 128;
const LANES: usize = 4;
/// Bytes of a full block for each bit of its width.
pub(super) const BLOCK_BYTES_PER_BIT: usize = BLOCK / 8;

/// Bits that the largest of some numbers needs.
pub(super) fn width_of(numbers: &[u32]) -> u8 {
    (u32::BITS - numbers.iter().fold(0, |all, number| all | number).leading_zeros()) as u8
}

/// Bytes of so many numbers.
pub(super) fn packed_bytes(count: usize, width: u8) -> usize {
    (count * usize::from(width)).div_ceil(8)
}

/// Appends the numbers, each of which fits the width.
pub(super) fn pack(numbers: &[u32], width: u8, out: &mut Vec<u8>) {
    if numbers.len() == BLOCK {
        return pack_block(numbers, usize::from(width), out);
    }
    let (mut bits, mut filled) = (0u64, 0);
    for number in numbers {
        bits |= u64::from(*number) << filled;
        filled += u32::from(width);
        while filled >= 8 {
            out.push(bits as u8);
            bits >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(bits as u8);
    }
}

fn pack_block(numbers: &[u32], width: usize, out: &mut Vec<u8>) {
    let mut words = [0u32; BLOCK];
    for (index, number) in numbers.iter().enumerate() {
        let (row, lane) = (index / LANES, index % LANES);
        let (word, shift) = (row * width / 32, row * width % 32);
        words[word * LANES + lane] |= number << shift;
        if shift + width > 32 {
            words[(word + 1) * LANES + lane] |= number >> (32 - shift);
        }
    }
    out.extend(words[..width * LANES].iter().flat_map(|word| word.to_le_bytes()));
}

/// Takes out as many numbers as `out` holds.
pub(super) fn unpack(bytes: &[u8], width: u8, out: &mut [u32]) {
    let width = width.min(32);
    if let Ok(block) = <&mut [u32; BLOCK]>::try_from(&mut *out) {
        return unpack_block(bytes, usize::from(width), block);
    }
    let mask = (1u64 << width) - 1;
    let (mut at, mut bits, mut filled) = (0, 0u64, 0);
    for number in out {
        while filled < u32::from(width) {
            bits |= u64::from(bytes.get(at).copied().unwrap_or_default()) << filled;
            at += 1;
            filled += 8;
        }
        *number = (bits & mask) as u32;
        bits >>= width;
        filled -= u32::from(width);
    }
}

fn unpack_block(bytes: &[u8], width: usize, out: &mut [u32; BLOCK]) {
    let mut words = [0u32; BLOCK];
    for (word, bytes) in words[..width * LANES].iter_mut().zip(bytes.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    macro_rules! by_width {
        ($($width:literal)*) => {
            match width {
                $($width => lanes::<$width>(&words, out),)*
                _ => *out = words,
            }
        };
    }
    by_width!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
}

/// With a width that is known when compiling, all shifts are constants.
fn lanes<const WIDTH: usize>(words: &[u32; BLOCK], out: &mut [u32; BLOCK]) {
    let mask = (1u32 << WIDTH) - 1;
    for (row, out) in out.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
        let (word, shift) = (row * WIDTH / 32, row * WIDTH % 32);
        for (lane, number) in out.iter_mut().enumerate() {
            let mut bits = words[word * LANES + lane] >> shift;
            if shift + WIDTH > 32 {
                bits |= words[((word + 1) * LANES + lane) % BLOCK] << (32 - shift);
            }
            *number = bits & mask;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(width in 0u8..=32, count in 0usize..=BLOCK, seeds in prop::collection::vec(any::<u32>(), BLOCK)) {
            let mask = ((1u64 << width) - 1) as u32;
            for count in [count, BLOCK] {
                let numbers: Vec<u32> = seeds[..count].iter().map(|seed| seed & mask).collect();
                prop_assert!(width_of(&numbers) <= width);
                let mut bytes = vec![7];
                pack(&numbers, width, &mut bytes);
                prop_assert_eq!(bytes.len() - 1, packed_bytes(count, width));
                let mut out = vec![1; count];
                unpack(&bytes[1..], width, &mut out);
                prop_assert_eq!(&out, &numbers);
                // Cut off, whatever comes is no panic.
                unpack(&bytes[1..][..(bytes.len() - 1) / 2], width, &mut out);
                unpack(&bytes[1..], 255, &mut out);
            }
        }
    }
}
