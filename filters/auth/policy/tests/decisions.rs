//! Who may, who may not, and what each is told.

mod support;

use std::sync::LazyLock;
use std::time::Duration;

use auth_policy::{Decision, Facts, Policy, Reason, Step};
use http_message::{HeaderMap, RequestHead};
use identity::{CredentialKind, Identity};
use serde_json::{Value, json};
use support::{
    API_KEY, ISSUER, KEYS, NOW, claims_with, config, decide, policy, raw_token, request,
    secret_token, signed_with, summary,
};

static POLICY: LazyLock<Policy> = LazyLock::new(|| policy(&config()));

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

fn outcome(path: &str, headers: &[(&str, &str)]) -> String {
    summary(&decide(&POLICY, &request(path, headers), NOW))
}

fn outcome_of_token(path: &str, token: &str) -> String {
    outcome(path, &[("authorization", &bearer(token))])
}

/// The headers that the upstream gets, as `name: value` in order of name.
fn upstream(step: &Step<'_>, head: &RequestHead) -> Vec<String> {
    let Step::Forward(forward) = step else {
        panic!("refused: {}", summary(step));
    };
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = head
        .headers()
        .iter()
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .collect();
    for write in forward.edits.writes(head.headers()) {
        use http_message::HeaderWrite::{Add, Remove, Replace};
        match write {
            Remove(name) => headers.retain(|(other, _)| other != name),
            Replace(name, value) => {
                headers.retain(|(other, _)| other != name);
                headers.push((name.to_vec(), value.to_vec()));
            }
            Add(name, value) => headers.push((name.to_vec(), value.to_vec())),
        }
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines: Vec<String> = headers
        .iter()
        .filter(|(name, _)| !name.starts_with(b":") || name == b":path")
        .map(|(name, value)| format!("{}: {}", text(name), text(value)))
        .collect();
    lines.sort();
    lines
}

fn challenges(step: &Step<'_>) -> Vec<String> {
    let Step::Reply(refusal) = step else {
        panic!("not refused: {}", summary(step));
    };
    refusal
        .problem
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect()
}

fn identity(step: Step<'_>) -> Identity {
    match step {
        Step::Forward(forward) => Identity {
            original: forward.original,
            ..Identity::clone(&forward.caller)
        },
        Step::Reply(refusal) => Identity {
            original: refusal.original,
            ..Identity::clone(&refusal.caller)
        },
        Step::Verify(_) | Step::Attempt | Step::Await(_) => panic!("undecided"),
    }
}

#[test]
fn every_algorithm_authenticates() {
    for token in KEYS.tokens(&claims_with(json!({}))) {
        assert_eq!(
            outcome_of_token("/orders/7", &token),
            "allow jwt:alice by orders"
        );
    }
    assert_eq!(
        outcome_of_token("/tokens", &secret_token(json!({}))),
        "allow jwt:alice by tokens"
    );
}

#[test]
fn an_api_key_authenticates_from_header_and_query() {
    assert_eq!(
        outcome("/orders", &[("x-api-key", API_KEY)]),
        "allow api_key:ci-2026 by orders"
    );
    let path = format!("/orders?api_key={API_KEY}");
    assert_eq!(outcome(&path, &[]), "allow api_key:ci-2026 by orders");
}

#[test]
fn what_no_rule_names_is_denied() {
    // A forgotten rule must not be an open door.
    assert_eq!(outcome("/other", &[]), "401 no_rule by -");
    assert_eq!(
        outcome("/other", &[("x-api-key", API_KEY)]),
        "403 no_rule by -"
    );
    let mut empty = config();
    empty["rules"] = json!([]);
    let step = summary(&decide(&policy(&empty), &request("/", &[]), NOW));
    assert_eq!(step, "401 no_rule by -");
}

// A 401 has to name a scheme (RFC 9110 section 15.5.2); where nobody can authenticate there is none, and to ask for it is a lie.
#[test]
fn where_no_credential_is_configured_none_is_asked_for() {
    let mut config = json!({ "version": 1, "rules": [
        { "name": "open", "match": { "path": { "exact": "/" } }, "allow_anonymous": true },
        { "name": "no", "match": { "path": { "exact": "/no" } }, "any": [{ "allow_anonymous": true }], "groups": ["a"] },
    ] });
    let outcome = |config: &Value, path: &str| {
        let policy = policy(config);
        let step = decide(&policy, &request(path, &[]), NOW);
        let asked = matches!(&step, Step::Reply(_)) && !challenges(&step).is_empty();
        (summary(&step), asked)
    };
    for (path, expected) in [
        ("/other", "403 no_rule by -"),
        ("/no", "403 credential_missing by no"),
        ("/", "allow anonymous by open"),
    ] {
        assert_eq!(outcome(&config, path), (expected.to_owned(), false));
    }
    config["api_keys"] = json!({ "sources": [{ "header": "x-api-key" }], "keys": [] });
    let expected = ("401 no_rule by -".to_owned(), true);
    assert_eq!(outcome(&config, "/other"), expected);
}

#[test]
fn a_missing_credential_is_401() {
    for path in ["/orders", "/tokens", "/admin", "/cached"] {
        let rule = path.trim_start_matches('/');
        assert_eq!(
            outcome(path, &[]),
            format!("401 credential_missing by {rule}")
        );
    }
    // A key is no token, and half of `all` is nothing.
    assert_eq!(
        outcome("/tokens", &[("x-api-key", API_KEY)]),
        "401 credential_missing by tokens"
    );
    assert_eq!(
        outcome("/admin", &[("x-api-key", API_KEY)]),
        "401 credential_missing by admin"
    );
}

#[test]
fn a_bad_credential_is_401_even_where_none_is_asked_for() {
    // Otherwise a client with an expired token would be taken for an anonymous one without anybody noticing.
    assert_eq!(outcome("/healthz", &[]), "allow anonymous by health");
    assert_eq!(
        outcome("/healthz", &[("x-api-key", "wrong")]),
        "401 api_key_unknown by health"
    );
    assert_eq!(
        outcome("/healthz", &[("x-api-key", "")]),
        "401 api_key_malformed by health"
    );
    assert_eq!(
        outcome_of_token("/healthz", "x.y.z"),
        "401 token_malformed by health"
    );
    assert_eq!(
        outcome_of_token("/healthz", &secret_token(json!({ "exp": 1 }))),
        "401 token_expired by health"
    );
    assert_eq!(
        outcome("/healthz", &[("x-api-key", API_KEY)]),
        "allow api_key:ci-2026 by health"
    );
}

#[test]
fn api_keys_are_compared_whole() {
    for key in [
        &API_KEY[..API_KEY.len() - 1],
        &format!("{API_KEY}0"),
        &API_KEY.to_uppercase(),
        &support::sha256(API_KEY),
        "\u{e9}",
    ] {
        assert_eq!(
            outcome("/orders", &[("x-api-key", key)]),
            "401 api_key_unknown by orders",
            "{key}"
        );
    }
    let huge = "k".repeat(60_000);
    assert_eq!(
        outcome("/orders", &[("x-api-key", &huge)]),
        "401 api_key_malformed by orders"
    );
}

#[test]
fn several_credentials_of_a_kind_are_401() {
    let token = bearer(&secret_token(json!({})));
    let query = format!("/orders?api_key={API_KEY}");
    for (path, headers) in [
        (
            "/orders",
            vec![("x-api-key", API_KEY), ("x-api-key", API_KEY)],
        ),
        (query.as_str(), vec![("x-api-key", API_KEY)]),
        (
            "/orders",
            vec![("authorization", &token), ("authorization", &token)],
        ),
        (
            "/orders",
            vec![("authorization", &token), ("authorization", "Basic YTpi")],
        ),
    ] {
        assert_eq!(
            outcome(path, &headers),
            "401 credential_repeated by orders",
            "{headers:?}"
        );
    }
    let joined = format!("{token}, {token}");
    assert_eq!(
        outcome("/tokens", &[("authorization", &joined)]),
        "401 token_malformed by tokens"
    );
}

#[test]
fn one_bad_credential_spoils_a_good_one() {
    let expired = bearer(&secret_token(json!({ "exp": 1 })));
    let headers = [("x-api-key", API_KEY), ("authorization", expired.as_str())];
    assert_eq!(outcome("/orders", &headers), "401 token_expired by orders");
}

#[test]
fn scopes_and_groups_are_403_and_say_what_is_missing() {
    let [_, token, _] = KEYS.tokens(&claims_with(json!({ "scope": "profile" })));
    let head = request("/orders", &[("authorization", &bearer(&token))]);
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(summary(&step), "403 scope_missing by orders");
    assert_eq!(
        challenges(&step),
        [
            r#"www-authenticate: Bearer realm="api", error="insufficient_scope", scope="orders:read""#
        ]
    );

    let [_, token, _] = KEYS.tokens(&claims_with(json!({ "groups": ["guests"] })));
    let head = request("/orders", &[("authorization", &bearer(&token))]);
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(summary(&step), "403 group_missing by orders");
    assert_eq!(
        challenges(&step),
        [r#"www-authenticate: Bearer realm="api", error="insufficient_scope""#]
    );
}

#[test]
fn another_providers_token_is_403() {
    assert_eq!(
        outcome_of_token("/orders", &secret_token(json!({}))),
        "403 credential_not_accepted by orders"
    );
}

#[test]
fn all_needs_every_credential_and_joins_them() {
    let admin = json!({ "scope": "admin", "groups": ["admins"], "azp": null, "plan": null });
    let [token, ..] = KEYS.tokens(&claims_with(admin));
    let token = bearer(&token);
    let head = request(
        "/admin",
        &[("authorization", &token), ("x-api-key", API_KEY)],
    );
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(summary(&step), "allow jwt:alice by admin");
    let identity = identity(step);
    assert_eq!(identity.credential_id, "main");
    assert_eq!(
        identity.consumer.as_deref(),
        Some("acme"),
        "the token names no consumer, the key does"
    );
    assert_eq!(identity.plan.as_deref(), Some("silver"));
    assert_eq!(identity.groups, ["admins", "partners"]);
    assert_eq!(identity.scopes, ["admin", "orders:read"]);
    assert_eq!(identity.labels, [("team".to_owned(), "ci".to_owned())]);

    let headers = [("authorization", token.as_str()), ("x-api-key", "idle-key")];
    assert_eq!(outcome("/admin", &headers), "allow jwt:alice by admin");
    assert_eq!(
        outcome("/admin", &[("authorization", &token)]),
        "401 credential_missing by admin"
    );
    let [token, ..] = KEYS.tokens(&claims_with(json!({ "scope": "admin" })));
    let headers = [
        ("authorization", bearer(&token)),
        ("x-api-key", API_KEY.into()),
    ];
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(outcome("/admin", &headers), "403 group_missing by admin");
}

#[test]
fn tokens_are_for_us_and_for_now() {
    let now = NOW.as_secs();
    for (changes, reason) in [
        (json!({ "exp": now - 60 }), "token_expired"),
        (json!({ "exp": null }), "token_claims"),
        (json!({ "exp": "never" }), "token_claims"),
        (json!({ "exp": 1e308 }), "token_claims"),
        (
            json!({ "exp": now + 300, "nbf": now + 61 }),
            "token_not_yet_valid",
        ),
        (json!({ "iat": now + 61 }), "token_not_yet_valid"),
        (json!({ "nbf": now + 300 }), "token_claims"),
        (json!({ "aud": "web" }), "token_audience"),
        (json!({ "aud": [] }), "token_audience"),
        (json!({ "aud": null }), "token_audience"),
        (json!({ "sub": 7 }), "token_claims"),
        (json!({ "sub": "x".repeat(1025) }), "claim_too_long"),
        (json!({ "groups": { "a": 1 } }), "token_claims"),
        (json!({ "scope": 7 }), "token_claims"),
    ] {
        let token = secret_token(changes.clone());
        assert_eq!(
            outcome_of_token("/tokens", &token),
            format!("401 {reason} by tokens"),
            "{changes}"
        );
    }
    for changes in [
        json!({ "exp": now - 59 }),
        json!({ "nbf": now + 60, "exp": now + 300 }),
        json!({ "aud": ["x", "api"] }),
    ] {
        let outcome = outcome_of_token("/tokens", &secret_token(changes.clone()));
        assert_eq!(outcome, "allow jwt:alice by tokens", "{changes}");
    }
}

#[test]
fn a_verified_signature_is_no_pass_for_ever() {
    // The verdict on a signature may be remembered; the dates are looked at again each time.
    let token = secret_token(json!({}));
    let head = request("/tokens", &[("authorization", &bearer(&token))]);
    let mut tokens = POLICY.token_cache([1, 2, 3, 4]);
    let mut evidence = auth_policy::Evidence::new();
    let Step::Verify(check) = POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW)
    else {
        panic!("decided without the signature");
    };
    evidence.add(check, true);
    let first = summary(&POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW));
    assert_eq!(first, "allow jwt:alice by tokens");
    // From here on nothing is known but what the cache knows.
    let evidence = auth_policy::Evidence::new();
    let mut at =
        |now| summary(&POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, now));
    assert_eq!(at(NOW), "allow jwt:alice by tokens");
    assert_eq!(
        at(NOW - Duration::from_secs(3600)),
        "allow jwt:alice by tokens"
    );
    assert_eq!(
        at(NOW + Duration::from_secs(361)),
        "401 token_expired by tokens"
    );
    assert!(tokens.is_empty(), "what has expired is of no use");
}

#[test]
fn only_what_a_key_has_signed_is_remembered() {
    // Anybody could push good tokens out of the cache with forged ones, or have one remembered as good.
    let good = secret_token(json!({}));
    let mut tokens = POLICY.token_cache([1, 2, 3, 4]);
    for (token, holds, left) in [
        (good.as_str(), false, 0),
        (secret_token(json!({ "exp": 1 })).as_str(), true, 0),
        (secret_token(json!({ "aud": "other" })).as_str(), true, 0),
        ("not.a.token", true, 0),
        (good.as_str(), true, 1),
    ] {
        let head = request("/tokens", &[("authorization", &bearer(token))]);
        let mut evidence = auth_policy::Evidence::new();
        while let Step::Verify(check) =
            POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW)
        {
            evidence.add(check, holds);
        }
        assert_eq!(tokens.len(), left, "{token}");
    }
}

#[test]
fn a_remembered_token_is_judged_by_each_rule() {
    // The cache knows who it is, not what the caller may.
    let head = |path| {
        request(
            path,
            &[("authorization", &bearer(&secret_token(json!({}))))],
        )
    };
    let mut tokens = POLICY.token_cache([1, 2, 3, 4]);
    let mut evidence = auth_policy::Evidence::new();
    let first = head("/tokens");
    while let Step::Verify(check) =
        POLICY.decide(&first, &Facts::default(), &evidence, &mut tokens, NOW)
    {
        evidence.add(check, true);
    }
    let none = auth_policy::Evidence::new();
    for path in ["/tokens", "/keys", "/nowhere"] {
        let head = head(path);
        let remembered = summary(&POLICY.decide(&head, &Facts::default(), &none, &mut tokens, NOW));
        assert_eq!(remembered, summary(&decide(&POLICY, &head, NOW)), "{path}");
    }
}

#[test]
fn the_issuer_chooses_the_keys() {
    for issuer in [
        json!("https://issuer.gatehouse.test/"),
        json!("HTTPS://ISSUER.GATEHOUSE.TEST"),
        json!(7),
        json!(null),
    ] {
        let mut claims = claims_with(json!({}));
        claims["iss"] = issuer.clone();
        let token = raw_token(r#"{"alg":"HS256","kid":"hs"}"#, &claims.to_string());
        assert_eq!(
            outcome_of_token("/tokens", &token),
            "401 token_issuer by tokens",
            "{issuer}"
        );
    }
    // Signed with one provider's secret, in the name of the other.
    let token = raw_token(
        r#"{"alg":"HS256","kid":"hs"}"#,
        &claims_with(json!({})).to_string(),
    );
    assert_eq!(
        outcome_of_token("/tokens", &token),
        "401 token_key by tokens"
    );
}

#[test]
fn a_public_key_is_no_secret() {
    // The classic confusion: sign by HMAC with the RSA key that everybody can read, and call it HS256.
    let public = KEYS.rs256.public_key();
    let claims = claims_with(json!({})).to_string();
    for secret in [
        public.to_der().unwrap(),
        public.to_pem().unwrap().into_bytes(),
        public.to_components().n,
    ] {
        for kid in ["rs", "es", "ed", "hs"] {
            let header = format!(r#"{{"alg":"HS256","kid":"{kid}"}}"#);
            let token = signed_with(&secret, &header, &claims);
            assert_eq!(
                outcome_of_token("/tokens", &token),
                "401 token_key by tokens"
            );
        }
        let token = signed_with(&secret, r#"{"alg":"HS256"}"#, &claims);
        assert_eq!(
            outcome_of_token("/tokens", &token),
            "401 token_key by tokens"
        );
    }
}

#[test]
fn headers_are_taken_at_their_word_only_where_they_agree_with_the_key() {
    let claims = {
        let mut claims = claims_with(json!({}));
        claims["iss"] = support::SECRET_ISSUER.into();
        claims.to_string()
    };
    for (header, reason) in [
        (r#"{"kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":"none","kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":"None","kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":"","kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":["HS256"],"kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":"hs256","kid":"hs"}"#, "token_algorithm"),
        (r#"{"alg":"HS512","kid":"hs"}"#, "token_key"),
        (r#"{"alg":"RS256","kid":"hs"}"#, "token_key"),
        (r#"{"alg":"HS256","kid":"HS"}"#, "token_key"),
        (r#"{"alg":"HS256","kid":"../hs"}"#, "token_key"),
        (r#"{"alg":"HS256","kid":"' or 1=1 --"}"#, "token_key"),
        (r#"{"alg":"HS256","kid":"hs\r\nx: y"}"#, "token_key"),
        (r#"{"alg":"HS256","kid":7}"#, "token_header"),
        (
            r#"{"alg":"HS256","kid":"hs","crit":["exp"],"exp":1}"#,
            "token_header",
        ),
        (
            r#"{"alg":"HS256","kid":"hs","b64":false,"crit":["b64"]}"#,
            "token_header",
        ),
        (r#"{"alg":"HS256","kid":"hs","zip":"DEF"}"#, "token_header"),
        (r#"{"alg":"HS256","kid":"hs","cty":"JWT"}"#, "token_header"),
        (
            r#"{"alg":"HS256","kid":"hs","alg":"HS256"}"#,
            "token_header",
        ),
        (
            r#"{"alg":"HS256","kid":"hs","typ":"dpop+jwt"}"#,
            "token_type",
        ),
        (
            r#"{"alg":"HS256","kid":"hs","typ":"id_token+jwt"}"#,
            "token_type",
        ),
    ] {
        let outcome = outcome_of_token("/tokens", &raw_token(header, &claims));
        assert_eq!(outcome, format!("401 {reason} by tokens"), "{header}");
    }
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","kid":"hs","typ":"jwt"}"#,
        r#"{"alg":"HS256","kid":"hs","typ":"application/at+JWT"}"#,
        r#"{"alg":"HS256","kid":"hs","jku":"https://evil.test/jwks","x5u":"https://evil.test","x5c":["AA"]}"#,
        r#"{"alg":"HS256","kid":"hs","jwk":{"kty":"oct","k":"AAAA"}}"#,
    ] {
        let outcome = outcome_of_token("/tokens", &raw_token(header, &claims));
        assert_eq!(outcome, "allow jwt:alice by tokens", "{header}");
    }
}

#[test]
fn a_key_in_the_token_signs_nothing() {
    let claims = {
        let mut claims = claims_with(json!({}));
        claims["iss"] = support::SECRET_ISSUER.into();
        claims.to_string()
    };
    let own = b"a secret that the attacker brought along";
    let header = r#"{"alg":"HS256","jwk":{"kty":"oct","kid":"hs","k":"YSBzZWNyZXQgdGhhdCB0aGUgYXR0YWNrZXIgYnJvdWdodCBhbG9uZw"}}"#;
    let outcome = outcome_of_token("/tokens", &signed_with(own, header, &claims));
    assert_eq!(outcome, "401 token_signature by tokens");
}

#[test]
fn types_are_the_providers() {
    // An ID token must not pass where access tokens are asked for (RFC 9068).
    let mut config = config();
    config["jwt"]["providers"][1]["typ"] = json!(["at+jwt"]);
    let policy = policy(&config);
    let claims = {
        let mut claims = claims_with(json!({}));
        claims["iss"] = support::SECRET_ISSUER.into();
        claims.to_string()
    };
    for (typ, expected) in [
        (r#","typ":"at+jwt""#, "allow jwt:alice by tokens"),
        (
            r#","typ":"application/AT+JWT""#,
            "allow jwt:alice by tokens",
        ),
        (r#","typ":"JWT""#, "401 token_type by tokens"),
        ("", "401 token_type by tokens"),
    ] {
        let token = bearer(&raw_token(&format!(r#"{{"alg":"HS256"{typ}}}"#), &claims));
        let step = decide(
            &policy,
            &request("/tokens", &[("authorization", &token)]),
            NOW,
        );
        assert_eq!(summary(&step), expected, "{typ}");
    }
}

#[test]
fn changed_tokens_do_not_verify() {
    let foreign = [
        json!({ "sub": "mallory" }),
        json!({ "scope": "orders:read admin" }),
    ];
    for (token, other) in KEYS
        .tokens(&claims_with(json!({})))
        .iter()
        .zip(KEYS.tokens(&claims_with(foreign[0].clone())))
    {
        let (_, signature) = token.rsplit_once('.').unwrap();
        let (input, _) = other.rsplit_once('.').unwrap();
        assert_eq!(
            outcome_of_token("/orders", &format!("{input}.{signature}")),
            "401 token_signature by orders"
        );
        assert_eq!(
            outcome_of_token("/orders", &format!("{input}.")),
            "401 token_signature by orders"
        );
        assert_eq!(
            outcome_of_token("/orders", &format!("{input}.AAAA")),
            "401 token_signature by orders"
        );
    }
}

#[test]
fn a_token_without_a_key_id_tries_few_keys() {
    // Eight at most: a set of sixty-four would otherwise be a way to burn sixty-four verifications a request.
    let keys: Vec<Value> = (0..20u8)
        .map(|n| json!({ "kty": "oct", "kid": format!("k{n}"), "k": support_base64(&[n; 32]) }))
        .collect();
    let mut config = config();
    config["jwt"]["providers"][1]["jwks"] = json!({ "keys": keys });
    let policy = policy(&config);
    let claims = {
        let mut claims = claims_with(json!({}));
        claims["iss"] = support::SECRET_ISSUER.into();
        claims.to_string()
    };
    let outcome = |n: u8, header: &str| {
        let token = bearer(&signed_with(&[n; 32], header, &claims));
        summary(&decide(
            &policy,
            &request("/tokens", &[("authorization", &token)]),
            NOW,
        ))
    };
    assert_eq!(
        outcome(7, r#"{"alg":"HS256"}"#),
        "allow jwt:alice by tokens"
    );
    assert_eq!(
        outcome(8, r#"{"alg":"HS256"}"#),
        "401 token_signature by tokens"
    );
    assert_eq!(
        outcome(19, r#"{"alg":"HS256","kid":"k19"}"#),
        "allow jwt:alice by tokens"
    );
    assert_eq!(
        outcome(19, r#"{"alg":"HS256","kid":"k18"}"#),
        "401 token_signature by tokens"
    );
}

fn support_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

#[test]
fn paths_that_could_be_read_two_ways_are_400() {
    for path in [
        "",
        "*",
        "orders",
        "//healthz",
        "/x/../healthz",
        "/healthz/..%2fadmin",
        "/healthz%2F..%2Fadmin",
        "/healthz%5cadmin",
        "/healthz;a=b",
        "/healthz/..;/admin",
        "/healthz%00",
        "/healthz%2500",
        "/%c0%af",
        "/healthz#x",
    ] {
        assert_eq!(
            outcome(path, &[("x-api-key", API_KEY)]),
            "400 bad_path by -",
            "{path}"
        );
    }
    assert_eq!(
        outcome("/%68ealthz", &[]),
        "allow anonymous by health",
        "one encoding of the same path"
    );
}

#[test]
fn a_host_that_could_be_read_two_ways_gets_past_no_rule() {
    // Envoy hands these on; nginx behind it cuts at the colon and serves `admin.test`.
    let mut config = config();
    config["rules"] = json!([
        { "name": "admin", "match": { "hosts": ["admin.test"] }, "any": [{ "credential": "api_key" }] },
        { "name": "rest", "allow_anonymous": true },
    ]);
    let policy = policy(&config);
    for (authority, expected) in [
        ("admin.test:8443", "401 credential_missing by admin"),
        ("www.test", "allow anonymous by rest"),
        ("admin.test:x", "400 bad_host by -"),
        ("x@admin.test", "400 bad_host by -"),
        ("www.test,admin.test", "400 bad_host by -"),
    ] {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":method", "GET"),
            (":authority", authority),
            (":path", "/"),
        ]));
        assert_eq!(
            summary(&decide(&policy, &head, NOW)),
            expected,
            "{authority}"
        );
    }
}

#[test]
fn methods_are_exact() {
    for method in ["HEAD", "get", "OPTIONS", "POST", "TRACE", "CONNECT", ""] {
        let head = RequestHead::new(HeaderMap::from_pairs([
            (":method", method),
            (":path", "/healthz"),
        ]));
        assert_eq!(
            summary(&decide(&POLICY, &head, NOW)),
            "401 no_rule by -",
            "{method}"
        );
    }
}

#[test]
fn the_upstream_is_told_who_calls_and_not_how() {
    let [token, ..] = KEYS.tokens(&claims_with(
        json!({ "groups": ["staff", "a,b c"], "sub": "al\u{ef}ce\r\nx: y" }),
    ));
    let head = request(
        "/orders?x=1",
        &[
            ("authorization", &bearer(&token)),
            ("accept", "*/*"),
            ("cache-control", "max-age=0"),
        ],
    );
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(
        upstream(&step, &head),
        [
            ":path: /orders?x=1",
            "accept: */*",
            "cache-control: no-store",
            "x-consumer: shop",
            "x-credential: jwt:main",
            "x-groups: staff,a%2Cb%20c",
            "x-plan: gold",
            "x-scopes: orders:read",
            "x-user: al%C3%AFce%0D%0Ax:%20y",
        ]
    );
}

#[test]
fn keys_are_taken_out_and_the_rest_of_the_path_stays() {
    let path = format!("/orders/%37?a=%20b&api%5fkey={API_KEY}&c=d+e");
    let head = request(
        &path,
        &[
            ("x_api_key", "another spelling"),
            ("authorization", "Basic YTpi"),
        ],
    );
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(
        upstream(&step, &head),
        [
            ":path: /orders/%37?a=%20b&c=d+e",
            "authorization: Basic YTpi",
            "cache-control: no-store",
            "x-consumer: acme",
            "x-credential: api_key:ci-2026",
            "x-groups: partners",
            "x-plan: silver",
            "x-scopes: orders:read",
        ]
    );
    assert_eq!(
        identity(step).original.path,
        b"/orders/%37?a=%20b&c=d+e",
        "no key in the record either"
    );
}

#[test]
fn a_cacheable_rule_leaves_the_cache_alone() {
    let head = request("/cached", &[("x-api-key", "idle-key")]);
    assert_eq!(
        upstream(&decide(&POLICY, &head, NOW), &head),
        [":path: /cached", "x-credential: api_key:idle"]
    );
    // And nothing is said about caching where no credential was taken out.
    let head = request("/healthz", &[]);
    assert_eq!(
        upstream(&decide(&POLICY, &head, NOW), &head),
        [":path: /healthz"]
    );
}

const SPOOFED: [(&str, &str); 8] = [
    ("x-user", "root"),
    ("x_user", "root"),
    ("X-Groups", "admins"),
    ("x.plan", "gold"),
    ("x-consumer", ""),
    ("x-consumer", "twice"),
    ("x-authenticated-userid", "0"),
    ("x_authenticated_groups", "admins"),
];

#[test]
fn nobody_tells_the_upstream_who_they_are() {
    // On anonymous rules, in shadow mode, with the filter off: whatever is decided, these go.
    for mode in ["enforce", "shadow", "off"] {
        let mut config = config();
        config["mode"] = mode.into();
        let policy = policy(&config);
        let head = request("/healthz", &SPOOFED);
        assert_eq!(
            upstream(&decide(&policy, &head, NOW), &head),
            [":path: /healthz"],
            "{mode}"
        );
    }
    let mut headers = SPOOFED.to_vec();
    headers.push(("x-api-key", "idle-key"));
    let head = request("/orders", &headers);
    assert_eq!(
        upstream(&decide(&POLICY, &head, NOW), &head),
        [
            ":path: /orders",
            "cache-control: no-store",
            "x-credential: api_key:idle"
        ],
        "a caller without a group has no group header, not the one it sent"
    );
    let head = RequestHead::new(HeaderMap::from_pairs([
        (&b":method"[..], &b"GET"[..]),
        (b":path", b"/healthz"),
        (b"x-user", b"\xff\xfe"),
    ]));
    assert_eq!(
        upstream(&decide(&POLICY, &head, NOW), &head),
        [":path: /healthz"]
    );
}

#[test]
fn a_claim_that_does_not_fit_its_header_is_refused() {
    // 1024 bytes of text that are 3072 in the header fit; two such groups do not.
    let wide = |n: u8| "\u{e9}".repeat(500) + &n.to_string();
    let groups: Vec<String> = (0..2).map(wide).collect();
    assert_eq!(
        outcome_of_token("/tokens", &secret_token(json!({ "sub": wide(0) })))
            .split(' ')
            .next(),
        Some("allow")
    );
    assert_eq!(
        outcome_of_token("/tokens", &secret_token(json!({ "groups": groups }))),
        "401 claim_too_long by tokens"
    );
}

#[test]
fn every_401_has_the_same_text() {
    let texts = |path: &str, headers: &[(&str, &str)]| {
        let step = decide(&POLICY, &request(path, headers), NOW);
        let Step::Reply(refusal) = step else {
            panic!("allowed")
        };
        let problem = refusal.problem;
        (
            problem.status,
            problem.title,
            problem.detail,
            problem.code_details,
            problem.grpc_status,
        )
    };
    let expected = texts("/orders", &[]);
    assert_eq!(expected.0, 401);
    let expired = bearer(&secret_token(json!({ "exp": 1 })));
    for headers in [
        vec![("x-api-key", "wrong")],
        vec![("x-api-key", "")],
        vec![("authorization", "Bearer x")],
        vec![("authorization", expired.as_str())],
        vec![("authorization", "Bearer")],
    ] {
        assert_eq!(texts("/orders", &headers), expected, "{headers:?}");
    }
    assert_eq!(texts("/nowhere", &[]), expected);
}

#[test]
fn challenges_name_what_the_rule_accepts() {
    let challenges = |path: &str, headers: &[(&str, &str)]| {
        challenges(&decide(&POLICY, &request(path, headers), NOW))
    };
    let (token, key) = (
        r#"www-authenticate: Bearer realm="api""#,
        r#"www-authenticate: ApiKey realm="api""#,
    );
    let invalid = r#"www-authenticate: Bearer realm="api", error="invalid_token""#;
    assert_eq!(challenges("/orders", &[]), [token, key]);
    assert_eq!(challenges("/tokens", &[]), [token]);
    assert_eq!(challenges("/cached", &[]), [key]);
    assert_eq!(challenges("/nowhere", &[]), [token, key]);
    assert_eq!(
        challenges("/orders", &[("x-api-key", "wrong")]),
        [token, key]
    );
    assert_eq!(
        challenges("/tokens", &[("authorization", "Bearer x")]),
        [invalid]
    );
    assert_eq!(
        challenges("/healthz", &[("authorization", "Bearer x")]),
        [invalid, key]
    );
    assert!(
        challenges("/nowhere", &[("x-api-key", API_KEY)]).is_empty(),
        "403: there is nothing to add"
    );
}

#[test]
fn a_shadow_rule_refuses_nobody_and_says_whom_it_would() {
    assert_eq!(
        outcome("/trial", &[]),
        "shadow_deny anonymous by trial for credential_missing"
    );
    assert_eq!(
        outcome("/trial", &[("x-api-key", "wrong")]),
        "shadow_deny anonymous by trial for api_key_unknown"
    );
    let head = request("/trial", &[("x-api-key", API_KEY), ("x-user", "root")]);
    let step = decide(&POLICY, &head, NOW);
    assert_eq!(
        summary(&step),
        "shadow_deny api_key:ci-2026 by trial for scope_missing"
    );
    let lines = upstream(&step, &head);
    assert!(
        lines.contains(&"x-consumer: acme".into())
            && !lines.iter().any(|line| line.contains("root")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains(API_KEY)),
        "{lines:?}"
    );
}

#[test]
fn shadow_mode_refuses_nobody() {
    let mut config = config();
    config["mode"] = "shadow".into();
    let policy = policy(&config);
    for (path, headers, expected) in [
        (
            "/orders",
            vec![],
            "shadow_deny anonymous by orders for credential_missing",
        ),
        ("/nowhere", vec![], "shadow_deny anonymous by - for no_rule"),
        ("/a//b", vec![], "shadow_deny anonymous by - for bad_path"),
        (
            "/orders",
            vec![("x-api-key", API_KEY)],
            "allow api_key:ci-2026 by orders",
        ),
    ] {
        let step = decide(&policy, &request(path, &headers), NOW);
        assert_eq!(summary(&step), expected, "{path}");
    }
}

#[test]
fn off_examines_nothing_but_still_takes_credentials_out() {
    let mut config = config();
    config["mode"] = "off".into();
    let policy = policy(&config);
    let head = request(
        "/nowhere?api_key=x",
        &[("authorization", "Bearer x"), ("x-user", "root")],
    );
    let step = decide(&policy, &head, NOW);
    assert_eq!(summary(&step), "off anonymous by -");
    assert_eq!(
        upstream(&step, &head),
        [":path: /nowhere", "cache-control: no-store"]
    );
}

#[test]
fn a_rule_that_is_off_is_not_there() {
    let mut config = config();
    config["rules"][1]["mode"] = "off".into();
    let step = summary(&decide(
        &policy(&config),
        &request("/orders", &[("x-api-key", API_KEY)]),
        NOW,
    ));
    assert_eq!(step, "403 no_rule by -");
}

#[test]
fn a_key_that_cannot_be_taken_out_stops_the_request_in_every_mode() {
    let path = format!("/healthz?api_key={API_KEY}&x={}", "x".repeat(9_000));
    for mode in ["enforce", "shadow", "off"] {
        let mut config = config();
        config["mode"] = mode.into();
        let step = summary(&decide(&policy(&config), &request(&path, &[]), NOW));
        assert_eq!(step, "400 bad_path by -", "{mode}");
    }
}

#[test]
fn the_record_can_always_be_read() {
    // A record over the cap is refused by every filter behind: a hostile head must not make one.
    let path = format!("/orders?x={}", "x".repeat(50_000));
    let content_type = format!("application/json;{}", "y".repeat(50_000));
    let head = request(
        &path,
        &[("content-type", &content_type), ("x-api-key", API_KEY)],
    );
    let identity = identity(decide(&POLICY, &head, NOW));
    assert_eq!(identity.check(), Ok(()));
    assert_eq!(identity.original.path, b"/orders");
    assert_eq!(Identity::decode(&identity.encode()), Ok(identity));
}

#[test]
fn the_record_says_what_was_verified() {
    let [token, ..] = KEYS.tokens(&claims_with(json!({ "scp": ["b", "orders:read"] })));
    let head = request(
        "/orders",
        &[
            ("authorization", &bearer(&token)),
            ("content-type", "application/grpc+proto"),
        ],
    );
    let identity = identity(decide(&POLICY, &head, NOW));
    assert_eq!(identity.kind, CredentialKind::Jwt);
    assert_eq!(identity.credential_id, "main");
    assert_eq!(identity.issuer.as_deref(), Some(ISSUER));
    assert_eq!(identity.subject.as_deref(), Some("alice"));
    assert_eq!(identity.consumer.as_deref(), Some("shop"));
    assert_eq!(identity.plan.as_deref(), Some("gold"));
    assert_eq!(identity.groups, ["staff"]);
    assert_eq!(identity.scopes, ["orders:read", "b"]);
    assert_eq!(identity.original.protocol, identity::RecordedProtocol::Grpc);
}

#[test]
fn one_answer_is_asked_for_and_decides() {
    // The adapter's half of the bargain: what it answers is what counts, and it is asked once a key.
    let [_, token, _] = KEYS.tokens(&claims_with(json!({})));
    let head = request("/orders", &[("authorization", &bearer(&token))]);
    let (mut evidence, mut tokens) = (auth_policy::Evidence::new(), POLICY.token_cache([0; 4]));
    let Step::Verify(check) = POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW)
    else {
        panic!("decided without the signature");
    };
    assert!(check.verify());
    let host = check.host_form().unwrap();
    assert_eq!(host.text, token.rsplit_once('.').unwrap().0.as_bytes());
    assert_eq!(host.key_der, KEYS.es256.public_key().to_der().unwrap());
    assert_eq!(host.signature.first(), Some(&0x30), "DER, not the raw form");
    evidence.add(check, false);
    let step = POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW);
    assert_eq!(summary(&step), "401 token_signature by orders");
}

#[test]
fn a_signature_of_the_wrong_length_is_never_asked_about() {
    // The host would be handed whatever a client sends, and some verifiers read only the part that they expect.
    for token in KEYS.tokens(&claims_with(json!({}))) {
        let (input, signature) = token.rsplit_once('.').unwrap();
        for signature in [
            &signature[..signature.len() - 2],
            "",
            "AAAA",
            &"A".repeat(4096),
        ] {
            let changed = bearer(&format!("{input}.{signature}"));
            let head = request("/orders", &[("authorization", &changed)]);
            let mut tokens = POLICY.token_cache([0; 4]);
            let evidence = auth_policy::Evidence::new();
            let step = POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW);
            assert!(matches!(step, Step::Reply(_)), "{}", summary(&step));
        }
    }
}

#[test]
fn the_host_is_asked_only_what_it_can_answer() {
    let forms = KEYS.tokens(&claims_with(json!({}))).map(|token| {
        let head = request("/orders", &[("authorization", &bearer(&token))]);
        let mut tokens = POLICY.token_cache([0; 4]);
        let evidence = auth_policy::Evidence::new();
        match POLICY.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW) {
            Step::Verify(check) => check.host_form().is_some(),
            step => panic!("{}", summary(&step)),
        }
    });
    assert_eq!(forms, [true, true, false]);
}

#[test]
fn without_a_jwt_section_tokens_are_somebody_elses() {
    let mut config = config();
    config.as_object_mut().unwrap().remove("jwt");
    config["rules"] = json!([{ "name": "all", "allow_anonymous": true }]);
    let policy = policy(&config);
    let head = request("/", &[("authorization", "Bearer opaque")]);
    let step = decide(&policy, &head, NOW);
    assert_eq!(
        upstream(&step, &head),
        [":path: /", "authorization: Bearer opaque"]
    );
}

#[test]
fn decisions_and_reasons_have_words() {
    assert_eq!(Decision::ShadowDeny.name(), "shadow_deny");
    assert_eq!(Reason::NoRule.counter(), "gatehouse.auth.reason.no_rule");
}
