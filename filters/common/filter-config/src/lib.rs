//! Reads a filter configuration, strictly: JSON or protobuf Struct in, a typed value or an error with its path out.
//!
//! ```
//! use filter_config::{BoundedList, ConfigDuration, Name, Version};
//! use serde::Deserialize;
//!
//! #[derive(Debug, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     version: Version,
//!     clock_skew: Option<ConfigDuration>,
//!     rules: BoundedList<Rule, 1, 64>,
//! }
//!
//! #[derive(Debug, Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Rule {
//!     name: Name,
//! }
//!
//! let error = filter_config::parse::<Config>(br#"{"version": 1, "rules": [{"nmae": "orders"}]}"#).unwrap_err();
//! assert_eq!(error.to_string(), "rules[0].nmae: unknown field, did you mean name?");
//! ```
//!
//! What the reader promises beside what the types ask for:
//!
//! - An error says where (`rules[2].match.path`), what was expected and, where it helps, the nearest valid name. It never
//!   quotes a value, because a value may be a secret in the wrong place; a member's name is quoted if it is short and
//!   printable.
//! - A member given twice is refused. So is `null` for an optional field, because a YAML `match:` with nothing under it
//!   is a slip, and read as absent it would match everything.
//! - The same configuration reads the same from JSON and from a `Struct`, whose numbers are all doubles: `1` and `1.0`
//!   are one number, up to 2^53 where doubles stop being exact.
//! - Size and depth are capped ([`MAX_BYTES`], [`MAX_DEPTH`]), so that no input exhausts the stack of a Wasm VM.

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

mod bounded;
mod bounded_list;
mod bounded_map;
mod byte_size;
mod deserializer;
mod duration;
mod error;
mod fault;
mod json_text;
mod name;
mod nearest;
mod number;
mod parse;
mod path;
mod place;
mod protobuf_struct;
mod secret;
pub mod strict_json;
mod text;
mod version;

pub use bounded::{Bounded, BoundedDuration};
pub use bounded_list::BoundedList;
pub use bounded_map::BoundedMap;
pub use byte_size::ByteSize;
pub use duration::ConfigDuration;
pub use error::ConfigError;
pub use name::{InvalidName, Name};
pub use nearest::nearest;
pub use parse::{MAX_BYTES, MAX_DEPTH, from_value, parse};
pub use path::FieldPath;
pub use secret::Secret;
pub use text::Text;
pub use version::Version;
