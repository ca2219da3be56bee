//! See `fuzz::rate_limit::usage`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rate_limit::usage::run(input));
