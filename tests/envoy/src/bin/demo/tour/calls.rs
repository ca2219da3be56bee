//! gRPC, gRPC-Web and REST to one service.

use crate::places::Places;
use crate::step::Expect::{Body, Header, Logged, Status};
use crate::step::Step;

pub(super) fn steps(places: &Places) -> Vec<Step> {
    let (key, bob) = (places.key("acme-2026"), places.token("bob"));
    let get_7 = r#"{"id":"7"}"#;
    vec![
        Step::new(
            "A unary call of inventory.v1.Stock",
            places.call(&key, "Stock/Get", get_7),
            vec![
                Status(200),
                Body("\"replica\":\"inventory-"),
                Body("\"caller\":\"acme\""),
                Body("grpc-status: 0 OK"),
                Logged("rule", "stock-get"),
                Logged("route", "stock"),
            ],
        )
        .headers(&["content-type"]),
        Step::new(
            "A stream of messages from the service",
            places.call(&key, "Stock/Watch", r#"{"id":"7","updates":3}"#),
            vec![
                Status(200),
                Body("\"update\":3"),
                Body("grpc-status: 0 OK"),
                Logged("rule", "stock-watch"),
            ],
        ),
        Step::new(
            "Both sides stream, until there is not enough left: the service's own status arrives as it is",
            places.call(
                &places.token("alice"),
                "Stock/Reserve",
                r#"[{"id":"7","quantity":1},{"id":"7","quantity":100000}]"#,
            ),
            vec![
                Status(200),
                Body("\"reserved\":1"),
                Body("grpc-status: 8 RESOURCE_EXHAUSTED"),
                Logged("rule", "stock-reserve"),
            ],
        ),
        Step::new(
            "The same method by REST: Envoy's transcoder makes a call of it, and JSON of the answer",
            places.ask(&key, "/stock/7"),
            vec![
                Status(200),
                Header("content-type", "application/json"),
                Body("\"replica\":\"inventory-"),
                // The rule is that of the method.
                Logged("rule", "stock-get"),
                Logged("route", "stock"),
            ],
        )
        .headers(&["content-type"]),
        Step::new(
            "Refused as gRPC: bob's token is good, but lacks the scope; the client reads PERMISSION_DENIED",
            places.call(&bob, "Stock/Get", get_7),
            vec![
                Status(200),
                Body("grpc-status: 7 PERMISSION_DENIED"),
                Logged("rule", "stock-get"),
                Logged("decision", "deny"),
            ],
        )
        .headers(&["www-authenticate"]),
        Step::new(
            "Refused by REST, by the same rule",
            places.ask(&bob, "/stock/7"),
            vec![
                Status(403),
                Header("content-type", "application/problem+json"),
                Logged("rule", "stock-get"),
            ],
        )
        .headers(&["content-type"]),
        Step::new(
            "Refused as gRPC-Web: HTTP 200 and the status where a browser's client looks for it",
            // curl 7.88 loses the answer to a POST over HTTP/2 that is given before the body was read (RFC 9113 section 8.1).
            format!(
                "{} --output -",
                places.ask(
                    &format!(
                        "--http1.1 -H 'content-type: application/grpc-web+proto' -H 'x-grpc-web: 1' --data-binary @{}/empty.grpc",
                        places.folder.display()
                    ),
                    "/inventory.v1.Stock/Get"
                )
            ),
            vec![
                Status(200),
                Header("content-type", "application/grpc-web+proto"),
                Header("grpc-status", "16"),
                Logged("reason", "credential_missing"),
            ],
        )
        .headers(&["content-type", "grpc-status", "grpc-message"]),
        Step::new(
            "A version that there is not, as gRPC: routing stands behind the bridges, and answers in kind too",
            places.call(&format!("{key} -H 'x-api-version: 9'"), "Stock/Get", get_7),
            vec![Status(200), Body("grpc-status: 12 UNIMPLEMENTED")],
        )
        .headers(&["x-gatehouse-supported-versions"]),
    ]
}
