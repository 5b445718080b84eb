//! The coverage-guided target for settings, grants, cursors and names.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::exercise_text(input);
});
