//! Fetching one thing, such as a key set, once for all workers of an Envoy.
//!
//! Workers share bytes and a compare-and-swap, nothing else. A [`Record`] says who fetches, what came of it and when the next
//! fetch is due; a [`Document`] holds what was fetched last. Whoever finds a fetch due and swaps its claim in leads: it makes the
//! call, stores the document, and releases the lease. A leader that is lost (its VM trapped, its configuration was replaced) is
//! outlived by nothing but its lease, and then another leads. Each worker keeps a [`Waiting`] list of its own, an [`Absent`] list
//! of what was asked for and is not there, and a seat among the [`Members`], by which the leader wakes it.
//!
//! Everything here is pure: bytes, times and random numbers are arguments. Times are of the monotonic clock that all workers
//! share, in nanoseconds where they are stored.
//!
//! ```
//! use std::time::Duration;
//!
//! use fetch::{Need, Record, Timing};
//!
//! let timing = Timing::new(Duration::from_secs(2), Duration::from_secs(600), Duration::from_secs(3600), Duration::from_secs(30));
//! let now = Duration::from_secs(1);
//!
//! // Nothing was ever fetched, so whoever looks first leads, and nobody else.
//! let led = Record::default().lead(&timing, Need::Scheduled, 7, now).unwrap();
//! let stored = Record::decode(&led.encode());
//! assert!(stored.lead(&timing, Need::Scheduled, 8, now).is_none());
//!
//! // Its answer makes the next fetch due in some nine minutes; nothing is due before.
//! let done = stored.succeed(&timing, 7, 1, 0, now).unwrap();
//! assert!(done.lead(&timing, Need::Scheduled, 8, now + Duration::from_secs(60)).is_none());
//! assert!(done.lead(&timing, Need::Scheduled, 8, now + Duration::from_secs(600)).is_some());
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod absent;
mod bytes;
mod document;
mod members;
mod record;
mod timing;
mod waiting;

pub use absent::Absent;
pub use document::Document;
pub use members::{MAX_MEMBERS, Members};
pub use record::{Need, Outlook, Record};
pub use timing::{LEASE_GRACE, MAX_BACKOFF, MAX_COLD_BACKOFF, MIN_BACKOFF, Timing};
pub use waiting::Waiting;
