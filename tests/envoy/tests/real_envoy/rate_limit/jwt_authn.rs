//! Callers whose tokens Envoy's own `jwt_authn` has verified: how its claims look to a filter, only the host knows.

use envoy_harness::{Bootstrap, Gateway, Request};
use serde_json::{Value, json};

use super::{PLUGIN, with_limits};

/// `jwt_authn` in front of the limits, with its claims where they are looked for.
fn behind_jwt_authn(limits: Value) -> Bootstrap {
    let mut bootstrap = with_limits(limits);
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["identity"] = json!({ "jwt_authn": { "payload": "claims", "consumer": "azp", "groups": "groups" } });
    });
    let provider = json!({
        "audiences": ["api"],
        "local_jwks": { "inline_string": Gateway::issuer().key_set().to_string() },
        "payload_in_metadata": "claims",
    });
    let filter = json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "main": provider },
            // The harness has no token for its closing request.
            "rules": [
                { "match": { "prefix": "/users/closing-probe" } },
                { "match": { "prefix": "/users" }, "requires": { "provider_name": "main" } },
            ],
        },
    });
    bootstrap.http_filters_mut().insert(0, filter);
    bootstrap
}

/// A limit by a claim that is never read would refuse everybody, or be one for all; and a plan by one nobody's.
#[test]
fn claims_that_jwt_authn_has_verified_are_keys_and_plans() {
    let limits = json!([
        { "name": "tenant", "key": { "claim": "tenant" }, "rate": "2/h",
          "plans": { "by": { "claim": "tier" }, "rates": { "gold": "4/h" } },
          "match": { "path": { "prefix": "/users/tenant" } } },
        { "name": "group", "key": { "group": ["admin", "staff"] }, "rate": "1/h",
          "match": { "path": { "prefix": "/users/group" } } },
        { "name": "consumer", "key": "consumer", "rate": "1/h", "match": { "path": { "prefix": "/users/consumer" } } },
    ]);
    let Some(gateway) = Gateway::start(&behind_jwt_authn(limits)) else {
        return;
    };
    let ask = |path: &str, claims: &[(&str, Value)]| {
        let token = claims
            .iter()
            .fold(gateway.token("alice"), |token, (name, value)| {
                token.claim(name, value.clone())
            });
        let bearer = format!("Bearer {}", token.sign());
        let request = Request::get(path).header("authorization", bearer);
        gateway.h1().send(&request).status
    };
    let admitted = |claims: &[(&str, Value)]| {
        let statuses = (0..6).map(|_| ask("/users/tenant", claims));
        statuses.filter(|status| *status == 200).count()
    };
    let (acme, other) = (("tenant", json!("acme")), ("tenant", json!("other")));
    assert_eq!(admitted(std::slice::from_ref(&acme)), 2);
    assert_eq!(admitted(&[other]), 2);
    // The plan's rates count apart.
    assert_eq!(admitted(&[acme.clone(), ("tier", json!("gold"))]), 4);
    assert_eq!(admitted(&[acme, ("tier", json!("silver"))]), 0);
    // Absent, or no text.
    for none in [
        json!(null),
        json!(7),
        json!(true),
        json!(["acme"]),
        json!({ "a": "acme" }),
    ] {
        assert_eq!(
            ask("/users/tenant", &[("tenant", none.clone())]),
            403,
            "{none}"
        );
    }
    let groups = |groups: Value| ask("/users/group", &[("groups", groups)]);
    assert_eq!(groups(json!(["all", "staff", 7])), 200);
    assert_eq!(groups(json!("staff")), 429);
    assert_eq!(groups(json!(["staff", "admin"])), 200);
    for none in [
        json!(null),
        json!([]),
        json!(["all"]),
        json!(7),
        json!({ "staff": "yes" }),
    ] {
        assert_eq!(groups(none.clone()), 403, "{none}");
    }
    // A machine's token has neither issuer nor subject.
    let machine = |azp: &str| {
        [
            ("iss", json!(null)),
            ("sub", json!(null)),
            ("azp", json!(azp)),
        ]
    };
    assert_eq!(ask("/users/consumer", &machine("a")), 200);
    assert_eq!(ask("/users/consumer", &machine("a")), 429);
    assert_eq!(ask("/users/consumer", &machine("b")), 200);
    assert_eq!(ask("/users/consumer", &[("azp", json!(null))]), 403);
}
