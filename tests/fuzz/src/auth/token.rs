//! Any token under a configuration of two issuers: it is let through only if a reader that knows nothing of ours lets it
//! through, and one that is beyond doubt is let through, from wherever it is taken; and it does not go on to the upstream.
//!
//! An input that begins with `{` is the header and, on the next line, the payload of a token that is rightly signed; any other
//! is a token as it is.

use std::sync::LazyLock;

use auth_policy::claims::Claims;
use auth_policy::jws::CompactJws;
use auth_policy::{Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::HeaderWrite::{Add, Remove, Replace};
use http_message::{HeaderMap, RequestHead};
use serde_json::{Value, json};

use super::{ISSUER, NOW, decide, is_rightly_signed, secret_keys, signed};

/// The issuer of whose tokens more is asked: a short life, and a claim.
const STRICT_ISSUER: &str = "https://strict.gatehouse.test";

/// The longest life of its tokens, in seconds.
const MAX_LIFETIME: f64 = 3600.0;

/// The leeway of the configuration, in seconds.
const SKEW: f64 = 30.0;

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let config = json!({
        "version": 1,
        "jwt": {
            "sources": [
                { "header": "authorization", "prefix": "Bearer " },
                { "header": "x-token", "prefix": "Token " },
                { "query": "token" },
                { "cookie": "token" },
            ],
            "providers": [
                { "name": "secret", "issuer": ISSUER, "audiences": ["api"], "clock_skew": "30s", "jwks": secret_keys() },
                { "name": "strict", "issuer": STRICT_ISSUER, "audiences": ["api"], "clock_skew": "30s", "jwks": secret_keys(),
                  "max_lifetime": "1h", "required_claims": [{ "path": ["tenant", "id"], "any_of": [7, "seven"] }] },
            ],
        },
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
    let text = String::from_utf8_lossy(&token);
    let passes = passes(&token, Place::Authorization);
    if passes {
        assert!(may_pass(&text), "{text}");
    } else {
        assert!(!must_pass(&text), "{text}");
    }
    // What else is in a token, some place has a meaning for.
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    if passes || (!token.is_empty() && token.iter().all(is_plain)) {
        for place in [Place::Header, Place::Query, Place::Cookie] {
            assert_eq!(self::passes(&token, place), passes, "{place:?}: {text}");
        }
    }
}

/// Where a token is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Authorization,
    Header,
    Query,
    Cookie,
}

/// Whether a request with the token there is let through, which then is without it.
fn passes(token: &[u8], place: Place) -> bool {
    let with = |prefix: &[u8]| [prefix, token].concat();
    let path = match place {
        Place::Query => with(b"/?a=1&token="),
        _ => b"/".to_vec(),
    };
    let (name, value) = match place {
        Place::Authorization => (&b"authorization"[..], with(b"Bearer ")),
        Place::Header => (&b"x-token"[..], with(b"Token ")),
        Place::Cookie => (&b"cookie"[..], with(b"a=1; token=")),
        Place::Query => (&b"x-other"[..], b"1".to_vec()),
    };
    let head = RequestHead::new(HeaderMap::from_pairs([
        (&b":method"[..], &b"GET"[..]),
        (b":path", &path),
        (name, &value),
    ]));
    let step = decide(&POLICY, &head);
    let Step::Forward(forward) = &step else {
        return false;
    };
    let has_it = |value: &[u8]| value.windows(token.len()).any(|window| window == token);
    let writes = forward.edits.writes(head.headers());
    let is_rewritten = |name: &[u8]| {
        writes.iter().any(|write| match write {
            Remove(other) | Replace(other, _) | Add(other, _) => *other == name,
        })
    };
    let kept = head
        .headers()
        .iter()
        .filter(|(name, _)| !is_rewritten(name));
    let written = writes.iter().filter_map(|write| match write {
        Remove(_) => None,
        Replace(_, value) | Add(_, value) => Some(*value),
    });
    let all = kept.map(|(_, value)| value).chain(written);
    assert!(
        !all.into_iter().any(has_it),
        "{place:?}: the upstream gets the token"
    );
    true
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
    is_rightly_signed(token).then_some((header, payload))
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
    let key_id = match header["alg"].as_str() {
        Some("HS256") => "hs",
        Some("HS384") => "hs384",
        Some("HS512") => "hs512",
        _ => return false,
    };
    let is_strict = payload["iss"] == STRICT_ISSUER;
    let lifetime = || Some(date("exp")? - date("iat")?);
    let tenant = &payload["tenant"]["id"];
    let keeps_to_more = lifetime().is_some_and(|life| life <= MAX_LIFETIME)
        && (tenant == "seven" || tenant.as_f64() == Some(7.0));
    (!is_strict || keeps_to_more)
        && ["crit", "b64", "zip"]
            .iter()
            .all(|name| header.get(name).is_none())
        && header.get("kid").is_none_or(|id| id == key_id)
        && (is_strict || payload["iss"] == ISSUER)
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
    let plain = [("HS256", "hs"), ("HS384", "hs384"), ("HS512", "hs512")];
    let header_is_plain = plain.iter().any(|(name, id)| {
        header == json!({ "alg": name }) || header == json!({ "alg": name, "kid": id })
    });
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
    let strict = |extra: &str| {
        let issued = r#""iat":1799999000,"exp":1800000300"#;
        format!(r#"{{"aud":"api",{issued},"iss":"{STRICT_ISSUER}"{extra}}}"#)
    };
    for extra in [r#","tenant":{"id":7}"#, r#","tenant":{"id":"7"}"#, ""] {
        seeds.push(format!("{good}\n{}", strict(extra)).into_bytes());
    }
    for header in [
        r#"{"alg":"HS384","kid":"hs384"}"#,
        r#"{"alg":"HS512"}"#,
        r#"{"alg":"HS512","kid":"hs384"}"#,
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
