//! The coverage-guided target for Arrow and Parquet files.
#![no_main]

use std::sync::Once;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    // libFuzzer ends at every panic, and the import catches those of the readers: what it does not catch still ends the target.
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    ragstone_fuzz::exercise_exchange(input);
});
