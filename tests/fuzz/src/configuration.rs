//! What holds for the configuration of every filter.

use filter_config::ConfigError;
use prost::Message as _;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value};

use crate::json;

/// The longest reason that fits in a log line beside its path.
const MAX_REASON_BYTES: usize = 1024;

/// Reads a configuration as the filter does, and checks what must hold of the answer.
///
/// # Panics
/// The error is no line for a log, or quotes what may be a secret; or what is refused as JSON is taken as a `Struct`, or the
/// other way round.
pub fn check<P>(bytes: &[u8], read: impl Fn(&[u8]) -> Result<P, ConfigError>) -> Option<P> {
    let answer = read(bytes);
    if let Err(error) = &answer {
        let text = error.to_string();
        assert!(
            !error.reason().is_empty() && error.reason().len() <= MAX_REASON_BYTES,
            "{text}"
        );
        assert!(!text.chars().any(char::is_control), "{text:?}");
    }
    let Ok(value) = serde_json::from_slice::<Value>(bytes) else {
        return answer.ok();
    };
    if let Err(error) = &answer {
        let text = error.to_string();
        let leaked =
            json::strings(&value).find(|value| is_like_a_secret(value) && text.contains(*value));
        assert!(leaked.is_none(), "quotes a value: {text}");
    }
    if let Some(encoded) = encode(&value) {
        // Members that come twice are gone from both of these.
        let as_json = read(&value.to_string().into_bytes()).map(drop);
        let as_struct = read(&encoded).map(drop);
        assert_eq!(
            as_json.is_ok(),
            as_struct.is_ok(),
            "{as_json:?} {as_struct:?}"
        );
    }
    answer.ok()
}

/// The example of a filter, as JSON.
pub(crate) fn example(yaml: &str) -> String {
    json(yaml).to_string()
}

/// YAML as JSON.
pub(crate) fn json(yaml: &str) -> Value {
    serde_norway::from_str(yaml).expect("the examples are YAML")
}

/// The seeds of a configuration: as JSON, as a `Struct`, and each of these cut to what is required.
pub(crate) fn seeds(yaml: &[&str]) -> Vec<Vec<u8>> {
    let mut seeds = Vec::new();
    for yaml in yaml {
        let value = json(yaml);
        seeds.extend(encode(&value));
        seeds.push(value.to_string().into_bytes());
        // An example is long: a fuzzer gets further with a rule at a time.
        for (name, list) in value.as_object().into_iter().flatten() {
            for item in list.as_array().into_iter().flatten() {
                let mut one = value.clone();
                one[name] = Value::Array(vec![item.clone()]);
                seeds.push(one.to_string().into_bytes());
            }
        }
    }
    seeds
}

/// As long as a key or a hash, and with a digit; no example in a message of ours is.
fn is_like_a_secret(text: &str) -> bool {
    text.len() >= 32 && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// As a serialized `Struct`; none for what no `Struct` can hold: numbers past those that a double has.
fn encode(value: &Value) -> Option<Vec<u8>> {
    Some(members(value.as_object()?)?.encode_to_vec())
}

fn members(members: &Map<String, Value>) -> Option<Struct> {
    let fields = members
        .iter()
        .map(|(name, value)| Some((name.clone(), protobuf(value)?)));
    Some(Struct {
        fields: fields.collect::<Option<_>>()?,
    })
}

fn protobuf(value: &Value) -> Option<prost_types::Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => {
            Kind::NumberValue(number.as_f64().filter(|number| number.abs() < EXACT)?)
        }
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(protobuf).collect::<Option<_>>()?,
        }),
        Value::Object(object) => Kind::StructValue(members(object)?),
    };
    Some(prost_types::Value { kind: Some(kind) })
}
