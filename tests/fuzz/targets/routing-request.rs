//! See `fuzz::routing::request`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::routing::request::run(input));
