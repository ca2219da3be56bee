//! Our filters, each in its common use.

use envoy_harness::{Gateway, demo_key};
use packager::sha256;
use serde_json::{Value, json};

use crate::modules::Module;

/// Verifies a token and hands three claims on as headers. `cached`: tokens that are remembered, where not as many as usual.
pub(crate) fn auth(cached: Option<usize>) -> Value {
    auth_with_rules(cached, 1)
}

/// The same with that many rules, the last of which is for the request.
pub(crate) fn auth_with_rules(cached: Option<usize>, rules: usize) -> Value {
    let mut all: Vec<Value> = (1..rules)
        .map(|number| other_rule(number, "allow_anonymous", &json!(true)))
        .collect();
    all.push(json!({
        "name": "orders", "match": { "path": { "prefix": "/v1/orders" } },
        "any": [{ "credential": "jwt", "scopes": ["orders:read"] }],
    }));
    let mut config = json!({
        "version": 1,
        "jwt": { "providers": [{
            "name": "main", "issuer": Gateway::issuer().name(), "audiences": ["api"],
            "claims": { "consumer": "azp", "plan": "plan", "groups": "groups" },
            "jwks": Gateway::issuer().key_set(),
        }] },
        "upstream_headers": { "subject": "x-user", "consumer": "x-consumer", "scopes": "x-scopes" },
        "rules": all,
    });
    if let Some(entries) = cached {
        config["jwt"]["token_cache"] = json!({ "max_entries": entries });
    }
    Module::Filter("auth").filter(&config)
}

/// Looks an API key up among that many.
pub(crate) fn auth_keys(count: usize) -> Value {
    let keys: Vec<Value> = (0..count)
        .map(|number| {
            let id = format!("bench-{number}");
            let hash = sha256(demo_key(&id).as_bytes());
            json!({ "id": id, "sha256": hash, "consumer": "acme", "scopes": ["orders:read"] })
        })
        .collect();
    let config = json!({
        "version": 1,
        "api_keys": { "sources": [{ "header": "x-api-key" }], "keys": keys },
        "upstream_headers": { "consumer": "x-consumer" },
        "rules": [{ "name": "orders", "match": { "path": { "prefix": "/v1/orders" } },
                    "any": [{ "credential": "api_key", "scopes": ["orders:read"] }] }],
    });
    Module::Filter("auth").filter(&config)
}

/// Limits each value of a header.
pub(crate) fn rate_limit() -> Value {
    rate_limit_with_rules(1)
}

/// The same with that many limits, the last of which is for the request.
pub(crate) fn rate_limit_with_rules(rules: usize) -> Value {
    let mut limits: Vec<Value> = (1..rules)
        .map(|number| {
            let mut limit = other_rule(number, "key", &json!({ "header": "x-tenant" }));
            limit["rate"] = "1/s".into();
            limit
        })
        .collect();
    limits.push(json!({
        "name": "tenant", "match": { "path": { "prefix": "/v1" } }, "key": { "header": "x-tenant" }, "rate": "1000000/s",
    }));
    // One kind of headers, as Envoy's own filter writes one.
    Module::Filter("rate-limit").filter(&json!({
        "version": 1, "table": { "slots": 65_536 }, "limits": limits, "headers": { "x_rate_limit": false },
    }))
}

/// Sets a header on the request and one on the response.
pub(crate) fn transform() -> Value {
    transform_with_rules(1)
}

/// The same with that many rules, the last of which is for the request.
pub(crate) fn transform_with_rules(rules: usize) -> Value {
    let other = json!({ "headers": [{ "set": "x-other", "value": "1" }] });
    let mut all: Vec<Value> = (1..rules)
        .map(|number| other_rule(number, "request", &other))
        .collect();
    all.push(json!({
        "name": "orders", "match": { "path": { "prefix": "/v1" } },
        "request": { "headers": [{ "set": "x-team", "value": "crm" }] },
        "response": { "headers": [{ "set": "x-frame-options", "value": "DENY" }] },
    }));
    Module::Filter("transform").filter(&json!({ "version": 1, "rules": all }))
}

/// Masks a member of each element of a list in the response.
pub(crate) fn masking() -> Value {
    Module::Filter("transform").filter(&json!({
        "version": 1,
        "rules": [{ "name": "customers", "match": { "path": { "prefix": "/v1" } },
                    "response": { "body": [{ "mask": "/customers/*/email" }] } }],
    }))
}

/// Finds the version of the API in the path.
pub(crate) fn routing() -> Value {
    Module::Filter("routing").filter(&json!({
        "version": 1,
        "api_version": { "supported": ["1", "2"], "default": "1", "sources": [{ "path_prefix": true }] },
    }))
}

/// All four, in their order.
pub(crate) fn chain() -> [Value; 4] {
    [auth(None), rate_limit(), transform(), routing()]
}

/// A rule that is not for the requests of the bench.
fn other_rule(number: usize, member: &str, value: &Value) -> Value {
    json!({ "name": format!("other-{number}"), "match": { "path": { "prefix": format!("/other/{number}") } }, member: value })
}
