//! Any configuration and any request: what passes, passes by what the configuration says in so many words.

use auth_policy::{Decision, Forward, Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::{RequestHead, decode_query};
use identity::CredentialKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{ISSUER, NOW, decide, is_signed_with, secret_keys, signed};
use crate::json::{at, items, walk};
use crate::request::{self, after, folded};
use crate::{auth, join, parts};

/// # Panics
/// A request passes that no rule lets pass, a header of the client's is left that speaks for the gateway, or a credential
/// goes on.
pub fn run(input: &[u8]) {
    let Some((config, text)) = parts(input) else {
        return;
    };
    let Ok(policy) = Policy::from_bytes(config) else {
        return;
    };
    let Ok(config) = serde_json::from_slice::<Value>(config) else {
        return;
    };
    let head = request::read(text);
    match decide(&policy, &head) {
        Step::Verify(_) | Step::Attempt => unreachable!("`decide` answers these"),
        // It goes nowhere until keys come, and only where keys are fetched.
        Step::Await(_) => assert!(
            items(&config["jwt"], "providers")
                .any(|provider| provider["jwks"].get("keys").is_none())
        ),
        Step::Reply(refusal) => assert!((400..600).contains(&refusal.problem.status)),
        Step::Forward(forward) => {
            check_decision(&config, &head, &forward);
            check_headers(&config, &head, &forward);
        }
    }
}

fn check_decision(config: &Value, head: &RequestHead, forward: &Forward<'_>) {
    let mode = |value: &Value| value.get("mode").map_or("enforce".into(), Value::to_string);
    let is = |value: &Value, name: &str| mode(value).trim_matches('"') == name;
    let rule = forward.rule.map(|name| {
        items(config, "rules")
            .find(|rule| rule["name"] == name)
            .expect("the rule that decided is one of the configuration's")
    });
    match forward.decision {
        Decision::Off => assert!(is(config, "off")),
        Decision::Deny => panic!("what is refused does not go on"),
        Decision::ShadowDeny => {
            assert!(is(config, "shadow") || rule.is_some_and(|rule| is(rule, "shadow")))
        }
        Decision::Allow => {
            let rule = rule.expect("nothing passes without a rule");
            assert!(!is(rule, "off"));
            assert!(
                fits(rule, head) != Some(false),
                "a rule for other requests: {rule}"
            );
            for earlier in items(config, "rules").take_while(|other| *other != rule) {
                assert!(
                    is(earlier, "off") || fits(earlier, head) != Some(true),
                    "an earlier rule decides: {earlier}"
                );
            }
        }
    }
    match forward.caller.kind {
        CredentialKind::Anonymous if forward.decision == Decision::Allow => {
            // Who sends no credential is not whom a `not` names.
            let says_so = |rule: &Value| {
                walk(rule).any(|value| {
                    value.get("allow_anonymous") == Some(&json!(true)) || value.get("not").is_some()
                })
            };
            assert!(rule.is_some_and(says_so), "anonymous, and no rule says so");
        }
        CredentialKind::Anonymous => {}
        CredentialKind::ApiKey => assert!(has_key(config, head, &forward.caller.credential_id)),
        CredentialKind::Jwt => assert!(has_token(config, head)),
    }
}

/// Whether a rule is for a request, where that can be told at a glance.
fn fits(rule: &Value, head: &RequestHead) -> Option<bool> {
    let Some(wanted) = rule.get("match") else {
        return Some(true);
    };
    let path = std::str::from_utf8(head.raw_path())
        .ok()?
        .split('?')
        .next()?;
    let is_plain = path.starts_with('/')
        && !path.contains("//")
        && path
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'/');
    let mut fits = true;
    for (name, wanted) in wanted.as_object()? {
        fits &= match name.as_str() {
            "path" if is_plain => fits_path(wanted.as_object()?, path)?,
            "methods" => wanted
                .as_array()?
                .iter()
                .any(|method| method.as_str().map(str::as_bytes) == Some(head.method())),
            _ => return None,
        };
    }
    Some(fits)
}

fn fits_path(wanted: &serde_json::Map<String, Value>, path: &str) -> Option<bool> {
    let mut wanted = wanted.iter();
    let (Some((kind, value)), None) = (wanted.next(), wanted.next()) else {
        return None;
    };
    let value = value.as_str().filter(|value| !value.contains('%'))?;
    match kind.as_str() {
        "exact" => Some(path == value),
        "prefix" => {
            Some(path.strip_prefix(value).is_some_and(|rest| {
                rest.is_empty() || rest.starts_with('/') || value.ends_with('/')
            }))
        }
        _ => None,
    }
}

/// Every text of a request that could be a credential: header values, and those of the query, with and without a first word.
fn texts(head: &RequestHead) -> Vec<String> {
    let mut texts = Vec::new();
    for (_, value) in head.headers().iter() {
        let value = String::from_utf8_lossy(value).into_owned();
        texts.extend(value.split([' ', ';', ',', '=']).map(str::to_owned));
        texts.push(value);
    }
    for (_, value) in head.query().iter() {
        texts.push(String::from_utf8_lossy(&decode_query(value)).into_owned());
    }
    texts
}

/// Whether the request has the key of this id.
fn has_key(config: &Value, head: &RequestHead, id: &str) -> bool {
    let keys = at(config, &["api_keys"])
        .into_iter()
        .flat_map(|keys| items(keys, "keys"));
    let hashes: Vec<_> = keys
        .filter(|key| key["id"] == id)
        .filter_map(|key| Some(key["sha256"].as_str()?.to_ascii_lowercase()))
        .collect();
    texts(head).iter().any(|text| {
        let hash: String = Sha256::digest(text)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        hashes.contains(&hash)
    })
}

/// Whether the request has a token that a key of the configuration signed. Of keys whose secret nobody here has, no token can
/// be made: then it is one of the seeds, of which there is none.
fn has_token(config: &Value, head: &RequestHead) -> bool {
    let secrets: Vec<Vec<u8>> = walk(config)
        .filter(|value| value["kty"] == "oct")
        .filter_map(|key| URL_SAFE_NO_PAD.decode(key["k"].as_str()?).ok())
        .collect();
    texts(head)
        .iter()
        .any(|text| secrets.iter().any(|secret| is_signed_with(secret, text)))
}

/// Under the names that the gateway writes stands what it has written, and no credential goes on.
fn check_headers(config: &Value, head: &RequestHead, forward: &Forward<'_>) {
    let left = after(head, &forward.edits);
    let ours = at(config, &["upstream_headers"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten();
    for (field, name) in ours.filter_map(|(field, name)| Some((field, name.as_str()?))) {
        let name = name.to_ascii_lowercase();
        let same: Vec<_> = left
            .iter()
            .filter(|(is, _)| folded(is) == folded(name.as_bytes()))
            .collect();
        assert!(
            same.len() <= 1 && same.iter().all(|(is, _)| *is == name.as_bytes()),
            "{field}: {same:?}"
        );
        if forward.decision != Decision::Allow || forward.caller.is_anonymous() {
            let written = forward.edits.iter().any(|edit| {
                edit.name() == name.as_bytes()
                    && matches!(edit, http_message::HeaderEdit::Set { .. })
            });
            assert!(
                same.is_empty() || written,
                "{field} of the client's: {same:?}"
            );
        }
    }
    let sources = at(config, &["api_keys"])
        .into_iter()
        .flat_map(|keys| items(keys, "sources"));
    for name in sources.filter_map(|source| source.get("header")?.as_str()) {
        let kept = left
            .iter()
            .find(|(is, _)| folded(is) == folded(name.as_bytes()));
        assert!(kept.is_none(), "a key goes on: {name}");
    }
}

/// The example and a configuration with a secret, each with requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let claims = format!(
        r#"{{"iss":"{ISSUER}","aud":"api","exp":{},"scope":"orders:read","groups":["staff"],"sub":"alice"}}"#,
        NOW.as_secs() + 300
    );
    let token = signed(br#"{"alg":"HS256","kid":"hs"}"#, claims.as_bytes());
    let key = "example-key-do-not-use";
    let secret = json!({
        "version": 1,
        "api_keys": {
            "sources": [{ "header": "x-api-key" }, { "query": "api_key" }],
            "keys": [{ "id": "ci", "sha256": "239d610c3cb3891b136e406ed6352e180f4764d2aa4e6b7753b18985d93b1636", "groups": ["partners"] }],
        },
        "jwt": { "providers": [{ "name": "secret", "issuer": ISSUER, "audiences": ["api"], "jwks": secret_keys(), "claims": { "groups": "groups" } }] },
        "upstream_headers": { "subject": "x-user", "groups": "x-groups" },
        "strip_headers": ["x-authenticated-*"],
        "rules": [
            { "name": "health", "match": { "path": { "exact": "/healthz" }, "methods": ["GET"] }, "allow_anonymous": true },
            { "name": "orders", "match": { "path": { "prefix": "/orders" } }, "any": [
                { "credential": "api_key" },
                { "credential": "jwt", "provider": "secret", "scopes": ["orders:read"], "groups": ["staff"] } ] },
            { "name": "admin", "match": { "path": { "prefix": "/admin" } }, "all": [{ "credential": "jwt" }, { "credential": "api_key" }], "mode": "shadow" },
            { "name": "strangers", "match": { "path": { "prefix": "/strangers" } }, "not": { "credential": "jwt", "groups": ["staff"] } },
            { "name": "rest", "any": [{ "credential": "jwt" }], "scopes": ["all"] },
        ],
    })
    .to_string();
    let example = auth::configuration::example();
    let mut seeds = Vec::new();
    for config in [&secret, &example] {
        for request in [
            "GET /healthz\nx-user: root\nX_User: root".to_owned(),
            format!("GET /orders/17\nauthorization: Bearer {token}"),
            format!("POST /orders\nx-api-key: {key}\nx-groups: admins"),
            format!("GET /orders?api_key={key}"),
            format!("GET /orders?api%5Fkey={}", key.replacen('e', "%65", 1)),
            "GET /strangers".to_owned(),
            format!("GET /admin\nauthorization: bearer {token}\nx-api-key: {key}"),
            format!("GET /other\nauthorization: Bearer {token}"),
            "OPTIONS *\norigin: a".to_owned(),
            "GET /healthz/..\ncookie: a=b".to_owned(),
            "POST /inventory.v1.Stock/Get\ncontent-type: application/grpc".to_owned(),
        ] {
            seeds.push(join(config, &request));
        }
    }
    seeds
}
