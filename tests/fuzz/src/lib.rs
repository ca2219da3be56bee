//! Fuzz targets: any bytes that a client or an operator may send, each with what must hold of the answer.
//!
//! A target is a function over bytes that panics where something does not hold. `make fuzz` runs it under libFuzzer, which
//! looks for bytes that reach code no other bytes have reached; the tests of this crate run it over its seeds and over every
//! input that once broke it, so that it is built and run wherever the tests are, without libFuzzer.

pub mod auth;
pub mod configuration;
pub mod descriptor_set;
pub mod json;
pub mod path;
pub mod rate_limit;
pub mod request;
pub mod routing;
pub mod transform;

/// One target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name; the program is `fuzz-<name>`.
    pub name: &'static str,
    /// Tries one input. Panics where something does not hold.
    pub run: fn(&[u8]),
    /// Inputs to start from: what users write, and what tests refuse.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:literal => $($module:ident)::+),* $(,)?) => {
        /// Every target, by name.
        pub const TARGETS: &[Target] = &[$(Target {
            name: $name,
            run: $($module)::+::run,
            seeds: $($module)::+::seeds,
        }),*];
    };
}

targets! {
    "auth-configuration" => auth::configuration,
    "auth-key-set" => auth::key_set,
    "auth-rules" => auth::rules,
    "auth-token" => auth::token,
    "descriptor-set" => descriptor_set,
    "path" => path,
    "rate-limit-configuration" => rate_limit::configuration,
    "rate-limit-key" => rate_limit::key,
    "rate-limit-slot" => rate_limit::slot,
    "rate-limit-usage" => rate_limit::usage,
    "routing-accept" => routing::accept,
    "routing-configuration" => routing::configuration,
    "routing-request" => routing::request,
    "routing-timeout" => routing::timeout,
    "transform-configuration" => transform::configuration,
    "transform-gzip" => transform::gzip,
    "transform-records" => transform::records,
    "transform-request" => transform::request,
    "transform-rewriter" => transform::rewriter,
    "transform-template" => transform::template,
}

/// The two parts of an input: what stands before and after a line of `---`.
pub(crate) fn parts(input: &[u8]) -> Option<(&[u8], &[u8])> {
    const LINE: &[u8] = b"\n---\n";
    let at = input
        .windows(LINE.len())
        .position(|window| window == LINE)?;
    Some((&input[..at], &input[at + LINE.len()..]))
}

/// An input of two parts.
pub(crate) fn join(first: &str, second: &str) -> Vec<u8> {
    format!("{first}\n---\n{second}").into_bytes()
}
