//! See `fuzz::transform::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::transform::configuration::run(input));
