//! Starts a real Envoy on loopback, in front of the [`upstreams`], for tests and for the demo.
//!
//! A test that is content with `envoy/envoy.yaml` takes [`Gateway::shared`]; one that needs another configuration edits a
//! [`Bootstrap`] and gives it to [`Gateway::start`]. Both fail the test at its end if a filter's VM was lost meanwhile.
//!
//! ```no_run
//! use envoy_harness::{Gateway, Request, demo_key};
//!
//! let Some(gateway) = Gateway::shared() else { return }; // no Envoy here; says so, or fails where nothing may be left out
//! let request = Request::get("/users/1").header("x-api-key", demo_key("acme-2026"));
//! let response = gateway.h2().send(&request);
//! assert_eq!(response.status, 200);
//! assert_eq!(response.echo().header("x-consumer"), ["acme"]);
//! ```
//!
//! Nothing outlives the process: Envoy and its folder are removed when their owner is dropped, and by a small process that
//! waits for ours to end where that does not happen.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod bootstrap;
mod client;
mod credentials;
mod envoy;
mod flood;
mod gateway;
mod keeper;
mod messages;
mod paths;
mod permit;
mod raw;
mod requirement;
mod run_folder;
mod tls;

pub use bootstrap::Bootstrap;
pub use client::{Client, ClientError, Connection, Protocol, until_interrupted, wait_for};
pub use credentials::{demo_key, install_credentials};
pub use envoy::{Envoy, Options, StartError, validate};
pub use flood::Statuses;
pub use gateway::{Gateway, Reload, Shared, TokenBuilder};
pub use messages::{Request, Response};
pub use paths::{envoy_program, module, target_folder, unpackaged_module, workspace};
pub use raw::{RawAnswer, Read};
pub use requirement::{Missing, skipped};
pub use upstreams::{Algorithm, Channel, Echo, stock};
