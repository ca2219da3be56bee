//! See `fuzz::transform::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::request::run(input));
