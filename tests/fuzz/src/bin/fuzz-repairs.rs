//! The coverage-guided target for checking and repairing damaged databases.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::run_repair(input);
});
