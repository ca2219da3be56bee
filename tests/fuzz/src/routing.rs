//! Targets of routing.

pub mod configuration;
pub mod request;
