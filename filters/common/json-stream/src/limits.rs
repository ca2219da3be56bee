//! What a document may have.

/// What a document may have. The default bounds its levels alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes, blanks included.
    pub max_bytes: u64,
    /// The most levels of arrays and objects.
    pub max_depth: usize,
    /// The most members of one object.
    pub max_members: u64,
    /// The most elements of one array.
    pub max_elements: u64,
    /// The most bytes of one string or name, as it is written between its quotes.
    pub max_string: u64,
    /// What becomes of a name that its object has had.
    pub duplicate_members: DuplicateMembers,
}

/// What becomes of a member whose name its object has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DuplicateMembers {
    /// It is treated like the first.
    Allow,
    /// The document is broken. Names of 16 bytes and more are told apart by a hash of 64 bits under this key, which has to be
    /// one that nobody can guess.
    Refuse {
        /// The key.
        key: [u8; 16],
    },
}

impl Limits {
    /// The most names of all open objects together that are told apart at a time: what a document can make a worker hold,
    /// 17 to 34 bytes for each.
    pub const MAX_NAMES: usize = 1 << 16;
    /// The most levels that a limit may allow.
    pub const MOST_DEPTH: usize = 512;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_bytes: u64::MAX,
            max_depth: 64,
            max_members: u64::MAX,
            max_elements: u64::MAX,
            max_string: u64::MAX,
            duplicate_members: DuplicateMembers::Allow,
        }
    }
}
