//! Header and trailer maps.
//!
//! A map is open only while the host has not sent it on: after Continue or [`crate::continue_request`] a
//! request's map reads as empty and writes answer [`HostError::BadArgument`]. So a map is read once, in the
//! headers callback, and what later phases need is kept.

use http_message::{HeaderMap, HeaderWrite};

use crate::error::HostError;
use crate::{abi, written};

/// A header or trailer map, by the number that the ABI gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Map {
    /// The request's headers, the four pseudo headers among them.
    Request = 0,
    /// The request's trailers.
    RequestTrailers = 1,
    /// The response's headers, `:status` among them.
    Response = 2,
    /// The response's trailers.
    ResponseTrailers = 3,
    /// The headers of a callout's answer, inside its callback only.
    CalloutHeaders = 6,
    /// The trailers of a callout's answer, inside its callback only.
    CalloutTrailers = 7,
}

/// The whole map, in one host call; empty also if the map is not open.
///
/// # Errors
///
/// [`HostError::Malformed`] if the host's bytes are not a map; the host's own statuses.
pub fn read(map: Map) -> Result<HeaderMap, HostError> {
    HeaderMap::parse(abi::header_map(map as u32)?).map_err(|_| HostError::Malformed)
}

/// Whether the map has a header of that name. Where it has none, no data crosses: much cheaper than [`read`].
///
/// # Errors
///
/// [`HostError::BadArgument`] if the map is not open.
pub fn has(map: Map, name: &[u8]) -> Result<bool, HostError> {
    match abi::header(map as u32, name) {
        Ok(_) => Ok(true),
        Err(HostError::NotFound) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes `value` the only value of `name`.
///
/// # Errors
///
/// [`HostError::ForbiddenByte`] for a control byte in the value or a name that is no token;
/// [`HostError::BadArgument`] if the map is not open.
pub fn replace(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    written::name(name)?;
    written::value(value)?;
    abi::replace_header(map as u32, name, value)
}

/// Adds one more value of `name`.
///
/// # Errors
///
/// As for [`replace`].
pub fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError> {
    written::name(name)?;
    written::value(value)?;
    abi::add_header(map as u32, name, value)
}

/// Removes every value of `name`; fine if there is none.
///
/// # Errors
///
/// [`HostError::BadArgument`] if the map is not open.
pub fn remove(map: Map, name: &[u8]) -> Result<(), HostError> {
    abi::remove_header(map as u32, name)
}

/// Makes the writes in order, and stops at the first that fails.
///
/// # Errors
///
/// As for [`replace`]. Writes before the failed one have been made: the caller must not let the message pass.
pub fn apply(map: Map, writes: &[HeaderWrite<'_>]) -> Result<(), HostError> {
    writes.iter().try_for_each(|write| match write {
        HeaderWrite::Remove(name) => remove(map, name),
        HeaderWrite::Replace(name, value) => replace(map, name, value),
        HeaderWrite::Add(name, value) => add(map, name, value),
    })
}
