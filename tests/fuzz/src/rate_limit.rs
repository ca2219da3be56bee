//! Targets of rate-limit.

pub mod configuration;
pub mod key;
pub mod slot;
pub mod usage;
