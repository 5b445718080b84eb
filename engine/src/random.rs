//! Numbers that look random and follow from a seed: SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom
//! number generators").
//!
//! What is drawn here must be the same everywhere and for ever, since some of it is part of the format (a node's layer, the
//! signs of a rotation): so no crate whose stream may change, and a dozen lines.

/// How far one state is from the next: the golden ratio in 64 bits.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A number that belongs to another one: every bit depends on every bit.
pub(crate) fn split_mix(x: u64) -> u64 {
    let x = x.wrapping_add(STEP);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// These in an order that has nothing to do with theirs, and is the same each time.
pub(crate) fn scattered(numbers: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut numbers: Vec<u32> = numbers.collect();
    numbers.sort_unstable_by_key(|number| split_mix(u64::from(*number)));
    numbers
}

/// The sequence of a seed.
#[derive(Clone, Debug)]
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    /// 64 random bits.
    pub(crate) fn next(&mut self) -> u64 {
        let bits = split_mix(self.0);
        self.0 = self.0.wrapping_add(STEP);
        bits
    }
}

/// What tests draw, and the disk that they have.
#[cfg(any(test, feature = "faults"))]
impl SplitMix64 {
    /// A number below `bound`; zero if that is zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}

/// What tests draw.
#[cfg(test)]
impl SplitMix64 {
    /// A number from zero up to one.
    pub(crate) fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// Near enough to normal: a sum of uniforms.
    pub(crate) fn normal(&mut self) -> f32 {
        (0..6).map(|_| self.uniform()).sum::<f32>() - 3.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As its authors publish it.
    #[test]
    fn the_sequence_is_that_of_the_paper() {
        let mut random = SplitMix64(0);
        assert_eq!([random.next(), random.next()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_eq!(split_mix(STEP), 0x6e78_9e6a_a1b9_65f4);
    }
}
