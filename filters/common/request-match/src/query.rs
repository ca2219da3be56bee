//! Conditions on the query.

use filter_config::{ConfigError, FieldPath, Text};
use http_message::Query;
use serde::Deserialize;

use crate::one_of::exactly_one;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueryConfig {
    name: Text<256>,
    exact: Option<Text<1024>>,
    present: Option<bool>,
}

/// What every value of a query parameter must be, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QueryTest {
    name: Text<256>,
    test: ValueTest,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum ValueTest {
    Exact(Text<1024>),
    Present(bool),
}

impl QueryTest {
    pub(crate) fn compile(config: QueryConfig, at: &FieldPath) -> Result<QueryTest, ConfigError> {
        let members = [
            config.exact.map(ValueTest::Exact),
            config.present.map(ValueTest::Present),
        ];
        let test = exactly_one(members, "exact, present", at)?;
        Ok(QueryTest {
            name: config.name,
            test,
        })
    }

    /// Whether every value passes. An absent parameter passes only where absence is asked for.
    pub(crate) fn matches(&self, query: Query<'_>) -> bool {
        let mut values = query.values(self.name.as_str()).peekable();
        match &self.test {
            ValueTest::Present(wanted) => values.peek().is_some() == *wanted,
            ValueTest::Exact(text) => {
                values.peek().is_some()
                    && values.all(|value| value.as_ref() == text.as_str().as_bytes())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use filter_config::from_value;
    use serde_json::{Value, json};

    use super::*;

    fn matches(config: Value, target: &str) -> bool {
        let at = FieldPath::root();
        let test = QueryTest::compile(from_value(config).unwrap(), &at).unwrap();
        test.matches(Query::of(target.as_bytes()))
    }

    #[test]
    fn names_and_values_are_compared_decoded() {
        let debug = json!({"name": "debug", "exact": "a b"});
        for target in [
            "/?debug=a+b",
            "/?x=1&debug=a%20b",
            "/?%64ebug=%61%20b",
            "/?debug=a+b&debug=a%20b",
        ] {
            assert!(matches(debug.clone(), target), "{target}");
        }
        for target in [
            "/",
            "/?",
            "/?debug",
            "/?debug=",
            "/?DEBUG=a+b",
            "/?debugs=a+b",
            "/debug=a+b",
            "/?debug=a%2Bb",
        ] {
            assert!(!matches(debug.clone(), target), "{target}");
        }
    }

    #[test]
    fn every_value_of_a_repeated_parameter_must_match() {
        // Upstreams differ in which one they take.
        let debug = json!({"name": "debug", "exact": "1"});
        assert!(!matches(debug.clone(), "/?debug=1&debug=2"));
        assert!(!matches(debug, "/?debug=2&debug=1"));
    }

    #[test]
    fn presence_and_absence() {
        assert!(matches(json!({"name": "a", "present": true}), "/?a"));
        assert!(!matches(json!({"name": "a", "present": true}), "/?b"));
        assert!(matches(json!({"name": "a", "present": false}), "/?b"));
        assert!(!matches(json!({"name": "a", "present": false}), "/?%61=1"));
    }

    #[test]
    fn exactly_one_test_is_asked_for() {
        for config in [
            json!({"name": "a"}),
            json!({"name": "a", "exact": "1", "present": true}),
        ] {
            let error = QueryTest::compile(
                from_value(config).unwrap(),
                &FieldPath::root().field("query"),
            )
            .unwrap_err();
            assert_eq!(
                error.to_string(),
                "query: expected exactly one of exact, present"
            );
        }
    }
}
