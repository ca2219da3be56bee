//! See `fuzz::auth::key_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::auth::key_set::run(input));
