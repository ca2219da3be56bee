//! What a token says, and whether it says it to us, now.
//!
//! RFC 7519 section 4.1, RFC 8725 sections 3.8 to 3.12. `iss` chooses a provider before anything is verified; all else
//! is looked at only once that provider's key has verified the signature.

use std::time::Duration;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::claim_path::ClaimPath;
use crate::jws::{MAX_TOKEN_BYTES, parse_object};

/// The most leeway for clocks that disagree.
pub const MAX_CLOCK_SKEW: Duration = Duration::from_secs(60);

/// The longest subject, consumer, plan, group or scope in a token, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// The latest second a date may name: 2^53, past which a JSON number is not exact.
const MAX_NUMERIC_DATE: f64 = 9_007_199_254_740_992.0;

/// The claims of a token, not trusted by being read.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

/// What claims are checked against.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `iss` is exactly this.
    pub issuer: String,
    /// `aud` is, or contains, one of these.
    pub audiences: Vec<String>,
    /// The leeway for `exp`, `nbf` and `iat`, at most [`MAX_CLOCK_SKEW`].
    pub clock_skew: Duration,
    /// The most time from `iat` to `exp`; both are then required.
    pub max_lifetime: Option<Duration>,
}

/// When a token is good, the leeway for clocks included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// From this time since the Unix epoch: the later of `nbf` and `iat`, less the leeway.
    pub from: Duration,
    /// Until just before this time: `exp` and the leeway.
    pub until: Duration,
}

/// Why claims are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ClaimsError {
    /// Not one JSON object with each member once, or a claim of the wrong type, or dates that contradict each other.
    #[error("the claims are not usable")]
    Malformed,
    /// `iss` is missing or another.
    #[error("the issuer is not the expected one")]
    Issuer,
    /// `aud` is missing or names none of the expected audiences.
    #[error("the token is for another audience")]
    Audience,
    /// `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// `nbf` or `iat` has not come.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// More time from `iat` to `exp` than is allowed, or no `iat` to tell by.
    #[error("the token lives too long")]
    Lifetime,
    /// A claim is longer, or a list has more entries, than is handed on.
    #[error("a claim is too long")]
    TooLong,
}

impl Claims {
    /// Reads the payload of a token.
    ///
    /// # Errors
    /// [`ClaimsError::Malformed`] for anything but one JSON object, each member once, at most 32 levels deep.
    pub fn parse(payload: &[u8]) -> Result<Self, ClaimsError> {
        parse_object(payload, MAX_TOKEN_BYTES)
            .map(Self)
            .ok_or(ClaimsError::Malformed)
    }

    /// All of them, by name.
    pub(crate) fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// `iss`, if it is a string.
    pub fn issuer(&self) -> Option<&str> {
        self.0.get("iss").and_then(Value::as_str)
    }

    /// Checks issuer, audience and dates. `exp` is required. Whether the time has come is for [`Validity::check`] to say.
    ///
    /// # Errors
    /// [`ClaimsError`] names the first rule that the claims broke.
    pub fn check(&self, expected: &Expected) -> Result<Validity, ClaimsError> {
        if self.issuer() != Some(expected.issuer.as_str()) {
            return Err(ClaimsError::Issuer);
        }
        if !self.is_for(&expected.audiences)? {
            return Err(ClaimsError::Audience);
        }
        let skew = expected.clock_skew.min(MAX_CLOCK_SKEW);
        let expires = self.date("exp")?.ok_or(ClaimsError::Malformed)?;
        let not_before = self.date("nbf")?;
        let issued = self.date("iat")?;
        if not_before.is_some_and(|not_before| expires <= not_before) {
            return Err(ClaimsError::Malformed);
        }
        if let Some(most) = expected.max_lifetime {
            let issued = issued.ok_or(ClaimsError::Lifetime)?;
            if expires.saturating_sub(issued) > most {
                return Err(ClaimsError::Lifetime);
            }
        }
        let start = not_before.max(issued).unwrap_or_default();
        Ok(Validity {
            from: start.saturating_sub(skew),
            until: expires.saturating_add(skew),
        })
    }

    /// A claim that has to be a string if it is there. An empty one counts as none.
    ///
    /// # Errors
    /// [`ClaimsError::Malformed`] for another type, [`ClaimsError::TooLong`] past [`MAX_TEXT_BYTES`].
    pub fn text(&self, name: &str) -> Result<Option<&str>, ClaimsError> {
        text(self.0.get(name))
    }

    /// The claim at a path, as [`Claims::text`] has it.
    pub(crate) fn text_at(&self, path: &ClaimPath) -> Result<Option<&str>, ClaimsError> {
        text(path.find(&self.0))
    }

    /// The claim at a path: a list of strings, or one string that stands for a list of one.
    pub(crate) fn list_at(
        &self,
        path: &ClaimPath,
        most: usize,
    ) -> Result<Vec<String>, ClaimsError> {
        list(path.find(&self.0), most)
    }

    /// The scopes: `scope` (RFC 8693 section 4.2) and `scp`, each a list or one string with spaces between.
    ///
    /// # Errors
    /// As for [`Claims::text`]; [`ClaimsError::TooLong`] too for more than `most` entries.
    pub fn scopes(&self, most: usize) -> Result<Vec<String>, ClaimsError> {
        let mut scopes = Vec::new();
        for name in ["scope", "scp"] {
            match self.0.get(name) {
                Some(Value::String(text)) => {
                    for scope in text.split(' ') {
                        push(&mut scopes, scope, most)?;
                    }
                }
                _ => {
                    for scope in list(self.0.get(name), most)? {
                        push(&mut scopes, &scope, most)?;
                    }
                }
            }
        }
        Ok(scopes)
    }

    /// RFC 7519 section 4.1.3: one string, or a list that names one of ours.
    fn is_for(&self, audiences: &[String]) -> Result<bool, ClaimsError> {
        let is_ours = |name: &str| audiences.iter().any(|audience| audience == name);
        match self.0.get("aud") {
            None => Ok(false),
            Some(Value::String(name)) => Ok(is_ours(name)),
            Some(Value::Array(names)) => {
                let names: Option<Vec<&str>> = names.iter().map(Value::as_str).collect();
                Ok(names
                    .ok_or(ClaimsError::Malformed)?
                    .into_iter()
                    .any(is_ours))
            }
            Some(_) => Err(ClaimsError::Malformed),
        }
    }

    /// A NumericDate (RFC 7519 section 2): seconds since the epoch, fractions allowed, never negative.
    fn date(&self, name: &str) -> Result<Option<Duration>, ClaimsError> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        let seconds = value.as_f64().ok_or(ClaimsError::Malformed)?;
        if !(0.0..=MAX_NUMERIC_DATE).contains(&seconds) || seconds.is_sign_negative() {
            return Err(ClaimsError::Malformed);
        }
        Duration::try_from_secs_f64(seconds)
            .map(Some)
            .map_err(|_| ClaimsError::Malformed)
    }
}

impl Validity {
    /// Whether the time is right; `now` is the time since the Unix epoch.
    ///
    /// # Errors
    /// [`ClaimsError::Expired`] or [`ClaimsError::NotYetValid`].
    pub fn check(&self, now: Duration) -> Result<(), ClaimsError> {
        if now >= self.until {
            return Err(ClaimsError::Expired);
        }
        if now < self.from {
            return Err(ClaimsError::NotYetValid);
        }
        Ok(())
    }
}

/// A string, if there is anything. An empty one counts as none.
fn text(value: Option<&Value>) -> Result<Option<&str>, ClaimsError> {
    match value {
        None => Ok(None),
        Some(Value::String(text)) if text.len() > MAX_TEXT_BYTES => Err(ClaimsError::TooLong),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(_) => Err(ClaimsError::Malformed),
    }
}

/// A list of strings, or one string that stands for a list of one.
fn list(value: Option<&Value>, most: usize) -> Result<Vec<String>, ClaimsError> {
    let mut list = Vec::new();
    match value {
        Some(Value::Array(values)) => {
            for value in values {
                let text = value.as_str().ok_or(ClaimsError::Malformed)?;
                push(&mut list, text, most)?;
            }
        }
        one => {
            if let Some(text) = text(one)? {
                push(&mut list, text, most)?;
            }
        }
    }
    Ok(list)
}

/// Adds a text to a list that holds each text once, none empty.
fn push(list: &mut Vec<String>, text: &str, most: usize) -> Result<(), ClaimsError> {
    if text.is_empty() || list.iter().any(|held| held == text) {
        return Ok(());
    }
    if text.len() > MAX_TEXT_BYTES || list.len() >= most {
        return Err(ClaimsError::TooLong);
    }
    list.push(text.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn expected() -> Expected {
        Expected {
            issuer: "https://issuer.test".into(),
            audiences: vec!["api".into(), "web".into()],
            clock_skew: MAX_CLOCK_SKEW,
            max_lifetime: None,
        }
    }

    fn check(rest: &str) -> Result<(), ClaimsError> {
        let json = format!(r#"{{"iss":"https://issuer.test","aud":"api",{rest}}}"#);
        Claims::parse(json.as_bytes())?
            .check(&expected())?
            .check(NOW)
    }

    #[test]
    fn skew_is_the_whole_leeway() {
        // A second more on either side would let in a token that has expired or has not started.
        assert_eq!(check(r#""exp":1799999941"#), Ok(()));
        assert_eq!(check(r#""exp":1799999940"#), Err(ClaimsError::Expired));
        assert_eq!(
            check(r#""exp":1800000300,"nbf":1800000060,"iat":1800000060"#),
            Ok(())
        );
        assert_eq!(
            check(r#""exp":1800000300,"nbf":1800000061"#),
            Err(ClaimsError::NotYetValid)
        );
        assert_eq!(
            check(r#""exp":1800000300,"iat":1800000060.5"#),
            Err(ClaimsError::NotYetValid)
        );
        assert_eq!(check(r#""exp":1799999940.5"#), Ok(()));
    }

    #[test]
    fn more_leeway_than_allowed_is_cut() {
        let json = br#"{"iss":"https://issuer.test","aud":"api","exp":1799999000}"#;
        let wide = Expected {
            clock_skew: Duration::from_secs(86_400),
            ..expected()
        };
        assert_eq!(
            Claims::parse(json)
                .unwrap()
                .check(&wide)
                .unwrap()
                .check(NOW),
            Err(ClaimsError::Expired)
        );
    }

    // An issuer that makes tokens for a year would make every leak of one last a year.
    #[test]
    fn a_lifetime_is_from_issue_to_expiry_and_bounded() {
        let check = |dates: &str| {
            let json = format!(r#"{{"iss":"https://issuer.test","aud":"api",{dates}}}"#);
            let short = Expected {
                max_lifetime: Some(Duration::from_secs(300)),
                ..expected()
            };
            Claims::parse(json.as_bytes())
                .unwrap()
                .check(&short)
                .map(drop)
        };
        assert_eq!(check(r#""iat":1800000000,"exp":1800000300"#), Ok(()));
        for dates in [
            r#""iat":1800000000,"exp":1800000301"#,
            r#""iat":1800000000,"exp":1800000300.5"#,
            r#""exp":1800000001"#,
            r#""nbf":1800000000,"exp":1800000001"#,
        ] {
            assert_eq!(check(dates), Err(ClaimsError::Lifetime), "{dates}");
        }
    }

    #[test]
    fn dates_are_numbers_in_range() {
        for exp in [
            r#""1800000300""#,
            "null",
            "true",
            "[1800000300]",
            "-1",
            "-0.0",
            "-0",
            "9007199254740994",
            "9223372036854775808",
            "18446744073709551615",
            "1e308",
            "1e400",
        ] {
            assert_eq!(
                check(&format!(r#""exp":{exp}"#)),
                Err(ClaimsError::Malformed),
                "{exp}"
            );
        }
        assert_eq!(
            check(r#""sub":"x""#),
            Err(ClaimsError::Malformed),
            "exp is required"
        );
        assert_eq!(check(r#""exp":9007199254740992"#), Ok(()));
        assert_eq!(
            check(r#""exp":1800000300,"nbf":-1"#),
            Err(ClaimsError::Malformed)
        );
        assert_eq!(
            check(r#""exp":1800000300,"iat":"1""#),
            Err(ClaimsError::Malformed)
        );
        assert_eq!(
            check(r#""exp":1800000010,"nbf":1800000010"#),
            Err(ClaimsError::Malformed)
        );
        assert_eq!(
            check(r#""exp":1800000010,"nbf":1800000020"#),
            Err(ClaimsError::Malformed)
        );
    }

    #[test]
    fn the_largest_dates_and_clocks_do_not_overflow() {
        let claims =
            Claims::parse(br#"{"iss":"https://issuer.test","aud":"api","exp":9007199254740992}"#)
                .unwrap();
        let validity = claims.check(&expected()).unwrap();
        assert_eq!(validity.check(Duration::MAX), Err(ClaimsError::Expired));
        assert_eq!(validity.check(Duration::ZERO), Ok(()));
    }

    #[test]
    fn issuer_and_audience_are_exact() {
        let check = |json: &str| {
            Claims::parse(json.as_bytes())
                .unwrap()
                .check(&expected())
                .map(drop)
        };
        for issuer in [
            r#""https://issuer.test/""#,
            r#""https://ISSUER.test""#,
            r#""""#,
            "7",
            "null",
        ] {
            let json = format!(r#"{{"iss":{issuer},"aud":"api","exp":1800000300}}"#);
            assert_eq!(check(&json), Err(ClaimsError::Issuer), "{issuer}");
        }
        for (audience, answer) in [
            (r#""web""#, Ok(())),
            (r#"["other","api"]"#, Ok(())),
            (r#"[]"#, Err(ClaimsError::Audience)),
            (r#""""#, Err(ClaimsError::Audience)),
            (r#""API""#, Err(ClaimsError::Audience)),
            (r#""api web""#, Err(ClaimsError::Audience)),
            (r#"["api",7]"#, Err(ClaimsError::Malformed)),
            ("7", Err(ClaimsError::Malformed)),
        ] {
            let json =
                format!(r#"{{"iss":"https://issuer.test","aud":{audience},"exp":1800000300}}"#);
            assert_eq!(check(&json), answer, "{audience}");
        }
        assert_eq!(
            check(r#"{"iss":"https://issuer.test","exp":1800000300}"#),
            Err(ClaimsError::Audience)
        );
    }

    #[test]
    fn only_one_plain_object_is_a_claims_set() {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        for json in [
            "",
            "7",
            "[]",
            "{} {}",
            r#"{"sub":"a","sub":"b"}"#,
            "\u{feff}{}",
            deep.as_str(),
        ] {
            assert_eq!(Claims::parse(json.as_bytes()), Err(ClaimsError::Malformed));
        }
        assert_eq!(
            Claims::parse(b"{\"sub\":\"\xff\"}"),
            Err(ClaimsError::Malformed)
        );
        assert_eq!(
            Claims::parse(br#"{"sub":"\ud800"}"#),
            Err(ClaimsError::Malformed)
        );
    }

    #[test]
    fn scopes_come_from_both_claims_in_both_forms() {
        let scopes = |json: &str| Claims::parse(json.as_bytes()).unwrap().scopes(3);
        assert_eq!(
            scopes(r#"{"scope":"a  b","scp":["b","c"]}"#).unwrap(),
            ["a", "b", "c"]
        );
        assert_eq!(
            scopes(r#"{"scope":["a"],"scp":"b c"}"#).unwrap(),
            ["a", "b", "c"]
        );
        assert_eq!(scopes(r#"{"scope":"a b c d"}"#), Err(ClaimsError::TooLong));
        assert_eq!(scopes(r#"{"scope":[1]}"#), Err(ClaimsError::Malformed));
        assert_eq!(scopes(r#"{"scp":{}}"#), Err(ClaimsError::Malformed));
        assert!(scopes("{}").unwrap().is_empty());
    }

    #[test]
    fn texts_are_bounded() {
        let claims =
            Claims::parse(format!(r#"{{"sub":"{}"}}"#, "x".repeat(MAX_TEXT_BYTES + 1)).as_bytes())
                .unwrap();
        assert_eq!(claims.text("sub"), Err(ClaimsError::TooLong));
        assert_eq!(
            Claims::parse(br#"{"sub":7}"#).unwrap().text("sub"),
            Err(ClaimsError::Malformed)
        );
        assert_eq!(
            Claims::parse(br#"{"sub":""}"#).unwrap().text("sub"),
            Ok(None)
        );
    }
}
