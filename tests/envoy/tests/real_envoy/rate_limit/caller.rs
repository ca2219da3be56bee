//! Callers that Envoy's own `jwt_authn` has verified are counted as those of auth are.

use envoy_harness::{Bootstrap, Gateway, Request, Response};
use serde_json::{Value, json};

use super::{PLUGIN, answered_by_envoy, with_limits};

/// The limiter behind `jwt_authn`, which lets requests without a token pass.
fn behind_jwt_authn(limits: Value) -> Bootstrap {
    let mut bootstrap = with_limits(limits);
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["identity"] = json!({ "jwt_authn": {
            "payload": "verified", "consumer": "azp", "plan": "plan", "groups": "groups" } });
    });
    answered_by_envoy(&mut bootstrap);
    bootstrap.http_filters_mut().insert(0, json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "main": {
                "issuer": Gateway::issuer().name(),
                "local_jwks": { "inline_string": Gateway::issuer().key_set().to_string() },
                "payload_in_metadata": "verified",
            } },
            "rules": [{ "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
                { "provider_name": "main" }, { "allow_missing": {} },
            ] } } }],
        },
    }));
    bootstrap
}

/// What is left of the one limit that is for the request.
fn left(answer: &Response) -> Option<u64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.header("x-ratelimit-remaining")?.parse().ok()
}

/// Each kind of caller has a bucket of its own, by what the token says and nothing else; without a token there is no key.
#[test]
fn every_part_of_a_caller_is_read_from_the_metadata_of_jwt_authn() {
    let limit = |name: &str, key: Value| {
        json!({ "name": name, "key": key, "rate": "9/h",
                "match": { "path": { "prefix": format!("/{name}") } } })
    };
    let Some(gateway) = Gateway::start(&behind_jwt_authn(json!([
        limit("subject", json!("subject")),
        limit("consumer", json!("consumer")),
        limit("plan", json!("plan")),
        limit("group", json!({ "group": ["admin", "staff"] })),
        limit("claim", json!({ "claim": "org" })),
        limit("credential", json!("credential")),
    ]))) else {
        return;
    };
    let token = |subject: &str, consumer: &str, plan: &str, groups: &[&str], org: &str| {
        let token = gateway.token(subject).groups(groups).claim("azp", consumer);
        token.claim("plan", plan).claim("org", org).sign()
    };
    let base = token("alice", "app", "gold", &["all", "staff"], "acme");
    let ask = |name: &str, token: &str| {
        let request = Request::get(format!("/{name}")).bearer(token);
        left(&gateway.h1().send(&request))
    };
    for (name, other) in [
        (
            "subject",
            token("bob", "app", "gold", &["all", "staff"], "acme"),
        ),
        (
            "consumer",
            token("alice", "web", "gold", &["all", "staff"], "acme"),
        ),
        (
            "plan",
            token("alice", "app", "free", &["all", "staff"], "acme"),
        ),
        (
            "group",
            token("alice", "app", "gold", &["staff", "admin"], "acme"),
        ),
        (
            "claim",
            token("alice", "app", "gold", &["all", "staff"], "other"),
        ),
    ] {
        // A second token of the same caller differs in all that this limit does not look at.
        assert_eq!(
            [ask(name, &base), ask(name, &base)],
            [Some(8), Some(7)],
            "{name}"
        );
        assert_eq!(ask(name, &other), Some(8), "{name}");
        let anonymous = gateway.h1().send(&Request::get(format!("/{name}")));
        assert_eq!(anonymous.status, 403, "{name}");
    }
    assert_eq!(
        [ask("credential", &base), ask("credential", &base)],
        [Some(8), Some(7)]
    );
    // Whoever is in none of the groups has no key, nor has one whose token does not name its organisation.
    let outside = token("carol", "app", "gold", &["all"], "acme");
    let request = Request::get("/group").bearer(&outside);
    assert_eq!(gateway.h1().send(&request).status, 403);
    let without = Request::get("/claim").bearer(gateway.token("carol").sign());
    assert_eq!(gateway.h1().send(&without).status, 403);
}
