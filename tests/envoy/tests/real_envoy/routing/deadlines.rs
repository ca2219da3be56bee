//! How long calls take: what clients ask for, what the table allows, and what they read when the time is over.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Gateway, Request};
use http::{HeaderMap, HeaderValue};
use serde_json::json;

use super::{add_cluster, first_route, sent, single};
use crate::server::{Pieces, Received, Server};

/// The calls of `silent.v1` go where nobody answers, those of `refusing.v1` to where each gets UNAVAILABLE. A route of theirs gives
/// up as the filter does.
fn with_deadlines() -> (Bootstrap, TcpListener, Server) {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    let refusing = Server::start(|_: Received| std::future::ready(unavailable()));
    let mut bootstrap = single(json!({ "grpc": {
        "statistics": true,
        "methods": [
            { "service": "silent.v1.Clock", "method": "Tick", "deadline": { "max": "2s" } },
            { "service": "refusing.v1.Clock", "deadline": { "max": "5s" } },
            { "service": "users.v1.Users", "deadline": { "default": "2s", "max": "5s" } },
        ],
    } }));
    let endpoint = json!({ "address": "127.0.0.1", "port_value": address.port() });
    add_cluster(
        &mut bootstrap,
        "silent",
        json!({
            "cluster_name": "silent",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": endpoint } } }] }],
        }),
    );
    add_cluster(
        &mut bootstrap,
        "refusing",
        refusing.load_assignment("refusing"),
    );
    for (service, cluster) in [
        ("silent.v1.Clock", "silent"),
        ("refusing.v1.Clock", "refusing"),
    ] {
        let route = json!({
            "match": { "prefix": format!("/{service}/") },
            "route": { "cluster": cluster, "timeout": "2s" },
        });
        first_route(&mut bootstrap, route);
    }
    (bootstrap, silent, refusing)
}

/// A trailers-only answer.
fn unavailable() -> http::Response<Pieces> {
    let mut response = http::Response::new(Pieces::default());
    let headers: &mut HeaderMap = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from_static("14"));
    response
}

// UNAVAILABLE, which Envoy says of itself, is leave to try again: a call that is slow would be made over and over.
#[test]
fn a_call_that_takes_too_long_ends_as_deadline_exceeded() {
    let (bootstrap, _silent, _refusing) = with_deadlines();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    // What the client asks for is bounded, and its own word to the router does not reach it.
    let call = Request::grpc("/silent.v1.Clock/Tick", b"")
        .header("grpc-timeout", "1H")
        .header("x-envoy-upstream-rq-timeout-ms", "3600000");
    let started = Instant::now();
    let answer = gateway.h2().send(&call);
    let took = started.elapsed();
    assert_eq!(answer.grpc_status(), Some(4), "{answer:?}");
    let bounds = Duration::from_millis(1_900)..Duration::from_secs(10);
    assert!(bounds.contains(&took), "{took:?}");
    // A caller's own time, shorter than what is allowed, is kept.
    let short = Request::grpc("/silent.v1.Clock/Tick", b"").header("grpc-timeout", "20m");
    let started = Instant::now();
    assert_eq!(gateway.h2().send(&short).grpc_status(), Some(4));
    assert!(
        started.elapsed() < Duration::from_millis(1_500),
        "{:?}",
        started.elapsed()
    );
    // Where the filter has told the router nothing, and where the service itself says so, the status stays what it was.
    for path in ["/silent.v1.Clock/Stop", "/refusing.v1.Clock/Tick"] {
        let answer = gateway.h2().send(&Request::grpc(path, b""));
        assert_eq!(answer.grpc_status(), Some(14), "{path}: {answer:?}");
    }
    let stats = gateway.envoy().stats();
    let counted = |name: &str| {
        let name = format!("wasmcustom.gatehouse.routing.grpc_status.{name}");
        stats.get(&name).copied()
    };
    assert_eq!(counted("silent.v1.Clock.Tick.4"), Some(2), "{stats:?}");
    assert_eq!(counted("other.14"), Some(2), "{stats:?}");
}

// Its bridge makes UNAVAILABLE of Envoy's 504, and a browser's library would make the call over and over.
#[test]
fn a_bridged_caller_reads_deadline_exceeded() {
    let (mut bootstrap, _silent, _refusing) = with_deadlines();
    let bridge = json!({
        "name": "envoy.filters.http.grpc_web",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_web.v3.GrpcWeb" },
    });
    bootstrap.http_filters_mut().insert(0, bridge);
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    let call = |path: &str| Request::grpc_web(path, b"").header("grpc-timeout", "50m");
    for client in [gateway.h1(), gateway.h2()] {
        let answer = client.send(&call("/silent.v1.Clock/Tick"));
        assert_eq!(answer.grpc_status(), Some(4), "{answer:?}");
        // Where the filter has told the router nothing, the bridge's word stays.
        let other = client.send(&call("/silent.v1.Clock/Stop"));
        assert_eq!(other.grpc_status(), Some(14), "{other:?}");
    }
    let stats = gateway.envoy().stats();
    let counted = "wasmcustom.gatehouse.routing.grpc_status.silent.v1.Clock.Tick.4";
    assert_eq!(stats.get(counted), Some(&2), "{stats:?}");
}

// A call whose time is over costs an upstream work that nobody waits for.
#[test]
fn a_call_without_time_left_is_refused() {
    let (bootstrap, _silent, _refusing) = with_deadlines();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    const PATH: &str = "/users.v1.Users/Get";
    for (timeout, status) in [
        ("0m", 4),
        ("0H", 4),
        ("", 3),
        ("5", 3),
        ("1h", 3),
        ("-1S", 3),
        ("100000000S", 3),
        ("1S", 0),
    ] {
        let call = Request::grpc(PATH, b"").header("grpc-timeout", timeout);
        let answer = gateway.h2().send(&call);
        assert_eq!(
            answer.grpc_status(),
            Some(status),
            "{timeout:?}: {answer:?}"
        );
        assert_eq!(
            answer.header("x-replica").is_some(),
            status == 0,
            "{timeout:?}"
        );
    }
    let connect = |timeout: &str| {
        let call = Request::new("POST", PATH)
            .header("content-type", "application/json")
            .header("connect-protocol-version", "1")
            .header("connect-timeout-ms", timeout);
        gateway.h1().send(&call.body("{}"))
    };
    for (timeout, status, code) in [
        ("0", 504, "deadline_exceeded"),
        ("1S", 400, "invalid_argument"),
        ("12345678901", 400, "invalid_argument"),
    ] {
        let answer = connect(timeout);
        assert_eq!(answer.status, status, "{timeout}: {answer:?}");
        assert_eq!(answer.json()["code"], code, "{timeout}: {answer:?}");
    }
    assert_eq!(connect("1000").status, 200);
}

// A client that asks for an hour, or for nothing, must not hold an upstream for it.
#[test]
fn what_a_client_asks_for_is_bounded_and_told_to_the_router() {
    let (bootstrap, _silent, _refusing) = with_deadlines();
    let Some(gateway) = Gateway::start(&bootstrap) else {
        return;
    };
    const PATH: &str = "/users.v1.Users/Get";
    let grpc = Request::grpc(PATH, b"");
    let web = Request::grpc_web(PATH, b"");
    let connect = Request::new("POST", PATH)
        .header("content-type", "application/proto")
        .header("connect-protocol-version", "1");
    for (request, header, unit) in [
        (grpc, "grpc-timeout", "m"),
        (web, "grpc-timeout", "m"),
        (connect, "connect-timeout-ms", ""),
    ] {
        for (asked, expected) in [
            (None, "2000"),
            (Some("1000"), "1000"),
            (Some("5000"), "5000"),
            (Some("3600000"), "5000"),
        ] {
            let request = asked.into_iter().fold(request.clone(), |request, asked| {
                request.header(header, format!("{asked}{unit}"))
            });
            let forged = request.header("x-envoy-upstream-rq-timeout-ms", "9999999");
            let answer = gateway
                .h2()
                .send(&forged.header("x-envoy-upstream-rq-per-try-timeout-ms", "1"));
            assert_eq!(answer.status, 200, "{header} {asked:?}: {answer:?}");
            let told = sent(&answer, header);
            assert_eq!(
                told,
                Some(format!("{expected}{unit}")),
                "{header} {asked:?}"
            );
            // What Envoy's router waits for, as it tells the upstream.
            let waits = sent(&answer, "x-envoy-expected-rq-timeout-ms");
            assert_eq!(waits.as_deref(), Some(expected), "{header} {asked:?}");
        }
    }
    // A method without a deadline keeps what the client says, and the route's.
    let other = Request::grpc("/users.v1.Others/Get", b"").header("grpc-timeout", "1H");
    let answer = gateway.h2().send(&other);
    assert_eq!(sent(&answer, "grpc-timeout").as_deref(), Some("1H"));
    assert_eq!(
        sent(&answer, "x-envoy-expected-rq-timeout-ms").as_deref(),
        Some("15000")
    );
}
