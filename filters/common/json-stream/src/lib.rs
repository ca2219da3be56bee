//! Changes a JSON document, or reads a number of it, as it streams by: chunk by chunk, holding no other value.
//!
//! ```
//! use std::rc::Rc;
//! use json_stream::{Bindings, JsonRewriter, Operation, Pointer, Program};
//!
//! let email = Pointer::parse("/customers/*/email").unwrap();
//! let program = Program::new(vec![Operation::mask(email, "***")]).unwrap();
//! let mut rewriter = JsonRewriter::new(Rc::new(program), Bindings::default());
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

mod bindings;
mod broken;
mod event_stream;
mod json_rewriter;
mod limits;
mod member_reader;
mod number_reader;
mod operation;
mod pointer;
mod position_set;
mod record_rewriter;

pub use bindings::{Bindings, Slot, Text};
pub use broken::{Broken, Fault};
pub use event_stream::{EventStream, Piece};
pub use json_rewriter::{Captured, JsonRewriter};
pub use limits::{DuplicateMembers, Limits};
pub use member_reader::{MemberPlace, MemberPlaces, MemberReader};
pub use number_reader::{NumberPlace, NumberReader};
pub use operation::{HashKey, Kind, Operation, Program};
pub use pointer::{InvalidPointer, Pointer};
pub use record_rewriter::{RecordForm, RecordRewriter};
