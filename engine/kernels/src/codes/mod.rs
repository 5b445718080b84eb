//! Inner products of a query of signed bytes with rows of small integer codes.
//!
//! A walk waits for memory, so rows are kept in few bytes: eight bits a component ([`KernelInt8`]) or four
//! ([`KernelInt4`]), or one ([`bit1`]). The products are integers, hence *the same on every instruction set*, to the last bit.
//!
//! Codes are unsigned, as the instruction for it (`VPDPBUSD`, unsigned times signed bytes) wants them; what
//! the offset adds is the caller's to subtract (`offset * sum of the query`).
//!
//! ```text
//! int8 row: a byte a component
//! int4 row: blocks of 64 bytes for 128 components: byte b of block i holds component 128 i + b in its low
//!           half and component 128 i + 64 + b in its high half
//! ```
//! The layers are those of the float distances: [`scalar`] is the reference, the other files one instruction
//! set each, [`KernelInt8`] and [`KernelInt4`] the dispatch. A batch is computed four rows at a time, the
//! query's block loaded once for the four. A walk's rows are found while they are compared (`many_by`): writing a list
//! of them first takes as long as a third of the products.
//!
//! Nanoseconds for a row, int8 and int4 / simsimd's product of signed bytes (a pair a call, without prefetching), with
//! VNNI (`benches/src/bin/kernels.rs` on an AMD Zen 5, one core of two busy):
//!
//! | components | cache | memory |
//! |---|---|---|
//! | 384 | 4.0 and 3.1 / 11.3 | 26 and 24 / 113 |
//! | 768 | 7.1 and 5.0 / 19.6 | 41 and 30 / 174 |
//! | 1536 | 15.7 and 8.8 / 38.9 | 74 and 49 / 315 |

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bit1;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod vnni;

pub use bit1::{BIT1_BLOCK, KernelBit1, pack_planes, pack_signs};

use crate::isa::Isa;

/// Components in a block of [`KernelInt4`]: rows are padded to it.
pub const INT4_BLOCK: usize = 128;

/// Finds rows by their number. Not a closure: a method can be `#[inline(always)]`, and a call for each row is what it costs
/// to leave one out of a function of another instruction set.
pub trait FindRow<'a> {
    /// The row of a number.
    fn find(&self, number: usize) -> &'a [u8];
}

/// Rows in a list.
struct Listed<'a, 'b>(&'b [&'a [u8]]);

impl<'a> FindRow<'a> for Listed<'a, '_> {
    #[inline(always)]
    fn find(&self, number: usize) -> &'a [u8] {
        self.0[number]
    }
}

/// Products with rows of one byte a component.
#[derive(Clone, Copy, Debug)]
pub struct KernelInt8 {
    isa: Isa,
}

impl KernelInt8 {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        Self { isa: isa.min(Isa::detected()) }
    }

    /// `sum of query[i] * row[i]` for each of `rows`, in `out`.
    ///
    /// # Panics
    /// If a row differs in length from the query, or `out` from `rows`, or there are more than 65,536
    /// components, of which the sum may overflow.
    pub fn many(&self, query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
        check_count(rows, out);
        self.many_by(query, Listed(rows), out);
    }

    /// The same with rows that are found by their number, as many as `out` has places: inlined, so that no list of them
    /// is written and read.
    ///
    /// # Panics
    /// As [`many`](Self::many) does.
    #[inline]
    pub fn many_by<'a>(&self, query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
        check_components(query.len());
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Amx => vnni::int8(query, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::int8(query, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::int8(query, rows, out),
            _ => scalar::int8(query, rows, out),
        }
    }

    /// The same where the query is a row itself, whose bytes stand for 128 less: `sum of (from[i] - 128) * row[i]`.
    ///
    /// # Panics
    /// As [`many`](Self::many) does.
    pub fn many_of_row(&self, from: &[u8], rows: &[&[u8]], out: &mut [i32]) {
        check_count(rows, out);
        self.many_of_row_by(from, Listed(rows), out);
    }

    /// The same with rows that are found by their number, as many as `out` has places.
    ///
    /// # Panics
    /// As [`many`](Self::many) does.
    #[inline]
    pub fn many_of_row_by<'a>(&self, from: &[u8], rows: impl FindRow<'a>, out: &mut [i32]) {
        check_components(from.len());
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Amx => vnni::int8_of_row(from, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::int8_of_row(from, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::int8_of_row(from, rows, out),
            _ => scalar::int8_of_row(from, rows, out),
        }
    }
}

impl Default for KernelInt8 {
    fn default() -> Self {
        Self::new()
    }
}

/// Products with rows of half a byte a component.
#[derive(Clone, Copy, Debug)]
pub struct KernelInt4 {
    isa: Isa,
}

impl KernelInt4 {
    /// The kernel for this processor.
    pub fn new() -> Self {
        Self::with_isa(Isa::current())
    }

    /// The kernel of a given level, lowered to what the processor has.
    pub fn with_isa(isa: Isa) -> Self {
        Self { isa: isa.min(Isa::detected()) }
    }

    /// `sum of query[i] * row[i]` for each of `rows`, whose components lie in halves of bytes, in `out`.
    ///
    /// # Panics
    /// If the query is no multiple of [`INT4_BLOCK`] long or longer than 65,536, a row is not half as long as
    /// the query, or `out` not as long as `rows`.
    pub fn many(&self, query: &[i8], rows: &[&[u8]], out: &mut [i32]) {
        check_count(rows, out);
        self.many_by(query, Listed(rows), out);
    }

    /// The same with rows that are found by their number, as many as `out` has places.
    ///
    /// # Panics
    /// As [`many`](Self::many) does.
    #[inline]
    pub fn many_by<'a>(&self, query: &[i8], rows: impl FindRow<'a>, out: &mut [i32]) {
        assert!(query.len().is_multiple_of(INT4_BLOCK), "{} components are no whole blocks", query.len());
        check_components(query.len());
        match self.isa {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni | Isa::Amx => vnni::int4(query, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::int4(query, rows, out),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::int4(query, rows, out),
            _ => scalar::int4(query, rows, out),
        }
    }
}

impl Default for KernelInt4 {
    fn default() -> Self {
        Self::new()
    }
}

/// Packs components of 0 to 15, a multiple of [`INT4_BLOCK`] of them, into half as many bytes.
///
/// # Panics
/// If the lengths are not such.
pub fn pack_int4(components: &[u8], out: &mut [u8]) {
    let (blocks, rest) = components.as_chunks::<INT4_BLOCK>();
    assert!(rest.is_empty() && out.len() * 2 == components.len(), "whole blocks, two components a byte");
    for (block, out) in blocks.iter().zip(out.chunks_exact_mut(INT4_BLOCK / 2)) {
        let (low, high) = block.split_at(INT4_BLOCK / 2);
        for ((byte, low), high) in out.iter_mut().zip(low).zip(high) {
            *byte = (low & 15) | high << 4;
        }
    }
}

fn check_count(rows: &[&[u8]], out: &[i32]) {
    assert!(rows.len() == out.len(), "{} rows, {} places for products", rows.len(), out.len());
}

#[inline(always)]
fn check_components(components: usize) {
    assert!(components <= 1 << 16, "{components} components");
}

/// A row that the loops need not check any more.
#[inline(always)]
fn checked(row: &[u8], row_bytes: usize) -> &[u8] {
    assert!(row.len() == row_bytes, "rows of {} and {row_bytes} bytes", row.len());
    row
}

/// Calls `four` for each group of four rows, all of them of `row_bytes`, the last one filled up with its last row.
///
/// `four` is called from one place only: else the compiler would leave it a function of another instruction set.
#[inline(always)]
fn in_fours<'a>(
    (row_bytes, found): (usize, impl FindRow<'a>),
    out: &mut [i32],
    four: impl Fn(&[&[u8]; 4]) -> [i32; 4],
) {
    let Some(last) = out.len().checked_sub(1) else {
        return;
    };
    for first in (0..=last).step_by(4) {
        let mut rows: [&[u8]; 4] = [&[]; 4];
        for (i, place) in rows.iter_mut().enumerate() {
            *place = checked(found.find((first + i).min(last)), row_bytes);
        }
        let products = four(&rows);
        match out[first..].first_chunk_mut::<4>() {
            Some(out) => *out = products,
            None => products.iter().zip(&mut out[first..]).for_each(|(product, out)| *out = *product),
        }
    }
}
