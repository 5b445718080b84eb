//! Portable lanes: the reference of the other files, and what the compiler makes of it elsewhere than on x86-64.

use super::entry::entry_points;
use super::vector::Vector;

/// Four lanes in an array.
#[derive(Clone, Copy)]
pub(super) struct Scalar;

const LANES: usize = 4;

#[inline(always)]
fn zip(a: [f32; LANES], b: [f32; LANES], f: impl Fn(f32, f32) -> f32) -> [f32; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Vector for Scalar {
    type Lanes = [f32; LANES];
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 4;

    #[inline(always)]
    fn splat(self, value: f32) -> Self::Lanes {
        [value; LANES]
    }
    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> Self::Lanes {
        // SAFETY: the caller guarantees `LANES` readable numbers; no alignment is assumed.
        unsafe { from.cast::<Self::Lanes>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn load_half(self, from: *const u16) -> Self::Lanes {
        // SAFETY: the caller guarantees `LANES` readable numbers; no alignment is assumed.
        let halves = unsafe { from.cast::<[u16; LANES]>().read_unaligned() };
        halves.map(|bits| half::f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    unsafe fn load_integers(self, from: *const i32) -> Self::Lanes {
        // SAFETY: the caller guarantees `LANES` readable numbers; no alignment is assumed.
        unsafe { from.cast::<[i32; LANES]>().read_unaligned() }.map(|integer| integer as f32)
    }
    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8, value: Self::Lanes) {
        // SAFETY: the caller guarantees `LANES` writable bytes; no alignment is assumed.
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(value.map(|lane| lane.round_ties_even() as u8)) }
    }
    #[inline(always)]
    unsafe fn store(self, to: *mut f32, value: Self::Lanes) {
        // SAFETY: the caller guarantees `LANES` writable numbers; no alignment is assumed.
        unsafe { to.cast::<Self::Lanes>().write_unaligned(value) }
    }
    #[inline(always)]
    fn prefetch(self, _at: *const u8) {}
    #[inline(always)]
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn subtract(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn multiply(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn divide(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn multiply_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes {
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }
    #[inline(always)]
    fn least(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn most(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn round(self, a: Self::Lanes) -> Self::Lanes {
        // Beyond 2^23 a float has no fraction bits, so adding and removing 1.5 * 2^23 rounds to the nearest.
        const MAGIC: f32 = 12_582_912.0;
        a.map(|lane| (lane + MAGIC) - MAGIC)
    }
    #[inline(always)]
    fn power_of_two(self, a: Self::Lanes) -> Self::Lanes {
        a.map(|lane| f32::from_bits(((lane as i32 + 127) as u32) << 23))
    }
}

entry_points!(Scalar, Scalar,);
