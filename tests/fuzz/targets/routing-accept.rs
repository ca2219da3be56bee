//! See `fuzz::routing::accept`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::routing::accept::run(input));
