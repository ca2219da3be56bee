//! Decides how much a client may call.
//!
//! Pure: no clock, no I/O, no host. [`Policy::from_bytes`] reads the configuration once. [`Policy::decide`] finds the limits
//! that are for a request, each a [`Draw`]; [`Draw::take`] turns the bytes of a slot in the shared table and the time into
//! a verdict and the bytes that are to be written in their place, by compare-and-swap.
//!
//! ```
//! use http_message::{HeaderMap, RequestHead};
//! use rate_limit_policy::{Facts, Policy, Step};
//! use shared_table::HashKey;
//!
//! let policy = Policy::from_bytes(br#"{
//!     "version": 1,
//!     "limits": [{ "name": "all", "key": "method", "rate": "1/s", "burst": 1 }]
//! }"#).unwrap();
//! let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", "/")]));
//! let instance = policy.instance(HashKey::new([7; 16]), b"gatehouse.rate_limit");
//! let decision = policy.decide(&head, &Facts::default(), &instance);
//! let Step::Draw(draws) = decision.step else { panic!() };
//!
//! let first = draws[0].take(None, 0);
//! assert!(first.admits());
//! let second = draws[0].take(first.write().map(<[u8]>::to_vec), 0);
//! assert!(!second.admits() && second.write().is_none());
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

mod actual_cost;
mod address;
mod afterwards;
mod algorithm;
mod answer;
mod attribute;
mod bucket;
mod caller;
mod cdn;
mod config;
mod cost;
mod counters;
mod decision;
mod draw;
mod fixed_window;
mod headers;
mod instance;
mod jwt_authn;
mod key;
mod limit;
mod meter;
mod missing_key;
mod needs;
mod on_contention;
mod plans;
mod quota;
mod quota_compiler;
mod rate;
mod rate_set;
mod reading;
mod reason;
mod refusal;
mod settlement;
mod sliding_log;
mod sliding_window;
mod standing;

pub use afterwards::{Afterwards, Settled};
pub use answer::Standings;
pub use attribute::Attribute;
pub use config::{Config, NAMESPACE, Policy};
pub use counters::{Counter, ENTRIES};
pub use decision::{Decision, Facts, Step};
pub use draw::{Draw, Drawn, Effect, Receipt};
pub use instance::Instance;
pub use needs::Needs;
pub use on_contention::OnContention;
pub use reading::Reading;
pub use reason::Reason;
pub use refusal::Refusal;
pub use settlement::Settlement;
pub use standing::Standing;
