//! prost, an independent implementation, is the judge of what a Struct says.

use proptest::prelude::*;
use prost::Message;
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use serde_json::{Map, Value, json};

use super::*;
use crate::MAX_DEPTH;
use crate::strict_json::tests::values;

fn read(bytes: &[u8]) -> Result<Value, String> {
    let text = to_json(bytes, MAX_DEPTH).map_err(|error| error.to_string())?;
    Ok(serde_json::from_slice(&text).expect("JSON"))
}

fn to_struct(members: &Map<String, Value>) -> Struct {
    Struct {
        fields: members
            .iter()
            .map(|(name, value)| (name.clone(), to_protobuf(value)))
            .collect(),
    }
}

fn to_protobuf(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(value) => Kind::BoolValue(*value),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(values) => Kind::ListValue(ListValue {
            values: values.iter().map(to_protobuf).collect(),
        }),
        Value::Object(members) => Kind::StructValue(to_struct(members)),
    };
    prost_types::Value { kind: Some(kind) }
}

fn encode(value: &Value) -> Vec<u8> {
    to_struct(value.as_object().unwrap()).encode_to_vec()
}

/// What prost reads, as a tree.
fn from_protobuf(value: prost_types::Value) -> Value {
    match value.kind.unwrap() {
        Kind::NullValue(_) => Value::Null,
        Kind::BoolValue(value) => Value::Bool(value),
        Kind::NumberValue(number) => json!(number),
        Kind::StringValue(text) => Value::String(text),
        Kind::ListValue(list) => list.values.into_iter().map(from_protobuf).collect(),
        Kind::StructValue(object) => from_struct(object),
    }
}

fn from_struct(object: Struct) -> Value {
    let fields = object.fields.into_iter();
    Value::Object(
        fields
            .map(|(name, value)| (name, from_protobuf(value)))
            .collect(),
    )
}

/// The tree after its numbers have been doubles and then text: serde_json reads some of them as the double next to it, which it
/// does with the same numbers in a configuration of JSON.
fn as_written(value: &Value) -> Value {
    serde_json::from_str(&by_doubles(value).to_string()).unwrap()
}

/// The tree after its numbers have been doubles.
fn by_doubles(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let double = number.as_f64().unwrap();
            if double.fract() == 0.0 && double.abs() <= (1_u64 << 53) as f64 {
                json!(double as i64)
            } else {
                json!(double)
            }
        }
        Value::Array(values) => values.iter().map(by_doubles).collect(),
        Value::Object(members) => Value::Object(
            members
                .iter()
                .map(|(name, value)| (name.clone(), by_doubles(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

// These are the bytes that Envoy hands over: written out, so that prost and this reader cannot be wrong alike.
#[test]
fn reads_the_wire_form() {
    let bytes = b"\
        \x0a\x14\x0a\x07version\x12\x09\x11\0\0\0\0\0\0\xf0\x3f\
        \x0a\x0c\x0a\x05realm\x12\x03\x1a\x01a\
        \x0a\x07\x0a\x01n\x12\x02\x08\0\
        \x0a\x07\x0a\x01t\x12\x02\x20\x01\
        \x0a\x07\x0a\x01s\x12\x02\x2a\0\
        \x0a\x0b\x0a\x01l\x12\x06\x32\x04\x0a\x02\x08\0";
    assert_eq!(
        read(bytes),
        Ok(json!({"version": 1, "realm": "a", "n": null, "t": true, "s": {}, "l": [null]}))
    );
    assert!(is_likely(bytes));
}

// A configuration's numbers arrive as doubles: a limit of 5 must still be the number 5.
#[test]
fn whole_doubles_become_integers() {
    let value = json!({"whole": 5.0, "negative": -5.0, "zero": -0.0, "half": 0.5, "huge": 1e300, "edge": 9007199254740992.0});
    let expected = json!({"whole": 5, "negative": -5, "zero": 0, "half": 0.5, "huge": 1e300, "edge": 9007199254740992_i64});
    assert_eq!(read(&encode(&value)), Ok(expected));
}

// JSON that starts with a line feed must not be taken for a Struct.
#[test]
fn json_is_not_likely_a_struct() {
    for text in [
        "\n{\n  \"version\": 1}",
        "{\"a\":\"\\u0012\"}",
        "\n\n",
        "",
        "{}",
    ] {
        assert!(!is_likely(text.as_bytes()), "{text:?}");
    }
    assert!(serde_json::from_str::<Value>("\n{\"a\":\"\x12\"}").is_err());
}

// In protobuf the last of several wins silently; a person reading the configuration may see the first.
#[test]
fn a_name_given_twice_is_refused() {
    let twice = [encode(&json!({"a": {"b": 1}})), encode(&json!({"a": 2}))].concat();
    assert_eq!(read(&twice), Err("a: given twice".to_owned()));
    let inner = [encode(&json!({"b": 1})), encode(&json!({"b": 2}))].concat();
    let value = [&[STRUCT_VALUE, inner.len() as u8], inner.as_slice()].concat();
    let entry = [
        b"\x0a\x01a",
        &[ENTRY_VALUE, value.len() as u8] as &[u8],
        value.as_slice(),
    ]
    .concat();
    let outer = [&[FIELD_1, entry.len() as u8], entry.as_slice()].concat();
    assert_eq!(read(&outer), Err("a.b: given twice".to_owned()));
}

// Each fault is refused at its place: a lenient reader and a strict one must not see two configurations.
#[test]
fn malformed_bytes_are_refused() {
    let cases: [(&[u8], &str); 18] = [
        (b"\x12\x00", ""),
        (b"\x0a", ""),
        (b"\x0a\x05", ""),
        (b"\x0a\x00", "[\"\"]"),
        (b"\x0a\x03\x0a\x01a", "a"),
        (b"\x0a\x05\x0a\x01a\x12\x00", "a"),
        (b"\x0a\x05\x0a\x01\xff\x12\x00", ""),
        (b"\x0a\x07\x0a\x01a\x12\x02\x08\x01", "a"),
        (b"\x0a\x07\x0a\x01a\x12\x02\x20\x02", "a"),
        (b"\x0a\x07\x0a\x01a\x12\x02\x38\x00", "a"),
        (b"\x0a\x07\x0a\x01a\x12\x02\x11\x00", "a"),
        (b"\x0a\x08\x0a\x01a\x12\x03\x1a\x01\xff", "a"),
        (b"\x0a\x09\x0a\x01a\x12\x04\x20\x01\x20\x01", "a"),
        (b"\x0a\x09\x0a\x01a\x12\x02\x20\x01\x18\x00", "a"),
        (b"\x0a\x07\x12\x02\x20\x01\x0a\x01a", "[\"\"]"),
        (b"\x0a\x09\x0a\x01a\x12\x04\x32\x02\x0a\x00", "a[0]"),
        (b"\x0a\xff\xff\xff\xff\x0f", ""),
        (b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", ""),
    ];
    for (bytes, path) in cases {
        let error = to_json(bytes, MAX_DEPTH).unwrap_err();
        assert_eq!(
            error.reason(),
            "not a well-formed google.protobuf.Struct",
            "{bytes:?}"
        );
        assert_eq!(error.path().to_string(), path, "{bytes:?}");
    }
}

// A limit that is not a number compares false with everything, so it limits nothing.
#[test]
fn numbers_that_are_not_finite_are_refused() {
    for double in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let value = prost_types::Value {
            kind: Some(Kind::NumberValue(double)),
        };
        let bytes = Struct {
            fields: [("a".to_owned(), value)].into(),
        }
        .encode_to_vec();
        assert_eq!(read(&bytes), Err("a: number is not finite".to_owned()));
    }
}

// The same depth as for JSON, and no stack spent beyond it.
#[test]
fn depth_is_capped() {
    let nested = |depth: usize| {
        (1..depth).fold(json!({}), |inner, level| {
            if level % 2 == 0 {
                json!({"a": inner})
            } else {
                json!([inner])
            }
        })
    };
    let deep = |depth: usize| encode(&json!({"a": nested(depth - 1)}));
    assert!(read(&deep(MAX_DEPTH)).is_ok());
    assert_eq!(
        read(&deep(MAX_DEPTH + 1)),
        Err("nested deeper than 64 levels".to_owned())
    );

    assert_eq!(
        read(&lists(100_000)),
        Err("nested deeper than 64 levels".to_owned())
    );
}

/// A member that holds lists in lists, written from the inside out.
fn lists(depth: usize) -> Vec<u8> {
    let mut reversed = vec![0, NULL_VALUE];
    let wrap = |reversed: &mut Vec<u8>, tag: u8| {
        reversed.extend(length(reversed.len()).into_iter().rev());
        reversed.push(tag);
    };
    for _ in 0..depth {
        wrap(&mut reversed, FIELD_1);
        wrap(&mut reversed, LIST_VALUE);
    }
    wrap(&mut reversed, ENTRY_VALUE);
    reversed.extend([b'a', 1, FIELD_1]);
    wrap(&mut reversed, FIELD_1);
    reversed.reverse();
    reversed
}

/// A number as protobuf writes a length.
fn length(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

proptest! {
    // Whatever Envoy can hand over is read as it was meant.
    #[test]
    fn reads_what_prost_writes(value in values()) {
        let value = json!({"a": value});
        let bytes = encode(&value);
        prop_assert!(is_likely(&bytes));
        prop_assert_eq!(read(&bytes), Ok(as_written(&value)));
    }

    // What is read from damaged bytes is at least what protobuf says that they mean.
    #[test]
    fn any_bytes_get_an_answer(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&json!({"a": value}));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = read(&bytes) {
            let meant = from_struct(Struct::decode(bytes.as_slice()).unwrap());
            prop_assert_eq!(read, as_written(&meant));
        }
    }

    // The two notations are told apart by their bytes alone.
    #[test]
    fn no_json_is_taken_for_a_struct(value in values()) {
        let text = [b"\n", serde_json::to_vec_pretty(&value).unwrap().as_slice()].concat();
        prop_assert!(!is_likely(&text));
    }
}
