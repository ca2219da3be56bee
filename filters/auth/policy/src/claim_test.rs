//! What a rule asks of a claim.

use filter_config::{BoundedList, ConfigError, FieldPath, Text};
use serde::Deserialize;
use serde_json::{Map, Number, Value};

use crate::claim_path::ClaimPath;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClaimTestConfig {
    path: ClaimPath,
    equals: Option<Scalar>,
    any_of: Option<BoundedList<Scalar, 1, 64>>,
    contains: Option<Scalar>,
}

/// A text, a number or a boolean: what can be compared without asking how.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub(crate) struct Scalar(Value);

/// One condition on one claim. A claim that is not there meets none.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClaimTest {
    path: ClaimPath,
    /// Whether the claim may be a list that has one of the values.
    in_list: bool,
    values: Vec<Scalar>,
}

impl ClaimTest {
    pub(crate) fn compile(config: ClaimTestConfig, at: &FieldPath) -> Result<Self, ConfigError> {
        let (in_list, values) = match (config.equals, config.any_of, config.contains) {
            (Some(value), None, None) => (false, vec![value]),
            (None, Some(values), None) => (false, values.into_inner()),
            (None, None, Some(value)) => (true, vec![value]),
            _ => {
                let reason = "expected exactly one of equals, any_of, contains";
                return Err(ConfigError::new(at, reason));
            }
        };
        Ok(Self {
            path: config.path,
            in_list,
            values,
        })
    }

    pub(crate) fn holds(&self, claims: &Map<String, Value>) -> bool {
        let is_one = |value: &Value| self.values.iter().any(|wanted| wanted.is(value));
        match self.path.find(claims) {
            Some(Value::Array(list)) => self.in_list && list.iter().any(is_one),
            Some(value) => is_one(value),
            None => false,
        }
    }
}

impl Scalar {
    fn is(&self, value: &Value) -> bool {
        match (&self.0, value) {
            (Value::Number(wanted), Value::Number(number)) => same_number(wanted, number),
            (wanted, value) => wanted == value,
        }
    }
}

/// `1` and `1.0` are one number; whole ones are compared as such, because a double cannot tell 2^53 from its neighbour.
fn same_number(one: &Number, other: &Number) -> bool {
    one == other || ((one.is_f64() || other.is_f64()) && one.as_f64() == other.as_f64())
}

impl TryFrom<Value> for Scalar {
    type Error = &'static str;

    fn try_from(value: Value) -> Result<Self, Self::Error> {
        let fits = match &value {
            Value::String(text) => Text::<512>::new(text.clone()).is_some(),
            Value::Number(_) | Value::Bool(_) => true,
            _ => false,
        };
        if !fits {
            return Err("expected a text of 1 to 512 bytes, a number or a boolean");
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn test(config: Value) -> Result<ClaimTest, String> {
        filter_config::from_value(config)
            .and_then(|config| ClaimTest::compile(config, &FieldPath::root()))
            .map_err(|error| error.to_string())
    }

    fn holds(config: Value, claims: Value) -> bool {
        test(config).unwrap().holds(claims.as_object().unwrap())
    }

    // A lax comparison lets in a caller whose claim only looks like the one that was asked for.
    #[test]
    fn values_are_compared_with_their_types() {
        for (config, claim, expected) in [
            (json!({ "equals": "a" }), json!("a"), true),
            (json!({ "equals": "a" }), json!("A"), false),
            (json!({ "equals": "a" }), json!(["a"]), false),
            (json!({ "equals": "true" }), json!(true), false),
            (json!({ "equals": true }), json!(true), true),
            (json!({ "equals": 1 }), json!(1.0), true),
            (json!({ "equals": 1 }), json!("1"), false),
            (
                json!({ "equals": 9007199254740993_u64 }),
                json!(9007199254740992_u64),
                false,
            ),
            (json!({ "any_of": ["a", "b"] }), json!("b"), true),
            (json!({ "any_of": ["a", "b"] }), json!(["b"]), false),
            (json!({ "any_of": ["a", "b"] }), json!("a b"), false),
            (json!({ "contains": "a" }), json!(["b", "a"]), true),
            (json!({ "contains": "a" }), json!("a"), true),
            (json!({ "contains": "a" }), json!("ab"), false),
            (json!({ "contains": "a" }), json!([["a"]]), false),
            (json!({ "contains": "a" }), json!({ "a": 1 }), false),
            (json!({ "contains": "a" }), json!(null), false),
        ] {
            let mut with_path = config.clone();
            with_path["path"] = json!(["x", "y"]);
            let claims = json!({ "x": { "y": claim } });
            assert_eq!(holds(with_path, claims), expected, "{config} {claim}");
        }
        // Absent is not `false`.
        assert!(!holds(json!({ "path": ["x"], "equals": false }), json!({})));
    }

    #[test]
    fn faults_are_refused() {
        let one = "expected exactly one of equals, any_of, contains";
        assert_eq!(test(json!({ "path": ["a"] })).unwrap_err(), one);
        let both = json!({ "path": ["a"], "equals": 1, "contains": 1 });
        assert_eq!(test(both).unwrap_err(), one);
        for value in [json!(null), json!([]), json!({}), json!("")] {
            let fault = test(json!({ "path": ["a"], "equals": value })).unwrap_err();
            assert!(fault.starts_with("equals: "), "{fault}");
        }
    }
}
