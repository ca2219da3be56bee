//! Every shape that a configuration type can have, what is said when it does not fit, and that nothing is quoted.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::strict_json::tests::values;
use crate::{ConfigError, Name, Secret, from_value};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Shapes {
    #[serde(skip_serializing_if = "Option::is_none")]
    option: Option<Box<Shapes>>,
    newtype: Newtype,
    map: BTreeMap<String, i8>,
    list: Vec<Choice>,
    by_choice: BTreeMap<Plain, bool>,
    pair: (u8, String),
    yes: bool,
    small: u16,
    signed: i32,
    large: u64,
    float: f64,
    letter: char,
    any: Value,
    unit: (),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Newtype(u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Plain {
    Enforce,
    Shadow,
    Off,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Choice {
    Exact(String),
    Prefix { text: String },
    Range(u8, u8),
    Any,
}

fn refusal<T: serde::de::DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
    from_value::<T>(value)
        .map(|read| panic!("was read: {read:?}"))
        .unwrap_or_else(|error: ConfigError| error.to_string())
}

fn full() -> Value {
    json!({
        "option": {"small": 1},
        "newtype": 7,
        "map": {"a": -1},
        "list": [{"exact": "/a"}, {"prefix": {"text": "b"}}, {"range": [1, 2]}, "any"],
        "by_choice": {"enforce": true},
        "pair": [1, "b"],
        "yes": true,
        "small": 65535,
        "signed": -2,
        "large": u64::MAX,
        "float": 0.5,
        "letter": "x",
        "any": {"a": [null, 1.5, "x"]},
        "unit": null,
    })
}

// A shape that does not work is a configuration type that no filter can have.
#[test]
fn every_shape_is_read_as_serde_json_reads_it() {
    assert_eq!(
        from_value::<Shapes>(full()).unwrap(),
        serde_json::from_value::<Shapes>(full()).unwrap()
    );
}

// The sentence that the project promises.
#[test]
fn an_unknown_field_is_named_with_the_nearest() {
    let with = |field: &str| refusal::<Shapes>(json!({"option": {field: 1}}));
    assert_eq!(
        with("lsit"),
        "option.lsit: unknown field, did you mean list?"
    );
    assert_eq!(
        with("something"),
        "option.something: unknown field, expected one of option, newtype, map, list, by_choice, pair, yes, small, \
         signed, large, float, letter, any, unit"
    );
    assert_eq!(
        refusal::<Shapes>(json!({"a.b": 1})).split(':').next(),
        Some("[\"a.b\"]")
    );
}

// An unset variant is the default of nothing: the author must see what there is to choose from.
#[test]
fn an_unknown_variant_is_refused_with_the_nearest() {
    assert_eq!(
        refusal::<Plain>(json!("shdaow")),
        "unknown variant, did you mean shadow?"
    );
    assert_eq!(
        refusal::<Plain>(json!("hunter2")),
        "unknown variant, expected one of enforce, shadow, off"
    );
    let with = |item: Value| refusal::<Shapes>(json!({"list": ["any", item]}));
    assert_eq!(
        with(json!({"exat": "/a"})),
        "list[1].exat: unknown variant, did you mean exact?"
    );
    assert_eq!(
        with(json!("anny")),
        "list[1]: unknown variant, did you mean any?"
    );
    assert_eq!(refusal::<Shapes>(json!({"by_choice": {"of": true}})), {
        "by_choice.of: unknown variant, did you mean off?"
    });
}

// Two matchers in one place: which of them would hold?
#[test]
fn a_choice_is_exactly_one() {
    let with = |item: Value| refusal::<Shapes>(json!({"list": [item]}));
    assert_eq!(
        with(json!({"exact": "/a", "prefix": {"text": "b"}})),
        "list[0]: expected exactly one of exact, prefix, range, any, found 2"
    );
    assert_eq!(
        with(json!({})),
        "list[0]: expected exactly one of exact, prefix, range, any, found 0"
    );
    assert_eq!(
        with(json!(7)),
        "list[0]: wrong type number, expected one of exact, prefix, range, any"
    );
    assert_eq!(
        with(json!("exact")),
        "list[0]: this variant needs a value, write it as an object with one member"
    );
    assert_eq!(
        with(json!({"any": 1})),
        "list[0].any: this variant has no value, write it as a string"
    );
    assert_eq!(
        with(json!({"any": null})),
        "list[0].any: this variant has no value, write it as a string"
    );
    assert_eq!(
        with(json!({"exact": 1})),
        "list[0].exact: wrong type number, expected a string"
    );
    assert_eq!(
        with(json!({"prefix": {"txt": "b"}})),
        "list[0].prefix.txt: unknown field, did you mean text?"
    );
    assert_eq!(
        with(json!({"prefix": {}})),
        "list[0].prefix: missing field text"
    );
    assert_eq!(
        with(json!({"prefix": ["b"]})),
        "list[0].prefix: wrong type list, expected an object"
    );
    assert_eq!(
        with(json!({"range": [1, 2, 3]})),
        "list[0].range: expected 2 items, found 3"
    );
    assert_eq!(
        refusal::<BTreeMap<Choice2, u8>>(json!({"wide": 1})),
        "wide: a name cannot hold a variant with a value"
    );
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Choice2 {
    #[allow(dead_code)] // Only its name is read.
    Wide(u8),
}

// The message is for the author of a configuration, who knows no Rust.
#[test]
fn a_wrong_type_is_named_in_the_authors_words() {
    let with = |field: &str, value: Value| refusal::<Shapes>(json!({"option": {field: value}}));
    assert_eq!(
        with("newtype", json!("x")),
        "option.newtype: wrong type string, expected a whole number from 0 to 4294967295"
    );
    assert_eq!(
        with("map", json!([])),
        "option.map: wrong type list, expected an object"
    );
    assert_eq!(
        with("map", json!({"k": true})),
        "option.map.k: wrong type boolean, expected a whole number"
    );
    assert_eq!(
        with("list", json!({})),
        "option.list: wrong type object, expected a list"
    );
    assert_eq!(
        with("yes", json!("true")),
        "option.yes: wrong type string, expected true or false"
    );
    assert_eq!(
        with("yes", json!(null)),
        "option.yes: wrong type null, expected true or false"
    );
    assert_eq!(
        with("small", json!(1.5)),
        "option.small: wrong type number, expected a whole number from 0 to 65535"
    );
    assert_eq!(
        with("small", json!(65536)),
        "option.small: out of range, expected a whole number from 0 to 65535"
    );
    assert_eq!(
        with("small", json!(-1)),
        "option.small: out of range, expected a whole number from 0 to 65535"
    );
    assert_eq!(
        with("large", json!(-1)),
        "option.large: out of range, expected a whole number, 0 or more"
    );
    assert_eq!(
        with("large", json!(1e17)),
        "option.large: wrong type number, expected a whole number, 0 or more"
    );
    assert_eq!(
        with("float", json!("1")),
        "option.float: wrong type string, expected a number"
    );
    assert_eq!(
        with("option", json!([])),
        "option.option: wrong type list, expected an object"
    );
    assert_eq!(
        with("unit", json!(0)),
        "option.unit: wrong type number, expected null"
    );
    assert_eq!(
        refusal::<Shapes>(json!("x")),
        "wrong type string, expected an object"
    );
    assert_eq!(
        refusal::<Newtype>(json!({})),
        "wrong type object, expected a whole number from 0 to 4294967295"
    );
}

// A tuple's visitor stops early: what it leaves must not pass unread.
#[test]
fn tuples_have_exactly_their_items() {
    let with = |value: Value| refusal::<Shapes>(json!({"pair": value}));
    assert_eq!(
        with(json!([1, "b", "c"])),
        "pair: expected 2 items, found 3"
    );
    assert_eq!(
        with(json!([1])),
        "pair: expected a tuple of size 2, found 1 items"
    );
    assert_eq!(
        with(json!([1, 2])),
        "pair[1]: wrong type number, expected a string"
    );
}

// An emptied `match:` in YAML is null: read as absent, its rule would match everything.
#[test]
fn null_is_not_absent() {
    assert_eq!(
        refusal::<Shapes>(json!({"option": null})),
        "option: null is not a value, leave the field out"
    );
    assert_eq!(from_value::<Shapes>(json!({})).unwrap().option, None);
    assert_eq!(
        from_value::<Value>(json!({"a": null})).unwrap(),
        json!({"a": null})
    );
}

// The same number must read the same from JSON and from a Struct of doubles.
#[test]
fn whole_doubles_are_whole_numbers() {
    let read: Shapes =
        from_value(json!({"small": 5.0, "signed": -5.0, "large": 1e3, "float": 5, "newtype": 1.0}))
            .unwrap();
    assert_eq!(
        (
            read.small,
            read.signed,
            read.large,
            read.float,
            read.newtype
        ),
        (5, -5, 1000, 5.0, Newtype(1))
    );
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // Only refusals are looked at.
struct Required {
    name: Name,
    inner: Vec<RequiredInner>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // Only refusals are looked at.
struct RequiredInner {
    secret: Secret,
}

// A missing field has no place of its own: the path names what it is missing from.
#[test]
fn a_missing_field_is_named_at_its_parent() {
    assert_eq!(
        refusal::<Required>(json!({"name": "a"})),
        "missing field inner"
    );
    assert_eq!(
        refusal::<Required>(json!({"name": "a", "inner": [{}]})),
        "inner[0]: missing field secret"
    );
}

// A type's own refusal knows no place: the reader adds it.
#[test]
fn custom_refusals_get_their_path() {
    assert_eq!(
        refusal::<Required>(json!({"name": "A!", "inner": []})),
        "name: not a name, expected 1 to 64 of a-z 0-9 _ . - starting with a letter or digit"
    );
    let secret =
        refusal::<Required>(json!({"name": "a", "inner": [{"secret": "x"}, {"secret": ""}]}));
    assert_eq!(
        secret,
        "inner[1].secret: expected a secret of 1 to 16384 bytes"
    );
}

// A visitor that reads only a part must not let the rest pass.
#[test]
fn members_that_nobody_read_are_refused() {
    #[derive(Debug)]
    struct First;
    impl<'de> Deserialize<'de> for First {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visitor;
            impl<'de> serde::de::Visitor<'de> for Visitor {
                type Value = First;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("one member")
                }
                fn visit_map<A: serde::de::MapAccess<'de>>(
                    self,
                    mut map: A,
                ) -> Result<First, A::Error> {
                    map.next_entry::<String, u8>()?;
                    Ok(First)
                }
            }
            deserializer.deserialize_map(Visitor)
        }
    }
    assert!(from_value::<First>(json!({"a": 1})).is_ok());
    assert_eq!(
        refusal::<First>(json!({"a": 1, "b": 2})),
        "b: unknown field"
    );
}

/// Replaces the value that the walk meets as number `at`, so that a fault can sit anywhere.
fn replace(value: &mut Value, at: &mut usize, with: &Value) {
    if *at == 0 {
        *value = with.clone();
    }
    *at = at.wrapping_sub(1);
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| replace(value, at, with)),
        Value::Object(members) => members
            .values_mut()
            .for_each(|value| replace(value, at, with)),
        _ => {}
    }
}

/// Every text and number in a tree made unmistakable.
fn marked(value: Value) -> Value {
    match value {
        Value::String(_) => json!("hunter2"),
        Value::Number(number) if number.is_f64() => json!(987_654_321.25),
        Value::Number(number) if number.is_i64() && number.as_u64().is_none() => {
            json!(-987_654_321_012_i64)
        }
        Value::Number(_) => json!(987_654_321_012_u64),
        Value::Array(values) => values.into_iter().map(marked).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, marked(value)))
            .collect(),
        other => other,
    }
}

proptest! {
    // Strict must not mean different: what is read is what serde_json reads.
    #[test]
    fn what_is_read_is_what_serde_json_reads(at in 0_usize..32, with in values()) {
        let mut value = full();
        replace(&mut value, &mut at.clone(), &with);
        if let Ok(read) = from_value::<Shapes>(value.clone()) {
            let other = Shapes::deserialize(ints(value)).unwrap();
            prop_assert_eq!(ints(json!(read)), ints(json!(other)));
        }
    }

    // A secret pasted into the wrong field must not reach the log.
    #[test]
    fn no_value_is_quoted(at in 0_usize..32, with in values()) {
        let mut value = full();
        replace(&mut value, &mut at.clone(), &marked(with));
        if let Err(error) = from_value::<Shapes>(value) {
            let shown = error.to_string();
            prop_assert!(!shown.contains("hunter2") && !shown.contains("987654321"), "{}", shown);
        }
    }
}

/// Whole doubles as integers, which serde_json does not accept for integers.
fn ints(value: Value) -> Value {
    match value {
        Value::Number(number) => match number
            .as_f64()
            .filter(|_| number.is_f64())
            .and_then(crate::number::whole)
        {
            Some(whole) => json!(whole),
            None => Value::Number(number),
        },
        Value::Array(values) => values.into_iter().map(ints).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, ints(value)))
            .collect(),
        other => other,
    }
}
