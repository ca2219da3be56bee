//! Conditions on headers.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::{HeaderMap, HeaderName};
use serde::Deserialize;

use crate::one_of::exactly_one;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderConfig {
    name: HeaderName,
    exact: Option<Text<1024>>,
    prefix: Option<Text<1024>>,
    suffix: Option<Text<1024>>,
    contains: Option<Text<1024>>,
    present: Option<bool>,
}

/// What every header of a name must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeaderTest {
    name: HeaderName,
    test: ValueTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueTest {
    Exact(Text<1024>),
    Prefix(Text<1024>),
    Suffix(Text<1024>),
    Contains(Text<1024>),
    Present(bool),
}

impl HeaderTest {
    pub(crate) fn compile(config: HeaderConfig, at: &FieldPath) -> Result<HeaderTest, ConfigError> {
        if config.name.as_str() == "host" {
            return Err(ConfigError::new(
                &at.field("name"),
                "hosts match on the host",
            ));
        }
        let members = [
            config.exact.map(ValueTest::Exact),
            config.prefix.map(ValueTest::Prefix),
            config.suffix.map(ValueTest::Suffix),
            config.contains.map(ValueTest::Contains),
            config.present.map(ValueTest::Present),
        ];
        let test = exactly_one(members, "exact, prefix, suffix, contains, present", at)?;
        Ok(HeaderTest {
            name: config.name,
            test,
        })
    }

    /// Whether every value passes. An absent header passes only where absence is asked for.
    pub(crate) fn matches(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(self.name.as_str()).peekable();
        if let ValueTest::Present(wanted) = self.test {
            return values.peek().is_some() == wanted;
        }
        values.peek().is_some() && values.all(|value| self.test.passes(value))
    }
}

impl ValueTest {
    fn passes(&self, value: &[u8]) -> bool {
        match self {
            ValueTest::Exact(text) => value == text.as_str().as_bytes(),
            ValueTest::Prefix(text) => value.starts_with(text.as_str().as_bytes()),
            ValueTest::Suffix(text) => value.ends_with(text.as_str().as_bytes()),
            ValueTest::Contains(text) => {
                let text = text.as_str().as_bytes();
                value.windows(text.len()).any(|window| window == text)
            }
            ValueTest::Present(wanted) => *wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::{Value, json};

    use super::*;

    fn test(config: Value) -> Result<HeaderTest, String> {
        let at = FieldPath::root().field("headers").index(0);
        from_value::<HeaderConfig>(config)
            .and_then(|config| HeaderTest::compile(config, &at))
            .map_err(|error| error.to_string())
    }

    fn matches(config: Value, values: &[&str]) -> bool {
        let headers = HeaderMap::from_pairs(
            values
                .iter()
                .map(|value| ("x-a", *value))
                .chain([("x-other", "abc")]),
        );
        test(config).unwrap().matches(&headers)
    }

    #[test]
    fn one_value_is_compared_as_asked() {
        for (member, text, passing, failing) in [
            ("exact", "abc", vec!["abc"], vec!["ABC", "abcd", "", "ab"]),
            ("prefix", "ab", vec!["ab", "abc"], vec!["a", "cab", ""]),
            ("suffix", "bc", vec!["bc", "abc"], vec!["c", "bcd", ""]),
            ("contains", "bc", vec!["bc", "abcd"], vec!["b", "bac", ""]),
        ] {
            for value in passing {
                assert!(
                    matches(json!({"name": "X-A", member: text}), &[value]),
                    "{member} {value}"
                );
            }
            for value in failing {
                assert!(
                    !matches(json!({"name": "x-a", member: text}), &[value]),
                    "{member} {value}"
                );
            }
        }
    }

    #[test]
    fn every_value_of_a_repeated_header_must_match() {
        // With "any", a second copy that the upstream does not read would open a rule.
        let exact = json!({"name": "x-a", "exact": "b"});
        assert!(matches(exact.clone(), &["b", "b"]));
        assert!(!matches(exact.clone(), &["b", "c"]));
        assert!(!matches(exact, &["c", "b"]));
    }

    #[test]
    fn an_absent_header_never_matches_but_where_absence_is_asked_for() {
        for member in ["exact", "prefix", "suffix", "contains"] {
            assert!(
                !matches(json!({"name": "x-a", member: "a"}), &[]),
                "{member}"
            );
        }
        assert!(!matches(json!({"name": "x-a", "present": true}), &[]));
        assert!(matches(json!({"name": "x-a", "present": false}), &[]));
        assert!(matches(json!({"name": "x-a", "present": true}), &["", "x"]));
        assert!(!matches(json!({"name": "x-a", "present": false}), &["x"]));
    }

    #[test]
    fn bytes_that_are_not_utf8_are_compared_too() {
        let headers = HeaderMap::from_pairs([(&b"x-a"[..], &b"\xffbc\xfe"[..])]);
        assert!(
            test(json!({"name": "x-a", "contains": "bc"}))
                .unwrap()
                .matches(&headers)
        );
        assert!(
            !test(json!({"name": "x-a", "exact": "bc"}))
                .unwrap()
                .matches(&headers)
        );
    }

    #[test]
    fn faults_are_told_with_their_place() {
        let tests = "headers[0]: expected exactly one of exact, prefix, suffix, contains, present";
        assert_eq!(test(json!({"name": "x-a"})), Err(tests.to_owned()));
        assert_eq!(
            test(json!({"name": "x-a", "exact": "a", "present": true})),
            Err(tests.to_owned())
        );
        assert_eq!(
            test(json!({"name": "Host", "exact": "a"})),
            Err("headers[0].name: hosts match on the host".to_owned())
        );
        assert!(test(json!({"name": ":path", "exact": "a"})).is_err());
        assert!(test(json!({"name": "x-a", "exact": ""})).is_err());
        assert!(test(json!({"name": "x-a", "regex": "a"})).is_err());
    }
}
