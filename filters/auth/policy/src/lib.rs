//! Decides who is calling and whether they may: credentials, keys, rules.
//!
//! Pure: no clock, no randomness, no I/O, no host. A configuration is read once into a [`Policy`]; every request is then a
//! question to [`Policy::decide`], whose answer is a [`Step`] for the adapter to take. Verifying a signature is the one
//! thing that is asked back, because a host may do it faster than this code can: the adapter adds each answer to the
//! [`Evidence`] and asks again.
//!
//! ```
//! use std::time::Duration;
//!
//! use auth_policy::{Evidence, Facts, Policy, Step};
//! use http_message::{HeaderMap, RequestHead};
//!
//! let policy = Policy::from_bytes(br#"{
//!     "version": 1,
//!     "rules": [{ "name": "health", "match": { "path": { "exact": "/healthz" } }, "allow_anonymous": true }]
//! }"#).unwrap();
//! let ask = |path| {
//!     let head = RequestHead::new(HeaderMap::from_pairs([(":method", "GET"), (":path", path)]));
//!     let (evidence, mut tokens) = (Evidence::new(), policy.token_cache([0; 4]));
//!     matches!(policy.decide(&head, &Facts::default(), &evidence, &mut tokens, Duration::ZERO), Step::Forward(_))
//! };
//! assert!(ask("/healthz"));
//! assert!(!ask("/orders"));
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

mod algorithm;
pub mod api_keys;
mod caller;
mod challenge;
mod claim_path;
mod claim_test;
pub mod claims;
mod config;
mod counters;
mod credential;
mod curve;
mod decision;
mod extraction;
mod failed_attempts;
mod fetched_keys;
pub mod jws;
mod key_callers;
pub mod key_set;
mod key_source;
mod networks;
mod policy;
mod provider;
mod reason;
mod requirement;
mod roca;
mod route_grants;
mod rules;
mod secp256k1;
pub mod signature;
mod spki;
mod timestamp;
mod token_cache;
mod tree;
mod upstream;
mod verified;

pub use algorithm::{Algorithm, Digest};
pub use caller::Caller;
pub use config::AuthConfig;
pub use counters::{Counter, Gauge};
pub use decision::{Decision, Evidence, Facts, Forward, KeyNeed, NoKeys, Refusal, Step};
pub use failed_attempts::{AttemptTable, Attempter, FailedAttempts, Failure, Leave, NAMESPACE};
pub use fetched_keys::FetchedKeys;
pub use key_source::{Answer, Call, FetchFault, Fetched, KeySource, Published};
pub use policy::{Needs, Policy};
pub use reason::Reason;
pub use signature::SignatureCheck;
pub use token_cache::{TokenCache, TokenCacheLimits, TokenCacheUses};
