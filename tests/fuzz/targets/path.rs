//! See `fuzz::path`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::path::run(input));
