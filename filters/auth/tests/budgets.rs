//! What a request may cost on each path that is taken often. The figures are exact: a change that raises one fails here, and
//! whoever makes it sees the calls.

#[path = "../policy/tests/support/mod.rs"]
mod support;

use fake_host::{BROWSER_HEADERS, Budget, Cost, Host, Vm, VmOptions};
use serde_json::{Value, json};
use support::{API_KEY, KEYS, NOW, claims_with, config, secret_token};

fn start() -> Vm {
    start_with(&config())
}

fn start_with(config: &Value) -> Vm {
    let host = Host::new();
    host.clock().set_realtime(NOW);
    let options = VmOptions::new("auth", gatehouse_auth::register).config(config.to_string());
    host.start(options).expect("a good configuration")
}

fn cost(vm: &Vm, path: &str, credential: Option<(&str, &str)>) -> Cost {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", path),
    ];
    let head = pseudo.into_iter().chain(BROWSER_HEADERS);
    let mut stream = vm
        .request(head.chain(credential))
        .with_property(&["source", "address"], "192.0.2.7:50000");
    stream.request_headers(true);
    stream.cost()
}

#[test]
fn common_paths_keep_to_their_budgets() {
    let vm = start();
    let [rs256, ..] = KEYS.tokens(&claims_with(json!({})));
    let good = format!("Bearer {rs256}");
    let forged = format!("Bearer {}", secret_token(json!({})).replace('.', ".e"));
    fn bearer(token: &str) -> Option<(&str, &str)> {
        Some(("authorization", token))
    }
    let key = Some(("x-api-key", API_KEY));
    // The first request of a token pays for its signature, the first of a caller for what is told of the caller.
    let cold = cost(&vm, "/orders/7", bearer(&good));
    cost(&vm, "/healthz", None);
    cost(&vm, "/orders/7", key);
    for (name, cost, [data_calls, other_calls, allocations]) in [
        ("nothing asked for", cost(&vm, "/healthz", None), [1, 6, 8]),
        ("API key", cost(&vm, "/orders/7", key), [1, 12, 13]),
        ("cold token", cold, [2, 13, 95]),
        (
            "warm token",
            cost(&vm, "/orders/7", bearer(&good)),
            [1, 13, 12],
        ),
        ("no credential", cost(&vm, "/orders/7", None), [1, 10, 39]),
        (
            "garbage token",
            cost(&vm, "/orders/7", bearer("Bearer x")),
            [1, 10, 41],
        ),
        (
            "forged token",
            cost(&vm, "/orders/7", bearer(&forged)),
            [1, 10, 53],
        ),
        ("no rule", cost(&vm, "/nowhere", None), [1, 9, 37]),
    ] {
        Budget {
            data_calls,
            other_calls,
            allocations,
        }
        .check(name, &cost);
    }
}

// Who tries nothing, or nothing new, pays nothing for others' attempts being counted.
#[test]
fn counted_attempts_keep_to_their_budgets() {
    let mut config = config();
    config["failed_attempts"] = json!({ "most": 20, "per": "1m" });
    let vm = start_with(&config);
    let [rs256, ..] = KEYS.tokens(&claims_with(json!({})));
    let good = format!("Bearer {rs256}");
    let (token, key) = (
        Some(("authorization", good.as_str())),
        Some(("x-api-key", API_KEY)),
    );
    for credential in [None, token, key] {
        cost(&vm, "/orders/7", credential);
    }
    let bad = Some(("x-api-key", "a guess"));
    for (name, credential, [data_calls, other_calls, allocations]) in [
        ("no credential", None, [1, 10, 39]),
        ("warm token", token, [1, 13, 12]),
        ("API key", key, [2, 13, 22]),
        ("unknown key", bad, [2, 13, 54]),
    ] {
        Budget {
            data_calls,
            other_calls,
            allocations,
        }
        .check(name, &cost(&vm, "/orders/7", credential));
    }
}

// A callback for each piece of each body, there for requests that wait for keys, must cost the others nothing.
#[test]
fn a_body_costs_nothing() {
    let vm = start();
    let mut stream = vm.request([
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", "/healthz"),
    ]);
    stream.request_headers(false);
    stream.request_body("some", false);
    stream.request_body("thing", true);
    assert_eq!(stream.upstream().text(), "something");
    let cost = stream.cost_of("proxy_on_request_body");
    Budget {
        data_calls: 0,
        other_calls: 0,
        allocations: 0,
    }
    .check("a body", &cost);
}
