//! A request that waits for keys.

use std::rc::Rc;
use std::time::Duration;

use auth_policy::{Facts, KeyNeed};
use http_message::RequestHead;

use crate::request::Outcome;

/// The most requests that wait in one worker. One more is refused as if its time were over.
pub(crate) const MAX_WAITING: usize = 4096;

/// The most requests that are decided in one callback; the next tick takes the rest.
pub(crate) const MOST_AT_ONCE: usize = 64;

/// All that the request is decided by again.
pub(crate) struct Waiter {
    pub(crate) head: RequestHead,
    pub(crate) facts: Facts,
    pub(crate) need: KeyNeed,
    /// Since when, on the monotonic clock.
    pub(crate) asked: Duration,
    /// Until when.
    pub(crate) deadline: Duration,
    pub(crate) outcome: Rc<Outcome>,
}
