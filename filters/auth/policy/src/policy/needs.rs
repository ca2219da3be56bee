//! What a policy looks at beside the head.

/// What a policy wants to know of a request beside its head: the [`crate::Facts`] that it looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The name of the route.
    pub route: bool,
    /// The address of the caller.
    pub address: bool,
    /// The route's metadata `gatehouse.auth`.
    pub route_metadata: bool,
}
