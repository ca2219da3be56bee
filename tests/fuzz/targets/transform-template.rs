//! See `fuzz::transform::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::template::run(input));
