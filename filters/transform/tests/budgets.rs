//! What a request may cost on each path that is taken often. The figures are exact: a change that raises one fails here, and
//! whoever makes it sees the calls.

use fake_host::{BROWSER_HEADERS, Budget, Cost, Host, Vm, VmOptions};
use serde_json::{Value, json};

fn start(config: &Value) -> Vm {
    let options =
        VmOptions::new("transform", gatehouse_transform::register).config(config.to_string());
    Host::new().start(options).expect("a good configuration")
}

/// A request, its answer, and `chunks` of its body.
fn cost(vm: &Vm, path: &str, chunks: &[&str]) -> Cost {
    let pseudo = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.gatehouse.test"),
        (":path", path),
    ];
    let mut stream = vm.request(pseudo.into_iter().chain(BROWSER_HEADERS));
    stream.request_headers(true);
    let json = [(":status", "200"), ("content-type", "application/json")];
    stream.response_headers(json, chunks.is_empty());
    for (index, chunk) in chunks.iter().enumerate() {
        stream.response_body(chunk, index + 1 == chunks.len());
    }
    stream.cost()
}

#[test]
fn common_paths_keep_to_their_budgets() {
    let rule = |name: &str, action: Value| {
        let mut rule = action;
        rule["name"] = name.into();
        rule["match"] = json!({ "path": { "prefix": format!("/{name}") } });
        rule
    };
    let vm = start(&json!({ "version": 1, "rules": [
        rule("request", json!({ "request": { "headers": [{ "set": "x-team", "value": "crm" }] } })),
        rule("response", json!({ "response": { "headers": [{ "remove": "server" }] } })),
        rule("made", json!({ "request": { "headers": [{ "set": "x-team", "value": "crm ${method}" }] } })),
        rule("asked", json!({ "request": { "headers": [{ "set": "x-team", "value": "${address} ${time:unix}" }] } })),
        rule("many", json!({
            "request": { "headers": [
                { "set": "x-team", "value": "crm" }, { "append": "x-team", "value": "sales" },
                { "rename": "user-agent", "to": "x-agent" }, { "remove_prefix": "sec-" }, { "add": "x-none", "value": "1" },
            ] },
        })),
        rule("target", json!({
            "request": {
                "query": [{ "set": "team", "value": "crm" }],
                "path": { "template": { "from": "/target/{id}", "to": "/users/{id}" }, "allowed_paths": ["/users"] },
                "host": "users.internal",
                "method": "PUT",
            },
        })),
        rule("presets", json!({
            "request": { "presets": ["request_id", "traceparent"] },
            "response": { "presets": ["security_headers", "hide_server"] },
        })),
        rule("masked", json!({ "response": { "body": [{ "mask": "/*/email" }] } })),
    ] }));
    // Whatever is done once for each VM is done.
    cost(&vm, "/free", &[]);
    let (open, close) = (r#"[{"email":"ada@example.test","id":1}"#, "]");
    let whole = r#"[{"email":"ada@example.test","id":1},{"email":"bob@example.test","id":2}]"#;
    let plain = r#",{"id":2,"name":"a member that no rule is about"}"#;
    let one = cost(&vm, "/masked", &[open, plain, close]);
    let two = cost(&vm, "/masked", &[open, plain, plain, close]);
    for (name, cost, [data_calls, other_calls, allocations]) in [
        ("no rule", cost(&vm, "/free", &["{}"]), [1, 1, 2]),
        ("no rule, no body", cost(&vm, "/free", &[]), [1, 1, 2]),
        (
            "a body that passes by",
            cost(&vm, "/request", &["{}", "{}"]),
            [1, 2, 5],
        ),
        ("masked chunk", cost(&vm, "/masked", &[whole]), [3, 5, 14]),
        ("request header", cost(&vm, "/request", &[]), [1, 2, 5]),
        ("made of the head", cost(&vm, "/made", &[]), [1, 2, 7]),
        // One property, which is not there.
        (
            "made of what is asked for",
            cost(&vm, "/asked", &[]),
            [1, 3, 12],
        ),
        ("response header", cost(&vm, "/response", &[]), [2, 2, 4]),
        ("ordered edits", cost(&vm, "/many", &[]), [1, 7, 13]),
        (
            "another target",
            cost(&vm, "/target/7?a=1", &[]),
            [1, 8, 17],
        ),
        ("presets", cost(&vm, "/presets", &[]), [2, 9, 18]),
        ("masked body of three chunks", one, [5, 5, 14]),
        ("one more chunk, which no rule is about", two, [6, 5, 14]),
    ] {
        Budget {
            data_calls,
            other_calls,
            allocations,
        }
        .check(name, &cost);
    }
}
