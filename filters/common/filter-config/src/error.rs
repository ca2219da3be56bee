//! Why a configuration is refused.

use std::fmt;

use crate::path::FieldPath;

/// A refused configuration: the field's path and the reason.
///
/// Displayed as `rules[2].match.paht: unknown field, did you mean path?`; without a path the reason alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    path: FieldPath,
    reason: String,
}

impl ConfigError {
    /// An error at a field. The reason is one lower-case line and quotes no value, which may be a secret.
    #[cold]
    #[inline(never)]
    pub fn new(at: &FieldPath, reason: impl Into<String>) -> Self {
        ConfigError {
            path: at.clone(),
            reason: reason.into(),
        }
    }

    /// The field at fault.
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What is wrong with it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_root() {
            f.write_str(&self.reason)
        } else {
            write!(f, "{}: {}", self.path, self.reason)
        }
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use super::*;

    // The log line that an operator searches for; a stray ": " at the root would read like a lost path.
    #[test]
    fn shows_the_path_where_there_is_one() {
        let root = FieldPath::root();
        assert_eq!(
            ConfigError::new(&root, "missing field version").to_string(),
            "missing field version"
        );
        assert_eq!(
            ConfigError::new(&root.field("a"), "unknown field").to_string(),
            "a: unknown field"
        );
    }
}
