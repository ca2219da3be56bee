//! A header name that a policy writes.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::Deserialize;
use thiserror::Error;

/// A header name: an RFC 9110 section 5.6.2 token in lower case, 1 to [`HeaderName::MAX_BYTES`] bytes. Never a pseudo header,
/// since a token has no colon.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderName(Text);

/// A copy costs no allocation: names are read at configure, and written for each request.
#[derive(Clone)]
enum Text {
    Static(&'static str),
    Kept(Arc<str>),
}

/// Why a text is not a header name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidHeaderName {
    /// It has no byte.
    #[error("a header name may not be empty")]
    Empty,
    /// It is longer than [`HeaderName::MAX_BYTES`].
    #[error("a header name may have at most 256 bytes")]
    TooLong,
    /// It starts with a colon.
    #[error("pseudo headers (\":path\" and their like) cannot be used here")]
    Pseudo,
    /// It has a byte that a token may not have.
    #[error("a header name consists of letters, digits and any of !#$%&'*+-.^_`|~")]
    NotAToken,
}

impl HeaderName {
    /// The longest name, in bytes.
    pub const MAX_BYTES: usize = 256;

    /// A name that the program itself spells, in lower case. Meant for constants, where a wrong name is a compile error:
    ///
    /// ```
    /// const RETRY_AFTER: http_message::HeaderName = http_message::HeaderName::from_static("retry-after");
    /// assert_eq!(RETRY_AFTER.as_str(), "retry-after");
    /// ```
    ///
    /// # Panics
    /// If the name is not valid or not in lower case; when a constant is evaluated, that is at compile time.
    pub const fn from_static(name: &'static str) -> HeaderName {
        assert!(
            !name.is_empty() && name.len() <= Self::MAX_BYTES,
            "a header name has 1 to 256 bytes"
        );
        let mut rest = name.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            assert!(
                is_token_byte(*byte) && !byte.is_ascii_uppercase(),
                "a header name is a lower-case token"
            );
            rest = after;
        }
        HeaderName(Text::Static(name))
    }

    /// The name in lower case.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Static(name) => name,
            Text::Kept(name) => name,
        }
    }

    /// The name's bytes in lower case.
    pub fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl TryFrom<&str> for HeaderName {
    type Error = InvalidHeaderName;

    fn try_from(name: &str) -> Result<HeaderName, InvalidHeaderName> {
        HeaderName::try_from(name.to_owned())
    }
}

impl TryFrom<String> for HeaderName {
    type Error = InvalidHeaderName;

    fn try_from(mut name: String) -> Result<HeaderName, InvalidHeaderName> {
        if name.is_empty() {
            return Err(InvalidHeaderName::Empty);
        }
        if name.len() > Self::MAX_BYTES {
            return Err(InvalidHeaderName::TooLong);
        }
        if name.starts_with(':') {
            return Err(InvalidHeaderName::Pseudo);
        }
        if !name.bytes().all(is_token_byte) {
            return Err(InvalidHeaderName::NotAToken);
        }
        name.make_ascii_lowercase();
        Ok(HeaderName(Text::Kept(name.into())))
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeaderName").field(&self.as_str()).finish()
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &HeaderName) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for HeaderName {}

impl PartialOrd for HeaderName {
    fn partial_cmp(&self, other: &HeaderName) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for HeaderName {
    fn cmp(&self, other: &HeaderName) -> std::cmp::Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl AsRef<[u8]> for HeaderName {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

/// Whether the text is a token of RFC 9110 section 5.6.2: what a method or a header name may be.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

/// `tchar` of RFC 9110 section 5.6.2.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_cased_tokens() {
        assert_eq!(HeaderName::try_from("X-User").unwrap().as_str(), "x-user");
        assert_eq!(
            HeaderName::try_from("x_user.1~").unwrap().as_str(),
            "x_user.1~"
        );
        let longest = "a".repeat(HeaderName::MAX_BYTES);
        assert!(HeaderName::try_from(longest.as_str()).is_ok());
    }

    #[test]
    fn what_could_break_a_head_is_refused() {
        for (name, error) in [
            ("", InvalidHeaderName::Empty),
            (":path", InvalidHeaderName::Pseudo),
            ("x user", InvalidHeaderName::NotAToken),
            ("x-user:", InvalidHeaderName::NotAToken),
            ("x\r\ny", InvalidHeaderName::NotAToken),
            ("x\0", InvalidHeaderName::NotAToken),
            ("x-ü", InvalidHeaderName::NotAToken),
            ("x(y)", InvalidHeaderName::NotAToken),
        ] {
            assert_eq!(HeaderName::try_from(name), Err(error), "{name:?}");
        }
        let too_long = "a".repeat(HeaderName::MAX_BYTES + 1);
        assert_eq!(
            HeaderName::try_from(too_long),
            Err(InvalidHeaderName::TooLong)
        );
    }

    #[test]
    fn configuration_is_validated_when_read() {
        assert_eq!(
            serde_json::from_str::<HeaderName>("\"X-A\"")
                .unwrap()
                .as_str(),
            "x-a"
        );
        assert!(serde_json::from_str::<HeaderName>("\"x a\"").is_err());
    }
}
