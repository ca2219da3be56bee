//! A whole configuration, in both notations.

use prost::Message;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::{BoundedDuration, BoundedList, Name, Text, Version};

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    version: Version,
    clock_skew: Option<BoundedDuration<0, 60_000>>,
    rules: BoundedList<Rule, 1, 4>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: Name,
    #[serde(rename = "match")]
    matcher: Match,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Match {
    path: Option<Path>,
    methods: Option<Vec<Text<16>>>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Path {
    Exact(Text<64>),
    Prefix(Text<64>),
}

const JSON: &str = r#"
{
  "version": 1,
  "clock_skew": "30s",
  "rules": [{"name": "orders", "match": {"path": {"prefix": "/orders"}, "methods": ["GET"]}}]
}"#;

fn refusal(text: &str) -> String {
    parse::<Config>(text.as_bytes()).unwrap_err().to_string()
}

/// The same tree as Envoy hands it over where its own configuration holds a `Struct`.
fn as_struct(text: &str) -> Vec<u8> {
    fn kind(value: Value) -> prost_types::Value {
        use prost_types::value::Kind;
        prost_types::Value {
            kind: Some(match value {
                Value::Null => Kind::NullValue(0),
                Value::Bool(value) => Kind::BoolValue(value),
                Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
                Value::String(text) => Kind::StringValue(text),
                Value::Array(values) => Kind::ListValue(prost_types::ListValue {
                    values: values.into_iter().map(kind).collect(),
                }),
                Value::Object(members) => Kind::StructValue(fields(members)),
            }),
        }
    }
    fn fields(members: serde_json::Map<String, Value>) -> prost_types::Struct {
        prost_types::Struct {
            fields: members
                .into_iter()
                .map(|(name, value)| (name, kind(value)))
                .collect(),
        }
    }
    fields(serde_json::from_str(text).unwrap()).encode_to_vec()
}

// The notation is Envoy's business: the filter must not behave differently.
#[test]
fn both_notations_read_the_same() {
    let from_json = parse::<Config>(JSON.as_bytes()).unwrap();
    assert_eq!(
        from_json.rules[0].matcher.path,
        Some(Path::Prefix(Text::new("/orders".to_owned()).unwrap()))
    );
    assert_eq!(parse::<Config>(&as_struct(JSON)).unwrap(), from_json);
}

// The sentences that the documentation promises, from both notations.
#[test]
fn refusals_name_place_and_reason() {
    let rule = |matcher: &str| {
        format!(r#"{{"version": 1, "rules": [{{"name": "a", "match": {matcher}}}]}}"#)
    };
    let third = r#"{"version": 1, "rules": [{"name": "a", "match": {}}, {"name": "b", "match": {}},
        {"name": "c", "match": {"paht": {"exact": "/a"}}}]}"#;
    let cases = [
        (
            third.to_owned(),
            "rules[2].match.paht: unknown field, did you mean path?",
        ),
        (
            rule(r#"{"path": {"exat": "/a"}}"#),
            "rules[0].match.path.exat: unknown variant, did you mean exact?",
        ),
        (
            rule(r#"{"methods": ["GET", 7]}"#),
            "rules[0].match.methods[1]: wrong type number, expected a string",
        ),
        (
            rule("null"),
            "rules[0].match: wrong type null, expected an object",
        ),
        (
            rule(r#"{"path": null}"#),
            "rules[0].match.path: null is not a value, leave the field out",
        ),
        (
            r#"{"rules": []}"#.to_owned(),
            "rules: expected 1 to 4 items, found 0",
        ),
        (
            r#"{"rules": [{"name": "a", "match": {}}]}"#.to_owned(),
            "missing field version",
        ),
        (
            r#"{"version": 2, "rules": []}"#.to_owned(),
            "rules: expected 1 to 4 items, found 0",
        ),
        (
            r#"{"version": 2}"#.to_owned(),
            "version: unsupported version 2, this build reads version 1",
        ),
        (r#"{"version": 1}"#.to_owned(), "missing field rules"),
        (
            r#"{"version": 1, "clock_skew": "61s"}"#.to_owned(),
            "clock_skew: out of range, expected 0s to 1m",
        ),
        (
            r#"{"version": 1, "rules": [{"match": {}}]}"#.to_owned(),
            "rules[0]: missing field name",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(refusal(&text), expected);
        assert_eq!(
            parse::<Config>(&as_struct(&text)).unwrap_err().to_string(),
            expected
        );
    }
}

// Envoy hands over what it was given: each way to give nothing or rubbish has its answer.
#[test]
fn what_is_not_a_configuration_is_refused() {
    assert_eq!(
        refusal(""),
        "the configuration is empty, expected an object"
    );
    assert_eq!(refusal("[]"), "wrong type list, expected an object");
    assert!(refusal("{").starts_with("not valid JSON: "));
    assert!(refusal("\u{feff}{}").starts_with("not valid JSON: "));
    assert!(refusal("version: 1").starts_with("not valid JSON: "));
    assert!(refusal("{} {}").starts_with("not valid JSON: "));
    assert_eq!(
        refusal(r#"{"rules": [{"name": "a", "name": "b"}]}"#),
        "rules[0].name: given twice"
    );
    assert_eq!(
        parse::<Config>(b"\x0a\x07\x12").unwrap_err().to_string(),
        "not a well-formed google.protobuf.Struct"
    );
}

// Ten megabytes of configuration would stall every worker at each update.
#[test]
fn size_and_depth_are_capped() {
    let padded = |bytes: usize| format!("{JSON}{}", " ".repeat(bytes - JSON.len()));
    assert!(parse::<Config>(padded(MAX_BYTES).as_bytes()).is_ok());
    assert_eq!(
        refusal(&padded(MAX_BYTES + 1)),
        "the configuration is larger than 4194304 bytes"
    );
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse::<Value>(nested(MAX_DEPTH).as_bytes()).is_ok());
    assert_eq!(
        refusal(&nested(MAX_DEPTH + 1)),
        "nested deeper than 64 levels"
    );
    assert_eq!(
        refusal(&"[".repeat(100_000)),
        "nested deeper than 64 levels"
    );
}

// Trees that code builds, such as an example in a test, get the same treatment.
#[test]
fn a_tree_is_read_like_its_text() {
    assert_eq!(
        from_value::<Config>(json!({"version": 1, "ruels": []}))
            .unwrap_err()
            .to_string(),
        "ruels: unknown field, did you mean rules?"
    );
    assert_eq!(
        from_value::<Config>(serde_json::from_str(JSON).unwrap()),
        parse(JSON.as_bytes())
    );
}
