//! See `fuzz::transform::rewriter`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::rewriter::run(input));
