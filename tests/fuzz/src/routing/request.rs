//! Any configuration and any request: what is written is served, by one spelling, and the same in header and filter state.

use http_message::{Place, same_spelling};
use routing_policy::{
    Facts, Policy, STATE_API_VERSION, STATE_GRPC_METHOD, STATE_GRPC_SERVICE, Step,
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
}

/// The example with requests.
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
    requests
        .iter()
        .map(|request| join(&example, request))
        .collect()
}
