//! The timer of a root context.

use std::time::Duration;

use crate::abi;
use crate::error::HostError;

/// Calls `on_tick` every `period`, rounded up to a millisecond; zero stops it. One timer for each plugin and worker.
///
/// # Errors
///
/// The host's statuses.
pub fn set_tick_period(period: Duration) -> Result<(), HostError> {
    let milliseconds = period.as_nanos().div_ceil(1_000_000);
    abi::set_tick_period(u32::try_from(milliseconds).unwrap_or(u32::MAX))
}
