//! What is taken from the claims of a token when it is verified, beside the identity, so that a request with a token that
//! is known already looks at no claim again.

use std::fmt::Write as _;

use filter_config::{BoundedMap, Name};
use http_message::{HeaderName, HeaderValue, percent_encode_value};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::claim_path::ClaimPath;
use crate::claim_test::ClaimTest;
use crate::claims::{ClaimsError, MAX_TEXT_BYTES};
use crate::upstream::MAX_VALUE_BYTES;

/// How a claim is written into a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClaimFormat {
    /// A scalar as it is, a list of scalars joined by commas; percent-encoded as all other values.
    #[default]
    Join,
    /// JSON in ASCII.
    Json,
}

/// What is taken.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extraction {
    tests: Vec<ClaimTest>,
    headers: Vec<(ClaimPath, ClaimFormat, HeaderName)>,
    selected: Vec<(Name, ClaimPath)>,
}

/// What was taken from one token.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extracted {
    holds: Vec<bool>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Extraction {
    /// The number of a test, for [`Extracted::holds`].
    pub(crate) fn test(&mut self, test: ClaimTest) -> usize {
        let known = self.tests.iter().position(|known| *known == test);
        known.unwrap_or_else(|| {
            self.tests.push(test);
            self.tests.len().saturating_sub(1)
        })
    }

    pub(crate) fn header(&mut self, path: ClaimPath, format: ClaimFormat, name: HeaderName) {
        self.headers.push((path, format, name));
    }

    pub(crate) fn select(&mut self, selected: &BoundedMap<Name, ClaimPath, 0, 32>) {
        let all = selected.iter();
        self.selected = all
            .map(|(name, path)| (name.clone(), path.clone()))
            .collect();
    }

    /// Takes it, if there is anything to take.
    ///
    /// # Errors
    /// [`ClaimsError::Malformed`] for a claim that cannot be written as is asked, [`ClaimsError::TooLong`] for one that
    /// does not fit.
    pub(crate) fn of(&self, claims: &Map<String, Value>) -> Result<Option<Extracted>, ClaimsError> {
        if self.tests.is_empty() && self.headers.is_empty() {
            return Ok(None);
        }
        let mut extracted = Extracted {
            holds: self.tests.iter().map(|test| test.holds(claims)).collect(),
            headers: Vec::with_capacity(self.headers.len()),
        };
        for (path, format, name) in &self.headers {
            let Some(value) = path.find(claims) else {
                continue;
            };
            let text = match format {
                ClaimFormat::Join => joined(value)?,
                ClaimFormat::Json => ascii_json(value),
            };
            if text.len() > MAX_VALUE_BYTES {
                return Err(ClaimsError::TooLong);
            }
            if !text.is_empty() {
                let value =
                    HeaderValue::try_from(text.as_str()).map_err(|_| ClaimsError::Malformed)?;
                extracted.headers.push((name.clone(), value));
            }
        }
        Ok(Some(extracted))
    }

    /// The claims for the identity record, by name: a text as it is, anything else as JSON.
    ///
    /// # Errors
    /// [`ClaimsError::TooLong`] for one over [`MAX_TEXT_BYTES`].
    pub(crate) fn selected(
        &self,
        claims: &Map<String, Value>,
    ) -> Result<Vec<(String, String)>, ClaimsError> {
        let mut selected = Vec::with_capacity(self.selected.len());
        for (name, path) in &self.selected {
            let text = match path.find(claims) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
            };
            if text.len() > MAX_TEXT_BYTES {
                return Err(ClaimsError::TooLong);
            }
            selected.push((name.as_str().to_owned(), text));
        }
        Ok(selected)
    }
}

impl Extracted {
    /// What a test came to.
    pub(crate) fn holds(&self, test: usize) -> bool {
        self.holds.get(test).copied().unwrap_or(false)
    }

    /// The headers to the upstream.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
    }

    /// The bytes that it takes, for those who keep it.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self.headers.iter().map(|(name, value)| {
            let texts = name.as_str().len().saturating_add(value.as_bytes().len());
            texts.saturating_add(size_of::<(HeaderName, HeaderValue)>())
        });
        headers.fold(self.holds.len(), usize::saturating_add)
    }
}

fn joined(value: &Value) -> Result<String, ClaimsError> {
    match value {
        Value::Array(values) => {
            let texts: Result<Vec<String>, ClaimsError> = values.iter().map(scalar).collect();
            Ok(texts?.join(","))
        }
        value => scalar(value),
    }
}

/// A scalar as text; nothing is what `null` says.
fn scalar(value: &Value) -> Result<String, ClaimsError> {
    match value {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(percent_encode_value(text)),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Array(_) | Value::Object(_) => Err(ClaimsError::Malformed),
    }
}

/// JSON in ASCII (RFC 8259 section 7): a header's bytes beyond it are read in more than one way.
fn ascii_json(value: &Value) -> String {
    let mut ascii = String::new();
    for character in value.to_string().chars() {
        // serde_json leaves DEL as it is, and no header may hold it.
        if character.is_ascii() && character != '\u{7f}' {
            ascii.push(character);
        } else {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                // Writing to a `String` cannot fail.
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn extraction(format: ClaimFormat) -> Extraction {
        let path: ClaimPath = filter_config::from_value(json!(["a", "b"])).unwrap();
        let mut extraction = Extraction::default();
        extraction.header(path, format, HeaderName::from_static("x-b"));
        extraction.select(&filter_config::from_value(json!({ "b": ["a", "b"] })).unwrap());
        extraction
    }

    fn header(format: ClaimFormat, claim: Value) -> Result<Option<String>, ClaimsError> {
        let claims = json!({ "a": { "b": claim } });
        let extracted = extraction(format).of(claims.as_object().unwrap())?.unwrap();
        let text = |value: &HeaderValue| String::from_utf8(value.as_bytes().to_vec()).unwrap();
        Ok(extracted.headers().first().map(|(_, value)| text(value)))
    }

    // An upstream splits at commas and trusts what it reads between them.
    #[test]
    fn claims_are_written_as_asked() {
        use ClaimFormat::{Join, Json};
        for (format, claim, expected) in [
            (Join, json!("a,b%"), Some("a%2Cb%25")),
            (Join, json!("a\r\nx: y"), Some("a%0D%0Ax:%20y")),
            (Join, json!(7), Some("7")),
            (Join, json!(true), Some("true")),
            (Join, json!(null), None),
            (Join, json!(""), None),
            (Join, json!([]), None),
            (Join, json!(["a,b", 1, false]), Some("a%2Cb,1,false")),
            (Json, json!(["a", { "b": 1 }]), Some(r#"["a",{"b":1}]"#)),
            (
                Json,
                json!("é\u{1f600}\n\u{7f}"),
                Some(r#""\u00e9\ud83d\ude00\n\u007f""#),
            ),
            (Json, json!(null), Some("null")),
        ] {
            let expected = Ok(expected.map(str::to_owned));
            assert_eq!(header(format, claim.clone()), expected, "{claim}");
        }
        for claim in [json!({}), json!([["a"]]), json!([{ "a": 1 }])] {
            assert_eq!(header(Join, claim), Err(ClaimsError::Malformed));
        }
        let none = extraction(Join).of(json!({ "a": [] }).as_object().unwrap());
        assert!(none.unwrap().unwrap().headers().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_too_long() {
        let fits = "x".repeat(MAX_VALUE_BYTES);
        assert_eq!(
            header(ClaimFormat::Join, json!(fits)),
            Ok(Some(fits.clone()))
        );
        assert_eq!(
            header(ClaimFormat::Join, json!(fits + "x")),
            Err(ClaimsError::TooLong)
        );
    }

    #[test]
    fn selected_claims_are_texts() {
        let selected = |claim: Value| {
            let claims = json!({ "a": { "b": claim } });
            extraction(ClaimFormat::Join).selected(claims.as_object().unwrap())
        };
        let one = |text: &str| Ok(vec![("b".to_owned(), text.to_owned())]);
        assert_eq!(selected(json!("é,\n")), one("é,\n"));
        assert_eq!(selected(json!(["a", 1])), one(r#"["a",1]"#));
        assert_eq!(selected(json!(null)), Ok(vec![]));
        let long = "x".repeat(MAX_TEXT_BYTES + 1);
        assert_eq!(selected(json!(long)), Err(ClaimsError::TooLong));
    }

    proptest! {
        // A control byte in a request header makes the router refuse the request, and in a worse host splits it.
        #[test]
        fn every_text_fits_into_a_header(text in ".{0,40}|[\\x00-\\xff]{0,20}") {
            for format in [ClaimFormat::Join, ClaimFormat::Json] {
                let written = header(format, json!(text)).unwrap().unwrap_or_default();
                prop_assert!(written.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            }
        }
    }
}
