//! Keys that are fetched, through a stock Envoy with two workers.

mod endpoint;
mod lost;

use std::time::{Duration, Instant};

use endpoint::{Asking, Behaviour, Endpoint, FAULTS};
use envoy_harness::{Bootstrap, Gateway, Options, Reload};
use serde_json::{Value, json};
use upstreams::{Algorithm, DEFAULT_ISSUER};

const PLUGIN: &str = "gatehouse.auth";
const ALL: Behaviour = Behaviour::Keys(&[0, 1, 2]);

/// How long a request may take that waits for nothing; generous, the machine may be busy.
const SOON: Duration = Duration::from_secs(10);

/// auth alone, with the issuer's keys at this endpoint.
fn bootstrap(endpoint: &Endpoint, changes: Value) -> Bootstrap {
    let mut remote = json!({ "cluster": "idp", "uri": "http://idp.test/keys" });
    let Value::Object(changes) = changes else {
        panic!("an object")
    };
    remote.as_object_mut().expect("an object").extend(changes);
    let mut bootstrap = Bootstrap::file("envoy/single/auth.yaml");
    bootstrap.edit_filter_config(PLUGIN, |config| {
        config["jwt"] = json!({ "providers": [
            { "name": "main", "issuer": DEFAULT_ISSUER, "audiences": ["api"], "jwks": { "remote": remote } },
        ] });
        let any = config["rules"][1]["any"].as_array_mut().expect("a rule");
        any.push(json!({ "credential": "jwt" }));
    });
    bootstrap.root_mut()["static_resources"]["clusters"]
        .as_array_mut()
        .expect("clusters")
        .push(endpoint.cluster("idp"));
    bootstrap
}

fn begin(gateway: &Gateway, token: &str) -> Asking {
    Asking::begin(gateway.envoy().address(), token)
}

/// The status of a request with a fresh token of this algorithm.
fn ask(gateway: &Gateway, algorithm: Algorithm) -> Option<u16> {
    begin(gateway, &gateway.token("alice").algorithm(algorithm).sign()).status(SOON)
}

fn count(gateway: &Gateway, name: &str) -> u64 {
    gateway
        .envoy()
        .counter(&format!("wasmcustom.gatehouse.auth.{name}"))
}

fn wait_for_keys(gateway: &Gateway, keys: u64) {
    gateway
        .envoy()
        .wait_until("the keys", |_| count(gateway, "jwks_keys") == keys);
}

fn forwarded(gateway: &Gateway) -> u64 {
    gateway.envoy().counter("cluster.users.upstream_rq_total")
}

// One call for each worker, and one more for each refresh of each, is what issuers complain about.
#[test]
fn one_fetch_an_envoy_before_the_first_request() {
    let endpoint = Endpoint::start(ALL);
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, json!({}))) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    assert_eq!(count(&gateway, "jwks_waited"), 0);
    for _ in 0..20 {
        for algorithm in Algorithm::ALL {
            assert_eq!(ask(&gateway, algorithm), Some(200));
        }
    }
    assert_eq!((endpoint.calls(), count(&gateway, "jwks_fetches")), (1, 1));
    gateway
        .envoy()
        .wait_until("the age", |_| count(&gateway, "jwks_age_seconds") >= 1);
    assert_eq!(count(&gateway, "jwks_failures"), 0);
}

// The file that readers copy: keys of the demo's issuer, found by discovery.
#[test]
fn the_variant_finds_its_keys() {
    let Some(gateway) = Gateway::start(&Bootstrap::file("envoy/variants/jwks.yaml")) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    for algorithm in Algorithm::ALL {
        assert_eq!(ask(&gateway, algorithm), Some(200));
    }
    assert_eq!(begin(&gateway, "a.b.c").status(SOON), Some(401));
    assert_eq!(count(&gateway, "jwks_fetches"), 1);
}

// Whoever waits is neither refused nor let through; and the client that came first takes nobody along when it goes.
#[test]
fn a_thousand_requests_wait_on_one_cold_fetch() {
    let endpoint = Endpoint::start(Behaviour::Silent);
    let limits = json!({ "timeout": "60s", "wait": "100s" });
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, limits)) else {
        return;
    };
    let token = gateway.token("alice").sign();
    let first = begin(&gateway, &token);
    gateway
        .envoy()
        .wait_until("the fetch", |_| endpoint.calls() == 1);
    let mut waiting: Vec<_> = (0..1_000).map(|_| begin(&gateway, &token)).collect();
    gateway
        .envoy()
        .wait_until("all wait", |_| count(&gateway, "jwks_waited") == 1_001);
    drop(first);
    waiting.drain(..50);
    gateway.envoy().wait_until("some are gone", |envoy| {
        envoy.counter("http.http.downstream_rq_active") == 950
    });
    assert_eq!(forwarded(&gateway), 0, "undecided");
    endpoint.set(ALL);
    for asking in &mut waiting {
        assert_eq!(asking.status(SOON), Some(200));
    }
    assert_eq!(forwarded(&gateway), 950);
    assert_eq!((endpoint.calls(), count(&gateway, "jwks_fetches")), (1, 1));
}

// Without keys nothing may pass, and nobody waits for ever.
#[test]
fn a_cold_start_with_a_fault_ends_at_the_deadline() {
    for fault in FAULTS {
        let endpoint = Endpoint::start(fault.clone());
        let limits = json!({ "timeout": "1s", "wait": "2s" });
        let Some(gateway) = Gateway::start(&bootstrap(&endpoint, limits)) else {
            return;
        };
        let begun = Instant::now();
        let mut waiting: Vec<_> = (0..10)
            .map(|_| begin(&gateway, &gateway.token("alice").sign()))
            .collect();
        for asking in &mut waiting {
            assert_eq!(asking.status(SOON), Some(503), "{fault:?}");
        }
        assert!(begun.elapsed() >= Duration::from_millis(1_900), "{fault:?}");
        assert_eq!(forwarded(&gateway), 0, "{fault:?}");
        endpoint.set(ALL);
        // The next try is some seconds away by now, further than this request may wait.
        gateway.envoy().wait_until("an end of it", |_| {
            ask(&gateway, Algorithm::EdDSA) == Some(200)
        });
    }
}

// What stands in the endpoint's place for an hour must not cost the keys that are there.
#[test]
fn faults_leave_the_last_good_keys_in_use() {
    let endpoint = Endpoint::start(ALL);
    let limits = json!({ "timeout": "1s", "refresh": "1s", "max_stale": "1h" });
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, limits)) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    for fault in FAULTS {
        let (calls, failures) = (endpoint.calls(), count(&gateway, "jwks_failures"));
        endpoint.set(fault.clone());
        gateway.envoy().wait_until("failures", |_| {
            endpoint.calls() >= calls + 2 && count(&gateway, "jwks_failures") >= failures + 2
        });
        for algorithm in Algorithm::ALL {
            assert_eq!(ask(&gateway, algorithm), Some(200), "{fault:?}");
        }
        assert_eq!(count(&gateway, "jwks_keys"), 3, "{fault:?}");
    }
}

// A new key has to be known with its first token, and an old one forgotten with its last set, the tokens in the cache too.
#[test]
fn a_rotation_refuses_nobody_and_ends() {
    let endpoint = Endpoint::start(Behaviour::Keys(&[0]));
    let limits = json!({ "refresh": "3s", "cool_down": "1s" });
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, limits)) else {
        return;
    };
    wait_for_keys(&gateway, 1);
    let old = gateway.token("alice").algorithm(Algorithm::RS256).sign();
    for _ in 0..10 {
        assert_eq!(begin(&gateway, &old).status(SOON), Some(200));
    }
    endpoint.set(Behaviour::Keys(&[0, 1]));
    let mut both: Vec<_> = (0..20)
        .map(|_| {
            begin(
                &gateway,
                &gateway.token("alice").algorithm(Algorithm::ES256).sign(),
            )
        })
        .chain((0..20).map(|_| begin(&gateway, &old)))
        .collect();
    for asking in &mut both {
        assert_eq!(asking.status(SOON), Some(200));
    }
    endpoint.set(Behaviour::Keys(&[1]));
    wait_for_keys(&gateway, 1);
    gateway.envoy().wait_until("the old key is gone", |_| {
        (0..4).all(|_| begin(&gateway, &old).status(SOON) == Some(401))
    });
    assert_eq!(ask(&gateway, Algorithm::ES256), Some(200));
}

// A client that makes up key ids must not make the gateway call the issuer each time.
#[test]
fn a_flood_of_unknown_key_ids_is_one_fetch() {
    let endpoint = Endpoint::start(ALL);
    let Some(gateway) = Gateway::start(&bootstrap(&endpoint, json!({}))) else {
        return;
    };
    wait_for_keys(&gateway, 3);
    for number in 0..300 {
        let header = format!(r#"{{"alg":"ES256","kid":"stray-{number}"}}"#);
        let payload = json!({ "iss": DEFAULT_ISSUER, "aud": "api", "exp": 4_000_000_000_u64 });
        let issuer = Gateway::issuer();
        let token = issuer.sign(
            Algorithm::ES256,
            header.as_bytes(),
            payload.to_string().as_bytes(),
        );
        assert_eq!(begin(&gateway, &token).status(SOON), Some(401));
    }
    assert_eq!(endpoint.calls(), 2);
    assert_eq!(ask(&gateway, Algorithm::ES256), Some(200));
}

// Those who wait on the configuration before are on a root of its own, which nobody may forget.
#[test]
fn a_configuration_replaced_meanwhile_leaves_nobody_waiting() {
    let endpoint = Endpoint::start(Behaviour::Silent);
    let limits = json!({ "timeout": "2s", "wait": "8s" });
    let options = Options {
        reloadable: true,
        ..Options::default()
    };
    let first = bootstrap(&endpoint, limits);
    let Some(gateway) = Gateway::start_with(&first, &options) else {
        return;
    };
    let token = gateway.token("alice").sign();
    let mut waiting: Vec<_> = (0..50).map(|_| begin(&gateway, &token)).collect();
    gateway
        .envoy()
        .wait_until("all wait", |_| count(&gateway, "jwks_waited") == 50);
    let mut second = first.clone();
    second.edit_filter_config(PLUGIN, |config| config["realm"] = "second".into());
    assert!(matches!(gateway.reload(&second), Reload::Accepted));
    waiting.extend((0..50).map(|_| begin(&gateway, &token)));
    gateway
        .envoy()
        .wait_until("all wait", |_| count(&gateway, "jwks_waited") == 100);
    assert_eq!(forwarded(&gateway), 0, "undecided");
    endpoint.set(ALL);
    for asking in &mut waiting {
        assert_eq!(asking.status(SOON), Some(200));
    }
}
