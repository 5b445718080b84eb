//! Inner products of a query of four bits a component with rows of one bit a component.
//!
//! A row's bits say which components of the query to add. With the query in *bit planes*, plane `j` holding bit `j` of
//! every component, that is counting (Gao and Long 2024, "RaBitQ"):
//!
//! ```text
//! sum of the components whose bit is set = sum over planes of weight(j) * ones(row & plane j)
//! weight = 1, 2, 4, -8          components are -8 to 7, in two's complement
//! row    = blocks of 64 bytes for 512 components: bit b of byte a of block i is component 512 i + 8 a + b
//! query  = for each block its four planes, each laid out as the row
//! ```
//! A block is a cache line. Sums are integers, the same on every instruction set.
//!
//! Counting takes `VPOPCNTD` where the processor has it (AVX512_VPOPCNTDQ: Ice Lake, Zen 4 and later), otherwise
//! tables of sixteen counts in registers (`VPSHUFB`; Mula, Kurz and Lemire 2018), 64 or 32 bytes at a time.
//!
//! The other way, the query in bytes and a `VPDPBUSD` under the mask of the row's bits, took 4.3 ns for a row of 512 bits
//! where this takes 3.2, and 6.7 where this takes 4.4 for 1024; it would keep four more bits of the query, which add
//! nothing to the precision of a row's one.
//!
//! Nanoseconds for a row, ours / four calls of simsimd's Hamming distance, which together tell the same, of rows in cache
//! and in memory (`benches/src/bin/kernels.rs` on an AMD Zen 5 with AVX-512, one core of two busy): 512 bits 2.7 / 11.5
//! and 25 / 128; 1024 bits 3.7 / 13.5 and 33 / 134; 1536 bits 4.7 / 14.5 and 31 / 148.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;

use super::in_fours;
use crate::isa::Isa;

/// Components in a block: rows are padded to it.
pub const BIT1_BLOCK: usize = 512;
/// Bytes of a row's block, and of a plane of the query's.
const BLOCK_BYTES: usize = BIT1_BLOCK / 8;
/// Bits of a query's component.
const PLANES: usize = 4;

type Many = fn(&[u8], &[&[u8]], &mut [i32]);

/// Products with rows of one bit a component.
#[derive(Clone, Copy, Debug)]
pub struct KernelBit1 {
    many: Many,
}

impl KernelBit1 {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        let many = match isa.min(Isa::detected()) {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Amx if std::arch::is_x86_feature_detected!("avx512vpopcntdq") => {
                avx512::counting
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 | Isa::Avx512Vnni | Isa::Amx => avx512::looking_up,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::looking_up,
            _ => scalar::counting as Many,
        };
        Self { many }
    }

    /// The sum of the query's components whose bit is set, for each of `rows`, in `out`. `planes` are the query as
    /// [`pack_planes`] writes it.
    ///
    /// # Panics
    /// If the query is no multiple of a block's planes or of more than 65,536 components, a row has not a fourth of its
    /// length, or `out` is not as long as `rows`.
    #[inline]
    pub fn many(&self, planes: &[u8], rows: &[&[u8]], out: &mut [i32]) {
        let row_bytes = planes.len() / PLANES;
        assert!(
            planes.len().is_multiple_of(BLOCK_BYTES * PLANES),
            "{} bytes are no whole blocks",
            planes.len()
        );
        super::check_components(row_bytes * 8);
        super::check_count(rows, out);
        (self.many)(planes, rows, out);
    }
}

impl Default for KernelBit1 {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes a query's planes: components of -8 to 7, a multiple of [`BIT1_BLOCK`] of them, four bits each.
///
/// # Panics
/// If the lengths are not such.
pub fn pack_planes(components: &[i8], out: &mut [u8]) {
    let (blocks, rest) = components.as_chunks::<BIT1_BLOCK>();
    assert!(rest.is_empty() && out.len() * 2 == components.len(), "whole blocks, half a byte a component");
    for (block, planes) in blocks.iter().zip(out.chunks_exact_mut(BLOCK_BYTES * PLANES)) {
        for (bit, plane) in planes.chunks_exact_mut(BLOCK_BYTES).enumerate() {
            write_bits(block, plane, |component| component >> bit & 1 == 1);
        }
    }
}

/// Writes a row: the bits of the components that are not negative, a multiple of [`BIT1_BLOCK`] of them.
///
/// # Panics
/// If the lengths are not such.
pub fn pack_signs(components: &[f32], out: &mut [u8]) {
    assert!(
        components.len().is_multiple_of(BIT1_BLOCK) && out.len() * 8 == components.len(),
        "whole blocks, a bit a component"
    );
    write_bits(components, out, |component| component >= 0.0);
}

fn write_bits<T: Copy>(components: &[T], out: &mut [u8], is_set: impl Fn(T) -> bool) {
    for (components, byte) in components.chunks_exact(8).zip(out) {
        *byte = components.iter().rev().fold(0, |byte, component| byte << 1 | u8::from(is_set(*component)));
    }
}
