//! How a limit counts.

use serde::Deserialize;

/// How a limit counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Algorithm {
    /// A burst, and then the rate.
    #[default]
    TokenBucket,
    /// So many in a window, which begins with the first of them.
    FixedWindow,
    /// So many in any stretch of time, by two counters.
    SlidingWindow,
    /// So many in any stretch of time, exactly.
    SlidingLog,
    /// One at a time, at the distance of the rate.
    LeakyBucket,
    /// So many at the same time: not built yet, and refused.
    Concurrency,
}
