//! What is done to a value.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use filter_config::nearest;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::value::Value;
use super::{Template, TooLong};

/// All but the unreserved characters of RFC 3986 section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A pure function of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Function {
    /// This text, where there is none or an empty one.
    Default(String),
    /// ASCII letters in lower case.
    Lower,
    /// ASCII letters in upper case.
    Upper,
    /// Without blanks at both ends.
    Trim,
    /// Percent-encoded, all but unreserved characters.
    UrlEncode,
    /// RFC 4648 section 4, padded.
    Base64,
    /// The SHA-256 of it, in lower-case hexadecimal digits.
    Sha256,
    /// As JSON: a string, a list of strings, or `null` where there is nothing.
    Json,
}

const NAMES: [&str; 8] = [
    "default",
    "lower",
    "upper",
    "trim",
    "urlencode",
    "base64",
    "sha256",
    "json",
];

impl Function {
    /// Reads `name` or `default:text`. The error is a reason.
    pub(super) fn parse(text: &str) -> Result<Function, String> {
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name.trim_end(), Some(argument.trim_start())),
            None => (text, None),
        };
        let function = match name {
            "default" => {
                let text = argument.ok_or("default needs a text: default:none")?;
                return Ok(Function::Default(text.to_owned()));
            }
            "lower" => Function::Lower,
            "upper" => Function::Upper,
            "trim" => Function::Trim,
            "urlencode" => Function::UrlEncode,
            "base64" => Function::Base64,
            "sha256" => Function::Sha256,
            "json" => Function::Json,
            _ => {
                return Err(match nearest(name, NAMES.into_iter()) {
                    Some(name) => format!("unknown function, did you mean {name}?"),
                    None => format!("unknown function; there are {}", NAMES.join(", ")),
                });
            }
        };
        match argument {
            None => Ok(function),
            Some(_) => Err(format!("{name} takes nothing behind a colon")),
        }
    }

    /// Of nothing all but `default` and `json` make nothing: the digest of an absent value would look like one.
    pub(super) fn apply<'v, 'a: 'v>(
        &'a self,
        value: Option<Value<'v>>,
    ) -> Result<Option<Value<'v>>, TooLong> {
        let value = match (self, value) {
            (Function::Default(text), None) => Some(Value::of(text.as_bytes())),
            (Function::Default(text), Some(value)) => Some(if value.is_empty() {
                Value::of(text.as_bytes())
            } else {
                value
            }),
            (Function::Json, value) => Some(Value::Text(Cow::Owned(json(value)))),
            (_, None) => None,
            (function, Some(value)) => Some(Value::Text(function.text(value.into_text()))),
        };
        match &value {
            Some(Value::Text(text)) if text.len() > Template::MAX_BYTES => Err(TooLong),
            _ => Ok(value),
        }
    }

    fn text<'a>(&self, text: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        match self {
            // These two are made of no value, and of more than its text.
            Function::Default(_) | Function::Json => text,
            Function::Lower => Cow::Owned(text.to_ascii_lowercase()),
            Function::Upper => Cow::Owned(text.to_ascii_uppercase()),
            Function::Trim => match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
                Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_vec()),
            },
            Function::UrlEncode => {
                let encoded = percent_encode(&text, RESERVED).to_string();
                Cow::Owned(encoded.into_bytes())
            }
            Function::Base64 => Cow::Owned(STANDARD.encode(&text).into_bytes()),
            Function::Sha256 => Cow::Owned(hexadecimal(&hmac_sha256::Hash::hash(&text))),
        }
    }
}

fn json(value: Option<Value<'_>>) -> Vec<u8> {
    let value = match value {
        None => serde_json::Value::Null,
        Some(Value::Text(text)) => String::from_utf8_lossy(&text).into_owned().into(),
        Some(Value::List(texts)) => texts.into(),
    };
    value.to_string().into_bytes()
}

fn hexadecimal(bytes: &[u8]) -> Vec<u8> {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0x0f]);
    digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .map(|digit| digit as u8)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(functions: &[&str], value: Option<&[u8]>) -> Option<Vec<u8>> {
        let functions: Vec<Function> = functions
            .iter()
            .map(|text| Function::parse(text).unwrap())
            .collect();
        let value = functions
            .iter()
            .fold(value.map(Value::of), |value, one| one.apply(value).unwrap());
        value.map(|value| value.into_text().into_owned())
    }

    #[test]
    fn functions_do_as_they_say() {
        for (functions, value, expected) in [
            (
                &["lower"][..],
                &b"A\xc3\x89\xffZ"[..],
                &b"a\xc3\x89\xffz"[..],
            ),
            (&["upper"], b"a1\xe4z", b"A1\xe4Z"),
            (&["trim"], b" \t a b \r\n", b"a b"),
            (&["trim"], b"  ", b""),
            (
                &["urlencode"],
                b"a b&c=d/e?~-._%\xff\r\n",
                b"a%20b%26c%3Dd%2Fe%3F~-._%25%FF%0D%0A",
            ),
            (&["base64"], b"user:pass\xff?", b"dXNlcjpwYXNz/z8="),
            // FIPS 180-4's "abc".
            (
                &["sha256"],
                b"abc",
                b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                &["json"],
                b"a\"b\\\n\xff",
                "\"a\\\"b\\\\\\n\u{fffd}\"".as_bytes(),
            ),
            (&["lower", "base64"], b"A", b"YQ=="),
            (&["default:none"], b"", b"none"),
            (&["trim", "default: some text "], b" ", b"some text "),
            (&["default:none"], b"x", b"x"),
            (&["default:a:b", "upper"], b"", b"A:B"),
        ] {
            assert_eq!(
                apply(functions, Some(value)).as_deref(),
                Some(expected),
                "{functions:?}"
            );
        }
    }

    // `sha256` of nothing would be a digest that all callers without the value share.
    #[test]
    fn of_nothing_comes_nothing() {
        for function in ["lower", "upper", "trim", "urlencode", "base64", "sha256"] {
            assert_eq!(apply(&[function], None), None, "{function}");
        }
        assert_eq!(apply(&["json"], None).unwrap(), b"null");
        assert_eq!(apply(&["sha256", "default:"], None).unwrap(), b"");
        assert_eq!(apply(&["default:x", "upper"], None).unwrap(), b"X");
    }

    #[test]
    fn a_list_is_a_list_to_json_alone() {
        let groups = ["a,b".to_owned(), "c".to_owned()];
        let of = |name: &str| {
            let function = Function::parse(name).unwrap();
            let value = function.apply(Some(Value::List(&groups))).unwrap();
            let text = value.unwrap().into_text().into_owned();
            String::from_utf8(text).unwrap()
        };
        assert_eq!(of("json"), r#"["a,b","c"]"#);
        assert_eq!(of("upper"), "A%2CB,C");
    }

    #[test]
    fn each_step_is_bounded() {
        let long = vec![b' '; Template::MAX_BYTES];
        let urlencode = Function::UrlEncode.apply(Some(Value::of(&long)));
        assert_eq!(urlencode, Err(TooLong));
        assert!(Function::Lower.apply(Some(Value::of(&long))).is_ok());
        assert!(Function::Sha256.apply(Some(Value::of(&long))).is_ok());
    }

    #[test]
    fn what_is_no_function_is_refused() {
        for (text, reason) in [
            ("uper", "unknown function, did you mean upper?"),
            ("sha-256", "unknown function, did you mean sha256?"),
            ("UPPER", "unknown function, did you mean upper?"),
            (
                "frobnicate",
                "unknown function; there are default, lower, upper, trim, urlencode, base64, sha256, json",
            ),
            ("default", "default needs a text: default:none"),
            ("lower:x", "lower takes nothing behind a colon"),
        ] {
            assert_eq!(Function::parse(text), Err(reason.to_owned()), "{text}");
        }
        for name in NAMES.into_iter().skip(1) {
            assert!(Function::parse(name).is_ok(), "{name}");
        }
        assert_eq!(
            Function::parse("default:"),
            Ok(Function::Default(String::new()))
        );
    }
}
