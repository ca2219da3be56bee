//! The Envoy that is measured: a listener for each variant, its filters, and an answer without an upstream.

use serde_json::{Value, json};

use crate::variants::Variant;

/// A Wasm module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Auth,
    RateLimit,
    Transform,
    Routing,
    Floor,
}

impl Module {
    fn file(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::RateLimit => "rate-limit",
            Self::Transform => "transform",
            Self::Routing => "routing",
            Self::Floor => "floor_filter",
        }
    }
}

/// A Wasm filter as a listener has it.
pub(crate) fn wasm(name: &str, module: Module, config: &Value) -> Value {
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "failure_policy": "FAIL_RELOAD",
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": format!("/etc/gatehouse/{}.wasm", module.file()) } },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": config.to_string(),
                },
            },
        },
    })
}

/// Envoy's own filters, doing what ours do.
pub(crate) mod native {
    use envoy_harness::Gateway;
    use serde_json::{Value, json};

    /// Verifies the token and hands two claims on as headers.
    pub(crate) fn jwt_authn(cached: bool) -> Value {
        let mut provider = json!({
            "issuer": Gateway::issuer().name(),
            "audiences": ["api"],
            "local_jwks": { "inline_string": Gateway::issuer().key_set().to_string() },
            "claim_to_headers": [
                { "header_name": "x-user", "claim_name": "sub" },
                { "header_name": "x-consumer", "claim_name": "azp" },
            ],
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
        json!({
            "name": "envoy.filters.http.local_ratelimit",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
                "stat_prefix": "bench",
                "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
                "filter_enabled": { "default_value": { "numerator": 100 } },
                "filter_enforced": { "default_value": { "numerator": 100 } },
                "rate_limits": [{ "actions": [
                    { "request_headers": { "header_name": "x-tenant", "descriptor_key": "tenant" } },
                ] }],
                "descriptors": [{
                    "entries": [{ "key": "tenant" }],
                    "token_bucket": { "max_tokens": 1_000_000, "tokens_per_fill": 1_000_000, "fill_interval": "1s" },
                }],
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

    /// Sets a header by a script.
    pub(crate) fn lua() -> Value {
        let script = "function envoy_on_request(handle)\n  handle:headers():replace(\"x-team\", \"crm\")\nend\n";
        json!({
            "name": "envoy.filters.http.lua",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
                "default_source_code": { "inline_string": script },
            },
        })
    }
}

/// The whole configuration.
pub(crate) fn bootstrap(variants: &[Variant]) -> Value {
    let listeners: Vec<Value> = variants.iter().map(listener).collect();
    json!({ "static_resources": { "listeners": listeners } })
}

fn listener(variant: &Variant) -> Value {
    let mut filters = variant.filters.clone();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    json!({
        "name": variant.name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": 0 } },
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "bench",
                "use_remote_address": true,
                "http_filters": filters,
                "route_config": {
                    "max_direct_response_body_size_bytes": 1 << 20,
                    "virtual_hosts": [{
                        "name": "all",
                        "domains": ["*"],
                        "routes": [{
                            "match": { "prefix": "/" },
                            "direct_response": { "status": 200, "body": { "inline_string": variant.body } },
                            "response_headers_to_add": [{ "header": { "key": "content-type", "value": "application/json" },
                                                          "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" }],
                        }],
                    }],
                },
            },
        }] }],
    })
}
