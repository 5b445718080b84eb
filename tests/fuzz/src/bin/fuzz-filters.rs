//! The coverage-guided target for filters as text.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::filter(input);
});
