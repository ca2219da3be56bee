//! Providers whose keys are fetched: what is asked for, what is taken, and what a request is told meanwhile.

mod support;

use std::rc::Rc;

use auth_policy::key_set::{HostJudge, VerificationKey};
use auth_policy::{
    Answer, Evidence, Facts, FetchFault, Fetched, FetchedKeys, NoKeys, Policy, Published, Step,
};
use serde_json::{Value, json};
use support::{ISSUER, KEYS, NOW, claims_with, config, request, summary};

fn with_jwks(jwks: Value) -> Value {
    let mut config = config();
    config["jwt"]["providers"][0]["jwks"] = jwks;
    config
}

fn remote(changes: Value) -> Value {
    let mut remote = json!({ "cluster": "idp", "uri": "https://idp.test/keys" });
    merge(&mut remote, changes);
    with_jwks(json!({ "remote": remote }))
}

fn discovery(changes: Value) -> Value {
    let mut discovery = json!({ "cluster": "idp" });
    merge(&mut discovery, changes);
    with_jwks(json!({ "discovery": discovery }))
}

fn merge(target: &mut Value, changes: Value) {
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    target.as_object_mut().unwrap().extend(changes);
}

fn policy(config: &Value) -> Policy {
    support::policy(config)
}

fn refusal(config: &Value) -> String {
    Policy::from_bytes(config.to_string().as_bytes())
        .expect_err("refused")
        .to_string()
}

fn ok<'a>(content_type: &'a str, body: &'a str) -> Answer<'a> {
    Answer {
        status: Some(b"200"),
        content_type: Some(content_type.as_bytes()),
        body: body.as_bytes(),
    }
}

/// A host that verifies with every key.
const ANY_HOST: fn(&VerificationKey) -> Result<(), &'static str> = |_| Ok(());

fn published(fetched: Result<Fetched, FetchFault>) -> Published {
    match fetched {
        Ok(Fetched::Keys(published)) => published,
        other => panic!("no keys: {other:?}"),
    }
}

/// Decides on a request with this token, with these keys there and every signature verified.
fn decide(policy: &Policy, token: &str, keys: Option<&Value>, no_keys: Option<NoKeys>) -> String {
    let (_, source) = policy.key_sources().next().expect("a source");
    let mut fetched = FetchedKeys::default();
    let set = keys.map(|keys| {
        let body = keys.to_string();
        published(source.read_keys(ok("application/json", &body), &ANY_HOST)).keys
    });
    fetched.set(0, set);
    let mut evidence = Evidence::with_keys(Rc::new(fetched), no_keys);
    let mut tokens = policy.token_cache([1, 2, 3, 4]);
    let head = request("/orders", &[("authorization", &format!("Bearer {token}"))]);
    loop {
        match policy.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW) {
            Step::Verify(check) => {
                let holds = check.verify();
                evidence.add(check, holds);
            }
            step => return summary(&step),
        }
    }
}

// Decided without its keys, a good token would be refused, or any token taken.
#[test]
fn without_keys_a_token_waits_and_is_never_judged() {
    let policy = policy(&remote(json!({})));
    let [token, ..] = KEYS.tokens(&claims_with(json!({})));
    assert_eq!(decide(&policy, &token, None, None), "await None");
    for no_keys in [NoKeys::Unavailable, NoKeys::Absent] {
        assert_eq!(
            decide(&policy, &token, None, Some(no_keys)),
            "503 keys_unavailable by orders"
        );
    }
    assert_eq!(
        decide(&policy, &token, Some(&KEYS.jwks()), None),
        "allow jwt:alice by orders"
    );
}

#[test]
fn an_unknown_key_id_is_asked_for_and_then_refused() {
    let policy = policy(&remote(json!({})));
    let [_, token, _] = KEYS.tokens(&claims_with(json!({})));
    let mut keys = KEYS.jwks();
    keys["keys"].as_array_mut().unwrap().remove(1);
    let decide = |no_keys| decide(&policy, &token, Some(&keys), no_keys);
    assert_eq!(decide(None), "await Some(\"es\")");
    assert_eq!(decide(Some(NoKeys::Absent)), "401 token_key by orders");
    assert_eq!(
        decide(Some(NoKeys::Unavailable)),
        "503 keys_unavailable by orders"
    );
}

// What any client can write must not make the gateway call the issuer: only a key id that is not known may.
#[test]
fn nothing_else_is_waited_for() {
    let policy = policy(&remote(json!({})));
    let keys = KEYS.jwks();
    let token = |header: &str| support::raw_token(header, &claims_with(json!({})).to_string());
    for (header, reason) in [
        (r#"{"alg":"ES256","kid":"rs"}"#, "token_key"),
        (r#"{"alg":"HS256"}"#, "token_key"),
        (r#"{"alg":"none","kid":"other"}"#, "token_algorithm"),
        (r#"{"alg":"RS256","kid":"rs"}"#, "token_signature"),
        (r#"{"alg":"ES256","kid":"other","typ":"x"}"#, "token_type"),
    ] {
        assert_eq!(
            decide(&policy, &token(header), Some(&keys), None),
            format!("401 {reason} by orders"),
            "{header}"
        );
    }
    let waits = decide(
        &policy,
        &token(r#"{"alg":"ES256","kid":"other"}"#),
        Some(&keys),
        None,
    );
    assert_eq!(waits, "await Some(\"other\")");
}

// A key that was withdrawn because it leaked would go on letting in whoever holds tokens made with it.
#[test]
fn a_key_that_leaves_takes_its_tokens_along() {
    let policy = policy(&remote(json!({})));
    let (_, source) = policy.key_sources().next().unwrap();
    let read = |keys: &Value| {
        published(source.read_keys(ok("application/json", &keys.to_string()), &ANY_HOST)).keys
    };
    let all = read(&KEYS.jwks());
    let mut fetched = FetchedKeys::default();
    fetched.set(0, Some(all.clone()));
    let fetched = Rc::new(fetched);
    let mut tokens = policy.token_cache([1, 2, 3, 4]);
    for token in KEYS.tokens(&claims_with(json!({}))) {
        let mut evidence = Evidence::with_keys(Rc::clone(&fetched), None);
        let head = request("/orders", &[("authorization", &format!("Bearer {token}"))]);
        while let Step::Verify(check) =
            policy.decide(&head, &Facts::default(), &evidence, &mut tokens, NOW)
        {
            let holds = check.verify();
            evidence.add(check, holds);
        }
    }
    assert_eq!(tokens.len(), 3);
    tokens.keep_keys(0, Some(&all));
    tokens.keep_keys(1, None);
    assert_eq!(
        tokens.len(),
        3,
        "a refresh, or another provider's keys, cost nothing"
    );
    let mut fewer = KEYS.jwks();
    fewer["keys"].as_array_mut().unwrap().remove(0);
    tokens.keep_keys(0, Some(&read(&fewer)));
    assert_eq!(tokens.len(), 2);
    tokens.keep_keys(0, None);
    assert!(tokens.is_empty());
}

#[test]
fn answers_are_read_strictly() {
    let policy = policy(&remote(json!({ "max_bytes": "4KiB", "max_keys": 3 })));
    let (_, source) = policy.key_sources().next().unwrap();
    let good = KEYS.jwks().to_string();
    let fault = |answer| source.read_keys(answer, &ANY_HOST).expect_err("refused");
    for (status, expected) in [
        (Some(&b"301"[..]), FetchFault::Redirect),
        (Some(b"302"), FetchFault::Redirect),
        (Some(b"204"), FetchFault::Status),
        (Some(b"404"), FetchFault::Status),
        (Some(b"500"), FetchFault::Status),
        (Some(b"504"), FetchFault::Status),
        (None, FetchFault::NoAnswer),
    ] {
        let answer = Answer {
            status,
            ..ok("application/json", &good)
        };
        assert_eq!(fault(answer), expected);
    }
    for content_type in ["text/html", "text/json", "application/jsonp", "json", ""] {
        assert_eq!(
            fault(ok(content_type, &good)),
            FetchFault::ContentType,
            "{content_type}"
        );
    }
    let untyped = Answer {
        content_type: None,
        ..ok("", &good)
    };
    assert_eq!(fault(untyped), FetchFault::ContentType);
    let long = format!("{good}{}", " ".repeat(4096));
    let twice = good.replacen('{', r#"{"keys":[],"#, 1);
    for (body, expected) in [
        (&good[..good.len() - 1], FetchFault::Malformed),
        ("", FetchFault::Malformed),
        ("[]", FetchFault::Malformed),
        ("{}", FetchFault::Malformed),
        (r#"{"keys":{}}"#, FetchFault::Malformed),
        (&twice, FetchFault::Malformed),
        (&long, FetchFault::TooLarge),
        (r#"{"keys":[]}"#, FetchFault::NoUsableKey),
        (r#"{"keys":[1,2]}"#, FetchFault::NoUsableKey),
        (r#"{"keys":[1,2,3,4]}"#, FetchFault::TooManyKeys),
    ] {
        assert_eq!(fault(ok("application/json", body)), expected, "{body}");
    }
    for content_type in [
        "application/json",
        "Application/JWK-Set+json; charset=utf-8",
        "application/json;charset=UTF-8",
    ] {
        let keys = published(source.read_keys(ok(content_type, &good), &ANY_HOST));
        assert_eq!(keys.keys.iter().count(), 3, "{content_type}");
    }
}

// One key of a future kind must not cost the others; one of several with an id, or a secret, must not be guessed at.
#[test]
fn unusable_keys_are_refused_one_by_one() {
    let policy = policy(&remote(json!({})));
    let (_, source) = policy.key_sources().next().unwrap();
    let mut keys = KEYS.jwks();
    let list = keys["keys"].as_array_mut().unwrap();
    list.push(json!({ "kty": "oct", "kid": "s", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }));
    list.push(json!({ "kty": "oct", "kid": "s2", "alg": "HS512", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0" }));
    list.push(json!({ "kty": "ML-DSA", "kid": "future" }));
    let mut twin = list[1].clone();
    twin["alg"] = "ES256".into();
    list.push(twin);
    let mut private = list[2].clone();
    private["kid"] = "private".into();
    private["d"] = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A".into();
    list.push(private);
    let published =
        published(source.read_keys(ok("application/json", &keys.to_string()), &ANY_HOST));
    let ids: Vec<_> = published
        .keys
        .iter()
        .filter_map(|key| key.key_id())
        .collect();
    assert_eq!(ids, ["rs", "ed"]);
    let refused: Vec<_> = published.refused.iter().map(ToString::to_string).collect();
    assert_eq!(refused.len(), 6, "{refused:?}");
    for place in [
        "keys[1]", "keys[3]", "keys[4]", "keys[5]", "keys[6]", "keys[7]",
    ] {
        assert!(
            refused.iter().any(|line| line.starts_with(place)),
            "{place} in {refused:?}"
        );
    }
}

// A key that nobody can verify with would refuse every token that it signs, and nobody would know why.
#[test]
fn a_key_that_the_host_cannot_use_is_left_out_with_the_reason() {
    let policy = policy(&remote(json!({})));
    let (_, source) = policy.key_sources().next().unwrap();
    let mut keys = KEYS.jwks();
    let number = "AX".to_owned() + &"7".repeat(86);
    let p521 = json!({ "kty": "EC", "crv": "P-521", "kid": "es512", "x": number, "y": number });
    keys["keys"].as_array_mut().unwrap().push(p521);
    let read = |host: HostJudge<'_>| {
        let keys = published(source.read_keys(ok("application/json", &keys.to_string()), host));
        let refused: Vec<_> = keys.refused.iter().map(ToString::to_string).collect();
        (keys.keys.iter().count(), refused)
    };
    assert_eq!(read(&ANY_HOST), (4, vec![]));
    // Only the key that needs it is shown to the host.
    assert_eq!(
        read(&|_| Err("not here")),
        (3, vec!["keys[3]: not here".to_owned()])
    );
}

// An issuer, or whoever answers for it, must not choose whom the gateway talks to, or pass for another issuer.
#[test]
fn discovery_leads_to_one_host_of_one_issuer() {
    let policy = policy(&discovery(json!({})));
    let (_, source) = policy.key_sources().next().unwrap();
    let call = source.first_call();
    assert_eq!(
        (call.scheme, &*call.authority, &*call.path),
        (
            "https",
            "issuer.gatehouse.test",
            "/.well-known/openid-configuration"
        )
    );
    let read = |issuer: &str, uri: &str| {
        let body = json!({ "issuer": issuer, "jwks_uri": uri }).to_string();
        source.read_first(ok("application/json", &body), &ANY_HOST)
    };
    for issuer in ["https://issuer.gatehouse.test/", "https://other.test", ""] {
        assert_eq!(
            read(issuer, "https://issuer.gatehouse.test/k").unwrap_err(),
            FetchFault::Issuer
        );
    }
    for uri in [
        "https://other.test/k",
        "http://issuer.gatehouse.test/k",
        "https://issuer.gatehouse.test:8443/k",
        "https://issuer.gatehouse.test@other.test/k",
        "https://issuer.gatehouse.test\\@other.test/k",
        "https://issuer.gatehouse.test.other.test/k",
        "//issuer.gatehouse.test/k",
        "/k",
        "file:///etc/passwd",
        "https://issuer.gatehouse.test/k\r\nx: y",
        "https://issuer.gatehouse.test/k#f",
        "",
    ] {
        assert_eq!(
            read(ISSUER, uri).unwrap_err(),
            FetchFault::JwksUri,
            "{uri:?}"
        );
    }
    for uri in [
        "https://issuer.gatehouse.test/k?a=b",
        "https://Issuer.Gatehouse.Test:443/k?a=b",
    ] {
        match read(ISSUER, uri) {
            Ok(Fetched::Next(call)) => {
                assert_eq!(call.cluster, "idp");
                assert_eq!(call.authority, "issuer.gatehouse.test");
                assert_eq!(call.path, "/k?a=b");
            }
            other => panic!("{uri}: {other:?}"),
        }
    }
    assert!(
        source
            .read_first(ok("application/jwk-set+json", "{}"), &ANY_HOST)
            .is_err()
    );
}

#[test]
fn discovery_may_lead_to_another_host_that_is_named() {
    let policy = policy(&discovery(
        json!({ "jwks_host": "keys.test:8443", "jwks_cluster": "keys" }),
    ));
    let (_, source) = policy.key_sources().next().unwrap();
    let read = |uri: &str| {
        let body = json!({ "issuer": ISSUER, "jwks_uri": uri }).to_string();
        source.read_first(ok("application/json", &body), &ANY_HOST)
    };
    assert_eq!(
        read("https://issuer.gatehouse.test/k").unwrap_err(),
        FetchFault::JwksUri
    );
    match read("https://keys.test:8443/k") {
        Ok(Fetched::Next(call)) => assert_eq!(call.cluster, "keys"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn configurations_out_of_bounds_are_refused() {
    for (config, fault) in [
        (with_jwks(json!({})), "jwt.providers[0].jwks: write one of"),
        (
            with_jwks(json!({ "keys": [], "remote": { "cluster": "a", "uri": "https://a/" } })),
            "jwt.providers[0].jwks: write one of",
        ),
        (
            remote(json!({ "uri": "idp.test/keys" })),
            "jwks.remote.uri: expected http",
        ),
        (
            remote(json!({ "uri": "https://a@b/keys" })),
            "jwks.remote.uri: expected http",
        ),
        (
            remote(json!({ "uri": "https://a/k#f" })),
            "jwks.remote.uri: expected http",
        ),
        (
            remote(json!({ "uri": "https://a:99999/k" })),
            "jwks.remote.uri: expected http",
        ),
        (remote(json!({ "cluster": "" })), "jwks.remote.cluster"),
        (remote(json!({ "timeout": "0s" })), "jwks.remote.timeout"),
        (
            remote(json!({ "timeout": "5s" })),
            "jwks.remote.wait: has to be longer than timeout",
        ),
        (
            remote(json!({ "wait": "2s" })),
            "jwks.remote.wait: has to be longer than timeout",
        ),
        (remote(json!({ "refresh": "10ms" })), "jwks.remote.refresh"),
        (
            remote(json!({ "max_stale": "1s" })),
            "jwks.remote.max_stale: has to be at least",
        ),
        (
            remote(json!({ "cool_down": "0s" })),
            "jwks.remote.cool_down",
        ),
        (
            remote(json!({ "max_bytes": "64MiB" })),
            "jwks.remote.max_bytes: has to be",
        ),
        (remote(json!({ "max_keys": 65 })), "jwks.remote.max_keys"),
        (
            remote(json!({ "follow_redirects": true })),
            "jwks.remote.follow_redirects",
        ),
        (
            discovery(json!({ "uri": "https://a/" })),
            "jwks.discovery.uri",
        ),
        (
            discovery(json!({ "jwks_host": "a/b" })),
            "jwks.discovery.jwks_host",
        ),
    ] {
        let refusal = refusal(&config);
        assert!(refusal.contains(fault), "{refusal} is not about {fault}");
    }
    let mut nameless = discovery(json!({}));
    nameless["jwt"]["providers"][0]["issuer"] = "urn:example:issuer".into();
    assert!(refusal(&nameless).contains("nothing to discover"));
    for good in [
        remote(json!({ "uri": "http://[::1]:8080/keys?a=b" })),
        remote(json!({ "uri": "https://idp.test" })),
        remote(json!({ "refresh": "24h" })),
        discovery(json!({ "timeout": "500ms", "wait": "1s", "max_keys": 1, "max_bytes": "1MiB" })),
    ] {
        policy(&good);
    }
}
