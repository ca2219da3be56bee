//! The routing filter as Envoy loads it.
//!
//! It tells the router and the upstream what is being called: the API version, the gRPC service and method, as request
//! headers and as filter state. `routing-policy` decides; this crate reads the head, obeys, and counts.

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

mod plugin;
mod request;
mod statistics;

/// Tells the SDK how to make this filter's contexts. The module's entry point calls it, and so does a native host.
pub fn register() {
    proxy_wasm::set_root_context(|_| Box::new(proxy_host::Root::<plugin::Plugin>::default()));
}

/// What the host calls first. Natively its symbol would clash with that of any other filter in the same program.
#[cfg(target_arch = "wasm32")]
mod entry {
    proxy_wasm::main! {{ crate::register() }}
}
