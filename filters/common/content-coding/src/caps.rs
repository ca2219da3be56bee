//! How far a body may inflate.

use crate::fault::Fault;

/// How far a body may inflate. What is paid for decoding, and for reading what comes out, is so in proportion to what a peer
/// has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// The most bytes of one body, decoded.
    pub max_bytes: u64,
    /// The most decoded bytes for each coded byte that has come, once there are more than [`Caps::FREE_BYTES`]. Deflate can
    /// do 1032. Near the cap it is chance whether a body passes: a chunk counts as a whole once it has come.
    pub max_ratio: u64,
}

impl Caps {
    /// So many decoded bytes are free of the ratio: a small document may be nothing but repetition.
    pub const FREE_BYTES: u64 = 64 * 1024;
    /// So many members are free; each further one needs a KiB of coded bytes, since each starts the decoder anew.
    pub const FREE_MEMBERS: u64 = 16;

    /// `received` and `decoded` bytes so far.
    pub(crate) fn check(&self, received: u64, decoded: u64) -> Result<(), Fault> {
        if decoded > self.max_bytes {
            return Err(Fault::TooLong);
        }
        let allowed = received
            .saturating_mul(self.max_ratio)
            .max(Self::FREE_BYTES);
        if decoded > allowed {
            return Err(Fault::TooDense);
        }
        Ok(())
    }

    pub(crate) fn check_members(received: u64, members: u64) -> Result<(), Fault> {
        let allowed = Self::FREE_MEMBERS.saturating_add(received >> 10);
        if members > allowed {
            return Err(Fault::TooManyMembers);
        }
        Ok(())
    }
}
