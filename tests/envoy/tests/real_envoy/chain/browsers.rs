//! Pages of other origins: cors answers whom it likes, auth refuses the rest, and a refusal can be read.

use envoy_harness::{Gateway, Request, Response, demo_key};

const PAGE: &str = "https://app.gatehouse.test";

fn preflight(path: &str, origin: &str) -> Request {
    Request::new("OPTIONS", path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization")
}

fn allowed(answer: &Response) -> Option<&str> {
    answer.header("access-control-allow-origin")
}

/// Without this test a page could not call at all: it has no credential to send with a preflight.
#[test]
fn a_preflight_of_a_known_origin_is_answered_in_front_of_auth() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    // Also where no route is found before routing has labelled the request.
    for path in [
        "/users/1",
        "/orders/1",
        "/stock/7",
        "/inventory.v1.Stock/Get",
        "/no/such/path",
    ] {
        let answer = gateway.h2().send(&preflight(path, PAGE));
        assert_eq!(
            (answer.status, allowed(&answer)),
            (200, Some(PAGE)),
            "{path}"
        );
        let headers = answer
            .header("access-control-allow-headers")
            .unwrap_or_default();
        assert!(
            headers.contains("authorization") && !headers.contains('*'),
            "{headers}"
        );
        assert_eq!(answer.header("access-control-allow-credentials"), None);
        let id = answer.header("x-request-id").expect("an id");
        let entry = gateway
            .envoy()
            .access_log_entry(|entry| entry["request_id"] == id);
        assert_eq!(entry["details"], "cors_response", "{path}: {entry}");
    }
}

/// Without this test an OPTIONS request would be a way past auth.
#[test]
fn a_preflight_that_cors_declines_is_refused_by_auth() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    for origin in [
        "https://other.test",
        "http://app.gatehouse.test",
        "https://app.gatehouse.test:8443",
        "https://app.gatehouse.test.other.test",
        "https://sub.app.gatehouse.test",
        "null",
        "*",
    ] {
        for path in ["/users/1", "/public/1", "/inventory.v1.Stock/Get"] {
            let answer = gateway.h2().send(&preflight(path, origin));
            assert_eq!(
                (answer.status, allowed(&answer)),
                (401, None),
                "{origin} {path}"
            );
        }
        // Its requests are served, and its pages cannot read the answers.
        let answer = gateway
            .h1()
            .send(&Request::get("/public/1").header("origin", origin));
        assert_eq!((answer.status, allowed(&answer)), (200, None), "{origin}");
    }
    let answer = gateway
        .h1()
        .send(&Request::get("/public/1").header("origin", PAGE));
    assert_eq!((answer.status, allowed(&answer)), (200, Some(PAGE)));
}

/// Without this test a page would see a network error where it was refused, and could neither log in nor wait.
#[test]
fn a_page_can_read_every_refusal() {
    let Some(gateway) = Gateway::shared() else {
        return;
    };
    let client = gateway.h2();
    let page = |request: Request| request.header("origin", PAGE);
    let key = || demo_key("acme-2026");
    let writer = gateway.token("a-page").groups(&["staff"]);
    let writer = writer.scope("orders:write").sign();
    let order = page(Request::new("POST", "/orders/1").bearer(writer));
    let limited = (0..2000)
        .map(|_| client.send(&order))
        .find(|answer| answer.status != 200)
        .expect("a burst ends");
    assert_eq!(limited.status, 429);
    assert!(limited.header("retry-after").is_some());
    let refusals = [
        (401, client.send(&page(Request::get("/users/1")))),
        (
            403,
            client.send(&page(Request::get("/admin/1").header("x-api-key", key()))),
        ),
        (
            403,
            client.send(&page(
                Request::get("/api/admin/1").header("x-api-key", key()),
            )),
        ),
        (
            406,
            client.send(&page(
                Request::get("/users/1")
                    .header("x-api-key", key())
                    .header("x-api-version", "9"),
            )),
        ),
        (429, limited),
        // gRPC-Web, whose status is in a header.
        (
            200,
            client.send(&page(Request::grpc_web("/inventory.v1.Stock/Get", b""))),
        ),
    ];
    for (status, answer) in refusals {
        // 401 where both proofs are asked for and one is missing.
        assert!(
            answer.status == status || (status == 403 && answer.status == 401),
            "{status}: {answer:?}"
        );
        assert_eq!(allowed(&answer), Some(PAGE), "{status}");
        let exposed = answer
            .header("access-control-expose-headers")
            .unwrap_or_default();
        for name in [
            "www-authenticate",
            "retry-after",
            "grpc-status",
            "x-request-id",
        ] {
            assert!(exposed.contains(name), "{status}: {name} is not exposed");
        }
    }
}
