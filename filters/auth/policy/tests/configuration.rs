//! What a configuration may not say, and where the refusal points.

mod support;

use auth_policy::{AuthConfig, Policy};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use support::{API_KEY, KEYS, SECRET, config, sha256};

/// The refusal of the sample configuration after a change at a JSON pointer.
fn refusal(pointer: &str, value: Value) -> String {
    let mut config = config();
    *config.pointer_mut(pointer).expect("a place in the sample") = value;
    refusal_of(&config)
}

fn refusal_of(config: &Value) -> String {
    match Policy::from_bytes(config.to_string().as_bytes()) {
        Ok(_) => "accepted".into(),
        Err(error) => error.to_string(),
    }
}

/// The refusal of a key set.
fn refused_keys(keys: Value) -> String {
    refusal("/jwt/providers/0/jwks", json!({ "keys": keys }))
}

#[test]
fn the_sample_is_accepted() {
    assert_eq!(refusal_of(&config()), "accepted");
}

#[test]
fn faults_are_refused_with_their_path() {
    for (pointer, value, expected) in [
        (
            "/version",
            json!(2),
            "version: unsupported version 2, this build reads version 1",
        ),
        (
            "/realm",
            json!("a\"b"),
            "realm: a realm is visible ASCII and spaces, without \" and \\",
        ),
        (
            "/jwt/token_cache",
            json!({ "max_bytes": "1GiB" }),
            "jwt.token_cache.max_bytes: at most 256MiB: each worker has a cache of its own",
        ),
        (
            "/api_keys/sources/0",
            json!({}),
            "api_keys.sources[0]: expected exactly one of header, query, cookie",
        ),
        (
            "/api_keys/sources/1",
            json!({ "header": "x_api_key" }),
            "api_keys.sources[1].header: another source has the same header",
        ),
        (
            "/api_keys/sources/0/header",
            json!("Authorization"),
            "api_keys.sources[0].header: this header has a meaning of its own: choose another",
        ),
        (
            "/api_keys/sources/0/header",
            json!("content_length"),
            "api_keys.sources[0].header: this header has a meaning of its own: choose another",
        ),
        (
            "/api_keys/keys/1/id",
            json!("ci-2026"),
            "api_keys.keys[1].id: another key has the same id",
        ),
        (
            "/api_keys/keys/1/sha256",
            json!(sha256(API_KEY)),
            "api_keys.keys[1].sha256: another key has the same hash",
        ),
        (
            "/api_keys/keys/1/sha256",
            json!("abc"),
            "api_keys.keys[1].sha256: expected the hash of the key as 64 hexadecimal digits",
        ),
        (
            "/api_keys/keys/1/sha256",
            json!("+1".repeat(32)),
            "api_keys.keys[1].sha256: expected the hash of the key as 64 hexadecimal digits",
        ),
        (
            "/api_keys/keys/1/sha256",
            json!(sha256("")),
            "api_keys.keys[1].sha256: this is the hash of the empty string",
        ),
        (
            "/jwt/providers/1/name",
            json!("main"),
            "jwt.providers[1].name: another provider has the same name",
        ),
        (
            "/jwt/providers/1/issuer",
            json!(support::ISSUER),
            "jwt.providers[1].issuer: another provider has the same issuer: which keys count could not be told",
        ),
        (
            "/jwt/providers/0/audiences",
            json!([]),
            "jwt.providers[0].audiences: expected 1 to 32 items, found 0",
        ),
        (
            "/upstream_headers/plan",
            json!("x_user"),
            "upstream_headers.plan: another field has the same header, or one that an upstream may take for it",
        ),
        (
            "/upstream_headers/plan",
            json!("x-api-key"),
            "upstream_headers.plan: this header carries a credential: choose another",
        ),
        (
            "/upstream_headers/plan",
            json!("Host"),
            "upstream_headers.plan: this header has a meaning of its own: choose another",
        ),
        (
            "/upstream_headers/plan",
            json!("content_length"),
            "upstream_headers.plan: this header has a meaning of its own: choose another",
        ),
        (
            "/strip_headers/0",
            json!("x-*"),
            "strip_headers[0]: would take x-forwarded-for from every request",
        ),
        (
            "/strip_headers/0",
            json!("content_length"),
            "strip_headers[0]: would take content-length from every request",
        ),
        (
            "/rules/1/any/1/provider",
            json!("mian"),
            "rules[1].any[1].provider: no such provider, did you mean main?",
        ),
        (
            "/rules/1/any/0",
            json!({ "credential": "api_key", "provider": "main" }),
            "rules[1].any[0].provider: an API key has no provider",
        ),
        (
            "/rules/3/all/0",
            json!({ "credential": "api_key" }),
            "rules[3].all: a request carries one credential of a kind: name each kind once",
        ),
        (
            "/rules/1/name",
            json!("health"),
            "rules[1].name: the rule at index 0 has the same name",
        ),
        (
            "/rules/0/allow_anonymous",
            json!(false),
            "rules[0].allow_anonymous: only true can be meant here; without a rule nothing is allowed",
        ),
        (
            "/rules/1/any/1/scopes/0",
            json!("a\"b"),
            "rules[1].any[1].scopes[0]: a scope is 1 to 128 visible ASCII characters other than \" and \\",
        ),
    ] {
        assert_eq!(refusal(pointer, value), expected, "{pointer}");
    }
}

#[test]
fn a_rule_asks_for_exactly_one_thing() {
    let rule = |rule: Value| {
        let mut config = config();
        config["rules"] = json!([rule]);
        refusal_of(&config)
    };
    let one = "rules[0]: expected exactly one of allow_anonymous, any, all, not";
    let keys = json!([{ "credential": "api_key" }]);
    assert_eq!(rule(json!({ "name": "r" })), one);
    assert_eq!(
        rule(json!({ "name": "r", "allow_anonymous": true, "any": keys })),
        one
    );
    assert_eq!(rule(json!({ "name": "r", "all": keys, "any": keys })), one);
    assert_eq!(
        rule(json!({ "name": "r", "any": [] })),
        "rules[0].any: expected 1 to 16 items, found 0"
    );
    assert_eq!(
        rule(json!({ "name": "r", "allow_anonymous": true, "groups": ["a"] })),
        "rules[0]: an anonymous caller has no scopes and no groups: use any or all"
    );
    assert_eq!(
        rule(json!({ "name": "r", "any": keys, "mach": {} })),
        "rules[0].mach: unknown field, did you mean match?"
    );
    assert_eq!(
        rule(json!({ "name": "r", "any": keys, "match": { "paht": {} } })),
        "rules[0].match.paht: unknown field, did you mean path?"
    );
}

#[test]
fn rules_ask_for_what_is_configured() {
    let without = |section: &str| {
        let mut config = config();
        config.as_object_mut().unwrap().remove(section);
        config["rules"] = json!([{ "name": "r", "any": [{ "credential": "api_key" }] },
                                 { "name": "s", "any": [{ "credential": "jwt" }] }]);
        refusal_of(&config)
    };
    assert_eq!(
        without("api_keys"),
        "rules[0].any[0].credential: there is no api_keys section"
    );
    assert_eq!(
        without("jwt"),
        "rules[1].any[0].credential: there is no jwt section"
    );
}

#[test]
fn keys_that_cannot_be_used_are_refused() {
    let [rs, es, ed] = {
        let Value::Array(keys) = KEYS.jwks()["keys"].take() else {
            panic!()
        };
        <[Value; 3]>::try_from(keys).unwrap()
    };
    let with = |key: &Value, changes: Value| {
        let mut key = key.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => key.as_object_mut().unwrap().remove(name),
                value => key
                    .as_object_mut()
                    .unwrap()
                    .insert(name.clone(), value.clone()),
            };
        }
        key
    };
    let oct = json!({ "kty": "oct", "kid": "hs", "k": URL_SAFE_NO_PAD.encode(SECRET) });
    let short = URL_SAFE_NO_PAD.encode([7; 31]);
    let first = "jwt.providers[0].jwks.keys[0]: ";
    for (key, fault) in [
        (json!("key"), "wrong type, expected an object"),
        (with(&rs, json!({ "kty": null })), "missing field kty"),
        (
            with(&rs, json!({ "kty": "DSA" })),
            "kty is not one of RSA, EC, OKP, oct",
        ),
        (with(&rs, json!({ "kty": 7 })), "kty has to be a string"),
        (
            with(&rs, json!({ "use": "enc" })),
            "use is not sig: this key is not for signatures",
        ),
        (
            with(&rs, json!({ "key_ops": ["sign"] })),
            "key_ops does not list verify: this key is not for signatures",
        ),
        (
            with(&rs, json!({ "key_ops": "verify" })),
            "key_ops does not list verify: this key is not for signatures",
        ),
        (
            with(&rs, json!({ "kid": "" })),
            "kid has to be 1 to 256 bytes",
        ),
        (with(&rs, json!({ "kid": 1 })), "kid has to be a string"),
        (
            with(&rs, json!({ "d": "AQAB" })),
            "a private key in a configuration: keep the public members only",
        ),
        (
            with(&es, json!({ "d": "AQAB" })),
            "a private key in a configuration: keep the public members only",
        ),
        (
            with(&ed, json!({ "d": "AQAB" })),
            "a private key in a configuration: keep the public members only",
        ),
        (
            with(&rs, json!({ "e": "AQ" })),
            "the RSA exponent is not 65537",
        ),
        (
            with(&rs, json!({ "e": "AAEAAQ" })),
            "the RSA exponent is not 65537",
        ),
        (
            with(&rs, json!({ "n": URL_SAFE_NO_PAD.encode([0xff; 128]) })),
            "the RSA modulus has 1024 bits, fewer than 2048",
        ),
        (
            with(&rs, json!({ "n": URL_SAFE_NO_PAD.encode([0xff; 1024]) })),
            "the RSA modulus has 8192 bits, more than 4096",
        ),
        (
            with(&rs, json!({ "n": "A===" })),
            "n is not canonical base64url without padding",
        ),
        (
            with(&rs, json!({ "alg": "RSA-OAEP" })),
            "alg does not fit: an RSA key verifies RS256, RS384, RS512, PS256, PS384 or PS512",
        ),
        (
            with(&rs, json!({ "alg": "HS256" })),
            "alg does not fit: an RSA key verifies RS256, RS384, RS512, PS256, PS384 or PS512",
        ),
        (
            with(&es, json!({ "alg": "ES384" })),
            "alg does not fit: a key of this type verifies ES256",
        ),
        (
            with(&es, json!({ "crv": "P-384" })),
            "x and y have to be 48 bytes each",
        ),
        (
            with(&es, json!({ "crv": "secp256k1", "alg": null })),
            "the point is not on the curve",
        ),
        (
            with(&es, json!({ "crv": "P-192" })),
            "crv is not one of P-256, P-384, P-521, secp256k1",
        ),
        (
            with(&es, json!({ "x": es["y"], "y": es["x"] })),
            "the point is not on the curve",
        ),
        (
            with(&es, json!({ "x": "AAAA" })),
            "x and y have to be 32 bytes each",
        ),
        (with(&es, json!({ "y": null })), "missing field y"),
        (with(&ed, json!({ "crv": "Ed448" })), "crv is not Ed25519"),
        (
            with(&ed, json!({ "x": "AAAA" })),
            "not a usable Ed25519 key",
        ),
        (
            with(&ed, json!({ "x": URL_SAFE_NO_PAD.encode([0; 32]) })),
            "not a usable Ed25519 key",
        ),
        (
            with(&oct, json!({ "k": short })),
            "k has to be 32 to 1024 bytes for HS256",
        ),
        (
            with(&oct, json!({ "k": "" })),
            "k has to be 32 to 1024 bytes for HS256",
        ),
        (
            with(&oct, json!({ "alg": "HS512" })),
            "k has to be 64 to 1024 bytes for HS512",
        ),
        (
            with(&oct, json!({ "alg": "RS256" })),
            "alg does not fit: a secret verifies HS256, HS384 or HS512",
        ),
        (
            with(&oct, json!({ "alg": "A256GCM" })),
            "alg does not fit: a secret verifies HS256, HS384 or HS512",
        ),
    ] {
        assert_eq!(refused_keys(json!([key])), format!("{first}{fault}"));
    }
    // Members that say nothing to us are ignored, as RFC 7517 section 4 asks.
    let chatty = with(
        &rs,
        json!({ "x5c": ["AA"], "x5t": "AA", "alg": null, "use": null, "note": {} }),
    );
    assert_eq!(refused_keys(json!([chatty])), "accepted");

    let at = "jwt.providers[0].jwks.keys";
    assert_eq!(
        refused_keys(json!([rs, with(&es, json!({ "kid": rs["kid"] }))])),
        format!("{at}[1].kid: another key of this set has the same kid")
    );
    assert_eq!(
        refused_keys(json!([rs, oct])),
        format!("{at}: a set holds secrets (oct) or public keys, never both")
    );
    assert_eq!(
        refused_keys(json!([])),
        format!("{at}: has to list 1 to 64 keys")
    );
    assert_eq!(
        refusal("/jwt/providers/0/jwks", json!({})),
        "jwt.providers[0].jwks: write one of keys, remote and discovery"
    );
    assert_eq!(
        refusal("/jwt/providers/0/jwks", json!([])),
        "jwt.providers[0].jwks: wrong type list, expected an object"
    );
}

#[test]
fn more_skew_than_a_minute_is_refused() {
    let mut config = config();
    config["jwt"]["providers"][0]["clock_skew"] = json!("60s");
    assert_eq!(refusal_of(&config), "accepted");
    config["jwt"]["providers"][0]["clock_skew"] = json!("61s");
    assert!(
        refusal_of(&config).starts_with("jwt.providers[0].clock_skew: "),
        "{}",
        refusal_of(&config)
    );
}

#[test]
fn identity_is_not_known_where_identities_are_made() {
    let refused = refusal(
        "/rules/1/match",
        json!({ "identity": { "groups": ["staff"] } }),
    );
    assert!(
        refused.starts_with("rules[1].match.identity: "),
        "{refused}"
    );
}

#[test]
fn debug_shows_no_secret() {
    let config = config();
    let secret = config["jwt"]["providers"][1]["jwks"]["keys"][0]["k"]
        .as_str()
        .unwrap();
    let read: AuthConfig = filter_config::parse(config.to_string().as_bytes()).unwrap();
    let shown = format!("{read:?}");
    assert!(
        shown.contains("secret.gatehouse.test") && !shown.contains(secret),
        "{shown}"
    );
    let shown = format!("{:?}", Policy::compile(read, &|_| None).unwrap());
    assert!(!shown.contains(secret), "{shown}");
}

#[test]
fn no_refusal_quotes_a_secret() {
    // An operator pastes the key itself, or a secret into the wrong field: the log must not keep it.
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    for (pointer, value) in [
        ("/api_keys/keys/0/sha256", json!(secret)),
        ("/api_keys/keys/0/id", json!(format!("{secret} x"))),
        (
            "/jwt/providers/0/jwks/keys/0/n",
            json!(format!("{secret}=")),
        ),
        ("/jwt/providers/1/jwks/keys/0/k", json!("aHVudGVyMg")),
        ("/jwt/providers/1/jwks/keys/0", json!(secret)),
        ("/version", json!(secret)),
        ("/rules/5/mode", json!(secret)),
    ] {
        let refused = refusal(pointer, value);
        assert!(
            refused != "accepted" && !refused.contains("hunter2") && !refused.contains("aHVudGVy"),
            "{refused}"
        );
    }
}
