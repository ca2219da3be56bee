//! The head of an HTTP request over bytes, header edits, local replies, and canonical paths.
//!
//! Header values are bytes, never assumed to be UTF-8: HTTP codecs let 0x80 to 0xff through. Nothing here calls a host,
//! reads a clock or panics on what a client sends.
//!
//! ```
//! use http_message::{HeaderMap, RequestHead};
//!
//! let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", "/users/%37?fields=name")]));
//! assert_eq!(head.path().unwrap().as_str(), "/users/7");
//! assert_eq!(head.query().iter().next(), Some((&b"fields"[..], &b"name"[..])));
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

pub mod content;
mod cookie;
mod edits;
mod grpc_method;
mod grpc_status;
mod head;
mod header_map;
mod name;
mod path;
mod pattern;
mod percent;
mod problem;
mod protocol;
mod query;
mod reply;
mod reserved;
mod shared;
mod spelling;
mod value;
mod visible;

pub use cookie::cookies;
pub use edits::{HeaderEdit, HeaderEdits, HeaderWrite};
pub use grpc_method::GrpcMethod;
pub use grpc_status::GrpcStatus;
pub use head::RequestHead;
pub use header_map::{HeaderMap, Iter, MalformedHeaderMap, Occurrence};
pub use name::{HeaderName, InvalidHeaderName, is_token};
pub use path::{CanonicalPath, PathError};
pub use pattern::{HeaderPattern, InvalidHeaderPattern, NamePatterns};
pub use percent::percent_encode_value;
pub use problem::{Place, Problem, ProblemType};
pub use protocol::Protocol;
pub use query::{Query, QueryPairs, decode_query, query_decodes_to};
pub use reply::LocalReply;
pub use reserved::{RESERVED_REQUEST_HEADERS, is_reserved_request_header};
pub use spelling::{fold_byte, fold_name, same_spelling};
pub use value::{HeaderValue, InvalidHeaderValue};
pub use visible::is_visible_without;
