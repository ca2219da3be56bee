//! See `fuzz::transform::records`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::records::run(input));
