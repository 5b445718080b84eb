//! The coverage-guided target for restoring copies.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::exercise_snapshot(input);
});
