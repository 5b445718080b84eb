//! The vector operations that the algorithms of this module are written in.
//!
//! An implementor is a token: a zero-sized value that exists only where the processor has its instructions, so its
//! register-to-register methods are safe to call. Every method is `inline(always)`: it becomes one instruction once
//! inlined into an entry point that enables the feature, and an out-of-line call of one would be slow, not wrong.

/// One level of vector instructions over `f32` lanes.
pub(super) trait Vector: Copy {
    /// A register of [`Self::LANES`] numbers.
    type Lanes: Copy;
    /// Numbers in a register.
    const LANES: usize;
    /// Rows of the tile of products that the registers hold, beside two registers for each row.
    const TILE_ROWS: usize;

    /// The same number in every lane.
    fn splat(self, value: f32) -> Self::Lanes;
    /// Reads `LANES` numbers.
    ///
    /// # Safety
    /// `from` is readable for `LANES` numbers.
    unsafe fn load(self, from: *const f32) -> Self::Lanes;
    /// Reads and widens `LANES` half-precision numbers.
    ///
    /// # Safety
    /// `from` is readable for `LANES` numbers.
    unsafe fn load_half(self, from: *const u16) -> Self::Lanes;
    /// Reads `LANES` integers as numbers.
    ///
    /// # Safety
    /// `from` is readable for `LANES` integers.
    unsafe fn load_integers(self, from: *const i32) -> Self::Lanes;
    /// Writes each lane, rounded to the nearest whole number, ties to even, as a byte; what is beyond one comes to its ends.
    ///
    /// # Safety
    /// `to` is writable for `LANES` bytes.
    unsafe fn store_bytes(self, to: *mut u8, value: Self::Lanes);
    /// Writes `LANES` numbers.
    ///
    /// # Safety
    /// `to` is writable for `LANES` numbers.
    unsafe fn store(self, to: *mut f32, value: Self::Lanes);
    /// Asks for a cache line; any address will do.
    fn prefetch(self, at: *const u8);
    /// `a + b`.
    fn add(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a - b`.
    fn subtract(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a * b`.
    fn multiply(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a / b`.
    fn divide(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// `a * b + c`, rounded once where the processor can.
    fn multiply_add(self, a: Self::Lanes, b: Self::Lanes, c: Self::Lanes) -> Self::Lanes;
    /// The smaller of each lane; `b` where either is not a number.
    fn least(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// The larger of each lane; `b` where either is not a number.
    fn most(self, a: Self::Lanes, b: Self::Lanes) -> Self::Lanes;
    /// The nearest whole number, ties to even, for magnitudes below 2^22.
    fn round(self, a: Self::Lanes) -> Self::Lanes;
    /// `2^a` for whole `a` in [-126, 127].
    fn power_of_two(self, a: Self::Lanes) -> Self::Lanes;

    /// Reads a slice of at least `LANES` numbers.
    #[inline(always)]
    fn read(self, from: &[f32]) -> Self::Lanes {
        assert!(from.len() >= Self::LANES);
        // SAFETY: the slice holds at least `LANES` numbers.
        unsafe { self.load(from.as_ptr()) }
    }

    /// Reads a slice of at least `LANES` integers as numbers.
    #[inline(always)]
    fn read_integers(self, from: &[i32]) -> Self::Lanes {
        assert!(from.len() >= Self::LANES);
        // SAFETY: the slice holds at least `LANES` integers.
        unsafe { self.load_integers(from.as_ptr()) }
    }

    /// Writes lanes as bytes to a slice of at least `LANES`.
    #[inline(always)]
    fn write_bytes(self, to: &mut [u8], value: Self::Lanes) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: the slice holds at least `LANES` bytes.
        unsafe { self.store_bytes(to.as_mut_ptr(), value) }
    }

    /// Writes to a slice of at least `LANES` numbers.
    #[inline(always)]
    fn write(self, to: &mut [f32], value: Self::Lanes) {
        assert!(to.len() >= Self::LANES);
        // SAFETY: the slice holds at least `LANES` numbers.
        unsafe { self.store(to.as_mut_ptr(), value) }
    }

    /// Folds the lanes into one number.
    #[inline(always)]
    fn fold(self, value: Self::Lanes, start: f32, fold: impl Fn(f32, f32) -> f32) -> f32 {
        let mut lanes = [0.0; LANES_MAX];
        self.write(&mut lanes, value);
        lanes[..Self::LANES].iter().fold(start, |sum, lane| fold(sum, *lane))
    }
}

/// Lanes of the widest register.
pub(super) const LANES_MAX: usize = 16;

/// What the weights of a product are stored as.
pub(super) trait Element: Copy {
    /// Reads `V::LANES` of them as `f32`.
    ///
    /// # Safety
    /// `from` is readable for `V::LANES` elements.
    unsafe fn load<V: Vector>(vector: V, from: *const Self) -> V::Lanes;
}

impl Element for f32 {
    #[inline(always)]
    unsafe fn load<V: Vector>(vector: V, from: *const f32) -> V::Lanes {
        // SAFETY: the caller's obligation, passed on.
        unsafe { vector.load(from) }
    }
}

impl Element for u16 {
    #[inline(always)]
    unsafe fn load<V: Vector>(vector: V, from: *const u16) -> V::Lanes {
        // SAFETY: the caller's obligation, passed on.
        unsafe { vector.load_half(from) }
    }
}
