//! Failed attempts through a stock Envoy with two workers; addresses are those of real connections.

use std::net::Ipv4Addr;

use envoy_harness::{Bootstrap, Client, Gateway, Options, Protocol, Request, Response, demo_key};
use serde_json::{Value, json};
use upstreams::DEFAULT_ISSUER;

const PLUGIN: &str = "gatehouse.auth";
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 9, 1);

/// auth alone, with the demo's key and the keys of its issuer.
fn bootstrap(attempts: Value) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["failed_attempts"] = attempts.clone();
        config["jwt"] = json!({ "providers": [
            { "name": "main", "issuer": DEFAULT_ISSUER, "audiences": ["api"], "jwks": Gateway::issuer().key_set() },
        ] });
        let any = config["rules"][1]["any"].as_array_mut().expect("a rule");
        any.push(json!({ "credential": "jwt" }));
    });
    bootstrap
}

/// A client, each of whose requests comes by a connection of its own, so that either worker may get it.
fn client(gateway: &Gateway, from: Ipv4Addr) -> Client {
    Client::plain(gateway.envoy().address(), Protocol::H1).from_address(from)
}

fn get(client: &Client, header: (&str, &str)) -> Response {
    client.send(&Request::get("/users/7").header(header.0, header.1))
}

fn count(gateway: &Gateway, name: &str) -> u64 {
    gateway
        .envoy()
        .counter(&format!("wasmcustom.gatehouse.auth.{name}"))
}

// With a count for each worker a guesser has as many attempts as there are cores; and one who guesses must stop nobody but himself.
#[test]
fn an_address_has_so_many_attempts_on_all_workers_together() {
    const MOST: usize = 20;
    let attempts = json!({ "most": MOST, "per": "24h" });
    let Some(gateway) = Gateway::start(&bootstrap(attempts)) else {
        return;
    };
    let (attacker, other) = (
        client(&gateway, ATTACKER),
        client(&gateway, Ipv4Addr::LOCALHOST),
    );
    let known = format!("Bearer {}", gateway.token("alice").sign());
    // Both workers get to know it.
    for _ in 0..40 {
        assert_eq!(get(&attacker, ("authorization", &known)).status, 200);
    }
    let answers: Vec<_> = (0..100)
        .map(|number| match number % 2 {
            0 => get(
                &attacker,
                ("authorization", &format!("Bearer forged.{number}.x")),
            ),
            _ => get(&attacker, ("x-api-key", &format!("guess-{number}"))),
        })
        .collect();
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses[..MOST], [401; MOST]);
    assert!(
        statuses[MOST..].iter().all(|status| *status == 429),
        "{statuses:?}"
    );
    let refused = &answers[99];
    // A day has 4320 s for each of twenty, and some of the first have passed.
    let wait: u64 = refused
        .header("retry-after")
        .expect("a time")
        .parse()
        .expect("seconds");
    assert!((4_200..=4_320).contains(&wait), "{wait}");
    assert_eq!(
        refused.header("content-type"),
        Some("application/problem+json")
    );
    // What is good is not looked at either, but for what was verified before; and nobody else is concerned.
    let good_key = demo_key("acme-2026");
    assert_eq!(get(&attacker, ("x-api-key", &good_key)).status, 429);
    assert_eq!(get(&attacker, ("authorization", &known)).status, 200);
    assert_eq!(get(&other, ("x-api-key", &good_key)).status, 200);
    assert_eq!(attacker.send(&Request::get("/healthz")).status, 200);
    assert_eq!(count(&gateway, "failed_attempts"), 20);
    assert_eq!(count(&gateway, "failed_attempts_lost"), 0);
    assert_eq!(count(&gateway, "reason.throttled"), 81);
    gateway.envoy().wait_until("the cache's counters", |_| {
        count(&gateway, "token_cache_hits") >= 39 && count(&gateway, "token_cache_misses") >= 51
    });
}

// Without it a client of gRPC has to guess when, and tries at once.
#[test]
fn grpc_is_told_when_to_try_again() {
    let attempts = json!({ "most": 1, "per": "1h", "exempt": ["127.0.0.1/32"] });
    let Some(gateway) = Gateway::start(&bootstrap(attempts)) else {
        return;
    };
    let attacker = Client::plain(gateway.envoy().address(), Protocol::H2).from_address(ATTACKER);
    let call = || {
        let request = Request::grpc("/inventory.v1.Stock/Get", b"");
        attacker.send(&request.header("x-api-key", "a guess"))
    };
    assert_eq!(call().header("grpc-status"), Some("16"));
    let refused = call();
    assert_eq!(refused.header("grpc-status"), Some("8"));
    let wait: u64 = refused
        .header("grpc-retry-pushback-ms")
        .expect("a time")
        .parse()
        .expect("ms");
    assert!((3_500_000..=3_600_000).contains(&wait), "{wait}");
    let web = attacker
        .send(&Request::grpc_web("/inventory.v1.Stock/Get", b"").header("x-api-key", "a guess"));
    assert_eq!(web.header("grpc-status"), Some("8"));
    // One of those who may fail as they like.
    let friend = client(&gateway, Ipv4Addr::LOCALHOST);
    for _ in 0..5 {
        assert_eq!(get(&friend, ("x-api-key", "a guess")).status, 401);
    }
}

// A new configuration must not be a new start for whoever is being stopped, and the memory of the old table is the new one's.
#[test]
fn a_reload_forgets_nobody() {
    let options = Options {
        reloadable: true,
        ..Options::default()
    };
    let first = bootstrap(json!({ "most": 2, "per": "1h" }));
    let Some(gateway) = Gateway::start_with(&first, &options) else {
        return;
    };
    let attacker = client(&gateway, ATTACKER);
    let guess = || get(&attacker, ("x-api-key", "a guess")).status;
    assert_eq!([guess(), guess(), guess()], [401, 401, 429]);
    let mut second = first.clone();
    second.edit_filter_config(PLUGIN, |config| config["realm"] = "second".into());
    assert!(matches!(
        gateway.reload(&second),
        envoy_harness::Reload::Accepted
    ));
    let other = client(&gateway, Ipv4Addr::LOCALHOST);
    gateway.envoy().wait_until("the second configuration", |_| {
        let answer = other.send(&Request::get("/users/7"));
        answer
            .header("www-authenticate")
            .is_some_and(|text| text.contains("second"))
    });
    assert_eq!(guess(), 429);
}
