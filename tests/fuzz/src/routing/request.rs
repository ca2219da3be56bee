//! Any configuration and any request: what is written is served, by one spelling, and the same in header and filter state.

use http_message::{Place, same_spelling};
use routing_policy::{
    Facts, Policy, STATE_API_VERSION, STATE_EXPERIMENT, STATE_GROUP, STATE_GRPC_METHOD,
    STATE_GRPC_SERVICE, STATE_TARGET, Step,
};
use serde_json::Value;

use crate::json::at;
use crate::{join, parts, request, routing};

/// # Panics
/// A version is written that is not served, or a header of the client's is left under a name that the filter writes.
pub fn run(input: &[u8]) {
    let Some((config, text)) = parts(input) else {
        return;
    };
    let Ok(policy) = Policy::from_bytes(config) else {
        return;
    };
    let Ok(config) = serde_json::from_slice::<Value>(config) else {
        return;
    };
    let head = request::read(text);
    let forward = match policy.decide(&head, &Facts::default()) {
        Step::Forward(forward) => forward,
        Step::Reply(problem, reason) => {
            assert!((400..600).contains(&problem.status));
            assert_eq!(problem.code_details, reason.code_details());
            assert!(!problem.render(&head, Place::BehindBridges).body.is_empty());
            return;
        }
    };
    let state = |name: &str| {
        forward
            .state
            .iter()
            .find(|(is, _)| *is == name)
            .map(|(_, value)| value.as_bytes())
    };
    if let Some(version) = state(STATE_API_VERSION) {
        let served = at(&config, &["api_version", "supported"])
            .and_then(Value::as_array)
            .into_iter()
            .flatten();
        let mut served = served.filter_map(Value::as_str);
        assert!(
            served.any(|served| served.as_bytes() == version),
            "{version:?}"
        );
    }
    let left = request::after(&head, &forward.edits);
    for (field, name, value) in [
        (
            "api_version",
            "x-gatehouse-api-version",
            state(STATE_API_VERSION),
        ),
        (
            "grpc_service",
            "x-gatehouse-grpc-service",
            state(STATE_GRPC_SERVICE),
        ),
        (
            "grpc_method",
            "x-gatehouse-grpc-method",
            state(STATE_GRPC_METHOD),
        ),
    ] {
        let configured = at(&config, &["headers", field]).and_then(Value::as_str);
        let name = configured.unwrap_or(name).to_ascii_lowercase();
        let seen: Vec<_> = left
            .iter()
            .filter(|(is, _)| same_spelling(is, name.as_bytes()))
            .map(|(is, value)| (is.as_slice(), value.as_slice()))
            .collect();
        let written: Vec<_> = value
            .map(|value| (name.as_bytes(), value))
            .into_iter()
            .collect();
        assert_eq!(seen, written, "{field}");
    }
    // Written where they are asked for only, and then the same in both.
    for (name, value) in [
        ("x-gatehouse-target", state(STATE_TARGET)),
        ("x-gatehouse-group", state(STATE_GROUP)),
        ("x-gatehouse-experiment", state(STATE_EXPERIMENT)),
    ] {
        let renamed = at(&config, &["headers"]).is_some();
        if let (Some(value), false) = (value, renamed) {
            let seen = left
                .iter()
                .filter(|(is, _)| same_spelling(is, name.as_bytes()));
            assert!(seen.map(|(_, seen)| seen.as_slice()).eq([value]), "{name}");
        }
    }
    // No record vouches for the transcoder.
    let off = config.get("mode").and_then(Value::as_str) == Some("off");
    let trace = |(name, _): &(Vec<u8>, Vec<u8>)| name == b"x-envoy-original-path";
    assert!(off || !left.iter().any(trace), "a forged trace");
}

/// All that can be configured, so that a request meets it.
const WHOLE: &str = r#"{"version":1,
    "api_version":{"supported":["1","2"],"default":"1","retired":["7"],"fallback":"older","route_override":true,
        "sources":[{"path_prefix":true},{"header":"x-v"},{"query":"v"},{"accept_vendor":"application/vnd.example"},{"grpc_package":true}],
        "deprecated":[{"version":"1","since":"2026-01-01"}],"upstream_path":{"version":"strip","allowed_paths":["/users","/a.B"]}},
    "grpc":{"undeclared":"refuse","health":"open","statistics":true,"methods":[
        {"service":"a.B","method":"C","deadline":{"default":"2s","max":"5s"},"target":"one","retry":{"on":["unavailable"],"max":2}},
        {"service":"a.*","scopes":["a"]},{"service":"b.v2.C","mode":"shadow","groups":["g"]}]},
    "targets":[{"name":"t","match":{"headers":[{"name":"x-country","exact":"DE"}]},"target":"two"}],
    "splits":[{"name":"s","by":[{"header":"x-tenant"},{"cookie":{"name":"c"}},{"identity":true}],
        "groups":[{"name":"g","weight":1},{"name":"h","weight":2}],"override":{"header":"x-try","groups":["h"]}}],
    "headers":{"protocol":"x-protocol","grpc_kind":"x-kind","grpc_package":"x-package"}}"#;

/// The example, and all that there is, with requests.
pub fn seeds() -> Vec<Vec<u8>> {
    let example = routing::configuration::example();
    let requests = [
        "GET /v2/users",
        "GET /v9/users\nx-api-version: 2",
        "GET /users\nx-api-version: v1\nx_gatehouse_api_version: 2",
        "GET /users\naccept: application/json;version=2, text/html;q=0",
        "GET /users\naccept: a/b; note=\"x\\\"\"; version=\"1\"",
        "POST /inventory.v1.Stock/Get\ncontent-type: application/grpc+proto\nx-gatehouse-grpc-method: Delete",
        "POST /a/b/c\ncontent-type: application/grpc-web-text",
    ];
    let whole = [
        "GET /v2/users?v=1\nx-envoy-original-path: /x\nx-gatehouse-group: h\ncookie: c=17; d=1",
        "POST /a.B/C\ncontent-type: application/grpc\ngrpc-timeout: 1H\nx-envoy-original-path: /a\nx-gatehouse-target: z",
        "POST /a.B/D\ncontent-type: application/grpc-web\nx-tenant: acme",
        "POST /b.v2.C/D\ncontent-type: application/connect+proto\nconnect-timeout-ms: 5",
        "GET /users\naccept: application/vnd.example.v2+json\nx-country: DE\nx-try: h",
        "POST /grpc.health.v1.Health/Check\ncontent-type: application/grpc\nx_gatehouse_target: z",
    ];
    let requests = requests.iter().map(|request| join(&example, request));
    requests
        .chain(whole.iter().map(|request| join(WHOLE, request)))
        .collect()
}
