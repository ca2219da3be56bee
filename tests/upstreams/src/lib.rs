//! The REST and gRPC services and the token issuer that the demo and the tests talk to.
//!
//! Two REST services, users and orders, run two replicas each; every answer names its replica and repeats what the replica
//! was sent, so that a test can tell what the gateway let through. So does the inventory, a gRPC service with reflection and
//! health, whose answers name replica and caller. The issuer signs tokens with keys made at its start.
//! A test embeds all of it by [`Upstreams::start`]; the program of the same name serves it to others.
#![allow(clippy::disallowed_methods)] // Servers with clocks, files and sockets, not policy.

mod certificates;
mod channel;
mod echo;
mod health_check;
mod inventory;
mod issuer;
mod private_file;
mod replica;
mod shared_secret;
mod signing_keys;
mod upstreams;

/// Messages, client and server of `inventory.v1`, as `proto/inventory/v1/stock.proto` has them.
#[allow(missing_docs, unreachable_pub)] // Generated; the documentation is in the proto file.
pub mod stock {
    tonic::include_proto!("inventory.v1");
}

pub use certificates::Certificates;
pub use channel::{Channel, Head};
pub use echo::{Echo, MAX_ECHOED_BODY};
pub use health_check::HealthCheck;
pub use inventory::{Inventory, STOCK};
pub use issuer::{Algorithm, DEFAULT_ISSUER, Issuer, TokenRequest};
pub use replica::Replica;
pub use shared_secret::SharedSecret;
pub use signing_keys::SigningKeys;
pub use upstreams::{INVENTORY_REPLICAS, ISSUER, REPLICAS, Upstreams, bind};

/// Descriptor set of the gRPC service with its imports: what Envoy's transcoder reads.
pub const INVENTORY_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/inventory.pb"));
