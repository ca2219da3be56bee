//! Targets of transform.

pub mod configuration;
pub mod gzip;
pub mod records;
pub mod request;
pub mod rewriter;
pub mod template;

#[path = "../../../filters/common/json-stream/tests/support/model.rs"]
mod model;
