//! The compact form of a signed token, read strictly.
//!
//! RFC 7515 section 7.1 and RFC 8725. Whatever two readers could take differently is refused here, before any key is
//! looked at: base64url has one spelling for a value, JSON has no member twice, and a header that asks for processing
//! this filter does not do (`crit`, `b64`, `zip`, a nested token) is not a header it may answer for.

use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use filter_config::strict_json;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::claims::{Claims, ClaimsError};

/// The longest token that is read, in bytes of its compact form.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest header that is read, in bytes of its JSON.
pub const MAX_HEADER_BYTES: usize = 4 * 1024;

/// The longest key id (`kid`) that is looked up, in bytes.
pub const MAX_KID_BYTES: usize = 256;

/// How deep the JSON of a header or of the claims may nest.
pub const MAX_JSON_DEPTH: usize = 32;

/// A token in its compact form. Nothing in it is trusted: only its shape was checked.
#[derive(Clone)]
pub struct CompactJws {
    token: Box<str>,
    signing_input_bytes: usize,
    header: JoseHeader,
    payload: Vec<u8>,
    /// What the payload says, once that was asked.
    claims: OnceCell<Result<Claims, ClaimsError>>,
    signature: Vec<u8>,
}

/// The header members that choose how a token is checked.
///
/// `jku`, `x5u`, `jwk` and `x5c` are not among them: a key that a token brings or points to proves nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoseHeader {
    /// `alg` as written. It never chooses an algorithm: it has to equal the one that the key is bound to.
    pub algorithm: String,
    /// `kid`, at most [`MAX_KID_BYTES`].
    pub key_id: Option<String>,
    /// `typ` as written.
    pub token_type: Option<String>,
}

/// Why a token was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum JwsError {
    /// More than [`MAX_TOKEN_BYTES`], or a header of more than [`MAX_HEADER_BYTES`].
    #[error("the token is too long")]
    TooLong,
    /// Not three parts with dots between them: an encrypted token, a JSON form, or no token at all.
    #[error("not three parts in the compact form")]
    NotCompact,
    /// A part is not canonical base64url without padding.
    #[error("a part is not canonical base64url")]
    NotBase64Url,
    /// The header is not one JSON object with each member once, or a member has the wrong type.
    #[error("the header is not a usable JSON object")]
    Header,
    /// `alg` is missing or not a string.
    #[error("the header names no algorithm")]
    Algorithm,
    /// `crit`, `b64` or `zip`, or `cty` says that the payload is another token.
    #[error("the header asks for processing that is not done here")]
    Extension,
}

impl CompactJws {
    /// Reads the compact form.
    ///
    /// The payload may be any bytes, none included: what it has to be is for [`crate::claims`] to say.
    ///
    /// # Errors
    /// [`JwsError`] says which rule the token broke.
    pub fn parse(token: &[u8]) -> Result<Self, JwsError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(JwsError::TooLong);
        }
        let token = std::str::from_utf8(token).map_err(|_| JwsError::NotCompact)?;
        let (signing_input, signature) = token.rsplit_once('.').ok_or(JwsError::NotCompact)?;
        let (header, payload) = signing_input.split_once('.').ok_or(JwsError::NotCompact)?;
        if payload.contains('.') {
            return Err(JwsError::NotCompact);
        }
        let header = JoseHeader::parse(&decode_base64url(header)?)?;
        let (payload, signature) = (decode_base64url(payload)?, decode_base64url(signature)?);
        Ok(Self {
            token: token.into(),
            signing_input_bytes: signing_input.len(),
            header,
            payload,
            claims: OnceCell::new(),
            signature,
        })
    }

    /// The whole token as it was sent.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The bytes that the signature covers: header and payload as sent, with the dot.
    pub fn signing_input(&self) -> &str {
        self.token
            .get(..self.signing_input_bytes)
            .unwrap_or_default()
    }

    /// The header.
    pub fn header(&self) -> &JoseHeader {
        &self.header
    }

    /// The decoded payload.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What the payload says. It is read once, however often a decision comes back to it.
    ///
    /// # Errors
    /// As those of [`Claims::parse`].
    pub fn claims(&self) -> Result<&Claims, ClaimsError> {
        let read = self.claims.get_or_init(|| Claims::parse(&self.payload));
        read.as_ref().map_err(|error| *error)
    }

    /// The decoded signature.
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }
}

impl JoseHeader {
    fn parse(json: &[u8]) -> Result<Self, JwsError> {
        if json.len() > MAX_HEADER_BYTES {
            return Err(JwsError::TooLong);
        }
        let members = parse_object(json, MAX_HEADER_BYTES).ok_or(JwsError::Header)?;
        if ["crit", "b64", "zip"]
            .iter()
            .any(|name| members.contains_key(*name))
        {
            return Err(JwsError::Extension);
        }
        if let Some(content_type) = string_member(&members, "cty")?
            && media_subtype(&content_type).eq_ignore_ascii_case("jwt")
        {
            return Err(JwsError::Extension);
        }
        let Some(Value::String(algorithm)) = members.get("alg") else {
            return Err(JwsError::Algorithm);
        };
        let key_id = string_member(&members, "kid")?;
        if key_id.as_ref().is_some_and(|id| id.len() > MAX_KID_BYTES) {
            return Err(JwsError::Header);
        }
        Ok(Self {
            algorithm: algorithm.clone(),
            key_id,
            token_type: string_member(&members, "typ")?,
        })
    }
}

/// Decodes base64url in its one canonical spelling: no padding, no other alphabet, no stray bits in the last character.
///
/// # Errors
/// [`JwsError::NotBase64Url`] for every other spelling.
pub(crate) fn decode_base64url(text: &str) -> Result<Vec<u8>, JwsError> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| JwsError::NotBase64Url)
}

/// One JSON object within the bounds that every part of a token has to keep, or nothing.
pub(crate) fn parse_object(json: &[u8], max_bytes: usize) -> Option<Map<String, Value>> {
    let limits = strict_json::Limits {
        max_depth: MAX_JSON_DEPTH,
        max_bytes,
    };
    match strict_json::from_slice(json, limits) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A media type as JOSE writes it: `application/` may be left out (RFC 7515 section 4.1.9).
pub(crate) fn media_subtype(value: &str) -> &str {
    match value.split_once('/') {
        Some((kind, subtype)) if kind.eq_ignore_ascii_case("application") => subtype,
        _ => value,
    }
}

fn string_member(members: &Map<String, Value>, name: &str) -> Result<Option<String>, JwsError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(JwsError::Header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, payload: &str, signature: &[u8]) -> String {
        [header.as_bytes(), payload.as_bytes(), signature]
            .map(|part| URL_SAFE_NO_PAD.encode(part))
            .join(".")
    }

    fn error(token: &str) -> JwsError {
        match CompactJws::parse(token.as_bytes()) {
            Ok(_) => panic!("was read"),
            Err(error) => error,
        }
    }

    #[test]
    fn reads_a_plain_token() {
        let text = token(
            r#"{"alg":"ES256","kid":"k","typ":"JWT","jku":"https://evil.test"}"#,
            "{}",
            b"sig",
        );
        let jws = CompactJws::parse(text.as_bytes()).unwrap();
        assert_eq!(jws.header().algorithm, "ES256");
        assert_eq!(jws.header().key_id.as_deref(), Some("k"));
        assert_eq!(jws.payload(), b"{}");
        assert_eq!(jws.signature(), b"sig");
        assert_eq!(
            format!("{}.{}", jws.signing_input(), URL_SAFE_NO_PAD.encode("sig")),
            text
        );
    }

    #[test]
    fn only_three_parts_are_a_token() {
        // Encrypted tokens have five parts, JSON serialisations none.
        for text in [
            "",
            ".",
            "a",
            "a.b",
            "a.b.c.d",
            "a.b.c.d.e",
            r#"{"payload":"","signatures":[]}"#,
        ] {
            assert_eq!(error(text), JwsError::NotCompact, "{text}");
        }
    }

    #[test]
    fn base64url_has_one_spelling() {
        // A second spelling of the same bytes would slip past a revocation list or a cache keyed by the token.
        let good = token(r#"{"alg":"HS256"}"#, "{}", b"s");
        let (head, _) = good.rsplit_once('.').unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode("s"), "cw");
        for signature in ["cw==", "cx", "c w", "cw\n", "c+", "c/", "cw\0", "c"] {
            assert_eq!(
                error(&format!("{head}.{signature}")),
                JwsError::NotBase64Url,
                "{signature:?}"
            );
        }
    }

    #[test]
    fn the_header_is_one_object_with_each_member_once() {
        for header in [
            "",
            "[]",
            "null",
            r#"{"alg":"HS256","alg":"none"}"#,
            r#"{"alg":"HS256"} x"#,
            "\u{feff}{\"alg\":\"HS256\"}",
            r#"{"alg":"HS256","kid":1}"#,
            r#"{"alg":"HS256","kid":null}"#,
            r#"{"alg":"HS256","typ":["JWT"]}"#,
            r#"{"alg":"HS256","cty":7}"#,
            r#"{"alg":"HS256","x":"\ud800"}"#,
        ] {
            assert_eq!(
                error(&token(header, "{}", b"s")),
                JwsError::Header,
                "{header}"
            );
        }
        let nested = format!(
            r#"{{"alg":"HS256","x":{}{}}}"#,
            "[".repeat(40),
            "]".repeat(40)
        );
        assert_eq!(error(&token(&nested, "{}", b"s")), JwsError::Header);
        let long_kid = format!(
            r#"{{"alg":"HS256","kid":"{}"}}"#,
            "k".repeat(MAX_KID_BYTES + 1)
        );
        assert_eq!(error(&token(&long_kid, "{}", b"s")), JwsError::Header);
    }

    #[test]
    fn an_algorithm_is_a_string() {
        for header in [
            "{}",
            r#"{"alg":null}"#,
            r#"{"alg":["RS256"]}"#,
            r#"{"alg":5}"#,
        ] {
            assert_eq!(
                error(&token(header, "{}", b"s")),
                JwsError::Algorithm,
                "{header}"
            );
        }
    }

    #[test]
    fn extensions_are_refused_whatever_they_say() {
        for header in [
            r#"{"alg":"HS256","crit":["exp"]}"#,
            r#"{"alg":"HS256","crit":[]}"#,
            r#"{"alg":"HS256","b64":true}"#,
            r#"{"alg":"HS256","zip":"DEF"}"#,
            r#"{"alg":"HS256","cty":"JWT"}"#,
            r#"{"alg":"HS256","cty":"application/jwt"}"#,
        ] {
            assert_eq!(
                error(&token(header, "{}", b"s")),
                JwsError::Extension,
                "{header}"
            );
        }
    }

    #[test]
    fn sizes_are_bounded() {
        assert_eq!(error(&"a".repeat(MAX_TOKEN_BYTES + 1)), JwsError::TooLong);
        let header = format!(
            r#"{{"alg":"HS256","x":"{}"}}"#,
            "x".repeat(MAX_HEADER_BYTES)
        );
        assert_eq!(error(&token(&header, "{}", b"s")), JwsError::TooLong);
    }
}
