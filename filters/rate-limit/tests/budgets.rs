//! What a request may cost on each path that is taken often. The figures are exact: a change that raises one fails here, and
//! whoever makes it sees the calls.

use fake_host::{BROWSER_HEADERS, Budget, Cost, Host, Vm, VmOptions};
use serde_json::{Value, json};

fn start(config: &Value) -> Vm {
    let options =
        VmOptions::new("rate-limit", gatehouse_rate_limit::register).config(config.to_string());
    Host::new().start(options).expect("a good configuration")
}

/// A request of a tenant, and its answer.
fn cost(vm: &Vm, path: &str) -> Cost {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", path),
    ];
    let tenant = [("x-tenant", "acme")];
    let mut stream = vm.request(pseudo.into_iter().chain(BROWSER_HEADERS).chain(tenant));
    if stream.request_headers(true) == fake_host::FilterStatus::Continue {
        stream.response_headers([(":status", "200")], true);
    }
    stream.cost()
}

#[test]
fn common_paths_keep_to_their_budgets() {
    let limit = |name: &str, path: &str, rate: &str| {
        json!({ "name": name, "match": { "path": { "prefix": path } }, "key": { "header": "x-tenant" },
                "rate": rate })
    };
    let vm = start(&json!({ "version": 1, "limits": [
        limit("many", "/many", "1000/s"), limit("one", "/one", "1/d"),
        limit("pair-1", "/pair", "1000/s"), limit("pair-2", "/pair", "1000/s"),
    ] }));
    // The first request of a VM reads what all share, and that of a client makes its bucket.
    let first = cost(&vm, "/many");
    cost(&vm, "/one");
    cost(&vm, "/pair");
    for (name, cost, [data_calls, other_calls, allocations]) in [
        ("first", first, [2, 12, 29]),
        ("admitted", cost(&vm, "/many"), [2, 8, 14]),
        ("admitted by two limits", cost(&vm, "/pair"), [3, 9, 18]),
        ("refused", cost(&vm, "/one"), [2, 5, 68]),
        ("no limit", cost(&vm, "/free"), [1, 1, 3]),
    ] {
        Budget {
            data_calls,
            other_calls,
            allocations,
        }
        .check(name, &cost);
    }
}
