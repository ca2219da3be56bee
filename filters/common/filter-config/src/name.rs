//! Names that a configuration gives to its parts.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};

/// The longest name in bytes.
const MAX_BYTES: usize = 64;

/// The name of a rule, a provider, a version: `[a-z0-9][a-z0-9_.-]{0,63}`.
///
/// Safe wherever a name goes: counters, log lines, header values, problem details.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// A text is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name, expected 1 to 64 of a-z 0-9 _ . - starting with a letter or digit")]
pub struct InvalidName;

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_valid(text: &str) -> bool {
        let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        text.len() <= MAX_BYTES
            && text.bytes().next().is_some_and(is_letter)
            && text
                .bytes()
                .all(|byte| is_letter(byte) || matches!(byte, b'_' | b'.' | b'-'))
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        if Name::is_valid(&text) {
            Ok(Name(text))
        } else {
            Err(InvalidName)
        }
    }
}

impl TryFrom<&str> for Name {
    type Error = InvalidName;

    fn try_from(text: &str) -> Result<Self, InvalidName> {
        Name::try_from(text.to_owned())
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0 == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Name::try_from(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    // A name goes into counters and log lines as it is: nothing may pass that forges either.
    #[test]
    fn only_plain_names_are_read() {
        for text in ["a", "0", "orders", "v1.2_b-c", &"a".repeat(64)] {
            assert!(
                Name::try_from(text).is_ok_and(|name| name == text),
                "{text}"
            );
        }
        for text in [
            "",
            "-a",
            ".a",
            "_a",
            "A",
            "a b",
            "a\n",
            "é",
            "a/b",
            "a{b=\"c\"}",
            &"a".repeat(65),
        ] {
            assert_eq!(Name::try_from(text), Err(InvalidName), "{text}");
        }
    }

    // The refused text may be anything, a secret too.
    #[test]
    fn the_error_does_not_quote() {
        let error = from_value::<Name>(json!("Hunter2!")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a name, expected 1 to 64 of a-z 0-9 _ . - starting with a letter or digit"
        );
    }
}
