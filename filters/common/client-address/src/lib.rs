//! The address that a request came from, as far as it can be believed, and networks to compare it with.
//!
//! ```
//! use client_address::{Source, network};
//!
//! let office = network("192.0.2.0/24").unwrap();
//! assert!(office.contains(&Source::parse(b"[::ffff:192.0.2.7]:443").unwrap().address));
//! assert!(network("192.0.2.7/24").unwrap_err().contains("192.0.2.0/24"));
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

mod masks;
mod network;
mod source;

pub use ipnet::IpNet;
pub use masks::Masks;
pub use network::network;
pub use source::Source;
