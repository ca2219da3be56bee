//! What a request may cost.

use crate::record::Cost;

/// The headers of a browser's request, beside the pseudo headers and what a test is about: reading them is part of what a
/// request costs.
pub const BROWSER_HEADERS: [(&str, &str); 8] = [
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
    ),
    ("accept", "application/json"),
    ("accept-language", "en-GB,en;q=0.7"),
    ("accept-encoding", "gzip, deflate, br"),
    ("referer", "https://app.gatehouse.test/orders"),
    ("x-forwarded-proto", "https"),
    ("x-request-id", "6f1f6a3e-5f0b-4c9e-8f7f-0d5a3f1f6a3e"),
    ("sec-fetch-mode", "cors"),
];

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
