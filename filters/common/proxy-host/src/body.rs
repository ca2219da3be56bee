//! Bodies: of the request, the response, and a callout's answer.
//!
//! In a body callback the buffer is the chunk at hand, or everything held so far once a body callback has
//! returned Pause. In a trailers callback it can be written only if the last body callback returned Pause.

use crate::abi;
use crate::error::HostError;

/// A body buffer, by the number that the ABI gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Buffer {
    /// The request's body.
    Request = 0,
    /// The response's body.
    Response = 1,
    /// The body of a callout's answer, inside its callback only.
    Callout = 4,
}

/// At most `max` bytes from `start`, which must not be past the size that the callback was told.
///
/// # Errors
///
/// The host's statuses.
pub fn read(buffer: Buffer, start: usize, max: usize) -> Result<Vec<u8>, HostError> {
    // A range that wraps around 2^32 is refused by the host; asking for "all" must not wrap.
    let max = max.min(usize::MAX.saturating_sub(start));
    abi::buffer(buffer as u32, start, max)
}

/// Makes `bytes` the whole buffer.
///
/// # Errors
///
/// [`HostError::BadArgument`] if the buffer cannot be written in this phase.
pub fn replace(buffer: Buffer, bytes: &[u8]) -> Result<(), HostError> {
    abi::set_buffer(buffer as u32, 0, usize::MAX, bytes)
}

/// Adds `bytes` at the end.
///
/// # Errors
///
/// [`HostError::BadArgument`] if the buffer cannot be written in this phase.
pub fn append(buffer: Buffer, bytes: &[u8]) -> Result<(), HostError> {
    // The host appends when `start` is at or past the end, and refuses a start inside.
    abi::set_buffer(buffer as u32, usize::MAX, 0, bytes)
}

/// Puts `bytes` in front.
///
/// # Errors
///
/// [`HostError::BadArgument`] if the buffer cannot be written in this phase.
pub fn prepend(buffer: Buffer, bytes: &[u8]) -> Result<(), HostError> {
    abi::set_buffer(buffer as u32, 0, 0, bytes)
}
