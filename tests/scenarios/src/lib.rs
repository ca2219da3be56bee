//! Requests and the answers they must get, as tables, with no vehicle.
//!
//! A vehicle is whatever carries the requests: the fake host (`tests/fake_host.rs` beside this crate) or a real Envoy
//! (`tests/envoy`). It
//!
//! 1. runs the chain auth, rate-limit, transform, routing with [`gateway::auth`], [`gateway::rate_limit`],
//!    [`gateway::transform`] and [`gateway::routing`], in front of an upstream that tells what reached it and answers 200,
//!    with the JSON that the header [`ANSWER`] holds, if it is there. A real Envoy has path normalisation off and lets
//!    underscores in header names through, so
//!    that the filters see what the client sent;
//! 2. sends [`gateway::spending`], once;
//! 3. for each [`Scenario`] of [`all`] sends [`Request::on_the_wire`], for which its [`Signer`] makes the tokens;
//! 4. compares what came of it with [`Scenario::check`].
//!
//! ```
//! for scenario in scenarios::all() {
//!     assert!(!scenario.why.is_empty(), "{} must say why it matters", scenario.name);
//! }
//! ```

mod expect;
pub mod gateway;
mod request;
mod scenario;
mod signer;
mod tables;
mod token;

pub use expect::{Expect, Header, Outcome, Refusal, Seen, UpstreamSees};
pub use request::{ANSWER, Credential, Request, WireRequest};
pub use scenario::Scenario;
pub use signer::Signer;
pub use tables::all;
pub use token::{Key, TokenSpec};
