//! See `fuzz::rate_limit::slot`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rate_limit::slot::run(input));
