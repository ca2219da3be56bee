//! Where in a configuration something is.

use std::fmt;

/// The longest member name that a path quotes, in bytes.
const MAX_QUOTED: usize = 64;

/// The place of a field: `rules[2].match.path`.
///
/// A name with other characters than letters, digits, `_` and `-` is shown as `labels["a.b"]`; one that is longer than
/// 64 bytes or not printable ASCII as `labels[<name not shown>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// The configuration itself.
    pub fn root() -> Self {
        FieldPath::default()
    }

    /// A member of the object at this path.
    #[must_use]
    #[inline(never)]
    pub fn field(&self, name: &str) -> Self {
        if is_plain(name) {
            let dot = if self.is_root() { "" } else { "." };
            self.followed_by(&[dot, name])
        } else if is_quotable(name) {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            self.followed_by(&["[\"", &name, "\"]"])
        } else {
            self.followed_by(&["[<name not shown>]"])
        }
    }

    /// An item of the list at this path, counted from 0.
    #[must_use]
    #[inline(never)]
    pub fn index(&self, index: usize) -> Self {
        self.followed_by(&["[", &index.to_string(), "]"])
    }

    /// Whether this is the configuration itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// What `inner` names from here.
    pub(crate) fn join(&self, inner: &FieldPath) -> Self {
        let dot = if inner.is_root() || inner.0.starts_with('[') {
            ""
        } else {
            "."
        };
        self.followed_by(&[dot, &inner.0])
    }

    fn followed_by(&self, texts: &[&str]) -> Self {
        let mut path = self.0.clone();
        texts.iter().for_each(|text| path.push_str(text));
        FieldPath(path)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_QUOTED
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn is_quotable(name: &str) -> bool {
    name.len() <= MAX_QUOTED
        && name
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    // The form that a reader can follow into the file, and that the filters' own checks produce too.
    #[test]
    fn reads_like_a_place_in_the_file() {
        let path = FieldPath::root()
            .field("rules")
            .index(2)
            .field("match")
            .field("x-a");
        assert_eq!(path.to_string(), "rules[2].match.x-a");
        assert_eq!(FieldPath::root().index(0).to_string(), "[0]");
        assert_eq!(FieldPath::root().to_string(), "");
    }

    // `labels.a.b` would send the reader to another field.
    #[test]
    fn quotes_names_that_would_mislead() {
        let labels = FieldPath::root().field("labels");
        assert_eq!(labels.field("a.b").to_string(), r#"labels["a.b"]"#);
        assert_eq!(labels.field(r#"a"]\"#).to_string(), r#"labels["a\"]\\"]"#);
        assert_eq!(labels.field("").to_string(), r#"labels[""]"#);
    }

    // A name is text of unknown origin: line feeds forge log lines, a long one may be a pasted secret.
    #[test]
    fn hides_names_that_are_long_or_not_printable() {
        for name in ["a\nb", "\u{202e}", &"k".repeat(65)] {
            assert_eq!(
                FieldPath::root().field(name).to_string(),
                "[<name not shown>]"
            );
        }
        assert_eq!(
            FieldPath::root().field(&"k".repeat(64)).to_string(),
            "k".repeat(64)
        );
    }
}
