//! The proxy-wasm host functions, natively: what our adapters believe about Envoy.
//!
//! A test binary that links this crate runs a real adapter and the real SDK dispatcher, with no Wasm: this
//! crate defines every `proxy_*` function that they import, and calls the `proxy_on_*` functions that the SDK
//! exports. A [`Vm`] is a thread, as a worker's VM is; shared data, queues, metrics and the clock belong to
//! the [`Host`] and are seen by all VMs of it.
//!
//! ```no_run
//! # fn register() {}
//! use fake_host::{FilterStatus, Host, VmOptions};
//!
//! let host = Host::new();
//! let vm = host.start(VmOptions::new("auth", register).config("{}")).expect("a good configuration");
//! let mut stream = vm.request([(":method", "GET"), (":path", "/"), (":authority", "a")]);
//! assert_eq!(stream.request_headers(true), FilterStatus::Continue);
//! assert_eq!(stream.upstream().headers.text("x-user"), Some("alice"));
//! ```
//!
//! What it believes, each with its twin on a real Envoy in `tests/probe-filter`:
//!
//! - A header map is open until its callback continues; then values answer 2, and the whole map is "ok", and empty.
//! - Pause in headers holds the body back, uncalled, unless the listener allows stop-iteration.
//! - Pause in a body callback makes the host buffer: the next one is told, and reads, the total.
//! - A body that ends by trailers never says "end of stream"; in the trailers callback the buffer can be written
//!   only if the last body callback paused.
//! - A header edit clears the route, but Wasm filters go on reading the old one until a native filter looks.
//! - `set_effective_context` on a gone stream answers 2 and changes nothing: later calls act where they did before.
//! - The answer to a callout of a gone stream reaches nobody.
//! - A trap ends the VM, and the request that it happened in with a 503; paused requests of that VM get nothing.
//!
//! A panic in an adapter aborts the process, because it crosses `extern "C"`: a trap is simulated by the driver.

#![allow(clippy::disallowed_methods)] // The host is where clocks, threads and random numbers come from.

#[allow(unsafe_code)] // The exported host functions: pointers from the caller, by the ABI's rules.
mod abi;
mod budget;
mod callout;
mod chain;
mod clock;
mod flow;
mod foreign;
mod headers;
mod host;
mod local_reply;
mod metrics;
mod properties;
mod queues;
mod record;
mod route;
#[allow(unsafe_code)] // The SDK's exports, called as the host calls a module's.
mod sdk;
mod shared_data;
mod status;
mod stream;
mod verify;
mod vm;

pub use budget::{BROWSER_HEADERS, Budget};
pub use callout::{Answer, Callout};
pub use chain::Chain;
pub use clock::Clock;
pub use headers::Headers;
pub use host::{Cluster, Host};
pub use record::{Cost, HostCall, LogLine};
pub use route::RouteView;
pub use stream::{FilterStatus, Message, Reply, Stream};
pub use vm::{ConfigRefused, FailurePolicy, Vm, VmOptions};
