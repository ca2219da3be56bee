//! See `fuzz::auth::configuration`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::auth::configuration::run(input));
