//! Text with bounds.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};

/// A text of 1 to `MAX` bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(String);

impl<const MAX: usize> Text<MAX> {
    /// The text, if it is within the bounds.
    pub fn new(text: String) -> Option<Self> {
        fault(&text, MAX).is_none().then_some(Text(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    pub fn into_inner(self) -> String {
        self.0
    }
}

impl<const MAX: usize> AsRef<str> for Text<MAX> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> std::borrow::Borrow<str> for Text<MAX> {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for Text<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        read(deserializer, MAX).map(Text)
    }
}

/// Apart from the bound, so that a module has it once.
#[inline(never)]
fn read<'de, D: Deserializer<'de>>(deserializer: D, most: usize) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match fault(&text, most) {
        None => Ok(text),
        Some(reason) => Err(D::Error::custom(reason)),
    }
}

fn fault(text: &str, most: usize) -> Option<String> {
    if text.is_empty() || text.len() > most {
        Some(format!("expected 1 to {most} bytes, found {}", text.len()))
    } else if text.chars().any(char::is_control) {
        Some("control characters are not allowed".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    // One off at either end admits what the documentation refuses, or the other way round.
    #[test]
    fn keeps_both_bounds() {
        let refusal = |text: &str| {
            from_value::<Text<4>>(json!(text))
                .map(|_| ())
                .map_err(|error| error.to_string())
        };
        assert_eq!(refusal("a"), Ok(()));
        assert_eq!(refusal("abcd"), Ok(()));
        assert_eq!(refusal("éé"), Ok(()));
        assert_eq!(
            refusal(""),
            Err("expected 1 to 4 bytes, found 0".to_owned())
        );
        assert_eq!(
            refusal("abcde"),
            Err("expected 1 to 4 bytes, found 5".to_owned())
        );
    }

    // A realm with a line feed would split the response header that it is written to.
    #[test]
    fn control_characters_are_refused() {
        for text in ["a\n", "a\0", "\u{7f}", "\u{85}"] {
            let error = from_value::<Text<9>>(json!(text)).unwrap_err();
            assert_eq!(error.to_string(), "control characters are not allowed");
            assert!(Text::<9>::new(text.to_owned()).is_none());
        }
        assert_eq!(
            Text::<9>::new("a b".to_owned())
                .map(Text::into_inner)
                .as_deref(),
            Some("a b")
        );
    }
}
