//! Decides what is being called: API version, gRPC service and method.
//!
//! Pure: no clock, no I/O, no host. [`Policy::from_bytes`] reads the configuration once; [`Policy::decide`] turns the head of
//! a request into a [`Step`] for the adapter to take.
//!
//! ```
//! use http_message::{HeaderMap, RequestHead};
//! use routing_policy::{Facts, Policy, Reason, Step};
//!
//! let policy = Policy::from_bytes(br#"{
//!     "version": 1,
//!     "api_version": { "supported": ["1", "2"], "default": "1", "sources": [{ "path_prefix": true }] }
//! }"#).unwrap();
//! let ask = |path| policy.decide(&RequestHead::new(HeaderMap::from_pairs([(":path", path)])), &Facts::default());
//!
//! let Step::Forward(forward) = ask("/v2/users") else { panic!() };
//! let (name, value) = &forward.state[0];
//! assert_eq!((*name, value.as_bytes()), ("gatehouse.api_version", &b"2"[..]));
//! assert!(matches!(ask("/v9/users"), Step::Reply(_, Reason::UnknownVersionInPath)));
//! ```

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

mod accept;
mod call;
mod config;
mod cookie;
mod counters;
mod deadline;
mod decision;
mod filter_state;
mod findings;
mod headers;
mod instant;
mod label;
mod lifecycle;
mod method_rule;
mod method_table;
mod reason;
mod route_override;
mod split;
mod target;
mod upstream_path;
mod version;

pub use config::{Config, Needs, Policy};
pub use counters::Counter;
pub use deadline::{parse_connect_timeout, parse_grpc_timeout};
pub use decision::{Facts, Forward, Step, Watch};
pub use filter_state::{
    STATE_API_VERSION, STATE_EXPERIMENT, STATE_GROUP, STATE_GRPC_KIND, STATE_GRPC_METHOD,
    STATE_GRPC_PACKAGE, STATE_GRPC_SERVICE, STATE_PROTOCOL, STATE_TARGET,
};
pub use reason::Reason;
pub use route_override::RouteMetadata;
