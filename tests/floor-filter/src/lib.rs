//! A filter that makes the host calls that its configuration lists, and nothing else.
//!
//! Beside each filter of ours the bench runs this one with the same calls: the difference is what our own code costs. With
//! no calls it is an empty filter.

#![forbid(unsafe_code)]

mod call;
mod plugin;
mod stream;

/// Tells the SDK how to make this filter's contexts.
pub fn register() {
    proxy_wasm::set_root_context(|_| Box::new(proxy_host::Root::<plugin::Plugin>::default()));
}

/// What the host calls first. Natively its symbol would clash with that of any other filter in the same program.
#[cfg(target_arch = "wasm32")]
mod entry {
    proxy_wasm::main! {{ crate::register() }}
}
