//! The one gateway that all scenarios talk to: the configurations of its filters, and the secrets of its callers.

use serde_json::{Value, json};

use crate::request::Request;

/// `iss` of the provider `main`.
pub const ISSUER: &str = "https://issuer.gatehouse.test";
/// `iss` of the provider `hmac`.
pub const HMAC_ISSUER: &str = "https://hmac.gatehouse.test";
/// `aud` of both providers.
pub const AUDIENCE: &str = "api";
/// The secret of the provider `hmac`.
pub const HMAC_SECRET: &[u8; 32] = b"scenario-hmac-secret-of-32-bytes";
/// The API key `partner`, as the harness of a real Envoy makes it from the id: consumer acme, plan gold, group partners, scope orders:read.
pub const PARTNER_KEY: &str = "demo-key-of-partner";
/// The API key `reader`, made likewise: no consumer, no plan, no group, no scope.
pub const READER_KEY: &str = "demo-key-of-reader";

/// The API key `retired`, made likewise, which has expired.
pub const RETIRED_KEY: &str = "demo-key-of-retired";

/// The configuration of auth. `key_set` holds the public keys `rs256-1`, `es256-1` and `eddsa-1`.
pub fn auth(key_set: &Value) -> Value {
    json!({
        "version": 1,
        "realm": "scenarios",
        "api_keys": {
            "sources": [{ "header": "x-api-key" }, { "query": "api_key" }, { "cookie": "session_key" }],
            "keys": [
                {
                    "id": "partner",
                    // SHA-256 of PARTNER_KEY.
                    "sha256": "abc087422d634e9740b0f585b67412bd7746cdeff376ae66625c7bdf978b06b5",
                    "consumer": "acme",
                    "plan": "gold",
                    "groups": ["partners"],
                    "scopes": ["orders:read"],
                    "labels": { "team": "crm" },
                },
                {
                    "id": "reader",
                    // SHA-256 of READER_KEY.
                    "sha256": "a430623e51c86cacc8987d349814ed0352ce4acb47bad247740e86cb3aa11a96",
                },
                {
                    "id": "retired",
                    // SHA-256 of RETIRED_KEY.
                    "sha256": "5d16006f002ec099e354e5b6c75b746d9a9f6e06907be1b3e3e000aa8f13ce83",
                    "expires": "2024-01-01T00:00:00Z",
                },
            ],
        },
        "jwt": {
            "providers": [
                {
                    "name": "main",
                    "issuer": ISSUER,
                    "audiences": [AUDIENCE],
                    "jwks": key_set,
                    "claims": { "consumer": "azp", "plan": "plan", "groups": "groups" },
                },
                {
                    "name": "hmac",
                    "issuer": HMAC_ISSUER,
                    "audiences": [AUDIENCE],
                    // HMAC_SECRET in base64url.
                    "jwks": { "keys": [{
                        "kty": "oct", "alg": "HS256", "kid": "hs256-1",
                        "k": "c2NlbmFyaW8taG1hYy1zZWNyZXQtb2YtMzItYnl0ZXM",
                    }] },
                },
            ],
        },
        "upstream_headers": {
            "subject": "x-user",
            "consumer": "x-consumer",
            "groups": "x-groups",
            "scopes": "x-scopes",
            "plan": "x-plan",
            "credential": "x-credential",
            "claims": [{ "path": ["realm_access", "roles"], "header": "x-roles" }],
            "labels": { "team": "x-label-team" },
        },
        "strip_headers": ["x-authenticated-*"],
        "twins": [{
            "method": "GET", "template": "/stock/{id}", "service": "inventory.v1.Stock", "rpc": "Get",
        }],
        "rules": [
            { "name": "health", "match": { "path": { "exact": "/health" }, "methods": ["GET"] }, "allow_anonymous": true },
            { "name": "public", "match": { "path": { "prefix": "/public" } }, "allow_anonymous": true },
            { "name": "v1", "match": { "path": { "prefix": "/v1" } }, "allow_anonymous": true },
            { "name": "v2", "match": { "path": { "prefix": "/v2" } }, "allow_anonymous": true },
            { "name": "v9", "match": { "path": { "prefix": "/v9" } }, "allow_anonymous": true },
            { "name": "users", "match": { "path": { "prefix": "/users" }, "methods": ["GET", "HEAD"] },
              "any": [{ "credential": "api_key" }, { "credential": "jwt" }] },
            { "name": "orders", "match": { "path": { "prefix": "/orders" }, "methods": ["GET"] },
              "any": [
                  { "credential": "api_key", "scopes": ["orders:read"] },
                  { "credential": "jwt", "provider": "main", "scopes": ["orders:read"], "groups": ["staff"] },
              ] },
            { "name": "admin", "match": { "path": { "prefix": "/admin" } },
              "all": [{ "credential": "api_key" }, { "credential": "jwt", "provider": "main" }], "groups": ["admins"] },
            { "name": "catalogue", "match": { "path": { "prefix": "/catalogue" } },
              "any": [{ "credential": "api_key" }], "cacheable": true },
            { "name": "preview", "match": { "path": { "prefix": "/preview" } },
              "any": [{ "credential": "jwt", "provider": "main", "scopes": ["preview"] }], "mode": "shadow" },
            { "name": "editors", "match": { "path": { "prefix": "/editors" } }, "any": [
                { "all": [
                    { "credential": "jwt", "claims": [{ "path": ["realm_access", "roles"], "contains": "editor" }] },
                    { "not": { "credential": "jwt", "groups": ["banned"] } },
                ] },
                { "credential": "api_key", "plans": ["gold"] },
            ] },
            { "name": "lenient", "match": { "path": { "prefix": "/lenient" } },
              "any": [{ "credential": "jwt" }, { "allow_anonymous": true }], "ignore_invalid": true },
            { "name": "retired", "match": { "path": { "prefix": "/retired" } }, "allow_anonymous": true, "mode": "off" },
            { "name": "stock", "match": { "grpc": { "service": "inventory.v1.Stock", "method": "Get" } },
              "any": [{ "credential": "jwt", "provider": "main", "scopes": ["stock:read"] }] },
            { "name": "ping", "match": { "grpc": { "service": "inventory.v1.Health" } }, "allow_anonymous": true },
            { "name": "second-rpc", "match": { "path": { "prefix": "/inventory.v2.Open" } }, "allow_anonymous": true },
            { "name": "audit", "match": { "path": { "prefix": "/inventory.v1.Audit" } },
              "any": [{ "credential": "jwt", "provider": "main" }] },
            { "name": "reflection", "match": { "grpc": { "service": "grpc.reflection.v1.ServerReflection" } },
              "allow_anonymous": true },
            { "name": "versioned-rpc", "match": { "path": { "prefix": "/inventory.v1.Open" } }, "allow_anonymous": true },
        ],
    })
}

/// The configuration of rate-limit.
pub fn rate_limit() -> Value {
    json!({
        "version": 1,
        "twins": [{
            "method": "GET", "template": "/v1/watch/{id}", "service": "inventory.v1.Health", "rpc": "Watch",
        }],
        "limits": [
            { "name": "spent", "key": { "header": "x-spent" }, "rate": "1/d", "burst": 1, "on_missing_key": "skip",
              "match": { "headers": [{ "name": "x-spent", "exact": "all" }] } },
            { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1000000/s",
              "match": { "path": { "prefix": "/v1/tenants" } } },
            { "name": "consumer", "key": "consumer", "rate": "1000000/s",
              "match": { "path": { "prefix": "/v1/consumers" } } },
            { "name": "watch", "key": "consumer", "rate": "1000000/s",
              "match": { "grpc": { "service": "inventory.v1.Health", "method": "Watch" } } },
        ],
    })
}

/// The configuration of transform. What it does is under `/public/form` and `/public/moved`.
pub fn transform() -> Value {
    json!({
        "version": 1,
        "twins": [{ "method": "GET", "template": "/public/twin/{id}", "service": "inventory.v1.Open", "rpc": "Get" }],
        "rules": [
            { "name": "trial", "match": { "path": { "prefix": "/public/form" } }, "mode": "shadow",
              "response": { "body": [{ "remove": "/id" }] } },
            { "name": "partners-see-all", "match": { "path": { "prefix": "/public/form" }, "identity": { "groups": ["partners"] } },
              "request": { "headers": [{ "set": "x-team", "value": "partners" }] } },
            { "name": "form", "match": { "path": { "prefix": "/public/form" } },
              "request": {
                  "headers": [
                      { "set": "x-team", "value": "crm" },
                      { "append": "x-tags", "value": "external" },
                      { "remove": "x-debug" },
                      { "rename": "x-client", "to": "x-client-name" },
                  ],
                  "body": [{ "remove": "/internal" }, { "mask": "/card" }, { "set": "/source", "value": "api" }],
              },
              "response": { "body": [{ "mask": "/*/email" }, { "remove": "/notes" }] } },
            { "name": "twin", "match": { "grpc": { "service": "inventory.v1.Open" } },
              "response": { "body": [{ "mask": "/email" }] } },
            { "name": "moved", "match": { "path": { "prefix": "/public/moved" } },
              "request": { "path": {
                  "replace_prefix": { "from": "/public/moved", "to": "/" },
                  "allowed_paths": ["/users/open", "/public"],
              } } },
        ],
    })
}

/// What a vehicle sends once, before the table: it takes the only token of the limit `spent`.
pub fn spending() -> Request {
    Request::get("/v1/spending").header("x-spent", "all")
}

/// The configuration of routing.
pub fn routing() -> Value {
    json!({
        "version": 1,
        "api_version": {
            "supported": ["1", "2"],
            "default": "1",
            "sources": [
                { "path_prefix": true },
                { "header": "x-api-version" },
                { "accept_parameter": "version" },
                { "query": "api-version" },
                { "accept_vendor": "application/vnd.example" },
                { "grpc_package": true },
            ],
            "retired": ["7"],
            "deprecated": [{
                "version": "2", "since": "2026-01-01", "sunset": "2026-12-31T23:59:59Z", "successor": "/v3",
            }],
        },
        "grpc": {
            "reflection": "closed",
            "methods": [
                { "service": "inventory.v1.Audit", "scopes": ["audit:read"], "groups": ["staff"] },
                { "service": "inventory.v1.Health", "method": "Slow", "kind": "server_streaming", "target": "slow",
                  "deadline": { "default": "2s", "max": "5s" }, "retry": { "on": ["unavailable"], "max": 2 } },
            ],
        },
        "targets": [
            { "name": "country", "match": { "path": { "prefix": "/public/land" }, "headers": [{ "name": "x-country", "exact": "DE" }] },
              "target": "land-de" },
            { "name": "trial", "match": { "path": { "prefix": "/public/land" } }, "target": "nowhere", "mode": "shadow" },
        ],
        "splits": [
            { "name": "cart", "match": { "path": { "prefix": "/public/cart" } }, "by": [{ "header": "x-visitor" }],
              "groups": [{ "name": "stable", "weight": 50 }, { "name": "canary", "weight": 50 }],
              "override": { "header": "x-try-group", "groups": ["canary"] } },
            { "name": "people", "match": { "path": { "prefix": "/users/people" } }, "by": [{ "identity": true }],
              "groups": [{ "name": "stable", "weight": 50 }, { "name": "canary", "weight": 50 }] },
            { "name": "trial", "match": { "path": { "prefix": "/public/trial" } }, "by": [{ "header": "x-visitor" }],
              "groups": [{ "name": "stable", "weight": 1 }, { "name": "canary", "weight": 0 }], "mode": "shadow" },
        ],
        "headers": {
            "grpc_package": "x-gatehouse-grpc-package",
            "grpc_kind": "x-gatehouse-grpc-kind",
            "protocol": "x-gatehouse-protocol",
        },
    })
}
