//! See `fuzz::transform::gzip`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::gzip::run(input));
