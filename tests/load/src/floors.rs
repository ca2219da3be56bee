//! The host calls of our filters, and nothing else: what those calls cost is the least that each filter can cost.

use serde_json::{Value, json};

use crate::modules::Module;

/// Those of auth with a warm token.
pub(crate) fn auth() -> Value {
    Module::FloorOf("auth").filter(&json!({ "request": [
        "read_head", "realtime",
        { "set": ["gatehouse.identity", "x".repeat(180)] }, { "set": ["gatehouse.auth.identity", "jwt:user-0"] },
        { "set": ["gatehouse.auth.rule", "orders"] }, { "set": ["gatehouse.auth.decision", "allow"] },
        { "remove": "authorization" }, { "add": ["cache-control", "no-store"] }, { "add": ["x-user", "user-0"] },
        { "add": ["x-consumer", "web-shop"] }, { "add": ["x-scopes", "orders:read,orders:write"] },
        { "count": "floor.auth" },
    ] }))
}

/// Those of rate-limit for one limit by a header.
pub(crate) fn rate_limit() -> Value {
    Module::FloorOf("rate-limit").filter(&json!({
        "request": ["read_head", "monotonic", { "swap": "floor" }, { "count": "floor.rate_limit" }],
        "response": [{ "has": "x-ratelimit-limit" }, { "add": ["ratelimit-policy", "\"tenant\";q=1000000;w=1"] },
                     { "add": ["ratelimit", "\"tenant\";r=999999;t=1"] },
                     { "replace": ["x-ratelimit-limit", "1000000"] }, { "replace": ["x-ratelimit-remaining", "999999"] },
                     { "replace": ["x-ratelimit-reset", "1"] }],
    }))
}

/// Those of transform that sets a header in each direction.
pub(crate) fn transform() -> Value {
    Module::FloorOf("transform").filter(&json!({
        "request": ["read_head", { "add": ["x-team", "crm"] }, { "count": "floor.transform" }],
        "response": [{ "get": ["response", "code_details"] }, "read_head", { "add": ["x-frame-options", "DENY"] }],
    }))
}

/// Those of routing that finds a version.
pub(crate) fn routing() -> Value {
    Module::FloorOf("routing").filter(&json!({ "request": [
        "read_head", { "set": ["gatehouse.api_version", "1"] },
        { "add": ["x-gatehouse-api-version", "1"] }, { "count": "floor.routing" },
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
            stream.response_headers(
                [(":status", "200"), ("content-type", "application/json")],
                true,
            );
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
    }
}
