//! Asking for memory before it is needed. A prefetch never faults and never changes a result.

/// Bytes of a cache line.
const LINE_BYTES: usize = 64;

/// Asks for the line at any address, mapped or not.
#[inline(always)]
pub(crate) fn prefetch_line<T>(address: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: PREFETCHT0 is a hint: it is part of SSE, which every x86-64 has, and it does not fault on any
    // address.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Asks for the memory of a slice.
#[inline(always)]
pub fn prefetch<T>(slice: &[T]) {
    let start = slice.as_ptr().cast::<u8>();
    let mut offset = 0;
    while offset < size_of_val(slice) {
        prefetch_line(start.wrapping_add(offset));
        offset += LINE_BYTES;
    }
}
