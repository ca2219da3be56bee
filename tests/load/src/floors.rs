//! The host calls of our filters, and nothing else: what those calls cost is the least that each filter can cost.

use serde_json::{Value, json};

use crate::modules::{FILTERS, Module};

/// Those of auth with a warm token.
pub(crate) fn auth() -> Value {
    Module::FloorOf("auth")
        .filter(&json!({ "request": list([json!("read_head")], auth_request()) }))
}

/// Those of rate-limit for one limit by a header.
pub(crate) fn rate_limit() -> Value {
    Module::FloorOf("rate-limit").filter(&json!({
        "request": list([json!("read_head")], rate_limit_request()), "response": rate_limit_response(),
    }))
}

/// Those of transform that sets a header in each direction.
pub(crate) fn transform() -> Value {
    Module::FloorOf("transform").filter(&json!({
        "request": list([json!("read_head")], transform_request()), "response": transform_response(),
    }))
}

/// Those of routing that finds a version.
pub(crate) fn routing() -> Value {
    Module::FloorOf("routing")
        .filter(&json!({ "request": list([json!("read_head")], routing_request()) }))
}

/// Those of the whole chain.
pub(crate) fn chain() -> [Value; 4] {
    [auth(), rate_limit(), transform(), routing()]
}

/// Those of the whole chain by one module that reads the head once: what joining the four could save at most.
pub(crate) fn joined() -> Value {
    let request = [
        auth_request(),
        rate_limit_request(),
        transform_request(),
        routing_request(),
    ]
    .concat();
    Module::Floor.filter(&json!({
        "request": list([json!("read_head")], request),
        "response": list(rate_limit_response(), transform_response()),
    }))
}

fn list(first: impl IntoIterator<Item = Value>, rest: Vec<Value>) -> Vec<Value> {
    first.into_iter().chain(rest).collect()
}

fn auth_request() -> Vec<Value> {
    vec![
        json!("realtime"),
        json!({ "set": ["gatehouse.identity", "x".repeat(180)] }),
        json!({ "set": ["gatehouse.auth.identity", "jwt:user-0"] }),
        json!({ "set": ["gatehouse.auth.rule", "orders"] }),
        json!({ "set": ["gatehouse.auth.decision", "allow"] }),
        json!({ "remove": "authorization" }),
        json!({ "add": ["cache-control", "no-store"] }),
        json!({ "add": ["x-user", "user-0"] }),
        json!({ "add": ["x-consumer", "web-shop"] }),
        json!({ "add": ["x-scopes", "orders:read,orders:write"] }),
        json!({ "count": "floor.auth" }),
    ]
}

fn rate_limit_request() -> Vec<Value> {
    vec![
        json!("monotonic"),
        json!({ "swap": "floor" }),
        json!({ "count": "floor.rate_limit" }),
    ]
}

fn rate_limit_response() -> Vec<Value> {
    vec![
        json!({ "add": ["ratelimit-policy", "\"tenant\";q=1000000;w=1"] }),
        json!({ "add": ["ratelimit", "\"tenant\";r=999999;t=1"] }),
    ]
}

fn transform_request() -> Vec<Value> {
    vec![
        json!({ "add": ["x-team", "crm"] }),
        json!({ "count": "floor.transform" }),
    ]
}

fn transform_response() -> Vec<Value> {
    vec![
        json!({ "get": ["response", "code_details"] }),
        json!("read_head"),
        json!({ "add": ["x-frame-options", "DENY"] }),
    ]
}

fn routing_request() -> Vec<Value> {
    vec![
        json!({ "set": ["gatehouse.api_version", "1"] }),
        json!({ "add": ["x-gatehouse-api-version", "1"] }),
        json!({ "count": "floor.routing" }),
    ]
}

/// Those of transform that masks, the chunk read and written as it is.
pub(crate) fn masking() -> Value {
    masking_with(json!(["rewrite", { "count": "floor.rewritten" }]))
}

/// Masks as a filter does that reads the body into a tree of values and writes it anew.
pub(crate) fn tree() -> Value {
    masking_with(json!([{ "dom": "/customers/*/email" }, { "count": "floor.rewritten" }]))
}

/// Masks with transform's rewriter, beside the tree in the same module.
pub(crate) fn rewriter() -> Value {
    masking_with(json!([{ "mask": "/customers/*/email" }, { "count": "floor.rewritten" }]))
}

/// No encoding that cannot be read is asked for, and the length changes.
fn masking_with(response_body: Value) -> Value {
    Module::FloorOf("transform").filter(&json!({
        "request": ["read_head", { "replace": ["accept-encoding", "identity"] }, { "count": "floor.transform" }],
        "response": [{ "get": ["response", "code_details"] }, "read_head", { "remove": "content-length" }],
        "response_body": response_body,
    }))
}

/// No call at all, in a VM as each of our filters has its own.
pub(crate) fn four_vms() -> [Value; 4] {
    FILTERS.map(|name| Module::FloorOf(name).filter(&json!({})))
}

/// No call at all.
pub(crate) fn empty() -> Value {
    Module::Floor.filter(&json!({}))
}

/// These calls, in the callback for the head of the request.
pub(crate) fn calls(calls: &[Value]) -> Value {
    Module::Floor.filter(&json!({ "request": calls }))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use fake_host::{FilterStatus, Host, VmOptions};

    use crate::comparison;
    use crate::variant::Variant;

    /// What the variant's one filter asks of the host for its second request, the answer included.
    fn calls(variants: &[Variant], name: &str, register: fn()) -> Vec<&'static str> {
        let variant = variants
            .iter()
            .find(|variant| variant.name == name)
            .unwrap();
        let config = variant.filters[0]
            .pointer("/typed_config/config/configuration/value")
            .unwrap()
            .as_str()
            .unwrap();
        let host = Host::new();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        host.clock().set_realtime(now);
        let vm = host
            .start(VmOptions::new(name, register).config(config))
            .unwrap_or_else(|refused| panic!("{name}: {refused}"));
        let head = String::from_utf8(variant.requests.all().remove(0)).unwrap();
        let (line, headers) = head.split_once("\r\n").unwrap();
        let path = line.split(' ').nth(1).unwrap();
        let mut pairs = vec![
            (":method", "GET"),
            (":scheme", "http"),
            (":authority", "api"),
            (":path", path),
        ];
        pairs.extend(
            headers
                .split("\r\n")
                .filter_map(|line| line.split_once(": ")),
        );
        let mut functions = Vec::new();
        for _ in 0..2 {
            let mut stream = vm.request(pairs.clone());
            assert_eq!(
                stream.request_headers(true),
                FilterStatus::Continue,
                "{name}"
            );
            let length = variant.body.len().to_string();
            stream.response_headers(
                [
                    (":status", "200"),
                    ("content-type", "application/json"),
                    ("content-length", &length),
                ],
                false,
            );
            stream.response_body(variant.body.as_bytes(), true);
            functions = stream
                .cost()
                .calls
                .iter()
                .map(|call| call.function)
                .collect();
        }
        functions.sort_unstable();
        functions
    }

    // A floor that does less than the filter would make the filter look dear, one that does more cheap.
    #[test]
    fn each_floor_makes_the_calls_of_its_filter() {
        let variants = comparison::variants();
        for (name, register) in [
            ("auth", gatehouse_auth::register as fn()),
            ("rate_limit", gatehouse_rate_limit::register),
            ("transform", gatehouse_transform::register),
            ("routing", gatehouse_routing::register),
        ] {
            let floor = calls(&variants, &format!("{name}_floor"), floor_filter::register);
            assert_eq!(calls(&variants, name, register), floor, "{name}");
        }
        for size in ["1k", "100k"] {
            let ours = calls(
                &variants,
                &format!("mask_{size}"),
                gatehouse_transform::register,
            );
            for floor in ["mask_floor", "dom", "rewriter"] {
                let calls = calls(
                    &variants,
                    &format!("{floor}_{size}"),
                    floor_filter::register,
                );
                assert_eq!(calls, ours, "{floor}_{size}");
            }
        }
    }
}
