//! An issuer, its keys, its tokens, and the configuration that trusts it.

#![allow(dead_code, reason = "every test program uses a part of it")]

use std::sync::LazyLock;
use std::time::Duration;

use auth_policy::{Evidence, Facts, Leave, Policy, Step};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_message::{HeaderMap, RequestHead};
use jwt_simple::prelude::{
    Claims, ECDSAP256KeyPairLike as _, ES256KeyPair, Ed25519KeyPair, EdDSAKeyPairLike as _,
    HS256Key, MACLike as _, RS256KeyPair, RSAKeyPairLike as _,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The time at which tests happen.
pub(crate) const NOW: Duration = Duration::from_secs(1_800_000_000);

/// The issuer with public keys.
pub(crate) const ISSUER: &str = "https://issuer.gatehouse.test";

/// The issuer with a shared secret.
pub(crate) const SECRET_ISSUER: &str = "https://secret.gatehouse.test";

/// The secret of [`SECRET_ISSUER`].
pub(crate) const SECRET: &[u8] = b"a secret of at least 32 bytes, for tests";

/// The API key of the consumer acme.
pub(crate) const API_KEY: &str = "acme-key-0123456789";

/// Key pairs, made once a test program.
pub(crate) struct Keys {
    pub(crate) rs256: RS256KeyPair,
    pub(crate) es256: ES256KeyPair,
    pub(crate) eddsa: Ed25519KeyPair,
}

pub(crate) static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    rs256: RS256KeyPair::generate(2048).unwrap().with_key_id("rs"),
    es256: ES256KeyPair::generate().with_key_id("es"),
    eddsa: Ed25519KeyPair::generate().with_key_id("ed"),
});

impl Keys {
    /// The public keys as a set.
    pub(crate) fn jwks(&self) -> Value {
        let keys = [
            self.rs256.public_key().to_jwk(),
            self.es256.public_key().to_jwk(),
            self.eddsa.public_key().to_jwk(),
        ];
        json!({ "keys": keys.map(|jwk| serde_json::from_str::<Value>(&jwk).unwrap()) })
    }

    /// A token of each public-key algorithm with these claims.
    pub(crate) fn tokens(&self, claims: &Value) -> [String; 3] {
        let claims = || {
            let mut made = Claims::with_custom_claims(
                claims.clone(),
                jwt_simple::prelude::Duration::from_secs(0),
            );
            (made.issued_at, made.expires_at, made.invalid_before) = (None, None, None);
            made
        };
        [
            self.rs256.sign(claims()).unwrap(),
            self.es256.sign(claims()).unwrap(),
            self.eddsa.sign(claims()).unwrap(),
        ]
    }
}

/// Claims that [`ISSUER`] makes for a caller who may read orders.
pub(crate) fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "sub": "alice",
        "aud": "api",
        "exp": NOW.as_secs() + 300,
        "azp": "shop",
        "plan": "gold",
        "groups": ["staff"],
        "scope": "orders:read",
    })
}

/// The claims with some members replaced, or removed where the new value is null.
pub(crate) fn claims_with(changes: Value) -> Value {
    let mut claims = claims();
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => members.remove(name),
            value => members.insert(name.clone(), value.clone()),
        };
    }
    claims
}

/// A token of [`SECRET_ISSUER`] with any header and any payload.
pub(crate) fn raw_token(header: &str, payload: &str) -> String {
    signed_with(SECRET, header, payload)
}

/// A token with an HMAC by any key.
pub(crate) fn signed_with(key: &[u8], header: &str, payload: &str) -> String {
    let input = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(payload)
    );
    let tag = HS256Key::from_bytes(key).authentication_tag(input.as_bytes());
    format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// A plain token of [`SECRET_ISSUER`] with these claims.
pub(crate) fn secret_token(changes: Value) -> String {
    let mut claims = claims_with(changes);
    claims["iss"] = SECRET_ISSUER.into();
    raw_token(
        r#"{"alg":"HS256","typ":"JWT","kid":"hs"}"#,
        &claims.to_string(),
    )
}

/// The SHA-256 of a key as the configuration has it.
pub(crate) fn sha256(key: &str) -> String {
    Sha256::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A configuration with an API key, two issuers, and a rule of every kind.
pub(crate) fn config() -> Value {
    json!({
        "version": 1,
        "realm": "api",
        "api_keys": {
            "sources": [{ "header": "x-api-key" }, { "query": "api_key" }],
            "keys": [
                { "id": "ci-2026", "sha256": sha256(API_KEY), "consumer": "acme", "plan": "silver",
                  "groups": ["partners"], "scopes": ["orders:read"], "labels": { "team": "ci" } },
                { "id": "idle", "sha256": sha256("idle-key") },
            ],
        },
        "jwt": { "token_cache": {}, "providers": [
            { "name": "main", "issuer": ISSUER, "audiences": ["api"], "jwks": KEYS.jwks(),
              "claims": { "consumer": "azp", "plan": "plan", "groups": "groups" } },
            { "name": "secret", "issuer": SECRET_ISSUER, "audiences": ["api"],
              "jwks": { "keys": [{ "kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(SECRET) }] },
              "claims": { "groups": "groups" } },
        ] },
        "upstream_headers": {
            "subject": "x-user", "consumer": "x-consumer", "groups": "x-groups", "scopes": "x-scopes",
            "plan": "x-plan", "credential": "x-credential",
        },
        "strip_headers": ["x-authenticated-*"],
        "rules": [
            { "name": "health", "match": { "path": { "exact": "/healthz" }, "methods": ["GET"] },
              "allow_anonymous": true },
            { "name": "orders", "match": { "path": { "prefix": "/orders" } }, "any": [
                { "credential": "api_key" },
                { "credential": "jwt", "provider": "main", "scopes": ["orders:read"], "groups": ["staff"] },
            ] },
            { "name": "tokens", "match": { "path": { "prefix": "/tokens" } }, "any": [{ "credential": "jwt" }] },
            { "name": "admin", "match": { "path": { "prefix": "/admin" } },
              "all": [{ "credential": "jwt", "provider": "main" }, { "credential": "api_key" }],
              "scopes": ["admin"], "groups": ["admins"] },
            { "name": "cached", "match": { "path": { "prefix": "/cached" } }, "any": [{ "credential": "api_key" }],
              "cacheable": true },
            { "name": "trial", "match": { "path": { "prefix": "/trial" } }, "any": [{ "credential": "api_key" }],
              "scopes": ["trial"], "mode": "shadow" },
        ],
    })
}

/// A request for `path` with these headers beside the pseudo headers.
pub(crate) fn request(path: &str, headers: &[(&str, &str)]) -> RequestHead {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", path),
    ];
    RequestHead::new(HeaderMap::from_pairs(pseudo.iter().chain(headers).copied()))
}

/// The policy of a configuration.
pub(crate) fn policy(config: &Value) -> Policy {
    Policy::from_bytes(config.to_string().as_bytes()).unwrap()
}

/// Decides with every signature verified in this process, and every attempt allowed.
pub(crate) fn decide<'p>(policy: &'p Policy, head: &RequestHead, now: Duration) -> Step<'p> {
    let (mut evidence, mut tokens) = (Evidence::new(), policy.token_cache([1, 2, 3, 4]));
    for _ in 0..=Evidence::MAX_ANSWERS + 1 {
        match policy.decide(head, &Facts::default(), &evidence, &mut tokens, now) {
            Step::Verify(check) => {
                let holds = check.verify();
                evidence.add(check, holds);
            }
            Step::Attempt => evidence.set_leave(Leave::Given),
            step => return step,
        }
    }
    panic!("asks for more signatures than it may");
}

/// What a step comes to, in words: `allow <caller> by <rule>`, `shadow_deny …`, `<status> <reason> by <rule>`.
pub(crate) fn summary(step: &Step<'_>) -> String {
    match step {
        Step::Forward(forward) => {
            let caller = forward.caller.display();
            let rule = forward.rule.unwrap_or("-");
            let reason = forward
                .reason
                .map_or(String::new(), |reason| format!(" for {}", reason.name()));
            format!("{} {caller} by {rule}{reason}", forward.decision.name())
        }
        Step::Reply(refusal) => {
            let rule = refusal.rule.unwrap_or("-");
            format!(
                "{} {} by {rule}",
                refusal.problem.status,
                refusal.reason.name()
            )
        }
        Step::Verify(_) => "verify".into(),
        Step::Attempt => "attempt".into(),
        Step::Await(need) => format!("await {:?}", need.key_id),
    }
}
