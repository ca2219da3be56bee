//! Targets of routing.

pub mod accept;
pub mod configuration;
pub mod request;
pub mod timeout;
