//! See `fuzz::rate_limit::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::rate_limit::configuration::run(input));
