//! See `fuzz::rate_limit::key`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rate_limit::key::run(input));
