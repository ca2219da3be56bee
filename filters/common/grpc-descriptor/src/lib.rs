//! Reads services, methods and HTTP rules from a `google.protobuf.FileDescriptorSet`, as `protoc --descriptor_set_out` writes
//! it.
//!
//! ```
//! use grpc_descriptor::Descriptor;
//!
//! // No files, no methods.
//! assert!(Descriptor::parse(b"").unwrap().methods().is_empty());
//! assert!(Descriptor::parse(b"\xff").is_err());
//! ```
//!
//! Of the set no more is kept than a gateway needs: names, the kind of each method, and the rules of `google.api.http`. Messages
//! and their fields are passed over unread.

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

mod descriptor;
mod descriptor_set;
mod http_rule;
mod wire;

pub use descriptor::{Descriptor, InvalidDescriptor, Method, MethodKind};
pub use descriptor_set::DescriptorSet;
pub use http_rule::HttpRule;
