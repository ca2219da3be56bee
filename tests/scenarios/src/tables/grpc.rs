//! gRPC, gRPC-Web and Connect.

use serde_json::json;

use crate::expect::{Header, Refusal, UpstreamSees};
use crate::request::{Credential, Request};
use crate::scenario::Scenario;
use crate::token::TokenSpec;

use super::{passes, scenario, token, unauthorized};

fn stock() -> TokenSpec {
    token().claim("scope", "stock:read")
}

pub(super) fn table() -> Vec<Scenario> {
    vec![
        scenario(
            "a gRPC call",
            "router and upstream learn service and method",
            Request::grpc("/inventory.v1.Stock/Get").bearer(stock()),
            passes()
                .path("/inventory.v1.Stock/Get")
                .is("x-user", "alice")
                .is("x-gatehouse-grpc-service", "inventory.v1.Stock")
                .is("x-gatehouse-grpc-method", "Get")
                .is("x-gatehouse-api-version", "1"),
        )
        .over_http2(),
        scenario(
            "an open gRPC service",
            "a rule without a method covers the service",
            Request::grpc("/inventory.v1.Health/Check"),
            passes()
                .is("x-gatehouse-grpc-service", "inventory.v1.Health")
                .is("x-gatehouse-grpc-method", "Check"),
        )
        .over_http2(),
        scenario(
            "a gRPC call without a credential",
            "a gRPC client reads UNAUTHENTICATED, not an HTTP page",
            Request::grpc("/inventory.v1.Stock/Get"),
            Refusal::grpc(16, "Unauthorized"),
        )
        .over_http2(),
        scenario(
            "a gRPC call without the scope",
            "a gRPC client reads PERMISSION_DENIED",
            Request::grpc("/inventory.v1.Stock/Get").bearer(token()),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a gRPC method without a rule",
            "a rule for one method does not cover the next",
            Request::grpc("/inventory.v1.Stock/Delete").bearer(stock()),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a gRPC method in another case",
            "methods are compared byte by byte",
            Request::grpc("/inventory.v1.Stock/get").bearer(stock()),
            Refusal::grpc(7, "Forbidden"),
        )
        .over_http2(),
        scenario(
            "a gRPC call of an unknown version",
            "UNIMPLEMENTED is not retried; UNAVAILABLE would be",
            Request::grpc("/inventory.v1.Health/Check").header("x-api-version", "9"),
            Refusal::grpc(12, "Not Acceptable")
                .and(Header::Is("x-gatehouse-supported-versions", "1, 2")),
        )
        .over_http2(),
        scenario(
            "a gRPC call of two versions",
            "INVALID_ARGUMENT is not retried; UNAVAILABLE would be",
            Request::grpc("/inventory.v1.Health/Check")
                .header("x-api-version", "1")
                .header("x-api-version", "2"),
            Refusal::grpc(3, "Bad Request"),
        )
        .over_http2(),
        scenario(
            "gRPC content on a path that is no method",
            "it is no call that anybody knows, and is labelled as none",
            Request::grpc("/public/a/b"),
            passes()
                .absent("x-gatehouse-grpc-service")
                .absent("x-gatehouse-grpc-method"),
        )
        .over_http2(),
        scenario(
            "a path like a method without gRPC content",
            "plain HTTP is not a call",
            Request::get("/inventory.v1.Open/Get"),
            passes()
                .absent("x-gatehouse-grpc-service")
                .absent("x-gatehouse-grpc-method"),
        ),
        scenario(
            "a gRPC content type in upper case",
            "some upstreams take it for gRPC, so it is a call to the rules, though Envoy answers as to plain HTTP",
            Request::new("POST", "/inventory.v1.Stock/Get")
                .header("content-type", "Application/GRPC+proto")
                .header("te", "trailers"),
            Refusal::bare(401),
        )
        .over_http2(),
        scenario(
            "the REST twin of a method",
            "behind the transcoder it becomes the same call, so the same rule holds",
            Request::get("/stock/7"),
            unauthorized(),
        ),
        scenario(
            "the REST twin of a method with the scope",
            "behind the transcoder it becomes the same call, so the same rule holds",
            Request::get("/stock/7").bearer(stock()),
            passes().is("x-user", "alice").path("/stock/7"),
        ),
        scenario(
            "a refused gRPC-Web call",
            "a browser reads the status from an HTTP 200",
            Request::grpc_web("/inventory.v1.Stock/Get"),
            Refusal::grpc(16, "Unauthorized")
                .and(Header::Is("content-type", "application/grpc-web+proto")),
        ),
        scenario(
            "a gRPC-Web call with a bad key",
            "a browser reads the status from an HTTP 200",
            Request::grpc_web("/inventory.v1.Health/Check").with(Credential::ApiKey("guess")),
            Refusal::grpc(16, "Unauthorized")
                .and(Header::Is("content-type", "application/grpc-web+proto")),
        ),
        scenario(
            "a gRPC-Web call",
            "the rule for the method holds, whatever carries the call",
            Request::grpc_web("/inventory.v1.Stock/Get").bearer(stock()),
            passes()
                .is("x-user", "alice")
                .is("x-gatehouse-grpc-service", "inventory.v1.Stock")
                .is("x-gatehouse-grpc-method", "Get"),
        ),
        scenario(
            "a refused Connect call",
            "a Connect client reads the code of its own JSON",
            Request::new("POST", "/inventory.v1.Stock/Get")
                .header("content-type", "application/json")
                .header("connect-protocol-version", "1")
                .body(*b"{}"),
            Refusal::connect(401, "unauthenticated").and(Header::Contains(
                "www-authenticate",
                "realm=\"scenarios\"",
            )),
        ),
        scenario(
            "a Connect call",
            "the rule for the method holds, whatever carries the call",
            Request::new("POST", "/inventory.v1.Stock/Get")
                .header("content-type", "application/json")
                .header("connect-protocol-version", "1")
                .body(*b"{}")
                .bearer(stock().claim("groups", json!([]))),
            UpstreamSees::default()
                .is("x-gatehouse-grpc-service", "inventory.v1.Stock")
                .is("x-gatehouse-grpc-method", "Get"),
        ),
        scenario(
            "the package and the protocol of a gRPC call",
            "a forged trace of the transcoder would have a native caller pass for REST, and an upstream answer it so",
            Request::grpc("/inventory.v1.Health/Check")
                .header("x-envoy-original-path", "/health")
                .header("x-gatehouse-protocol", "rest")
                .header("x_gatehouse_grpc_package", "admin.v1"),
            passes()
                .is("x-gatehouse-grpc-package", "inventory.v1")
                .is("x-gatehouse-protocol", "grpc")
                .absent("x_gatehouse_grpc_package")
                .absent("x-envoy-original-path"),
        )
        .over_http2(),
        scenario(
            "the protocol of a gRPC-Web call",
            "one service, several kinds of callers: the log tells them apart",
            Request::grpc_web("/inventory.v1.Health/Check"),
            passes().is("x-gatehouse-protocol", "grpc-web"),
        ),
        scenario(
            "the protocol of a REST request",
            "a client's own words for it are taken out",
            Request::get("/public").header("x-gatehouse-protocol", "grpc"),
            passes()
                .is("x-gatehouse-protocol", "rest")
                .absent("x-gatehouse-grpc-package"),
        ),
    ]
}
