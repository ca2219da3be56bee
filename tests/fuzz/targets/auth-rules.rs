//! See `fuzz::auth::rules`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::auth::rules::run(input));
