//! Seeded randomness: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
//!
//! Small, the same everywhere, and each number follows from seed and position: so [`hash`] gives a value that
//! belongs to a row whatever the number of rows and threads.

/// The golden ratio in 64 bits, SplitMix64's step.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// A value that belongs to an index under a seed.
pub fn hash(seed: u64, index: u64) -> u64 {
    mixed(mixed(seed.wrapping_add(STEP)).wrapping_add(index.wrapping_mul(STEP)))
}

fn mixed(mut value: u64) -> u64 {
    value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A sequence of random numbers.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(STEP);
        mixed(self.state)
    }

    /// A number below `end`; zero if `end` is zero.
    pub fn below(&mut self, end: usize) -> usize {
        ((u128::from(self.bits()) * end as u128) >> 64) as usize
    }

    /// A number from zero up to one.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A number of the standard normal distribution (Box and Muller's method).
    pub fn normal(&mut self) -> f32 {
        let (radius, angle) = (1.0 - self.unit(), self.unit());
        (-2.0 * radius.ln()).sqrt() * (std::f32::consts::TAU * angle).cos()
    }

    /// The numbers below `end` in random order.
    pub fn permutation(&mut self, end: usize) -> Vec<u32> {
        let mut order: Vec<u32> = (0..end as u32).collect();
        for last in (1..order.len()).rev() {
            order.swap(last, self.below(last + 1));
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_its_sequence() {
        // The first numbers of SplitMix64 from seed 0, as its authors publish them.
        let mut random = Random::new(0);
        assert_eq!([random.bits(), random.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        assert_ne!(hash(1, 5), hash(2, 5));
        assert_ne!(hash(1, 5), hash(1, 6));
    }

    #[test]
    fn the_distributions_are_what_they_say() {
        let mut random = Random::new(1);
        let normals: Vec<f32> = (0..20_000).map(|_| random.normal()).collect();
        let mean = normals.iter().sum::<f32>() / 20_000.0;
        let variance = normals.iter().map(|x| x * x).sum::<f32>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        let mean = (0..20_000).map(|_| random.below(11)).sum::<usize>() as f32 / 20_000.0;
        assert!((mean - 5.0).abs() < 0.1, "{mean}");
        assert_eq!(random.below(0), 0);
    }

    #[test]
    fn a_permutation_has_each_number_once() {
        let mut order = Random::new(3).permutation(100);
        assert_ne!(order[..10], (0..10).collect::<Vec<u32>>());
        order.sort_unstable();
        assert_eq!(order, (0..100).collect::<Vec<u32>>());
    }
}
