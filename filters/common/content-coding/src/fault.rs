//! Why coded bytes cannot be read.

use thiserror::Error;

/// Why coded bytes cannot be read. It says nothing of what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Bytes that the format does not have at this place, or a checksum or length that does not agree.
    #[error("not what its coding says")]
    Corrupt,
    /// Something other than another member after the end.
    #[error("data after the end of the coded data")]
    TrailingData,
    /// The body is over and the coded data is not.
    #[error("the coded data is incomplete")]
    Incomplete,
    /// More bytes than [`Caps::max_bytes`](crate::Caps).
    #[error("inflates to too many bytes")]
    TooLong,
    /// More bytes than [`Caps::max_ratio`](crate::Caps) allows for those that came.
    #[error("inflates too far")]
    TooDense,
    /// More members than its length can need: [`Caps::FREE_MEMBERS`](crate::Caps::FREE_MEMBERS) and one for each KiB.
    #[error("too many members")]
    TooManyMembers,
    /// The encoder did not go on.
    #[error("the encoder failed")]
    Encoder,
}

impl Fault {
    /// Whether a cap was passed, so that the bytes may be honest, and are still not to be read.
    pub fn is_cap(self) -> bool {
        matches!(
            self,
            Fault::TooLong | Fault::TooDense | Fault::TooManyMembers
        )
    }
}
