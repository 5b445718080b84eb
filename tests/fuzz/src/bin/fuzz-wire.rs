//! The coverage-guided target for what reaches a server's ports.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::exercise_wire(input);
});
