//! What a host call can answer besides "done".

use thiserror::Error;

/// Why a host call did not do what it was asked to.
///
/// The first eight are the host's statuses as the proxy-wasm ABI 0.2.1 numbers them; the last three are
/// found on our side of the call.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HostError {
    /// Status 1: no such key, property, queue, function or buffer.
    #[error("not found")]
    NotFound,
    /// Status 2: a bad argument, or a header map or body that is not open in this phase.
    #[error("bad argument")]
    BadArgument,
    /// Status 3: the value exists but cannot be turned into bytes.
    #[error("serialization failure")]
    Serialization,
    /// Status 4: the host could not parse what it was given.
    #[error("parse failure")]
    Parse,
    /// Status 7: the queue is empty.
    #[error("empty")]
    Empty,
    /// Status 8: the compare-and-swap number is no longer the stored one.
    #[error("compare-and-swap mismatch")]
    CasMismatch,
    /// Status 10: the host failed, or its capability list does not allow the call.
    #[error("internal failure")]
    Internal,
    /// Status 12: this host does not have the call.
    #[error("unimplemented")]
    Unimplemented,
    /// Any other status.
    #[error("unknown status {0}")]
    Unknown(u32),
    /// The host answered "ok" with bytes that do not have the promised form.
    #[error("malformed answer")]
    Malformed,
    /// Refused here, before the host was asked: a header name or value with a byte that must not be written.
    #[error("forbidden byte in a header")]
    ForbiddenByte,
    /// Refused here, before the host was asked: larger than the host takes.
    #[error("too large")]
    TooLarge,
}

/// `Ok` for status 0.
pub(crate) fn check(status: u32) -> Result<(), HostError> {
    Err(match status {
        0 => return Ok(()),
        1 => HostError::NotFound,
        2 => HostError::BadArgument,
        3 => HostError::Serialization,
        4 => HostError::Parse,
        7 => HostError::Empty,
        8 => HostError::CasMismatch,
        10 => HostError::Internal,
        12 => HostError::Unimplemented,
        other => HostError::Unknown(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    // A status that the SDK's enum lacks (5, 6, 9, 11, 12) must be an error like any other.
    #[test]
    fn every_status_is_a_result() {
        assert_eq!(check(0), Ok(()));
        assert_eq!(check(8), Err(HostError::CasMismatch));
        assert_eq!(check(12), Err(HostError::Unimplemented));
        for unlisted in [5, 6, 9, 11, 13, u32::MAX] {
            assert_eq!(check(unlisted), Err(HostError::Unknown(unlisted)));
        }
    }
}
