//! Any token under a configuration of one issuer: it is let through only if a reader that knows nothing of ours lets it
//! through, and one that is beyond doubt is let through.
//!
//! An input that begins with `{` is the header and, on the next line, the payload of a token that is rightly signed; any other
//! is a token as it is.

use std::sync::LazyLock;

use auth_policy::claims::Claims;
use auth_policy::jws::CompactJws;
use auth_policy::{Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::{HeaderMap, RequestHead};
use serde_json::{Value, json};

use super::{ISSUER, NOW, SECRET, decide, is_signed_with, secret_keys, signed};

/// The leeway of the configuration, in seconds.
const SKEW: f64 = 30.0;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = json!({
        "version": 1,
        "jwt": { "providers": [{ "name": "secret", "issuer": ISSUER, "audiences": ["api"], "clock_skew": "30s", "jwks": secret_keys() }] },
        "rules": [{ "name": "all", "any": [{ "credential": "jwt" }] }],
    });
    Policy::from_bytes(config.to_string().as_bytes()).expect("a valid configuration")
});

/// # Panics
/// A token is let through that should not be, or the other way round.
pub fn run(input: &[u8]) {
    let is_unsigned = input.first() == Some(&b'{');
    let token = if is_unsigned {
        let mut lines = input.splitn(2, |byte| *byte == b'\n');
        let mut next = || lines.next().unwrap_or_default();
        signed(next(), next()).into_bytes()
    } else {
        input.to_vec()
    };
    check_form(&token);
    let authorization = [b"Bearer ", token.as_slice()].concat();
    let head = RequestHead::new(HeaderMap::from_pairs([
        (&b":method"[..], &b"GET"[..]),
        (b":path", b"/"),
        (b"authorization", &authorization),
    ]));
    let passes = matches!(decide(&POLICY, &head), Step::Forward(_));
    let text = String::from_utf8_lossy(&token);
    if passes {
        assert!(may_pass(&text), "{text}");
    } else {
        assert!(!must_pass(&text), "{text}");
    }
}

/// What is taken for a token is three parts of base64url, and one object in front.
fn check_form(token: &[u8]) {
    let Ok(jws) = CompactJws::parse(token) else {
        return;
    };
    let parts: Vec<&[u8]> = token.split(|byte| *byte == b'.').collect();
    assert_eq!(parts.len(), 3);
    let bytes = |part: &[u8]| URL_SAFE_NO_PAD.decode(part).expect("canonical base64url");
    assert_eq!(bytes(parts[1]), jws.payload());
    assert_eq!(bytes(parts[2]), jws.signature());
    let header: Value = serde_json::from_slice(&bytes(parts[0])).expect("a header that is JSON");
    assert!(header["alg"].is_string());
    if Claims::parse(jws.payload()).is_ok() {
        let claims: Value = serde_json::from_slice(jws.payload()).expect("claims that are JSON");
        assert!(claims.is_object());
    }
}

/// Header and payload of a token with a good tag.
fn read(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.');
    let mut next = || serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts.next()?).ok()?).ok();
    let (header, payload): (Value, Value) = (next()?, next()?);
    is_signed_with(SECRET, token).then_some((header, payload))
}

/// What nobody may do without.
fn may_pass(token: &str) -> bool {
    let Some((header, payload)) = read(token) else {
        return false;
    };
    let now = NOW.as_secs_f64();
    let date = |name: &str| {
        payload
            .get(name)
            .map(|date| date.as_f64().unwrap_or(f64::NAN))
    };
    header["alg"] == "HS256"
        && ["crit", "b64", "zip"]
            .iter()
            .all(|name| header.get(name).is_none())
        && header.get("kid").is_none_or(|id| id == "hs")
        && payload["iss"] == ISSUER
        && is_for_api(&payload["aud"])
        && date("exp").is_some_and(|end| end + SKEW > now)
        && date("nbf").is_none_or(|start| start - SKEW <= now)
        && date("iat").is_none_or(|start| start - SKEW <= now)
}

fn is_for_api(audience: &Value) -> bool {
    audience == "api"
        || audience
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == "api"))
}

/// Nothing but what everybody knows, with values that nobody could doubt.
fn must_pass(token: &str) -> bool {
    let Some((header, payload)) = read(token) else {
        return false;
    };
    let is_plain = |value: &Value| {
        value.as_str().is_some_and(|text| {
            (1..64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
    };
    let known = |(name, value): (&String, &Value)| match name.as_str() {
        "iss" => value == ISSUER,
        "aud" => value == "api",
        "sub" | "jti" => is_plain(value),
        "exp" => value
            .as_u64()
            .is_some_and(|end| (NOW.as_secs() + 60..1 << 40).contains(&end)),
        "nbf" | "iat" => value.as_u64().is_some_and(|start| start < NOW.as_secs()),
        _ => false,
    };
    let parts: Vec<_> = token.split('.').collect();
    let written = |part: &str, value: &Value| part == URL_SAFE_NO_PAD.encode(value.to_string());
    let header_is_plain =
        header == json!({ "alg": "HS256" }) || header == json!({ "alg": "HS256", "kid": "hs" });
    // Written as this writer writes it, nothing comes twice and no spelling is odd.
    header_is_plain
        && written(parts[0], &header)
        && written(parts[1], &payload)
        && ["iss", "aud", "exp"]
            .iter()
            .all(|name| payload.get(name).is_some())
        && payload
            .as_object()
            .is_some_and(|members| members.iter().all(known))
}

/// Tokens that are good, and those of the tests that are not.
pub fn seeds() -> Vec<Vec<u8>> {
    let claims =
        |extra: &str| format!(r#"{{"aud":"api","exp":1800000300,"iss":"{ISSUER}"{extra}}}"#);
    let good = r#"{"alg":"HS256","kid":"hs"}"#;
    let mut seeds: Vec<Vec<u8>> = [
        "",
        r#","sub":"alice""#,
        r#","nbf":1799999990"#,
        r#","nbf":1800000020.5"#,
        r#","iat":"1""#,
        r#","exp":1"#,
        r#","scope":"a b","groups":["c"]"#,
    ]
    .iter()
    .map(|extra| format!("{good}\n{}", claims(extra)).into_bytes())
    .collect();
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","zip":"DEF"}"#,
        r#"{"alg":"RS256","kid":"hs"}"#,
        r#"{"alg":"HS256","typ":"at+jwt","cty":"JWT"}"#,
        r#"{"alg":"HS256","alg":"none"}"#,
        r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}"#,
    ] {
        seeds.push(format!("{header}\n{}", claims("")).into_bytes());
    }
    seeds.push(signed(good.as_bytes(), claims("").as_bytes()).into_bytes());
    seeds.push(
        format!("{good}\n{{\"iss\":\"{ISSUER}\",\"aud\":[\"x\",\"api\"],\"exp\":1.8000003e9}}")
            .into_bytes(),
    );
    seeds
}
