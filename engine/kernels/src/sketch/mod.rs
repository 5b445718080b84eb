//! Which of many rows may be near a query, told by one bit a component.
//!
//! **Problem.** A search under a filter often has to look at half of all rows, and reading even a short code of each takes
//! longer than the walk that it replaces. **Idea.** A bit a component, a fourth of the shortest code, says how far a row
//! is to within a known error (Gao and Long 2024, "RaBitQ"). That rules nearly all rows out, and the codes decide on the
//! few that are left. So this kernel returns no distances: it goes through a bitmap of rows and keeps those that may be
//! near enough.
//!
//! ```text
//! s        = the signs of the row, 1 and -1                    in words of 64 bits: bit b of word w is component 64 w + b
//! block    = word 0 of eight rows | word 1 of them | ...       each word little-endian; the last block filled up with zeros
//! q        = the query in odd integers of PLANES bits          = sum over planes j of 2^j (their signs)
//! <s, q>   = (2^PLANES - 1) bits - 2 sum over j of 2^j differing(s, plane j)
//! distance >= (constant + weight second) - first (scale <s, q> + slack)
//! ```
//! `first` and `second` are the row's factors, each the upper half of a 32-bit float, together four bytes. `first` grows with
//! the length of the row as its error does, so that `slack`, the doubt in `<s, q>`, is the same for all rows. Every level
//! makes the same sums and rounds alike: what is kept does not depend on the processor.
//!
//! Two planes: with a third the error is a tenth smaller, so that a fifth fewer rows are left, but a block takes a third longer.
//!
//! A word of eight rows is a register of AVX-512 with a row in each lane, so that nothing has to be added up across lanes and
//! no lane is idle; a block is compared whole if one of its rows is asked for. All other levels take rows one by one and
//! count words with the instruction for that, if the processor has it. Nanoseconds for a row that is asked for, of 60,000 of
//! 384 components, at a share of 100, 50, 20, 5 and 1 % of all rows (AMD Zen 5, one core of two busy):
//!
//! | level | 100 % | 50 % | 20 % | 5 % | 1 % |
//! |---|---|---|---|---|---|
//! | AVX-512 | .84 | 1.7 | 4.4 | 9.7 | 10.7 |
//! | counting words | 6.7 | 6.8 | 7.8 | 10.9 | 9.4 |
//! | scalar | 12.3 | 12.2 | 12.9 | 15.5 | 14.1 |
//!
//! Rows one after the other, 48 bytes each and with a third plane, took 2.6, 3.2, 3.8, 5.1 and 10.9 with AVX-512: a fourth of the lanes idle, most
//! loads across cache lines, and 37 instructions to add up the lanes of sixteen rows.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod words;

use crate::isa::Isa;

/// Bits of a query's component.
pub const SKETCH_PLANES: usize = 2;
/// Components in a word: rows are padded to it.
pub const SKETCH_WORD: usize = 64;
/// Rows in a block.
pub const SKETCH_BLOCK: usize = 8;

const WORD_BITS: usize = usize::BITS as usize;
/// Bytes of a word of each row of a block.
const LANES_BYTES: usize = SKETCH_BLOCK * SKETCH_WORD / 8;

/// The sketches of rows.
#[derive(Clone, Copy, Debug)]
pub struct SketchRows<'a> {
    codes: &'a [u8],
    factors: &'a [u32],
    words: usize,
}

impl<'a> SketchRows<'a> {
    /// Blocks of rows of `words` words, and one pair of factors for each row.
    ///
    /// # Panics
    /// If the blocks are not as many as these rows need.
    pub fn new(codes: &'a [u8], factors: &'a [u32], words: usize) -> Self {
        assert!(codes.len() == sketch_bytes(factors.len(), words), "blocks and factors of different rows");
        Self { codes, factors, words }
    }

    /// How many rows there are.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks whether there are none")]
    pub fn len(&self) -> usize {
        self.factors.len()
    }
}

/// Both factors of a row as it keeps them: rounded to eight bits of precision.
pub fn pack_factors(first: f32, second: f32) -> u32 {
    let upper = |x: f32| match x.is_finite() {
        // Half of what is cut off rounds; what that carries beyond the largest float is cut instead.
        true => {
            let rounded = x.to_bits() + 0x8000;
            if f32::from_bits(rounded).is_finite() { rounded >> 16 } else { x.to_bits() >> 16 }
        }
        false => x.to_bits() >> 16,
    };
    upper(first) << 16 | upper(second)
}

/// The factors of a row.
#[inline(always)]
pub fn unpack_factors(factors: u32) -> (f32, f32) {
    (f32::from_bits(factors & 0xffff_0000), f32::from_bits(factors << 16))
}

/// Bytes of the blocks of some rows.
pub fn sketch_bytes(rows: usize, words: usize) -> usize {
    rows.div_ceil(SKETCH_BLOCK) * words * LANES_BYTES
}

/// Writes the signs of a row into its block: a set bit for a component that is not negative. What the block has of the row is
/// zero.
///
/// # Panics
/// If `place` is none of a block, or the components are not as many as the block's words hold.
pub fn pack_sketch(components: &[f32], block: &mut [u8], place: usize) {
    assert!(
        place < SKETCH_BLOCK && components.len() == block.len(),
        "a bit a component for each of eight rows"
    );
    for (components, lanes) in components.chunks_exact(SKETCH_WORD).zip(block.chunks_exact_mut(LANES_BYTES)) {
        let (words, _) = lanes.as_chunks_mut::<8>();
        words[place] = word_of(components, |component| component >= 0.0).to_le_bytes();
    }
}

/// A bit for each of 64 components.
fn word_of<T: Copy>(components: &[T], is_set: impl Fn(T) -> bool) -> u64 {
    components.iter().rev().fold(0, |word, component| word << 1 | u64::from(is_set(*component)))
}

/// How a product of a row becomes the least distance that it may have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SketchBound {
    /// What distances of all rows share.
    pub constant: f32,
    /// Of the second factor.
    pub weight: f32,
    /// What a product of one stands for.
    pub scale: f32,
    /// The doubt in a scaled product.
    pub slack: f32,
}

/// A query as sketches are compared with.
#[derive(Clone, Debug)]
pub struct SketchQuery {
    /// Of each word its planes.
    planes: Vec<[u64; SKETCH_PLANES]>,
    /// The meaning of products.
    pub bound: SketchBound,
}

impl SketchQuery {
    /// A query of these components, odd and of [`SKETCH_PLANES`] bits: -3, -1, 1 or 3.
    ///
    /// # Panics
    /// If there are no whole words of them. Components that are none of those count as one of them.
    pub fn new(components: &[i8], bound: SketchBound) -> Self {
        const GREATEST: i8 = (1 << SKETCH_PLANES) - 1;
        let (words, rest) = components.as_chunks::<SKETCH_WORD>();
        assert!(rest.is_empty(), "{} components are no whole words", components.len());
        let planes = words.iter().map(|components| {
            let levels = components.map(|component| (component + GREATEST) as u8 / 2);
            std::array::from_fn(|bit| word_of(&levels, |level| level >> bit & 1 == 1))
        });
        Self { planes: planes.collect(), bound }
    }
}

/// Goes through the rows of a bitmap; see the module's text.
type Sift = fn(&Sifting<'_>, &mut Vec<u32>);

/// What a level needs to know: checked, so that it need not look again.
struct Sifting<'a> {
    query: &'a SketchQuery,
    rows: SketchRows<'a>,
    /// Every bit set is a row's.
    bits: &'a [usize],
    first: u32,
    bound: f32,
}

/// Sifts rows by their sketches.
#[derive(Clone, Copy, Debug)]
pub struct KernelSketch {
    sift: Sift,
}

impl KernelSketch {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        let sift = match isa.min(Isa::detected()) {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx
                if std::arch::is_x86_feature_detected!("avx512vpopcntdq") =>
            {
                avx512::sift
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 | Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx
                if std::arch::is_x86_feature_detected!("popcnt") =>
            {
                words::sift_counting
            }
            _ => words::sift as Sift,
        };
        Self { sift }
    }

    /// Appends the rows to `out`, in order, whose distance may be `bound` or less; also those of which that is unknown, as
    /// their bound is no number. Bit `i` of `bits` is row `first + i`.
    ///
    /// # Panics
    /// If a bit stands for no row, the first row is not the first of a block, or the query has another length than rows.
    pub fn sift(
        &self,
        query: &SketchQuery,
        rows: SketchRows<'_>,
        (bits, first): (&[usize], usize),
        bound: f32,
        out: &mut Vec<u32>,
    ) {
        let Some(last) = bits.iter().rposition(|word| *word != 0) else {
            return;
        };
        let end = first + (last + 1) * WORD_BITS - bits[last].leading_zeros() as usize;
        assert!(end <= rows.len() && end <= u32::MAX as usize, "row {end} of {}", rows.len());
        assert!(query.planes.len() == rows.words, "a query of another length");
        assert!(first.is_multiple_of(SKETCH_BLOCK), "row {first} is not the first of a block");
        let bits = &bits[..=last];
        (self.sift)(&Sifting { query, rows, bits, first: first as u32, bound }, out);
    }
}

impl Default for KernelSketch {
    fn default() -> Self {
        Self::new()
    }
}
