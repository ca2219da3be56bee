//! Content codings (RFC 9110 section 8.4): which one a message has, and gzip and deflate as streams.
//!
//! A [`Decoder`] reads chunks of any size and hands out slices of at most [`Decoder::SLICE`] bytes, so that whoever drives it
//! holds no more than one slice, whatever a chunk inflates to; [`Caps`] end what inflates too far. An [`Encoder`] writes the
//! same form. Both hold their window and nothing else.
//!
//! The compressed data itself is read and written by `miniz_oxide` behind `flate2`: no unsafe code, no C.

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

mod accepted;
mod caps;
mod coding;
mod decoder;
mod encoder;
mod fault;
mod gzip_header;

pub use accepted::accepted;
pub use caps::Caps;
pub use coding::{Coding, Codings, ContentCoding};
pub use decoder::{Decoder, Step};
pub use encoder::Encoder;
pub use fault::Fault;

/// How compressed data is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// RFC 1952, one member or several.
    Gzip,
    /// RFC 1950, which is what `deflate` means.
    Zlib,
    /// RFC 1951 without a wrapper, which many servers send as `deflate`.
    Raw,
}
