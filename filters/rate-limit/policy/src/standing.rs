//! How a rate stands.

/// How a rate stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The whole requests that it has room for.
    pub remaining: u64,
    /// Nanoseconds until there is room for what was asked for; zero if there is.
    pub wait: u64,
    /// Nanoseconds until there is room for as many as ever.
    pub until_full: u64,
}
