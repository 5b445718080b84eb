//! One flipped bit, found by the checksum that it broke.
//!
//! A CRC-32 is linear: the checksum of bytes with one bit turned differs from the right one by a word that depends only on
//! how far that bit is from the end, and below 2^32 bits no two places give the same word. So the difference tells the place.
//!
//! Larger damage has the difference of some place by chance, with a probability of bits / 2^32: once in 8,192 for a block
//! of 64 KiB, once in millions for a record of the log.
//!
//! **Cost.** One step for each bit: a millisecond for 64 KiB.

/// Where a bit was flipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flip {
    /// In this byte, the bits of this mask.
    Content(usize, u8),
    /// In the checksum itself; the content is right.
    Checksum,
}

/// The bit that makes the content fit its checksum, if there is one and they do not fit already.
pub(crate) fn flipped(content: &[u8], crc: u32) -> Option<Flip> {
    let difference = crc32fast::hash(content) ^ crc;
    if difference.is_power_of_two() {
        return Some(Flip::Checksum);
    }
    let mut word = 1u32;
    // The last byte first; within it the highest bit, which the checksum takes in last.
    for byte in (0..content.len()).rev() {
        for bit in (0..8).rev() {
            word = (word >> 1) ^ if word & 1 == 1 { 0xEDB8_8320 } else { 0 };
            if word == difference {
                return Some(Flip::Content(byte, 1 << bit));
            }
        }
    }
    None
}

/// Turns the bit back in bytes that end with the checksum of those before, if that makes them right. Says whether anything
/// was wrong.
pub(crate) fn correct(bytes: &mut [u8]) -> Option<bool> {
    let (content, crc) = bytes.split_at_mut(bytes.len().checked_sub(4)?);
    let stored = crate::codec::u32_at(crc, 0);
    if crc32fast::hash(content) == stored {
        return Some(false);
    }
    match flipped(content, stored)? {
        Flip::Content(byte, mask) => content[byte] ^= mask,
        Flip::Checksum => crc.copy_from_slice(&crc32fast::hash(content).to_le_bytes()),
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_found() {
        let content: Vec<u8> = (0..300u32).map(|i| (i * 7) as u8).collect();
        let mut whole = content.clone();
        whole.extend(crc32fast::hash(&content).to_le_bytes());
        assert_eq!(correct(&mut whole.clone()), Some(false));
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(correct(&mut damaged), Some(true), "{bit}");
            assert_eq!(damaged, whole, "{bit}");
        }
    }

    #[test]
    fn larger_damage_is_not_taken_for_one_bit() {
        let content = vec![3u8; 4_096];
        let mut whole = content.clone();
        whole.extend(crc32fast::hash(&content).to_le_bytes());
        for at in (0..4_000).step_by(97) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x5a;
            damaged[at + 1] ^= 0x11;
            assert_eq!(correct(&mut damaged), None, "{at}");
        }
        assert_eq!(correct(&mut [1, 2]), None);
    }
}
