//! See `fuzz::routing::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::routing::configuration::run(input));
