//! Which stream the host calls act on, and letting a paused one go on.

use crate::abi;
use crate::error::HostError;

const REQUEST: u32 = 0;
const RESPONSE: u32 = 1;

/// Runs `f` with the host acting on the stream `context_id`; `None`, and no call made, if that stream is gone.
///
/// On a gone stream the host keeps the stream that it acted on *before* and says so only here: calls made
/// all the same would edit another client's request. After `f` the host goes on acting on this stream until
/// the callback returns.
pub fn with_stream<R>(context_id: u32, f: impl FnOnce() -> R) -> Option<R> {
    abi::set_effective_context(context_id).ok().map(|()| f())
}

/// Lets the paused request go on. Its headers, body and trailers are closed from here on.
///
/// # Errors
///
/// The host's statuses.
pub fn continue_request() -> Result<(), HostError> {
    abi::continue_stream(REQUEST)
}

/// Lets the paused response go on. Its headers, body and trailers are closed from here on.
///
/// # Errors
///
/// The host's statuses.
pub fn continue_response() -> Result<(), HostError> {
    abi::continue_stream(RESPONSE)
}
