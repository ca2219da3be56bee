//! Sets of header names, compared in every spelling.

use serde::Deserialize;
use thiserror::Error;

use crate::header_map::HeaderMap;
use crate::name::{HeaderName, is_token_byte};
use crate::spelling::{fold_byte, fold_name};

/// A header name, or a prefix of names followed by `*`: `x-user`, `x-authenticated-*`. At most 256 bytes.
///
/// It stands for every spelling of the name that an upstream may take for it (see [`crate::same_spelling`]).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HeaderPattern {
    folded: Vec<u8>,
    prefix: bool,
}

/// Why a text is not a pattern of header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InvalidHeaderPattern {
    /// It has no byte.
    #[error("a header pattern may not be empty")]
    Empty,
    /// It is longer than [`HeaderName::MAX_BYTES`].
    #[error("a header pattern may have at most 256 bytes")]
    TooLong,
    /// It would stand for every header.
    #[error("\"*\" needs a letter or digit before it, as in \"x-user-*\"")]
    Everything,
    /// The `*` is not the last character.
    #[error("\"*\" may only be the last character")]
    StarNotLast,
    /// It names what is never removed.
    #[error("\"host\" and pseudo headers (\":path\" and their like) cannot be used here")]
    Protected,
    /// It has a byte that a header name may not have.
    #[error(
        "a header pattern consists of letters, digits and any of !#$%&'+-.^_`|~, with one \"*\" at the end if any"
    )]
    NotAToken,
}

/// A set of [`HeaderPattern`]s: the names of headers that a client may not send.
///
/// Pseudo headers and `host` are never matched, whatever the patterns say: without them a request has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamePatterns {
    exact: Vec<Vec<u8>>,
    prefixes: Vec<Vec<u8>>,
}

impl HeaderPattern {
    /// Whether it stands for the name, in this or another spelling.
    pub fn matches(&self, name: &[u8]) -> bool {
        !is_protected(name)
            && if self.prefix {
                starts_with_folded(name, &self.folded)
            } else {
                equals_folded(name, &self.folded)
            }
    }
}

impl NamePatterns {
    /// The set of these patterns.
    ///
    /// # Errors
    /// The first text that is not a pattern.
    pub fn new<S: AsRef<str>>(
        patterns: impl IntoIterator<Item = S>,
    ) -> Result<NamePatterns, InvalidHeaderPattern> {
        let mut set = NamePatterns::default();
        for pattern in patterns {
            set.add(HeaderPattern::try_from(pattern.as_ref())?);
        }
        Ok(set)
    }

    /// Adds a pattern.
    pub fn add(&mut self, pattern: HeaderPattern) {
        let list = if pattern.prefix {
            &mut self.prefixes
        } else {
            &mut self.exact
        };
        if !list.contains(&pattern.folded) {
            list.push(pattern.folded);
        }
    }

    /// Adds a name that the filter itself writes. A name that is never matched (`host`) is left out.
    pub fn add_name(&mut self, name: &HeaderName) {
        if !is_protected(name.as_bytes()) {
            self.add(HeaderPattern {
                folded: fold_name(name.as_bytes()).collect(),
                prefix: false,
            });
        }
    }

    /// Whether the set has no pattern.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.prefixes.is_empty()
    }

    /// Whether a pattern stands for the name, in this or another spelling. Allocates nothing.
    pub fn matches(&self, name: &[u8]) -> bool {
        // Last, because most names are none of the patterns'.
        (self.exact.iter().any(|folded| equals_folded(name, folded))
            || self
                .prefixes
                .iter()
                .any(|folded| starts_with_folded(name, folded)))
            && !is_protected(name)
    }

    /// The names of headers that a pattern stands for, as the map spells them, each as often as it occurs.
    pub fn matching<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = &'a [u8]> {
        headers
            .iter()
            .map(|(name, _)| name)
            .filter(|name| self.matches(name))
    }
}

impl FromIterator<HeaderPattern> for NamePatterns {
    fn from_iter<I: IntoIterator<Item = HeaderPattern>>(patterns: I) -> NamePatterns {
        let mut set = NamePatterns::default();
        set.extend(patterns);
        set
    }
}

impl Extend<HeaderPattern> for NamePatterns {
    fn extend<I: IntoIterator<Item = HeaderPattern>>(&mut self, patterns: I) {
        for pattern in patterns {
            self.add(pattern);
        }
    }
}

impl TryFrom<&str> for HeaderPattern {
    type Error = InvalidHeaderPattern;

    fn try_from(text: &str) -> Result<HeaderPattern, InvalidHeaderPattern> {
        if text.is_empty() {
            return Err(InvalidHeaderPattern::Empty);
        }
        if text.len() > HeaderName::MAX_BYTES {
            return Err(InvalidHeaderPattern::TooLong);
        }
        if text.starts_with(':') || text.eq_ignore_ascii_case("host") {
            return Err(InvalidHeaderPattern::Protected);
        }
        let (name, prefix) = text
            .strip_suffix('*')
            .map_or((text, false), |name| (name, true));
        if name.contains('*') {
            return Err(InvalidHeaderPattern::StarNotLast);
        }
        if !name.bytes().all(is_token_byte) {
            return Err(InvalidHeaderPattern::NotAToken);
        }
        if prefix && !name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
            return Err(InvalidHeaderPattern::Everything);
        }
        Ok(HeaderPattern {
            folded: fold_name(name.as_bytes()).collect(),
            prefix,
        })
    }
}

impl TryFrom<String> for HeaderPattern {
    type Error = InvalidHeaderPattern;

    fn try_from(text: String) -> Result<HeaderPattern, InvalidHeaderPattern> {
        HeaderPattern::try_from(text.as_str())
    }
}

fn is_protected(name: &[u8]) -> bool {
    name.starts_with(b":") || name.eq_ignore_ascii_case(b"host")
}

fn equals_folded(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && starts_with_folded(name, folded)
}

fn starts_with_folded(name: &[u8], folded: &[u8]) -> bool {
    name.len() >= folded.len()
        && name
            .iter()
            .zip(folded)
            .all(|(byte, wanted)| fold_byte(*byte) == *wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_in_every_spelling() {
        let set = NamePatterns::new(["X-User", "x-authenticated-*"]).unwrap();
        for name in [
            "x-user",
            "X_USER",
            "x.user",
            "x-authenticated-groups",
            "x_authenticated_groups",
            "X-Authenticated-",
        ] {
            assert!(set.matches(name.as_bytes()), "{name}");
        }
        for name in ["x-users", "xuser", "x-authenticated", "ax-user", ""] {
            assert!(!set.matches(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_a_request_cannot_do_without_never_matches() {
        // A pattern such as "h*" must not take the host away.
        let set = NamePatterns::new(["h*", "path*", "x-path"]).unwrap();
        for name in [":path", ":authority", ":host", "host", "Host"] {
            assert!(!set.matches(name.as_bytes()), "{name}");
        }
        assert!(set.matches(b"hostname"));
    }

    #[test]
    fn patterns_that_cannot_be_meant_are_refused() {
        for (text, error) in [
            ("", InvalidHeaderPattern::Empty),
            ("*", InvalidHeaderPattern::Everything),
            ("-*", InvalidHeaderPattern::Everything),
            ("x-*-y", InvalidHeaderPattern::StarNotLast),
            ("x-**", InvalidHeaderPattern::StarNotLast),
            (":path", InvalidHeaderPattern::Protected),
            (":*", InvalidHeaderPattern::Protected),
            ("Host", InvalidHeaderPattern::Protected),
            ("x user", InvalidHeaderPattern::NotAToken),
            ("x-ü", InvalidHeaderPattern::NotAToken),
        ] {
            assert_eq!(HeaderPattern::try_from(text), Err(error), "{text:?}");
            assert_eq!(NamePatterns::new(["x-fine", text]), Err(error), "{text:?}");
        }
        assert_eq!(
            HeaderPattern::try_from("a".repeat(257)),
            Err(InvalidHeaderPattern::TooLong)
        );
    }

    #[test]
    fn matching_names_come_as_the_client_spelled_them() {
        // The host removes a header by the exact name only, so the edit has to use the client's spelling.
        let headers = HeaderMap::from_pairs([
            (":path", "/"),
            ("x_user", "a"),
            ("accept", "b"),
            ("x-user", "c"),
        ]);
        let set = NamePatterns::new(["x-user"]).unwrap();
        assert_eq!(
            set.matching(&headers).collect::<Vec<_>>(),
            [&b"x_user"[..], &b"x-user"[..]]
        );
    }

    #[test]
    fn sets_grow_from_names_and_patterns() {
        let mut set: NamePatterns = [HeaderPattern::try_from("x-a").unwrap()]
            .into_iter()
            .collect();
        assert!(!set.is_empty() && NamePatterns::default().is_empty());
        set.add_name(&HeaderName::from_static("x-b"));
        set.add_name(&HeaderName::from_static("host"));
        assert!(set.matches(b"x_b") && set.matches(b"x-a") && !set.matches(b"host"));
        // "x*" would be a wildcard; as a written name it is a literal, folded like any other.
        set.add_name(&HeaderName::from_static("y*"));
        assert!(!set.matches(b"y-anything") && set.matches(b"y_"));
    }

    #[test]
    fn a_pattern_alone_matches_like_the_set() {
        assert!(
            serde_json::from_str::<HeaderPattern>("\"x-a*\"")
                .unwrap()
                .matches(b"X_A1")
        );
        assert!(!HeaderPattern::try_from("h*").unwrap().matches(b"host"));
        assert!(serde_json::from_str::<HeaderPattern>("\"*\"").is_err());
    }
}
