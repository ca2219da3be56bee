//! The rate limiter on two workers that really run at the same time: the bound holds, and refusals arrive in the form that each
//! caller reads.

use std::time::{Duration, Instant};

use envoy_harness::{Bootstrap, Client, Gateway, Request};
use serde_json::{Value, json};

const PLUGIN: &str = "gatehouse.rate_limit";
const CLIENTS: usize = 8;

fn gateway(limits: Value) -> Option<Gateway> {
    let mut bootstrap = Bootstrap::file("envoy/single/rate-limit.yaml");
    let config = json!({ "version": 1, "limits": limits, "headers": { "x_rate_limit": true } });
    bootstrap.set_filter_config(PLUGIN, config);
    Gateway::start(&bootstrap)
}

/// What eight clients at once were answered.
#[derive(Debug, Default)]
struct Tally {
    admitted: u64,
    refused: u64,
}

/// One client on one connection.
fn hammer(client: &Client, requests: usize) -> Tally {
    let mut connection = client.connect().expect("a connection");
    let request = Request::get("/users/1").header("x-tenant", "acme");
    let mut tally = Tally::default();
    for _ in 0..requests {
        match connection.send(&request).status {
            200 => tally.admitted += 1,
            429 => tally.refused += 1,
            other => panic!("status {other}"),
        }
    }
    tally
}

/// Eight clients at once, half of them HTTP/2, each so many requests; how long it took from before the first to after the
/// last.
fn hammered(gateway: &Gateway, requests: usize) -> (Tally, Duration) {
    let start = Instant::now();
    let total = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|index| {
                let client = match index % 2 {
                    0 => gateway.h1(),
                    _ => gateway.h2(),
                };
                scope.spawn(move || hammer(&client, requests))
            })
            .collect();
        threads.into_iter().fold(Tally::default(), |sum, thread| {
            let tally = thread.join().expect("a client ended");
            Tally {
                admitted: sum.admitted + tally.admitted,
                refused: sum.refused + tally.refused,
            }
        })
    });
    (total, start.elapsed())
}

/// The bound is the promise: whatever the workers do at the same time, no more than a burst and what has come since.
#[test]
fn eight_clients_on_one_key_never_get_more_than_burst_and_rate() {
    let (rate, burst) = (250, 100);
    let Some(gateway) = gateway(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "burst": burst,
          "rate": { "requests": rate, "per": "1s" } },
    ])) else {
        return;
    };
    let (tally, elapsed) = hammered(&gateway, 50_000 / CLIENTS);
    let come = elapsed.as_nanos() * u128::from(rate as u64) / 1_000_000_000;
    let most = burst as u128 + come;
    eprintln!(
        "{} admitted, {} refused in {elapsed:?}; at most {most} may be",
        tally.admitted, tally.refused
    );
    assert!(u128::from(tally.admitted) <= most);
    // The clients ask far faster than tokens come, so the bucket never fills and none is lost. What is taken off is the time
    // before the first request and after the last.
    assert!(
        tally.refused > tally.admitted,
        "the clients are too slow to show anything"
    );
    assert!(
        u128::from(tally.admitted) * 1000 >= most * 985,
        "tokens were lost"
    );

    let envoy = gateway.envoy();
    let counter = |name: &str| envoy.counter(&format!("wasmcustom.{PLUGIN}.{name}"));
    assert_eq!(counter("admitted"), tally.admitted);
    assert_eq!(counter("limited"), tally.refused);
    for name in ["contended", "overflow", "unknown_form", "internal"] {
        assert_eq!(counter(name), 0, "{name}");
    }
}

fn one_an_hour() -> Option<Gateway> {
    gateway(json!([
        { "name": "tenant", "key": { "header": "x-tenant" }, "rate": "1/h", "burst": 2 },
        { "name": "address", "key": "address", "rate": "1/h", "burst": 2,
          "match": { "path": { "prefix": "/address" } } },
    ]))
}

#[test]
fn each_caller_is_told_in_its_own_form() {
    let Some(gateway) = one_an_hour() else {
        return;
    };
    let (h1, h2) = (gateway.h1(), gateway.h2());
    let request = Request::get("/users/1").header("x-tenant", "acme");
    for (left, client) in [(1, &h1), (0, &h2)] {
        let answer = client.send(&request);
        assert_eq!(answer.status, 200, "{}", answer.text());
        let said = answer.header("ratelimit").unwrap_or_default();
        assert!(
            said.starts_with(&format!("\"tenant\";r={left};t=")),
            "{said}"
        );
        assert_eq!(
            answer.header("ratelimit-policy"),
            Some("\"tenant\";q=2;w=7200")
        );
        assert_eq!(
            answer.header("x-ratelimit-remaining"),
            Some(&*left.to_string())
        );
    }
    for client in [&h1, &h2] {
        let answer = client.send(&request);
        assert_eq!(answer.status, 429);
        assert_eq!(
            answer.header("content-type"),
            Some("application/problem+json")
        );
        let wait: u64 = answer
            .header("retry-after")
            .unwrap_or_default()
            .parse()
            .unwrap();
        assert!((3500..=3600).contains(&wait), "{wait}");
        // Once: Envoy runs replies of a filter through that filter's response callbacks too.
        let said = format!("\"tenant\";r=0;t={wait}");
        assert_eq!(answer.headers.get_all("ratelimit").iter().count(), 1);
        assert_eq!(answer.header("ratelimit"), Some(&*said));
        let body = answer.json();
        assert_eq!(
            body["type"],
            "https://iana.org/assignments/http-problem-types#quota-exceeded"
        );
        assert_eq!(body["violated-policies"], json!(["tenant"]));
    }
    let answer = h2.send(&Request::grpc("/inventory.v1.Stock/Get", b"").header("x-tenant", "acme"));
    assert_eq!(answer.grpc_status(), Some(8), "{answer:?}");
    assert!(answer.header("retry-after").is_some());
    let answer =
        h1.send(&Request::grpc_web("/inventory.v1.Stock/Get", b"").header("x-tenant", "acme"));
    assert_eq!(
        (answer.status, answer.header("grpc-status")),
        (200, Some("8"))
    );
    // Without the header there is nothing to count by.
    assert_eq!(h1.send(&Request::get("/users/1")).status, 403);
}

/// The address is that of the connection: a client that writes another into a header gains nothing.
#[test]
fn an_address_in_a_header_gains_nothing() {
    let Some(gateway) = one_an_hour() else {
        return;
    };
    let client = gateway.h1();
    let statuses: Vec<u16> = (0..4)
        .map(|index| {
            let request = Request::get("/address")
                .header("x-tenant", format!("tenant-{index}"))
                .header("x-forwarded-for", format!("198.51.100.{index}"));
            client.send(&request).status
        })
        .collect();
    assert_eq!(statuses[2..], [429, 429], "{statuses:?}");
    assert!(!statuses[..2].contains(&429), "{statuses:?}");
}
