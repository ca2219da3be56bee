//! What an edit puts into a message.

use filter_config::{ConfigError, FieldPath};
use http_message::HeaderValue;

/// A text that may stand in a header: no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value(HeaderValue);

impl Value {
    pub(crate) fn compile(text: &str, at: &FieldPath) -> Result<Value, ConfigError> {
        HeaderValue::try_from(text)
            .map(Value)
            .map_err(|error| ConfigError::new(at, error.to_string()))
    }

    /// What it is for this message.
    pub(crate) fn text(&self) -> HeaderValue {
        self.0.clone()
    }
}
