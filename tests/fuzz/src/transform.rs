//! Targets of transform.

pub mod configuration;
pub mod request;
pub mod rewriter;

#[path = "../../../filters/transform/policy/tests/support/model.rs"]
mod model;
