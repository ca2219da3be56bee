//! Random numbers that nobody can guess.

use crate::abi;
use crate::error::HostError;

/// The most bytes that the host gives in one call.
const MAX_CALL: usize = 64 * 1024;

/// Fills `bytes`.
///
/// # Errors
///
/// [`HostError::Internal`] if the host has none; `bytes` must not be used then.
pub fn fill(bytes: &mut [u8]) -> Result<(), HostError> {
    bytes.chunks_mut(MAX_CALL).try_for_each(abi::random)
}
