//! Decides how a request and its response are changed, and rewrites JSON as it streams by.
//!
//! Pure: no clock, no I/O, no host. [`Policy::from_bytes`] reads the configuration once; [`Policy::request`] turns the head
//! of a request into a [`Step`] for the adapter to take, and [`Policy::response`] that of its response. Bodies go through a
//! [`Body`] each, chunk by chunk.
//!
//! ```
//! use std::rc::Rc;
//! use transform_policy::{JsonRewriter, Operation, Pointer, Program};
//!
//! let email = Pointer::parse("/customers/*/email").unwrap();
//! let program = Program::new(vec![Operation::mask(email, "***")]).unwrap();
//! let mut rewriter = JsonRewriter::new(Rc::new(program));
//! let mut out = Vec::new();
//! rewriter.push(br#"{"customers": [{"id": 7, "ema"#, &mut out).unwrap();
//! rewriter.push(br#"il": "a@example.com"}]}"#, &mut out).unwrap();
//! rewriter.finish().unwrap();
//! assert_eq!(out, br#"{"customers": [{"id": 7, "email": "***"}]}"#);
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

mod body;
mod config;
mod content;
mod counters;
mod decision;
mod head_edits;
mod json_rewriter;
mod operation;
mod path_rewrite;
mod pointer;
mod position_set;
mod reason;

pub use body::{Body, Chunk, Ended};
pub use config::{Config, Policy};
pub use counters::Counter;
pub use decision::{Forward, Plan, Respond, Step};
pub use json_rewriter::{Broken, JsonRewriter};
pub use operation::{Operation, Program};
pub use pointer::{InvalidPointer, Pointer};
pub use reason::Reason;
