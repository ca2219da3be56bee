//! What an edit puts into a head.

use filter_config::{ConfigError, FieldPath};
use http_message::HeaderValue;

use crate::template::{Parsed, Scope, Sources, Template};

/// A text that may stand in a header: no control characters.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// The same for every message.
    Fixed(HeaderValue),
    /// Made of the message.
    Template(Template),
}

/// What the message has for a template cannot stand in a header: it is too long, or has a control character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidValue;

impl Value {
    pub(crate) fn compile(
        text: &str,
        scope: Scope<'_>,
        at: &FieldPath,
    ) -> Result<Value, ConfigError> {
        match Template::parse(text, scope, at)? {
            Parsed::Template(template) => Ok(Value::Template(template)),
            Parsed::Plain(text) => HeaderValue::try_from(text)
                .map(Value::Fixed)
                .map_err(|error| ConfigError::new(at, error.to_string())),
        }
    }

    /// What it is for this message; `None` where its template comes out empty, and there is nothing to write.
    ///
    /// # Errors
    /// What comes out may not stand in a header. The message must not go on: without the header, or with a part of it, it
    /// would be another than the rule says, and a client could choose that.
    pub(crate) fn text(&self, sources: &Sources<'_>) -> Result<Option<HeaderValue>, InvalidValue> {
        match self {
            Value::Fixed(value) => Ok(Some(value.clone())),
            Value::Template(template) => {
                let text = template
                    .fill(sources, HeaderValue::MAX_BYTES)
                    .map_err(|_| InvalidValue)?;
                // Blanks at the ends are no part of a value (RFC 9110 section 5.5), and HTTP/2 peers end a stream for them.
                let text = text.trim_ascii();
                if text.is_empty() {
                    return Ok(None);
                }
                HeaderValue::try_from(text)
                    .map(Some)
                    .map_err(|_| InvalidValue)
            }
        }
    }

    /// Its template, if it is one.
    pub(crate) fn template(&self) -> Option<&Template> {
        match self {
            Value::Fixed(_) => None,
            Value::Template(template) => Some(template),
        }
    }
}
