//! What a request may cost.

use crate::record::Cost;

/// A bound on each part of a [`Cost`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Calls that bring data.
    pub data_calls: u64,
    /// All other calls.
    pub other_calls: u64,
    /// Allocations in the filter's own code.
    pub allocations: u64,
}

impl Budget {
    /// # Panics
    /// If the cost exceeds it, with every call that was made.
    pub fn check(&self, path: &str, cost: &Cost) {
        let within = cost.data_calls() <= self.data_calls
            && cost.other_calls() <= self.other_calls
            && cost.allocations <= self.allocations;
        assert!(within, "{path}: allowed {self:?}, took {cost}");
    }
}
