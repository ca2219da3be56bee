//! Where in the chain a filter stands.

/// What a filter's place in the chain lets it know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Whether it stands behind auth, so that there is an identity to match on.
    pub identity: bool,
}
