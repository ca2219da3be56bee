//! The rule for a method holds however the method is called: no other way of writing a request gets to it.

use envoy_harness::{Read, Request};

use super::{gateway, get_7, outsider, reached_inventory, reader};

// Without it a caller without the scope could read the stock by a path that the transcoder takes and the rule does not.
#[test]
fn no_spelling_of_the_rest_form_evades_the_rule() {
    let Some(gateway) = gateway() else { return };
    let methods = ["GET", "POST", "PUT", "OPTIONS", "get"];
    let paths = [
        "/stock/7",
        "/stock/7/",
        "/stock/7//",
        "//stock/7",
        "/stock//7",
        "/./stock/7",
        "/users/../stock/7",
        "/public/../stock/7",
        "/public/..%2fstock/7",
        "/public/%2e%2e/stock/7",
        "/stock/7/.",
        "/stock/7/x/..",
        "/%73tock/7",
        "/%73%74%6f%63%6b/%37",
        "/%2573tock/7",
        "/stock%2f7",
        "/stock/7;a=b",
        "/stock;a=b/7",
        "/stock\\7",
        "/STOCK/7",
        "/stock/7?id=8",
        "/stock/7?api_version=1",
        "/stock/7#x",
        "/v1/stock/7",
        "/v2/stock/7",
        "/stock/7:get",
        "/stock/7%20",
        "/stock/7%00",
        "/stock/%c0%af7",
        "/stock/7/watch",
        "/stock/7/watch/",
        "/inventory.v1.Stock/Get",
        "/inventory.v1.Stock/Get/",
        "/inventory.v1.stock/Get",
        "/%69nventory.v1.Stock/Get",
        "/v1/inventory.v1.Stock/Get",
    ];
    let token = outsider(&gateway);
    for credential in ["", &format!("authorization: Bearer {token}\r\n")] {
        for method in methods {
            for path in paths {
                let request = format!(
                    "{method} {path} HTTP/1.1\r\nhost: localhost\r\n{credential}connection: close\r\ncontent-length: 0\r\n\r\n"
                );
                let answer = gateway.h1().raw(request.as_bytes(), Read::OneAnswer);
                assert!(
                    !reached_inventory(&answer.0) && answer.status() != Some(200),
                    "{method} {path}: {}",
                    String::from_utf8_lossy(&answer.0)
                );
            }
        }
    }
    for path in ["/stock/7", "/stock/7/", "/inventory.v1.Stock/Get"] {
        let answer = gateway
            .h1()
            .send(&Request::new("HEAD", path).bearer(&token));
        assert_eq!(answer.status, 403, "HEAD {path}: {answer:?}");
    }
    // What the transcoder does take, so that the refusals above mean something.
    for path in ["/stock/7", "/stock/7/", "/%73tock/7", "//stock/7"] {
        let answer = gateway
            .h1()
            .send(&Request::get(path).header("x-api-key", reader()));
        assert!(reached_inventory(&answer.body), "{path}: {answer:?}");
    }
}

// Without it a POST that says that it is a GET could be one to the transcoder only.
#[test]
fn no_header_makes_another_call_of_a_request() {
    let Some(gateway) = gateway() else { return };
    let token = outsider(&gateway);
    for (name, value) in [
        ("x-http-method-override", "GET"),
        ("x-http-method", "GET"),
        ("x-method-override", "GET"),
        ("x-envoy-original-path", "/public/1"),
        ("x-envoy-original-method", "GET"),
        ("x-original-url", "/stock/7"),
        ("x-rewrite-url", "/stock/7"),
        ("x-gatehouse-grpc-service", "inventory.v1.Stock"),
        ("x-gatehouse-grpc-method", "Get"),
        ("grpc-encoding", "identity"),
        ("x-grpc-web", "1"),
        ("content-type", "application/grpc"),
        ("content-type", "application/grpc-web"),
        ("content-type", "application/json"),
        ("connect-protocol-version", "1"),
        ("te", "trailers"),
    ] {
        for (method, path) in [
            ("GET", "/stock/7"),
            ("POST", "/stock/7"),
            ("GET", "/public/1"),
            ("POST", "/public/1"),
            ("POST", "/inventory.v1.Stock/Get"),
            ("GET", "/inventory.v1.Stock/Get"),
        ] {
            for request in [
                Request::new(method, path),
                Request::new(method, path).bearer(&token),
                Request::new(method, path)
                    .bearer(&token)
                    .body(Request::grpc("", &get_7()).body),
            ] {
                let answer = gateway.h2().send(&request.header(name, value));
                assert!(
                    !reached_inventory(&answer.body),
                    "{method} {path} {name}: {value}: {answer:?}"
                );
            }
        }
    }
}
