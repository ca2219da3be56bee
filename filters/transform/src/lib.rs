//! The transform filter as Envoy loads it.
//!
//! It changes the headers, the path and the JSON bodies of requests and responses while they stream by.
//! `transform-policy` decides; this crate reads heads and chunks, obeys, and counts.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod exchange;
mod facts;
mod passage;
mod plugin;
mod request;
mod response;
mod root;
mod waiting;

/// Tells the SDK how to make this filter's contexts. The module's entry point calls it, and so does a native host.
pub fn register() {
    proxy_wasm::set_root_context(|_| Box::new(root::Root::default()));
}

/// What the host calls first. Natively its symbol would clash with that of any other filter in the same program.
#[cfg(target_arch = "wasm32")]
mod entry {
    proxy_wasm::main! {{ crate::register() }}
}
