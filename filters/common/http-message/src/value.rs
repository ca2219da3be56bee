//! A header value that a policy writes.

use std::fmt;

use thiserror::Error;

use crate::percent::percent_encode_value;
use crate::shared::Shared;

/// A header value: at most [`HeaderValue::MAX_BYTES`] bytes, none of them a control character but the horizontal tab.
///
/// The host checks less: a CR LF in a response header that a filter writes leaves Envoy as an extra header.
#[derive(Clone, PartialEq, Eq)]
pub struct HeaderValue(Shared);

/// Why bytes are not a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidHeaderValue {
    /// It is longer than [`HeaderValue::MAX_BYTES`].
    #[error("a header value may have at most 8192 bytes")]
    TooLong,
    /// It has a control character (0x00 to 0x1f but tab, 0x7f).
    #[error("a header value may not have control characters")]
    ControlCharacter,
}

impl HeaderValue {
    /// The longest value, in bytes.
    pub const MAX_BYTES: usize = 8 * 1024;

    /// A value that the program itself spells. Meant for constants, where a wrong value is a compile error:
    ///
    /// ```
    /// const NO_STORE: http_message::HeaderValue = http_message::HeaderValue::from_static("no-store");
    /// assert_eq!(NO_STORE.as_bytes(), b"no-store");
    /// ```
    ///
    /// # Panics
    /// If the value is not valid; when a constant is evaluated, that is at compile time.
    pub const fn from_static(value: &'static str) -> HeaderValue {
        assert!(
            value.len() <= Self::MAX_BYTES,
            "a header value has at most 8192 bytes"
        );
        let mut rest = value.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            assert!(
                is_value_byte(*byte),
                "a header value has no control characters"
            );
            rest = after;
        }
        HeaderValue(Shared::Static(value.as_bytes()))
    }

    /// The text, percent-encoded by [`percent_encode_value`], so that any claim or name fits into a header.
    ///
    /// # Errors
    /// [`InvalidHeaderValue::TooLong`] if the encoded text is too long.
    pub fn encoded(text: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(percent_encode_value(text).as_bytes())
    }

    /// Whether these bytes may be a value.
    pub(crate) fn check(value: &[u8]) -> Result<(), InvalidHeaderValue> {
        if value.len() > Self::MAX_BYTES {
            return Err(InvalidHeaderValue::TooLong);
        }
        match value.iter().copied().all(is_value_byte) {
            true => Ok(()),
            false => Err(InvalidHeaderValue::ControlCharacter),
        }
    }

    /// The value's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for HeaderValue {
    type Error = InvalidHeaderValue;

    fn try_from(value: &[u8]) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::check(value)?;
        Ok(HeaderValue(Shared::from(value)))
    }
}

impl TryFrom<Vec<u8>> for HeaderValue {
    type Error = InvalidHeaderValue;

    fn try_from(value: Vec<u8>) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(value.as_slice())
    }
}

impl TryFrom<&str> for HeaderValue {
    type Error = InvalidHeaderValue;

    fn try_from(value: &str) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(value.as_bytes())
    }
}

impl TryFrom<String> for HeaderValue {
    type Error = InvalidHeaderValue;

    fn try_from(value: String) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::try_from(value.as_bytes())
    }
}

/// The size only: values hold identities.
impl fmt::Debug for HeaderValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HeaderValue(<{} bytes>)", self.0.len())
    }
}

impl AsRef<[u8]> for HeaderValue {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

const fn is_value_byte(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_cannot_reach_a_header() {
        // Each of these splits, ends or hides a header in some server.
        for byte in (0u8..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
            let value = [b'a', byte, b'b'];
            assert_eq!(
                HeaderValue::try_from(&value[..]),
                Err(InvalidHeaderValue::ControlCharacter),
                "0x{byte:02x}"
            );
        }
    }

    #[test]
    fn other_bytes_pass_as_they_are() {
        let value: Vec<u8> = (0x20u8..=0xff)
            .filter(|byte| *byte != 0x7f)
            .chain([b'\t'])
            .collect();
        assert_eq!(
            HeaderValue::try_from(value.clone()).unwrap().as_bytes(),
            value
        );
        assert_eq!(HeaderValue::try_from("").unwrap().as_bytes(), b"");
    }

    #[test]
    fn length_is_bounded() {
        assert!(HeaderValue::try_from(vec![b'a'; HeaderValue::MAX_BYTES]).is_ok());
        assert_eq!(
            HeaderValue::try_from(vec![b'a'; HeaderValue::MAX_BYTES + 1]),
            Err(InvalidHeaderValue::TooLong)
        );
        // Encoding triples a byte; the bound holds for what is written, not for what is given.
        assert_eq!(
            HeaderValue::encoded(&"ü".repeat(2_000)),
            Err(InvalidHeaderValue::TooLong)
        );
    }

    #[test]
    fn any_text_can_be_encoded() {
        assert_eq!(
            HeaderValue::encoded("a\r\nb: c").unwrap().as_bytes(),
            b"a%0D%0Ab:%20c"
        );
    }

    #[test]
    fn debug_tells_no_value() {
        assert_eq!(
            format!("{:?}", HeaderValue::from_static("hunter2")),
            "HeaderValue(<7 bytes>)"
        );
    }
}
