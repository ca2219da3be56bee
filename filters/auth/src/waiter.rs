//! A request that waits for keys.

use std::rc::Rc;
use std::time::Duration;

use auth_policy::{Facts, KeyNeed};
use http_message::RequestHead;

use crate::request::Outcome;

/// The most requests that wait in one worker. One more is refused as if its time were over.
pub(crate) const MAX_WAITING: usize = 4096;

/// What they may take together, in bytes; likewise. A VM never gives memory back.
pub(crate) const MAX_WAITING_BYTES: usize = 16 << 20;

/// The most requests that are decided in one callback; the next tick takes the rest.
pub(crate) const MOST_AT_ONCE: usize = 256;

/// The longest that one callback decides on them: whoever else is on the worker waits as long.
pub(crate) const LONGEST_AT_ONCE: Duration = Duration::from_millis(4);

/// What a waiter takes beside what its request brings; the key id, which is short, is in it.
const OWN_BYTES: usize = 1 << 10;

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

impl Waiter {
    /// What it takes, in bytes; a path may be there twice.
    pub(crate) fn bytes(&self) -> usize {
        let facts = &self.facts;
        [&facts.route, &facts.address, &facts.route_metadata]
            .into_iter()
            .flatten()
            .map(Vec::len)
            .chain([
                self.head.headers().as_bytes().len(),
                self.head.raw_path().len(),
                OWN_BYTES,
            ])
            .fold(0, usize::saturating_add)
    }
}
