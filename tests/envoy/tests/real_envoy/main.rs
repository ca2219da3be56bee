//! What only a real Envoy can show.
//!
//! One program, so that all of it shares one gateway. A test that changes nothing about `envoy/envoy.yaml` takes
//! `Gateway::shared`.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

mod attacks;
mod auth_rules;
mod chain;
mod failed_attempts;
mod forge;
mod grpc;
mod harness;
mod host_facts;
mod hot_reload;
mod istio;
mod jwks;
mod jwt_authn;
mod rate_limit;
mod reload;
mod routing;
mod scenarios;
mod server;
mod start;
mod stats;
mod transform;
mod trap;

/// Whether `make long` runs the tests, with ten times the load.
fn is_long() -> bool {
    std::env::var_os("GATEHOUSE_LONG").is_some_and(|value| value == "1")
}
