//! Decides how a request and its response are changed; `json-stream` changes their bodies.
//!
//! Pure: no clock, no I/O, no host. [`Policy::from_bytes`] reads the configuration once; [`Policy::request`] turns the head
//! of a request into a [`Step`] for the adapter to take, and [`Policy::response`] that of its response. Bodies go through a
//! [`Body`] each, chunk by chunk.

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

mod body;
mod capture;
mod condition;
mod config;
mod counted;
mod counters;
mod decision;
mod direction;
mod framing;
mod head_edits;
mod hex;
mod host_rewrite;
mod json_template;
mod method_override;
mod path_rewrite;
mod plan;
mod presets;
mod query_edits;
mod reason;
mod request_edits;
mod response;
mod surroundings;
mod template;
mod trace_parent;
mod trial;
mod value;
mod variables;

pub use body::{Body, BodyFault, Chunk, Ended};
pub use capture::{Captured, Capturing, Wait};
pub use config::{Config, Policy};
pub use counted::Counted;
pub use counters::{Counter, HELD_BYTES};
pub use decision::{Forward, Step};
pub use direction::Direction;
pub use plan::Plan;
pub use presets::DRAW_BYTES;
pub use reason::Reason;
pub use response::Respond;
pub use surroundings::Surroundings;
pub use template::{Facts, Needs, Parsed, Property, Scope, Sources, Template, TooLong};
pub use trial::Trial;
