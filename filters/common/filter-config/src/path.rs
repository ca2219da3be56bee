//! Where in a configuration something is.

use std::fmt;

/// The longest member name that a path quotes, in bytes.
const MAX_QUOTED: usize = 64;

/// The place of a field: `rules[2].match.path`.
///
/// A name with other characters than letters, digits, `_` and `-` is shown as `labels["a.b"]`; one that is longer than
/// 64 bytes or not printable ASCII as `labels[<name not shown>]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(Vec<Segment>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Field(String),
    Index(usize),
}

impl FieldPath {
    /// The configuration itself.
    pub fn root() -> Self {
        FieldPath::default()
    }

    /// A member of the object at this path.
    #[must_use]
    pub fn field(&self, name: &str) -> Self {
        self.with(Segment::Field(name.to_owned()))
    }

    /// An item of the list at this path, counted from 0.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.with(Segment::Index(index))
    }

    /// Whether this is the configuration itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    fn with(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        FieldPath(segments)
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Field(name) if is_plain(name) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(name)?;
                }
                Segment::Field(name) if is_quotable(name) => {
                    write!(
                        f,
                        "[\"{}\"]",
                        name.replace('\\', "\\\\").replace('"', "\\\"")
                    )?;
                }
                Segment::Field(_) => f.write_str("[<name not shown>]")?,
            }
        }
        Ok(())
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
