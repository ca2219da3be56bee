//! Values that are made of the message: `crm ${claim:tier|default:free|upper}`.
//!
//! A template is read once, with the configuration. It is filled in one pass: what a source gives is text, and never read as
//! a template again, whatever a client has put into it. Nothing is remembered between two messages.
//!
//! Outside of `${…}` every character stands for itself, and `$${` for `${`. Inside stands a source and, behind `|` each, what
//! is done to it, from left to right. Blanks around these do not count; a `\` before `|`, `}` or `\` takes away its meaning.

use filter_config::{ConfigError, FieldPath};

mod facts;
mod function;
mod identity_field;
mod moment;
mod needs;
mod placeholder;
mod property;
mod scanner;
mod scope;
mod source;
mod sources;
mod value;

pub use facts::Facts;
pub use needs::Needs;
pub use property::Property;
pub use scope::Scope;
pub use sources::Sources;

use placeholder::Placeholder;
use scanner::Piece;

/// A text with at least one placeholder.
#[derive(Clone, Debug)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug)]
enum Part {
    Text(String),
    Placeholder(Placeholder),
}

/// What a text of the configuration is.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// This text, on every message.
    Plain(String),
    /// Another on each.
    Template(Template),
}

/// The filled template, or a text on the way to it, has more bytes than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong;

impl Template {
    /// The most placeholders of one text.
    pub const MAX_PLACEHOLDERS: usize = 32;
    /// The most that a filled template may have, in bytes, and each text on the way to it.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Reads a text of the configuration.
    ///
    /// # Errors
    /// What is between `${` and `}` is no source, one that is not known here, or no function.
    pub fn parse(text: &str, scope: Scope<'_>, at: &FieldPath) -> Result<Parsed, ConfigError> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut placeholders: usize = 0;
        for piece in scanner::pieces(text) {
            match piece {
                Piece::Text(text) => literal.push_str(text),
                Piece::Placeholder(inner) => {
                    placeholders = placeholders.saturating_add(1);
                    let placeholder = Placeholder::parse(inner, scope).map_err(|reason| {
                        ConfigError::new(at, format!("placeholder {placeholders}: {reason}"))
                    })?;
                    if !literal.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut literal)));
                    }
                    parts.push(Part::Placeholder(placeholder));
                }
                Piece::Unclosed => {
                    return Err(ConfigError::new(
                        at,
                        "a ${ has no }; write $${ for the characters themselves",
                    ));
                }
            }
        }
        if placeholders == 0 {
            return Ok(Parsed::Plain(literal));
        }
        if placeholders > Self::MAX_PLACEHOLDERS {
            return Err(ConfigError::new(at, "at most 32 placeholders"));
        }
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Parsed::Template(Template(parts)))
    }

    /// Reads a text of the configuration into its plain texts, and a template for each of its placeholders.
    ///
    /// # Errors
    /// As [`Template::parse`].
    pub(crate) fn pieces(
        text: &str,
        scope: Scope<'_>,
        at: &FieldPath,
    ) -> Result<Vec<Parsed>, ConfigError> {
        Ok(match Template::parse(text, scope, at)? {
            Parsed::Plain(text) => vec![Parsed::Plain(text)],
            Parsed::Template(Template(parts)) => parts
                .into_iter()
                .map(|part| match part {
                    Part::Text(text) => Parsed::Plain(text),
                    part => Parsed::Template(Template(vec![part])),
                })
                .collect(),
        })
    }

    /// What has to be known to fill it.
    pub fn needs(&self) -> Needs {
        let mut needs = Needs::default();
        for placeholder in self.placeholders() {
            placeholder.add_needs(&mut needs);
        }
        needs
    }

    /// The request headers that it copies from, each as often as it does.
    pub fn request_headers(&self) -> impl Iterator<Item = &str> {
        self.placeholders().filter_map(Placeholder::request_header)
    }

    /// The text for one message, of `limit` bytes at most. A source that is absent and has no default gives nothing.
    ///
    /// # Errors
    /// It would be longer.
    pub fn fill(&self, sources: &Sources<'_>, limit: usize) -> Result<Vec<u8>, TooLong> {
        let mut filled = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.extend_from_slice(text.as_bytes()),
                Part::Placeholder(placeholder) => placeholder.append(sources, &mut filled)?,
            }
            if filled.len() > limit.min(Self::MAX_BYTES) {
                return Err(TooLong);
            }
        }
        Ok(filled)
    }

    fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.0.iter().filter_map(|part| match part {
            Part::Placeholder(placeholder) => Some(placeholder),
            Part::Text(_) => None,
        })
    }
}

#[cfg(test)]
mod tests;
