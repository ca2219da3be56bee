//! The host calls of our filters, and nothing else: what those calls cost is the least that each filter can cost.

use serde_json::{Value, json};

use crate::modules::Module;

/// Those of auth with a warm token.
pub(crate) fn auth() -> Value {
    Module::FloorOf("auth").filter(&json!({ "request": [
        "read_head", "realtime",
        { "set": ["gatehouse.identity", "x".repeat(180)] }, { "set": ["gatehouse.auth.identity", "jwt:user-0"] },
        { "set": ["gatehouse.auth.rule", "orders"] }, { "set": ["gatehouse.auth.decision", "allow"] },
        { "set": ["gatehouse.auth.reason", "ok"] },
        { "remove": "authorization" }, { "replace": ["cache-control", "no-store"] }, { "replace": ["x-user", "user-0"] },
        { "replace": ["x-consumer", "web-shop"] }, { "replace": ["x-scopes", "orders:read,orders:write"] },
        { "count": "floor.auth" },
    ] }))
}

/// Those of rate-limit for one limit by a header.
pub(crate) fn rate_limit() -> Value {
    Module::FloorOf("rate-limit").filter(&json!({
        "request": ["read_head", "monotonic", { "swap": "floor" }, { "count": "floor.rate_limit" }],
        "response": [{ "add": ["ratelimit-policy", "\"tenant\";q=1000000;w=1"] },
                     { "add": ["ratelimit", "\"tenant\";r=999999;t=1"] }],
    }))
}

/// Those of transform that sets a header in each direction.
pub(crate) fn transform() -> Value {
    Module::FloorOf("transform").filter(&json!({
        "request": ["read_head", { "replace": ["x-team", "crm"] }, { "count": "floor.transform" }],
        "response": [{ "get": ["response", "code_details"] }, "read_head", { "replace": ["x-frame-options", "DENY"] }],
    }))
}

/// Those of routing that finds a version.
pub(crate) fn routing() -> Value {
    Module::FloorOf("routing").filter(&json!({ "request": [
        "read_head", { "set": ["gatehouse.api_version", "1"] },
        { "replace": ["x-gatehouse-api-version", "1"] }, { "count": "floor.routing" },
    ] }))
}

/// Masks as a filter does that reads the body into a tree of values and writes it anew.
pub(crate) fn tree() -> Value {
    Module::FloorOf("transform").filter(&json!({
        // The length changes.
        "response": [{ "remove": "content-length" }],
        "response_body": [{ "dom": "/customers/*/email" }],
    }))
}

/// No call at all.
pub(crate) fn empty() -> Value {
    Module::Floor.filter(&json!({}))
}

/// These calls, in the callback for the head of the request.
pub(crate) fn calls(calls: &[Value]) -> Value {
    Module::Floor.filter(&json!({ "request": calls }))
}
