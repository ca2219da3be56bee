//! The two clocks. On wasm32 they are WASI's; natively both are the fake host's, which a test sets.

use std::time::Duration;

use crate::abi;

/// Time since the Unix epoch, for comparing with dates such as a token's expiry. It may jump either way.
#[must_use]
pub fn realtime() -> Duration {
    Duration::from_nanos(abi::realtime_ns())
}

/// Time since some start that all workers of one Envoy share, for measuring how long. It never goes back.
#[must_use]
pub fn monotonic() -> Duration {
    Duration::from_nanos(abi::monotonic_ns())
}
