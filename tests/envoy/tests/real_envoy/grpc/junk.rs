//! Requests that look like gRPC and are not quite: row 34 of the catalogue in `tests/README.md`. None gets to a service that its
//! path does not name, each gets an answer, and no filter is lost.

use envoy_harness::Request;

use super::{gateway, get_7, reached_inventory, reader};

const GET: &str = "/inventory.v1.Stock/Get";

// Without it a path that is no method could be taken for one, or answered by a status that callers try again.
#[test]
fn row_34_a_path_that_is_no_method_is_refused_with_a_status() {
    let Some(gateway) = gateway() else { return };
    for path in [
        "/",
        "/a",
        "//",
        "/a/b",
        "/a/b/c",
        "/a.b/",
        "/inventory.v1.Stock",
        "/inventory.v1.Stock/",
        "/inventory.v1.Stock/Get/x",
        "/inventory.v1.Stock/get",
        "/inventory.v1.Stock/Delete",
        "/x/inventory.v1.Stock/Get",
        "/.inventory.v1.Stock/Get",
        "/inventory.v1.Stock/Get%20",
        "/grpc.health.v1.Health/Watch",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ] {
        for (key, mut expected) in [(None, 16), (Some(reader()), 7)] {
            // Parsers do not agree on what an empty segment is: INVALID_ARGUMENT, whoever asks.
            if path == "//" {
                expected = 3;
            }
            let request = key
                .into_iter()
                .fold(Request::grpc(path, b""), |request, key| {
                    request.header("x-api-key", key)
                });
            let answer = gateway.h2().send(&request);
            assert_eq!(
                (answer.status, answer.grpc_status()),
                (200, Some(expected)),
                "{path}: {answer:?}"
            );
        }
    }
}

// Without it a content type that one filter reads as gRPC and another does not could pass between their rules.
#[test]
fn row_34_a_content_type_that_is_nearly_grpc_reaches_nothing_new() {
    let Some(gateway) = gateway() else { return };
    for kind in [
        "application/grpc",
        "application/grpc+proto",
        "application/grpc+json",
        "application/grpc;charset=utf-8",
        "Application/gRPC",
        "application/grpcx",
        "application/grpc-",
        "application/grpc-web",
        "application/grpc-web-text",
        "application/grpc-web+thrift",
        "application/grpc, application/json",
        "application/json",
        "text/plain",
        "application/connect+proto",
        "",
    ] {
        for (path, key) in [
            (GET, None),
            (GET, Some(reader())),
            ("/public/1", None),
            ("/users/1", Some(reader())),
        ] {
            let mut request = Request::grpc(path, &get_7());
            request.headers[0].1 = kind.into();
            let request = key
                .iter()
                .fold(request, |request, key| request.header("x-api-key", key));
            let answer = gateway.h2().send(&request);
            let at = format!("{kind} {path} {key:?}: {answer:?}");
            if path != GET || key.is_none() {
                assert!(!reached_inventory(&answer.body), "{at}");
            }
            // An error that ends a Connect stream comes in a frame.
            let refused = answer.status >= 400
                || answer.grpc_status().is_some_and(|status| status != 0)
                || answer.body.starts_with(&[2]);
            match (path, &key) {
                (GET, None) => assert!(refused, "{at}"),
                // A POST to a path that is open for reading only.
                ("/public/1", _) => assert!(refused, "{at}"),
                _ => {}
            }
        }
    }
}

// Without it a broken frame, deadline or piece of metadata could take a filter down, or leave the caller without an answer. What
// is wrong with a message is for the service to say; the gateway hands its status on.
#[test]
fn row_34_broken_calls_end_with_an_answer() {
    let Some(gateway) = gateway() else { return };
    let call = || Request::grpc(GET, &get_7()).header("x-api-key", reader());
    let frame = |flag: u8, length: u32, message: &[u8]| {
        [&[flag][..], &length.to_be_bytes(), message].concat()
    };
    let good = get_7();
    let length = u32::try_from(good.len()).unwrap();
    let cases = [
        (
            "metadata that is no base64",
            call().header("trace-bin", "%%%"),
            0,
        ),
        (
            "an own identity in base64",
            call().header("x-user-bin", "cm9vdA"),
            0,
        ),
        (
            "half a frame",
            call().body(&frame(0, length, &good)[..6]),
            13,
        ),
        (
            "a frame of 4 GiB",
            call().body(frame(0, u32::MAX, &good)),
            11,
        ),
        (
            "a compressed frame",
            call().body(frame(1, length, &good)),
            13,
        ),
        ("an unknown flag", call().body(frame(7, length, &good)), 13),
        (
            "an unknown encoding",
            call()
                .header("grpc-encoding", "brotli")
                .body(frame(1, length, &good)),
            12,
        ),
        ("no frame", call().body(Vec::new()), 13),
        (
            "a message that is none",
            call().body(frame(0, 2, b"\xff\xff")),
            13,
        ),
        (
            "a GET",
            {
                let mut get = call();
                get.method = "GET".into();
                get
            },
            0,
        ),
    ];
    for (case, request, expected) in cases {
        let answer = gateway.h2().send(&request);
        let said = (answer.status, answer.grpc_status());
        assert_eq!(said, (200, Some(expected)), "{case}: {answer:?}");
    }
    // A deadline that is none counts for nothing; one of no length is over, unless the service is quicker.
    for (timeout, expected) in [
        ("abc", &[0][..]),
        ("", &[0]),
        ("-1S", &[0]),
        ("99999999999H", &[0]),
        ("1", &[0]),
        ("1x", &[0]),
        ("0n", &[0, 4]),
    ] {
        let answer = gateway.h2().send(&call().header("grpc-timeout", timeout));
        let status = answer.grpc_status().unwrap_or(-1);
        assert!(expected.contains(&status), "{timeout}: {answer:?}");
    }
}
