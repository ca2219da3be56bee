//! The only crate that makes host calls: a thin, checked layer over the proxy-wasm ABI.
//!
//! The host answers every call with a number. Here each number becomes a [`Result`]; nothing panics on an
//! answer, nothing assumes UTF-8, and no control byte is ever written into a header. The `proxy-wasm` crate
//! supplies the exported entry points, the dispatch to contexts and, through [`callout`], the one call whose
//! answer it must route itself.
//!
//! Natively (unit tests, fake host) the same functions link against whatever defines the `proxy_*` symbols.

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

#[allow(unsafe_code)]
// The raw imports and the ownership of what they return; no other module has any.
mod abi;
mod configuration;
mod counter_set;
mod error;
mod fetcher;
mod local_reply;
mod logger;
mod proto;
mod request;
mod root;
mod shared_gauge;
mod stream;
mod tick;
mod waker;
mod written;

// Unit tests link the functions that the host would bring.
#[cfg(test)]
use fake_host as _;

pub mod body;
pub mod callout;
pub mod capabilities;
pub mod clock;
pub mod environment;
pub mod foreign;
pub mod headers;
pub mod metric;
pub mod property;
pub mod queue;
pub mod random;
pub mod shared_data;

pub use configuration::plugin_configuration;
pub use counter_set::CounterSet;
pub use error::HostError;
pub use fetcher::{Fetcher, Look, Stored};
pub use local_reply::send_local_reply;
pub use logger::install;
pub use request::{refuse, refuse_as, request_head};
pub use root::{Plugin, Root};
pub use shared_gauge::SharedGauge;
pub use stream::{continue_request, continue_response, with_stream};
pub use tick::set_tick_period;
pub use waker::Waker;
