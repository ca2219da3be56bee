//! The two clocks, which stand still until a test moves them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// 2023-11-14T22:13:20Z: a date that tests can name.
const START_REALTIME: u64 = 1_700_000_000_000_000_000;

/// An uptime: zero would hide mistakes in differences.
const START_MONOTONIC: u64 = 1_000_000_000_000;

/// The clocks of one host.
#[derive(Debug)]
pub struct Clock {
    realtime: AtomicU64,
    monotonic: AtomicU64,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            realtime: AtomicU64::new(START_REALTIME),
            monotonic: AtomicU64::new(START_MONOTONIC),
        }
    }

    /// Sets the time since the Unix epoch; the monotonic clock does not move.
    pub fn set_realtime(&self, since_epoch: Duration) {
        self.realtime
            .store(nanoseconds(since_epoch), Ordering::SeqCst);
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        self.realtime.fetch_add(nanoseconds(by), Ordering::SeqCst);
        self.monotonic.fetch_add(nanoseconds(by), Ordering::SeqCst);
    }

    /// The time since the Unix epoch.
    #[must_use]
    pub fn realtime(&self) -> Duration {
        Duration::from_nanos(self.realtime.load(Ordering::SeqCst))
    }

    /// The time since the host started, which never goes back.
    #[must_use]
    pub fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.monotonic.load(Ordering::SeqCst))
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).expect("before the year 2554")
}
