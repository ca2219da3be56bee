//! What is refused, that what is read equals serde_json's reading, and that no text costs the stack.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::json;

use super::*;

const LIMITS: Limits = Limits {
    max_depth: 8,
    max_bytes: 1 << 20,
};

fn read(text: &[u8]) -> Result<Value, StrictJsonError> {
    from_slice(text, LIMITS)
}

fn is_syntax_error(text: &[u8]) -> bool {
    matches!(read(text), Err(StrictJsonError::Syntax { .. }))
}

// The tree must be the one that other readers of the same text see.
#[test]
fn reads_every_kind_of_value() {
    let text = br#" {"a": [null, true, false, -1, 18446744073709551615, 1.5, -0, "\u00e9\ud83d\ude00"], "b": {}} "#;
    let expected = json!({"a": [null, true, false, -1, u64::MAX, 1.5, -0.0, "é😀"], "b": {}});
    assert_eq!(read(text), Ok(expected));
}

// Of two members of one name one reader takes the first and another the last: a claim checked here, another used there.
#[test]
fn a_member_given_twice_is_refused_with_its_path() {
    for (text, path) in [
        (r#"{"a": 1, "a": 1}"#, "a"),
        (r#"{"a": 1, "\u0061": 2}"#, "a"),
        (r#"{"x": [{}, {"y": {"k": null, "k": null}}]}"#, "x[1].y.k"),
        (r#"{"": 1, "": 1}"#, "[\"\"]"),
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("{path}: given twice"), "{text}");
    }
    // Equal names in different objects are no duplicates.
    assert!(read(br#"{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}"#).is_ok());
}

// The second member's value is not read, so that a refusal does not wait for it.
#[test]
fn a_duplicate_is_found_before_its_value() {
    assert!(matches!(
        read(br#"{"a": 1, "a": nonsense"#),
        Err(StrictJsonError::Duplicate { .. })
    ));
}

// What follows the value may be read by another parser as the value.
#[test]
fn trailing_data_is_refused() {
    for text in ["{} {}", "1 2", "{}x", "[]]", "{}\0"] {
        assert!(is_syntax_error(text.as_bytes()), "{text}");
    }
    assert_eq!(read(b"{}\r\n\t "), Ok(json!({})));
}

// Each of these is read by some parser; here none of them is.
#[test]
fn what_is_not_json_is_refused() {
    let texts: [&[u8]; 24] = [
        b"",
        b" ",
        b"\xef\xbb\xbf{}",
        b"{'a': 1}",
        b"{a: 1}",
        b"[1,]",
        b"{\"a\": 1,}",
        b"[01]",
        b"[+1]",
        b"[.5]",
        b"[1.]",
        b"[0x1]",
        b"[NaN]",
        b"[Infinity]",
        b"[1e400]",
        b"[-1e400]",
        b"// comment\n{}",
        b"\"\n\"",
        b"\"\x00\"",
        b"\"\xff\"",
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
        b"\"\\x41\"",
        b"{1: 2}",
    ];
    for text in texts {
        assert!(is_syntax_error(text), "{text:?}");
    }
}

// A lone surrogate becomes a replacement character in some readers: two different names could be one.
#[test]
fn lone_surrogates_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud800x""#,
        r#""\ud800\ud800""#,
        r#""\udc00\ud800""#,
        r#"{"\ud800": 1}"#,
    ] {
        assert!(is_syntax_error(text.as_bytes()), "{text}");
    }
}

// A token's number that is changed on the way is another expiry.
#[test]
fn integers_of_64_bits_are_exact() {
    assert_eq!(
        read(b"9223372036854775807").unwrap().as_i64(),
        Some(i64::MAX)
    );
    assert_eq!(
        read(b"-9223372036854775808").unwrap().as_i64(),
        Some(i64::MIN)
    );
    assert_eq!(
        read(b"9007199254740993").unwrap().as_u64(),
        Some(9_007_199_254_740_993)
    );
    assert!(read(b"18446744073709551616").unwrap().is_f64());
}

// The limit itself passes, one level more does not, whatever it is made of.
#[test]
fn depth_is_counted_in_lists_and_objects() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)).into_bytes()
    };
    for (open, inner, close) in [
        ("[", "", "]"),
        ("{\"a\":", "1", "}"),
        ("{\"a\":[", "", "]}"),
    ] {
        let levels = open.matches(['[', '{']).count();
        assert!(read(&nested(open, inner, close, 8 / levels)).is_ok());
        assert_eq!(
            read(&nested(open, inner, close, 8 / levels + 1)),
            Err(StrictJsonError::TooDeep { max_depth: 8 })
        );
    }
    assert_eq!(
        from_slice(
            b"[]",
            Limits {
                max_depth: 0,
                ..LIMITS
            }
        ),
        Err(StrictJsonError::TooDeep { max_depth: 0 })
    );
    assert_eq!(
        from_slice(
            b"1",
            Limits {
                max_depth: 0,
                ..LIMITS
            }
        ),
        Ok(json!(1))
    );
}

// Deep recursion traps a Wasm VM and takes every request on the worker with it.
#[test]
fn a_hundred_thousand_levels_cost_no_stack() {
    for unit in ["[", "{\"a\":", "[{\"a\":"] {
        let text = unit.repeat(100_000).into_bytes();
        for max_depth in [8, DEPTH_CEILING, usize::MAX] {
            let refused = from_slice(
                &text,
                Limits {
                    max_depth,
                    max_bytes: usize::MAX,
                },
            );
            assert_eq!(
                refused,
                Err(StrictJsonError::TooDeep {
                    max_depth: max_depth.min(DEPTH_CEILING)
                })
            );
        }
    }
    let deepest = format!("{}{}", "[".repeat(DEPTH_CEILING), "]".repeat(DEPTH_CEILING));
    assert!(
        from_slice(
            deepest.as_bytes(),
            Limits {
                max_depth: usize::MAX,
                ..LIMITS
            }
        )
        .is_ok()
    );
}

// The size is checked before a byte is read.
#[test]
fn bytes_are_capped() {
    let limits = Limits {
        max_bytes: 4,
        ..LIMITS
    };
    assert_eq!(from_slice(b"1234", limits), Ok(json!(1234)));
    assert_eq!(
        from_slice(b"12345", limits),
        Err(StrictJsonError::TooLarge { max_bytes: 4 })
    );
}

// A refused text may hold a private key: the log line must not.
#[test]
fn syntax_errors_quote_nothing() {
    let texts = [
        r#"{"k": "hunter2" hunter2}"#,
        r#"{"k": hunter2}"#,
        r#"["hunter2\q"]"#,
        r#"["hunter2"#,
        r#"{"hunter2" 1}"#,
        r#"{hunter2: 1}"#,
        r#""hunter2" hunter2"#,
        "[\"hunter2\n\"]",
        r#"["hunter2\ud800"]"#,
        r#"{"k": "hunter2", 7: 1}"#,
        r#"{"k": "hunter2", "l": 1e999}"#,
    ];
    for text in texts {
        let error = read(text.as_bytes()).unwrap_err().to_string();
        assert!(
            error.starts_with("not valid JSON: ") && !error.contains("hunter2"),
            "{error}"
        );
    }
}

pub(crate) fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1000_i32..1000).prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        ".{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(".{0,4}", inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    // Strict must not mean different.
    #[test]
    fn what_serde_json_writes_is_read_back(value in values()) {
        prop_assert_eq!(read(&serde_json::to_vec(&value).unwrap()), Ok(value.clone()));
        prop_assert_eq!(read(&serde_json::to_vec_pretty(&value).unwrap()), Ok(value));
    }

    // Whatever is read here is read alike by serde_json, which is less strict.
    #[test]
    fn any_text_gets_an_answer(text in "[\\[\\]{}\", :a\\\\u0-9eE+.tfn-]{0,40}") {
        if let Ok(value) = read(text.as_bytes()) {
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }
    }

    // Bytes of any origin end in an answer, never in a lost VM.
    #[test]
    fn any_bytes_get_an_answer(value in values(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = serde_json::to_vec(&value).unwrap();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(value) = read(&text) {
            prop_assert_eq!(serde_json::from_slice::<Value>(&text).unwrap(), value);
        }
    }
}
