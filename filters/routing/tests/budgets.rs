//! What a request may cost on each path that is taken often. The figures are exact: a change that raises one fails here, and
//! whoever makes it sees the calls.

use fake_host::{BROWSER_HEADERS, Budget, Cost, Host, Vm, VmOptions};
use serde_json::{Value, json};

fn start(config: &Value) -> Vm {
    let options = VmOptions::new("routing", gatehouse_routing::register).config(config.to_string());
    Host::new().start(options).expect("a good configuration")
}

fn cost(vm: &Vm, path: &str, more: Option<(&str, &str)>) -> Cost {
    let pseudo = [
        (":method", "POST"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", path),
    ];
    let mut stream = vm.request(pseudo.into_iter().chain(BROWSER_HEADERS).chain(more));
    stream.request_headers(true);
    stream.cost()
}

#[test]
fn common_paths_keep_to_their_budgets() {
    let vm = start(&json!({ "version": 1, "api_version": {
        "supported": ["1", "2"], "default": "1", "sources": [{ "path_prefix": true }],
    } }));
    // Whatever is done once for each VM is done.
    cost(&vm, "/v1/users", None);
    let grpc = Some(("content-type", "application/grpc"));
    let forged = Some(("x-gatehouse-api-version", "2"));
    for (name, cost, [data_calls, other_calls, allocations]) in [
        (
            "version from the path",
            cost(&vm, "/v1/users", None),
            [1, 3, 8],
        ),
        ("version by default", cost(&vm, "/users", None), [1, 3, 8]),
        ("a forged label", cost(&vm, "/users", forged), [1, 3, 11]),
        (
            "gRPC call",
            cost(&vm, "/inventory.v1.Stock/Get", grpc),
            [1, 8, 12],
        ),
        ("unknown version", cost(&vm, "/v9/users", None), [1, 4, 30]),
    ] {
        Budget {
            data_calls,
            other_calls,
            allocations,
        }
        .check(name, &cost);
    }
}
