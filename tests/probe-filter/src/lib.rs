//! A filter that does what a request header tells it to, so that beliefs about the host can be tried on a real one.
//!
//! Its configuration is the name of the header that it obeys; the header holds a [script]. What it saw
//! comes back as response headers `x-probe-<key>`, and stays in shared data for a later request to recall.
//!
//! [`facts`] is the table of beliefs: each is tried on the fake host by this crate's own test, and on a real Envoy
//! by the harness, from the same data. The module is for tests alone: it obeys anybody.

mod filter;
mod operation;
mod report;

pub mod facts;
pub mod observation;
pub mod script;

/// Makes the SDK create our contexts: what the module does when it is initialized.
pub fn register() {
    proxy_host::install();
    proxy_wasm::set_root_context(|_| Box::new(filter::Root::default()));
}

/// What the host calls first. Natively its symbol would clash with that of any other filter in the same program.
#[cfg(target_arch = "wasm32")]
mod entry {
    proxy_wasm::main! {{
        super::register();
    }}
}
