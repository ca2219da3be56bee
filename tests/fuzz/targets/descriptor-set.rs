//! See `fuzz::descriptor_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::descriptor_set::run(input));
