//! The REST services and the token issuer that the demo and the tests talk to.
//!
//! Two services, users and orders, run two replicas each; every answer names its replica and repeats what the replica
//! was sent, so that a test can tell what the gateway let through. The issuer signs tokens with keys made at its start.
//! A test embeds all of it by [`Upstreams::start`]; the program of the same name serves it to others.
#![allow(clippy::disallowed_methods)] // Servers with clocks, files and sockets, not policy.

mod certificates;
mod echo;
mod issuer;
mod replica;
mod upstreams;

pub use certificates::Certificates;
pub use echo::{Echo, MAX_ECHOED_BODY};
pub use issuer::{Algorithm, DEFAULT_ISSUER, Issuer, TokenRequest};
pub use replica::Replica;
pub use upstreams::{ISSUER, REPLICAS, Upstreams, bind};
