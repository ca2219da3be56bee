//! Conditions on the path.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::{CanonicalPath, PathError};
use serde::Deserialize;

use crate::one_of::exactly_one;
use crate::template::{PathParameter, Template};

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PathConfig {
    exact: Option<Text<{ CanonicalPath::MAX_BYTES }>>,
    prefix: Option<Text<{ CanonicalPath::MAX_BYTES }>>,
    template: Option<Text<{ CanonicalPath::MAX_BYTES }>>,
}

/// What the canonical path must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathPattern {
    /// This, a final slash included.
    Exact(CanonicalPath),
    /// This or what lies below, by whole segments.
    Prefix(CanonicalPath),
    Template(Template),
}

impl PathPattern {
    pub(crate) fn compile(config: PathConfig, at: &FieldPath) -> Result<PathPattern, ConfigError> {
        let members = [
            config.exact.map(|text| {
                let at = at.field("exact");
                literal_pattern(text.as_str(), &at).map(PathPattern::Exact)
            }),
            config.prefix.map(|text| {
                let at = at.field("prefix");
                literal_pattern(text.as_str(), &at).map(PathPattern::Prefix)
            }),
            config.template.map(|text| {
                let at = at.field("template");
                Template::compile(text.as_str(), &at).map(PathPattern::Template)
            }),
        ];
        exactly_one(members, "exact, prefix, template", at)?
    }

    /// A variable of the template, by its name.
    pub(crate) fn parameter(&self, name: &str) -> Option<PathParameter> {
        match self {
            PathPattern::Template(template) => template.parameter(name),
            PathPattern::Exact(_) | PathPattern::Prefix(_) => None,
        }
    }

    pub(crate) fn matches(&self, path: &CanonicalPath) -> bool {
        match self {
            PathPattern::Exact(exact) => path == exact,
            PathPattern::Prefix(prefix) => path.is_under(prefix),
            PathPattern::Template(template) => template.matches(path),
        }
    }
}

/// A pattern without variables.
fn literal_pattern(text: &str, at: &FieldPath) -> Result<CanonicalPath, ConfigError> {
    if text.contains(['{', '}']) {
        let reason = "variables belong in a template; write %7B and %7D for braces";
        return Err(ConfigError::new(at, reason));
    }
    if text.split('/').any(|segment| matches!(segment, "*" | "**")) {
        let reason =
            "a prefix needs no \"*\", a template names it, {name}; write %2A for the character";
        return Err(ConfigError::new(at, reason));
    }
    canonical_pattern(text, at)
}

/// A pattern in canonical form. What no accepted path can be is refused, since it would never match.
pub(crate) fn canonical_pattern(text: &str, at: &FieldPath) -> Result<CanonicalPath, ConfigError> {
    if text.contains('?') {
        return Err(ConfigError::new(
            at,
            "a path has no query: match on query, or write %3F for the character",
        ));
    }
    CanonicalPath::parse(text.as_bytes()).map_err(|error| match error {
        PathError::Missing | PathError::NotAbsolute => {
            ConfigError::new(at, "must start with \"/\"")
        }
        PathError::InvalidEncoding => ConfigError::new(
            at,
            "not properly percent-encoded: write %25 for a percent sign, %20 for a space",
        ),
        PathError::TooLong
        | PathError::EncodedSeparator
        | PathError::DotSegment
        | PathError::EmptySegment
        | PathError::PathParameter
        | PathError::DoubleEncoding
        | PathError::ControlByte
        | PathError::InvalidUtf8
        | PathError::Fragment => ConfigError::new(
            at,
            format!("{error}, and requests with such a path are refused: it would never match"),
        ),
    })
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::{Value, json};

    use super::*;

    fn pattern(config: Value) -> Result<PathPattern, String> {
        let at = FieldPath::root().field("path");
        from_value::<PathConfig>(config)
            .and_then(|config| PathPattern::compile(config, &at))
            .map_err(|error| error.to_string())
    }

    fn matches(config: Value, target: &str) -> bool {
        pattern(config)
            .unwrap()
            .matches(&CanonicalPath::parse(target.as_bytes()).unwrap())
    }

    #[test]
    fn exact_means_exact() {
        for (target, expected) in [
            ("/a", true),
            ("/%61", true),
            ("/a?x=1", true),
            ("/a/", false),
            ("/A", false),
            ("/a/b", false),
        ] {
            assert_eq!(
                matches(json!({"exact": "/a"}), target),
                expected,
                "{target}"
            );
        }
        assert!(matches(json!({"exact": "/a%20b"}), "/a%20b"));
        assert!(matches(json!({"exact": "/caf\u{e9}"}), "/caf%c3%a9"));
    }

    #[test]
    fn a_prefix_goes_by_segments() {
        for (target, expected) in [
            ("/orders", true),
            ("/orders/", true),
            ("/orders/7", true),
            ("/%6Frders/7", true),
            ("/orders1", false),
            ("/", false),
        ] {
            assert_eq!(
                matches(json!({"prefix": "/orders"}), target),
                expected,
                "{target}"
            );
        }
        assert!(matches(json!({"prefix": "/"}), "/anything"));
        assert!(!matches(json!({"prefix": "/orders/"}), "/orders"));
    }

    #[test]
    fn a_template_is_a_template() {
        assert!(matches(json!({"template": "/users/{id}"}), "/users/7"));
        assert!(!matches(json!({"template": "/users/{id}"}), "/users/7/"));
    }

    #[test]
    fn faults_are_told_with_their_fix() {
        for (config, error) in [
            (
                json!({}),
                "path: expected exactly one of exact, prefix, template",
            ),
            (
                json!({"exact": "/a", "prefix": "/b"}),
                "path: expected exactly one of exact, prefix, template",
            ),
            (
                json!({"prefix": "orders"}),
                "path.prefix: must start with \"/\"",
            ),
            (
                json!({"exact": "*"}),
                "path.exact: a prefix needs no \"*\", a template names it, {name}; write %2A for the character",
            ),
            (
                json!({"prefix": "/orders/*"}),
                "path.prefix: a prefix needs no \"*\", a template names it, {name}; write %2A for the character",
            ),
            (
                json!({"exact": "/users/{id}"}),
                "path.exact: variables belong in a template; write %7B and %7D for braces",
            ),
            (
                json!({"exact": "/a?b=c"}),
                "path.exact: a path has no query: match on query, or write %3F for the character",
            ),
            (
                json!({"exact": "/a b"}),
                "path.exact: not properly percent-encoded: write %25 for a percent sign, %20 for a space",
            ),
            (
                json!({"exact": "/a//b"}),
                "path.exact: the path has an empty segment, and requests with such a path are refused: it would never match",
            ),
            (
                json!({"prefix": "/a/.."}),
                "path.prefix: the path has a dot segment, and requests with such a path are refused: it would never match",
            ),
            (
                json!({"template": "/a/{b}c"}),
                "path.template: a variable is a whole segment, {name} or {name=**}, or the last one with a verb, {name}:verb",
            ),
            (
                json!({"exat": "/a"}),
                "exat: unknown field, did you mean exact?",
            ),
        ] {
            assert_eq!(pattern(config.clone()), Err(error.to_owned()), "{config}");
        }
    }

    #[test]
    fn what_requests_may_not_be_patterns_may_not_be() {
        for text in [
            "/a%2fb", "/a\\b", "/./a", "/a/..;/b", "/a;b", "/%2541", "/%00", "/%c0%af", "/a#b",
            "/%zz",
        ] {
            assert!(pattern(json!({"exact": text})).is_err(), "exact {text}");
            assert!(pattern(json!({"prefix": text})).is_err(), "prefix {text}");
            assert!(
                pattern(json!({"template": text})).is_err(),
                "template {text}"
            );
        }
    }
}
