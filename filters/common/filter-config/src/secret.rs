//! Text that must not be shown.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error};

/// The longest secret in bytes.
const MAX_BYTES: usize = 16 * 1024;

/// A secret of 1 to 16,384 bytes. `Debug` and `Display` show `[redacted]`, and it cannot be serialized.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret that does not come from a configuration.
    pub fn new(secret: String) -> Self {
        Secret(secret)
    }

    /// The secret itself, for the one use that it has.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let secret = String::deserialize(deserializer)?;
        if secret.is_empty() || secret.len() > MAX_BYTES {
            return Err(D::Error::custom(format_args!(
                "expected a secret of 1 to {MAX_BYTES} bytes"
            )));
        }
        Ok(Secret(secret))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::from_value;

    // One `{:?}` of a configuration in a log line would give the secret away.
    #[test]
    fn is_never_shown() {
        let secret: Secret = from_value(json!("hunter2")).unwrap();
        assert_eq!(secret.reveal(), "hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?} {secret:#?}", Some(&secret)),
            { "[redacted] [redacted] Some([redacted]) [redacted]" }
        );
    }

    // An empty secret verifies what anybody can sign.
    #[test]
    fn an_empty_or_huge_secret_is_refused() {
        for text in [String::new(), "a".repeat(MAX_BYTES + 1)] {
            let error = from_value::<Secret>(json!(text)).unwrap_err();
            assert_eq!(error.to_string(), "expected a secret of 1 to 16384 bytes");
        }
        assert_eq!(
            from_value::<Secret>(json!(7)).unwrap_err().to_string(),
            "wrong type number, expected a string"
        );
    }
}
