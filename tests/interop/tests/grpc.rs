//! gRPC of programs that others wrote, through the whole chain: a service and a client of grpcio's, clients of connect-node's.
#![allow(clippy::disallowed_methods)] // Drives real processes over real sockets.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use envoy_harness::{Bootstrap, Gateway, Missing, demo_key, skipped};
use interop::{Peer, fetched, folder};
use serde_json::{Value, json};

const SERVICE: &str = "interop.v1.Echo";

/// What a client said of each case.
type Results = BTreeMap<String, Value>;

/// What `make interop` fetched; none where it has not, which [`skipped`] has said then.
fn environment() -> Option<std::path::PathBuf> {
    let found = fetched();
    if found.is_none() {
        skipped(&Missing::new(
            "GATEHOUSE_INTEROP is not set: `make interop` runs this",
        ));
    }
    found
}

/// Bytes that a connection may hold for a message of 4 MiB that has to be there as a whole.
const WHOLE_MESSAGES: u32 = 8 * 1024 * 1024;

/// `envoy/envoy.yaml` with the service behind it, Envoy's bridge for Connect, and something to do for each of the four.
fn bootstrap(port: u64) -> Bootstrap {
    let mut bootstrap = Bootstrap::chain();
    bootstrap.edit_filter_config("gatehouse.auth", |config| {
        let rules = config["rules"].as_array_mut().expect("rules");
        // More than the service: what else is called there must not reach it all the same.
        rules.push(json!({
            "name": "interop", "match": { "path": { "prefix": "/" }, "methods": ["POST"] },
            "any": [{ "credential": "api_key" }],
        }));
    });
    let matched = json!({ "grpc": { "service": SERVICE } });
    bootstrap.edit_filter_config("gatehouse.rate_limit", |config| {
        let limits = config["limits"].as_array_mut().expect("limits");
        limits.push(
            json!({ "name": "interop", "match": matched, "key": "consumer", "rate": "100000/s" }),
        );
    });
    bootstrap.edit_filter_config("gatehouse.transform", |config| {
        let rules = config["rules"].as_array_mut().expect("rules");
        rules.insert(
            0,
            json!({
                "name": "interop", "match": matched,
                "request": { "headers": [{ "set": "x-team", "value": "interop" }] },
                "response": { "headers": [{ "set": "x-seen-by", "value": "transform" }] },
            }),
        );
    });
    bootstrap.edit_filter_config("gatehouse.routing", |config| {
        let method = |name: &str, kind: &str, max: &str| {
            json!({ "service": SERVICE, "method": name, "kind": kind, "deadline": { "default": max, "max": max } })
        };
        config["grpc"] = json!({
            "undeclared": "refuse",
            "statistics": true,
            "methods": [
                method("Unary", "unary", "25s"),
                method("Told", "unary", "10s"),
                method("ServerStream", "server_streaming", "25s"),
                method("ClientStream", "client_streaming", "25s"),
                method("Bidi", "bidi_streaming", "25s"),
                method("Fail", "unary", "25s"),
                method("Hang", "unary", "900ms"),
                { "service": SERVICE, "method": "Forbidden", "scopes": ["nobody:has"], "target": "nobody" },
                // The client alone ends it.
                { "service": SERVICE, "method": "Wait" },
                { "service": "inventory.v1.Stock" },
            ],
        });
        config["headers"] = json!({ "protocol": "x-gatehouse-protocol", "grpc_kind": "x-gatehouse-grpc-kind" });
    });
    let filters = bootstrap.http_filters_mut();
    let web = filters
        .iter()
        .position(|filter| filter["name"] == "envoy.filters.http.grpc_web");
    filters.insert(
        web.expect("the bridge of gRPC-Web"),
        json!({
            "name": "envoy.filters.http.connect_grpc_bridge",
            "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.connect_grpc_bridge.v3.FilterConfig" },
        }),
    );
    let routes =
        &mut bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0]["routes"];
    let by_service =
        json!({ "name": "x-gatehouse-grpc-service", "string_match": { "exact": SERVICE } });
    routes.as_array_mut().expect("routes").insert(
        0,
        json!({
            "name": "interop",
            "match": { "prefix": "/", "grpc": {}, "headers": [by_service] },
            "route": { "cluster": "interop", "timeout": "0s" },
        }),
    );
    let mut cluster = bootstrap.cluster_mut("inventory").clone();
    cluster["name"] = "interop".into();
    cluster["type"] = "STATIC".into();
    cluster["health_checks"] = json!([]);
    let address = json!({ "address": "127.0.0.1", "port_value": port });
    cluster["load_assignment"] = json!({ "cluster_name": "interop", "endpoints": [
        { "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] },
    ] });
    let clusters = &mut bootstrap.root_mut()["static_resources"]["clusters"];
    clusters.as_array_mut().expect("clusters").push(cluster);
    bootstrap
}

/// The service, and a gateway in front of it.
struct Place {
    service: Peer,
    gateway: Gateway,
    ca: std::path::PathBuf,
}

impl Place {
    fn start(fetched: &Path, name: &str, edit: fn(&mut Bootstrap)) -> Option<Self> {
        let mut command = Command::new(fetched.join("venv/bin/python"));
        let mut service = Peer::start(command.arg(folder().join("grpc_service.py")));
        let port = service.hear()["port"].as_u64().expect("a port");
        let mut bootstrap = bootstrap(port);
        edit(&mut bootstrap);
        let gateway = Gateway::start(&bootstrap)?;
        let ca = fetched.join(format!("{name}-{}.pem", std::process::id()));
        fs::write(&ca, Gateway::certificates().ca_pem())
            .expect("the target folder can be written to");
        Some(Self {
            service,
            gateway,
            ca,
        })
    }

    /// Runs a client to its end.
    fn run(&self, command: &mut Command, scheme: &str) -> Results {
        let port = self.gateway.envoy().address().port();
        let host = if scheme.is_empty() {
            "127.0.0.1"
        } else {
            "localhost"
        };
        let place = format!("{scheme}{host}:{port}");
        let place =
            json!({ "address": place, "url": place, "ca": self.ca, "key": demo_key("acme-2026") });
        let output = command.arg(place.to_string()).output();
        let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success(),
            "{command:?}: {}\n{said}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said.lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line).expect("a line of JSON");
                let case = line["case"].as_str().expect("a case").to_owned();
                (case, line["result"].clone())
            })
            .collect()
    }

    /// Nothing but the service's own paths reached it, and whoever went away was told to it.
    fn check_service(&mut self, hung: u64) {
        let mut seen = Value::Null;
        for _ in 0..200 {
            seen = self.service.ask("seen");
            if seen["cancelled"].as_u64() >= Some(hung) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        assert_eq!(seen["cancelled"], hung, "{seen}");
        let paths = seen["seen"].as_object().expect("paths");
        for path in paths.keys() {
            let method = path.strip_prefix("/interop.v1.Echo/").unwrap_or("");
            let known = [
                "Unary",
                "Told",
                "ServerStream",
                "ClientStream",
                "Bidi",
                "Fail",
                "Hang",
                "Wait",
            ];
            assert!(known.contains(&method), "{path} reached the service");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.ca);
    }
}

/// What the service learned of a caller that forged all it could.
fn check_told(case: &str, told: &Value, protocol: &str) {
    let header = |name: &str| told["headers"].get(name).cloned().unwrap_or_default();
    for (name, expected) in [
        ("x-gatehouse-grpc-service", json!([SERVICE])),
        ("x-gatehouse-grpc-method", json!(["Told"])),
        ("x-gatehouse-grpc-kind", json!(["unary"])),
        ("x-gatehouse-api-version", json!(["1"])),
        ("x-gatehouse-protocol", json!([protocol])),
        ("x-consumer", json!(["acme"])),
        ("x-team", json!(["interop"])),
        ("x-envoy-original-path", Value::Null),
        ("x-envoy-original-method", Value::Null),
        ("x-gatehouse-target", Value::Null),
        ("x-user", Value::Null),
        ("x-api-key", Value::Null),
    ] {
        assert_eq!(header(name), expected, "{case}, {name}: {told}");
    }
    let left = told["left_s"].as_f64();
    assert!(
        left.is_some_and(|left| left > 1.0 && left <= 10.0),
        "{case}: {told}"
    );
}

fn check_messages(of: &dyn Fn(&str) -> Value, both_sides: bool) {
    assert_eq!(of("unary")["same"], true);
    let big = of("4 MiB");
    assert_eq!(
        (&big["same"], &big["bytes"]),
        (&json!(true), &json!(4 * 1024 * 1024))
    );
    assert_eq!(of("server stream")["same"], true);
    assert!(
        of("client stream")["says"]
            .as_str()
            .is_some_and(|says| says.starts_with("7 "))
    );
    if both_sides {
        let questions: Vec<_> = (0..4).map(|number| format!("question {number}")).collect();
        assert_eq!(of("both stream")["answers"], json!(questions));
    }
}

// A library that waits for what a filter holds back, or reads another status than was meant, is a client that is broken.
#[test]
fn grpcio_calls_through_the_chain() {
    let Some(fetched) = environment() else { return };
    let Some(mut place) = Place::start(&fetched, "grpcio", |_| {}) else {
        return;
    };
    let mut command = Command::new(fetched.join("venv/bin/python"));
    let results = place.run(command.arg(folder().join("grpc_client.py")), "");
    let of = |case: &str| {
        results
            .get(case)
            .cloned()
            .unwrap_or_else(|| panic!("no {case}: {results:#?}"))
    };
    check_messages(&of, true);
    check_messages(&|case| of(&format!("{case}, compressed")), true);
    assert_eq!(of("unary")["end"], "reached", "the trailers");
    for (case, code) in [
        ("trailers only", "NOT_FOUND"),
        ("no credential", "UNAUTHENTICATED"),
        ("no scope", "PERMISSION_DENIED"),
        ("undeclared", "UNIMPLEMENTED"),
        ("elsewhere /interop.v1.Other/Unary", "UNIMPLEMENTED"),
        ("elsewhere /interop.v1.Echo.Inner/Unary", "UNIMPLEMENTED"),
        ("elsewhere /interop.v1.Echo/Unary/x", "UNIMPLEMENTED"),
        ("their own deadline", "DEADLINE_EXCEEDED"),
        ("the gateway's deadline", "DEADLINE_EXCEEDED"),
        ("cancelled", "CANCELLED"),
    ] {
        assert_eq!(of(case)["code"], code, "{case}: {}", of(case));
    }
    assert_eq!(of("trailers only")["details"], "there is no such thing");
    let waited = of("the gateway's deadline")["s"].as_f64();
    assert!(
        waited.is_some_and(|s| (0.8..15.0).contains(&s)),
        "{waited:?}"
    );
    check_told("grpcio", &of("told"), "grpc");
    let left = of("told without a deadline")["left_s"].as_f64();
    assert!(left.is_some_and(|left| left <= 10.0), "{left:?}");
    place.check_service(3);
    let count = |name: &str| {
        let name = format!("wasmcustom.gatehouse.routing.grpc_status.{SERVICE}.{name}");
        place.gateway.envoy().counter(&name)
    };
    assert_eq!(
        (count("Fail.5"), count("Bidi.0"), count("Hang.4")),
        (1, 2, 1)
    );
}

/// connect-node with these transports: the name of each way, its protocol, and whether both sides can talk at once.
fn check_connect_node(kinds: &str, ways: &[(&str, &str, bool)], edit: fn(&mut Bootstrap)) {
    let Some(fetched) = environment() else { return };
    let Some(mut place) = Place::start(&fetched, kinds, edit) else {
        return;
    };
    let mut command = Command::new("node");
    command
        .args(["--dns-result-order=ipv4first"])
        .arg(folder().join("connect_client.mjs"))
        .env("GATEHOUSE_INTEROP", &fetched)
        .env("KINDS", kinds);
    let results = place.run(&mut command, "https://");
    for (way, protocol, both_sides) in ways {
        let of = |case: &str| {
            let case = format!("{way}: {case}");
            let result = results.get(&case).cloned();
            result.unwrap_or_else(|| panic!("no {case}: {results:#?}"))
        };
        check_messages(&of, *both_sides);
        for (case, code) in [
            ("trailers only", "NotFound"),
            ("no credential", "Unauthenticated"),
            ("no scope", "PermissionDenied"),
            ("undeclared", "Unimplemented"),
            ("their own deadline", "DeadlineExceeded"),
            ("cancelled", "Canceled"),
        ] {
            assert_eq!(of(case)["code"], code, "{way}, {case}");
        }
        // What a Connect client reads of a 504 is its own choice.
        if *protocol != "connect" {
            let code = &of("the gateway's deadline")["code"];
            assert_eq!(code, "DeadlineExceeded", "{way}");
        }
        check_told(way, &of("told"), protocol);
    }
    place.check_service(3 * ways.len() as u64);
}

// The same for callers whose protocol Envoy translates: what a bridge leaves out no filter may miss.
#[test]
fn connect_node_calls_by_grpc_and_grpc_web() {
    let ways = [
        ("grpc 2", "grpc", true),
        ("grpc 2, compressed", "grpc", true),
        ("web 1.1", "grpc-web", false),
        ("web 1.1, compressed", "grpc-web", false),
        ("web 2", "grpc-web", true),
        ("web 2, compressed", "grpc-web", true),
    ];
    check_connect_node("grpc web", &ways, |_| {});
}

// Envoy's bridge holds a unary call of Connect until it is whole, so that its connection, and its stream, must have the room.
#[test]
fn connect_node_calls_by_connect() {
    let ways = [
        ("connect 1.1", "connect", false),
        ("connect 2", "connect", true),
    ];
    check_connect_node("connect", &ways, |bootstrap| {
        let listener = &mut bootstrap.root_mut()["static_resources"]["listeners"][0];
        listener["per_connection_buffer_limit_bytes"] = WHOLE_MESSAGES.into();
        let http2 = &mut bootstrap.connection_manager_mut()["http2_protocol_options"];
        http2["initial_stream_window_size"] = WHOLE_MESSAGES.into();
        http2["initial_connection_window_size"] = WHOLE_MESSAGES.into();
        bootstrap.cluster_mut("interop")["per_connection_buffer_limit_bytes"] =
            WHOLE_MESSAGES.into();
    });
}
