//! What is to be done about a request that has been paid for.

/// What is to be done about a request that has been paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Nothing: it has cost what was taken.
    Even,
    /// So much is given back.
    GiveBack(u64),
    /// So much more is taken.
    Charge(u64),
    /// The response does not say what it has cost, so it has cost what was taken.
    Untold,
    /// The body in which it might say so cannot be read, so it has cost what was taken.
    Unread,
}

impl Settlement {
    /// What makes `taken` into `cost`.
    pub(crate) fn between(taken: u64, cost: u64) -> Settlement {
        match (taken.checked_sub(cost), cost.checked_sub(taken)) {
            (Some(0), _) => Settlement::Even,
            (Some(back), _) => Settlement::GiveBack(back),
            (None, more) => Settlement::Charge(more.unwrap_or_default()),
        }
    }
}
