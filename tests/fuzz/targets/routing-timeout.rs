//! See `fuzz::routing::timeout`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::routing::timeout::run(input));
