//! Envoy's own filters, doing what ours do.

use envoy_harness::Gateway;
use serde_json::{Value, json};

/// Verifies the token, takes it off the request, and hands three claims on as headers.
pub(crate) fn jwt_authn(cached: bool) -> Value {
    let header = |header: &str, claim: &str| json!({ "header_name": header, "claim_name": claim });
    let mut provider = json!({
        "issuer": Gateway::issuer().name(),
        "audiences": ["api"],
        "local_jwks": { "inline_string": Gateway::issuer().key_set().to_string() },
        "claim_to_headers": [header("x-user", "sub"), header("x-consumer", "azp"), header("x-scopes", "scope")],
    });
    if cached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 4096 });
    }
    json!({
        "name": "envoy.filters.http.jwt_authn",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
            "providers": { "main": provider },
            "rules": [{ "match": { "prefix": "/v1/orders" }, "requires": { "provider_name": "main" } }],
        },
    })
}

/// A bucket for each value of a header, made when it is first seen.
pub(crate) fn local_ratelimit() -> Value {
    let bucket =
        json!({ "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" });
    json!({
        "name": "envoy.filters.http.local_ratelimit",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
            "stat_prefix": "bench",
            "token_bucket": bucket,
            "filter_enabled": { "default_value": { "numerator": 100 } },
            "filter_enforced": { "default_value": { "numerator": 100 } },
            "rate_limits": [{ "actions": [
                { "request_headers": { "header_name": "x-tenant", "descriptor_key": "tenant" } },
            ] }],
            "descriptors": [{ "entries": [{ "key": "tenant" }], "token_bucket": bucket }],
            "enable_x_ratelimit_headers": "DRAFT_VERSION_03",
        },
    })
}

/// Sets a header on the request and one on the response.
pub(crate) fn header_mutation() -> Value {
    let set = |key: &str, value: &str| {
        json!({ "append": {
            "header": { "key": key, "value": value }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        } })
    };
    json!({
        "name": "envoy.filters.http.header_mutation",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": {
                "request_mutations": [set("x-team", "crm")],
                "response_mutations": [set("x-frame-options", "DENY")],
            },
        },
    })
}

/// Sets the same two headers by a script.
pub(crate) fn lua() -> Value {
    let script = "function envoy_on_request(handle)\n  handle:headers():replace(\"x-team\", \"crm\")\nend\n\
                  function envoy_on_response(handle)\n  handle:headers():replace(\"x-frame-options\", \"DENY\")\nend\n";
    json!({
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
            "default_source_code": { "inline_string": script },
        },
    })
}
