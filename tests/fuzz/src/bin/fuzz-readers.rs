//! The coverage-guided target: libFuzzer with the engine's file readers behind it. `cargo xtask fuzz` builds and runs it.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::run(input);
});
