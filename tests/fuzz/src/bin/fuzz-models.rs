//! The coverage-guided target for directories of models.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ragstone_fuzz::exercise_model(input);
});
