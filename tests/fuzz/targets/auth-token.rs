//! See `fuzz::auth::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::auth::token::run(input));
