//! What the method table says of a call.

use serde_json::json;

use crate::expect::{Refusal, UpstreamSees};
use crate::request::Request;
use crate::scenario::Scenario;
use crate::token::TokenSpec;

use super::{passes, scenario, token};

const AUDIT: &str = "/inventory.v1.Audit/Read";
const SLOW: &str = "/inventory.v1.Health/Slow";

fn auditor() -> TokenSpec {
    token()
        .claim("scope", "audit:read")
        .claim("groups", json!(["staff"]))
}

fn connect(path: &'static str) -> Request {
    Request::new("POST", path)
        .header("content-type", "application/json")
        .header("connect-protocol-version", "1")
        .body(*b"{}")
}

fn within(millis: &'static str) -> UpstreamSees {
    passes().is("grpc-timeout", millis)
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "a method with its scope and group",
            "who may call it does",
            Request::grpc(AUDIT).bearer(auditor()),
            UpstreamSees::default().is("x-gatehouse-grpc-service", "inventory.v1.Audit"),
        )
        .over_http2(),
        scenario(
            "a method without its scope",
            "PERMISSION_DENIED is not tried again",
            Request::grpc(AUDIT).bearer(auditor().claim("scope", "profile")),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a method without its group",
            "a scope alone is not enough",
            Request::grpc(AUDIT).bearer(auditor().claim("groups", json!(["guests"]))),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a method without its scope, by gRPC-Web",
            "what one way of calling refuses no other lets pass",
            Request::grpc_web(AUDIT).bearer(token()),
            Refusal::grpc(7, "Forbidden"),
        ),
        scenario(
            "a method without its scope, by Connect",
            "what one way of calling refuses no other lets pass",
            connect(AUDIT).bearer(token()),
            Refusal::connect(403, "permission_denied"),
        ),
        scenario(
            "a method without its scope, by a plain POST",
            "a Connect server takes it for a call",
            Request::new("POST", AUDIT)
                .header("content-type", "application/json")
                .body(*b"{}")
                .bearer(token()),
            Refusal::http(403, "Forbidden"),
        ),
        scenario(
            "closed reflection",
            "what there is to call is not for everybody to read",
            Request::grpc("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
            Refusal::grpc(12, "Not Found"),
        )
        .over_http2(),
        scenario(
            "what the table says of a method",
            "kind and target are for router and upstream; a client's own words for them are not",
            Request::grpc(SLOW)
                .header("x-gatehouse-target", "mine")
                .header("x_gatehouse_grpc_kind", "unary")
                .header("x-envoy-retry-grpc-on", "internal")
                .header("x_envoy_max_retries", "9"),
            passes()
                .is("x-gatehouse-target", "slow")
                .is("x-gatehouse-grpc-kind", "server_streaming")
                .absent("x_gatehouse_grpc_kind")
                .absent("x_envoy_max_retries"),
        )
        .over_http2(),
        scenario(
            "a deadline where the client has none",
            "nobody waits for ever",
            Request::grpc(SLOW),
            within("2000m"),
        )
        .over_http2(),
        scenario(
            "a deadline that is too long",
            "a client that asks for an hour does not hold an upstream for it",
            Request::grpc(SLOW).header("grpc-timeout", "1H"),
            within("5000m"),
        )
        .over_http2(),
        scenario(
            "a deadline within the bounds",
            "it stays as it came",
            Request::grpc(SLOW).header("grpc-timeout", "3S"),
            within("3S"),
        )
        .over_http2(),
        scenario(
            "a deadline of gRPC-Web",
            "the same for each way of calling",
            Request::grpc_web(SLOW).header("grpc-timeout", "1H"),
            within("5000m"),
        ),
        scenario(
            "a deadline of Connect",
            "the same for each way of calling",
            connect(SLOW).header("connect-timeout-ms", "3600000"),
            passes().is("connect-timeout-ms", "5000"),
        ),
        scenario(
            "no time left",
            "work that nobody waits for is not begun",
            Request::grpc(SLOW).header("grpc-timeout", "0m"),
            Refusal::grpc(4, "Gateway Timeout"),
        )
        .over_http2(),
        scenario(
            "no time left, by Connect",
            "work that nobody waits for is not begun",
            connect(SLOW).header("connect-timeout-ms", "0"),
            Refusal::connect(504, "deadline_exceeded"),
        ),
        scenario(
            "a deadline that is none",
            "an upstream could read another",
            Request::grpc(SLOW).header("grpc-timeout", "1h"),
            Refusal::grpc(3, "Bad Request"),
        )
        .over_http2(),
        scenario(
            "two deadlines",
            "an upstream could take the other one",
            Request::grpc(SLOW)
                .header("grpc-timeout", "1S")
                .header("grpc-timeout", "2S"),
            Refusal::grpc(3, "Bad Request"),
        )
        .over_http2(),
        scenario(
            "a method that the table has nothing about",
            "it is left as it is",
            Request::grpc("/inventory.v1.Health/Check").header("grpc-timeout", "1H"),
            passes()
                .is("grpc-timeout", "1H")
                .absent("x-gatehouse-target")
                .absent("x-gatehouse-grpc-kind"),
        )
        .over_http2(),
    ]
}
