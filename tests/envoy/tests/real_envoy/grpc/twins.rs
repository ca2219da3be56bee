//! The table of REST twins against a real transcoder: whatever it makes a call of a method, the filters take for that call.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use envoy_harness::{Bootstrap, Gateway, Request};
use filter_config::{FieldPath, from_value};
use http_message::{HeaderMap, RequestHead};
use prost::Message;
use request_match::{MatchConfig, Placement, RequestMatch, Subject, TwinTable};
use serde_json::{Value, json};

use super::descriptor::{Custom, File, HttpRule, Method, Options, Pattern, Service, Set};

const SERVICE: &str = "shapes.v1.Shapes";

/// Methods with REST forms of every shape, many of which overlap.
fn methods() -> Vec<(&'static str, Vec<Pattern>)> {
    let get = |template: &str| Pattern::Get(template.into());
    let post = |template: &str| Pattern::Post(template.into());
    let custom = |kind: &str, path: &str| {
        Pattern::Custom(Custom {
            kind: kind.into(),
            path: path.into(),
        })
    };
    vec![
        ("Get", vec![get("/shapes/{id}")]),
        ("Special", vec![get("/shapes/special")]),
        ("List", vec![get("/shapes/{id=**}")]),
        (
            "Cancel",
            vec![post("/shapes/{id}:cancel"), get("/shapes/{id}:cancel")],
        ),
        ("Watch", vec![get("/shapes/{id}/watch")]),
        ("All", vec![post("/shapes:all")]),
        ("Undo", vec![post("/trees/{id=**}:undo")]),
        ("Book", vec![get("/{id=shelves/*/books/*}")]),
        ("Wild", vec![get("/*/wild"), get("/pots/**/end")]),
        ("Any", vec![custom("*", "/any/{id}")]),
        ("AnyGet", vec![get("/any/{id}")]),
        ("Brew", vec![custom("BREW", "/pots/{id}")]),
        ("Cafe", vec![get("/caf%C3%A9/{id}"), get("/a%3Ab/{id}")]),
        (
            "Two",
            vec![get("/{id}/two"), Pattern::Put("/shapes/{id}".into())],
        ),
        ("Change", vec![Pattern::Patch("/shapes/{id}".into())]),
        ("Delete", vec![Pattern::Delete("/shapes/{id}".into())]),
        // Only auto_mapping gives it a REST form.
        ("Bare", vec![]),
    ]
}

/// The descriptor set of the inventory, and the service with it.
fn descriptors() -> Set {
    let rule = |pattern: &Pattern, additional_bindings| HttpRule {
        pattern: Some(pattern.clone()),
        additional_bindings,
    };
    let methods = methods().into_iter().map(|(name, patterns)| Method {
        name: name.into(),
        input: ".inventory.v1.GetRequest".into(),
        output: ".inventory.v1.Item".into(),
        options: patterns.split_first().map(|(first, others)| {
            let others = others.iter().map(|pattern| rule(pattern, Vec::new()));
            Options {
                http: Some(rule(first, others.collect())),
            }
        }),
    });
    Set {
        files: vec![File {
            name: "shapes/v1/shapes.proto".into(),
            package: "shapes.v1".into(),
            dependencies: vec!["inventory/v1/stock.proto".into()],
            services: vec![Service {
                name: "Shapes".into(),
                methods: methods.collect(),
            }],
            syntax: "proto3".into(),
        }],
    }
}

/// What the filters are told: a twin for each REST form.
fn twins() -> TwinTable {
    let twins = descriptors().rest_forms().into_iter().map(|[method, template, service, rpc]| {
        json!({ "method": method, "template": template, "service": service, "rpc": rpc })
    });
    let twins = from_value(twins.collect::<Value>()).unwrap();
    TwinTable::compile(twins, &FieldPath::root()).unwrap()
}

/// A matcher for each method.
fn matchers() -> Vec<(&'static str, RequestMatch)> {
    let matcher = |method: &str| {
        let config = json!({ "grpc": { "service": SERVICE, "method": method } });
        let config: MatchConfig = from_value(config).unwrap();
        RequestMatch::compile(config, &FieldPath::root(), Placement { identity: false }).unwrap()
    };
    methods()
        .into_iter()
        .map(|(name, _)| (name, matcher(name)))
        .collect()
}

/// A transcoder alone, in front of a route that answers with the path that the router saw, and with the path that it was.
fn transcoder(normalize: bool, auto_mapping: bool) -> Option<Gateway> {
    // A set is a list, so two of them one after the other are one.
    let set = [
        upstreams::INVENTORY_DESCRIPTOR_SET,
        &descriptors().encode_to_vec(),
    ]
    .concat();
    let told = |name: &str, value: &str| json!({ "header": { "key": name, "value": value } });
    Gateway::start(&Bootstrap::from_value(
        json!({ "static_resources": { "listeners": [{
        "name": "edge",
        "filter_chains": [{ "filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "edge",
                "normalize_path": normalize,
                "merge_slashes": normalize,
                "http_filters": [
                    { "name": "envoy.filters.http.grpc_json_transcoder", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder",
                        "proto_descriptor_bin": STANDARD.encode(set),
                        "services": [SERVICE],
                        "auto_mapping": auto_mapping,
                    } },
                    { "name": "envoy.filters.http.router", "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    } },
                ],
                "route_config": { "virtual_hosts": [{
                    "name": "all",
                    "domains": ["*"],
                    "routes": [{
                        "match": { "prefix": "/" },
                        "direct_response": { "status": 200 },
                        "response_headers_to_add": [
                            told("x-path", "%REQ(:PATH)%"),
                            told("x-type", "%REQ(CONTENT-TYPE)%"),
                            told("x-seen", "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"),
                        ],
                    }],
                }] },
            },
        }] }],
    }] } }),
    ))
}

fn paths() -> Vec<String> {
    let bases = [
        "/shapes",
        "/shapes/7",
        "/shapes/special",
        "/shapes/a%20b",
        "/shapes/speci%61l",
        "/%73hapes/7",
        "/shapes/7/watch",
        "/shapes/7/8/9",
        "/Shapes/7",
        "/shapes/*",
        "/shapes/**",
        "/shapes/%2A%2A",
        "/shapes/{id}",
        "/shapes/urn:x",
        "/trees",
        "/trees/a/b",
        "/shelves/1/books/2",
        "/shelves/1/books",
        "/x/wild",
        "/any/7",
        "/pots/7",
        "/pots/a/end",
        "/pots/a/b/end/end",
        "/caf%C3%A9/7",
        "/caf%c3%a9/7",
        "/a%3Ab/7",
        "/a:b/7",
        "/shapes/two",
        "/",
        "/shapes.v1.Shapes/Bare",
        "/shapes.v1.Shapes/Get",
        "/shapes.v1.Shapes",
        "/inventory.v1.Stock/Get",
        "/shapes//7",
        "//shapes/7",
        "/x/../shapes/7",
        "/shapes/./7",
        "/shapes/7/..",
        "/shapes%2f7",
        "/shapes/7;a=b",
    ];
    let ends = [
        "",
        "/",
        "//",
        ":",
        ":/",
        ":cancel",
        "/:cancel",
        ":cancel/",
        "%3Acancel",
        "/cancel",
        ":cancel:cancel",
        ":undo",
        "/undo",
        ":all",
        "/all",
        ":x",
        ":watch",
        "/watch",
        "/**",
        "/*",
        "/.",
        "/%2e",
        ";x",
        "?",
        "?id=8",
        "?:cancel",
        "/a:b/two",
        "/wild",
        "%20",
        "%00",
        ":Cancel",
        "/special",
        "/end",
    ];
    bases
        .iter()
        .flat_map(|base| ends.iter().map(move |end| format!("{base}{end}")))
        .collect()
}

/// What came of the requests that were compared.
#[derive(Debug, Default)]
struct Tally {
    transcoded: usize,
    refused: usize,
    left: usize,
}

/// Sends requests to the transcoder, and asks the table about each as the transcoder saw it.
fn compare(gateway: &Gateway, requests: impl Iterator<Item = Request>) -> Tally {
    let (twins, matchers) = (twins(), matchers());
    let mut connection = gateway.h2().connect().unwrap();
    let mut tally = Tally::default();
    let mut faults = Vec::new();
    for request in requests {
        // Not all that is no URI to a library is asked: `attacks::paths` sends those byte by byte.
        let Ok(answer) = connection.try_send(&request) else {
            connection = gateway.h2().connect().unwrap();
            continue;
        };
        let (Some(path), Some(seen)) = (answer.header("x-path"), answer.header("x-seen")) else {
            continue; // Envoy has answered: a path that it refuses, a value that is none.
        };
        let content_type = request
            .headers
            .iter()
            .find(|(name, _)| name == "content-type");
        let pairs = [
            (":method", request.method.as_bytes()),
            (":path", seen.as_bytes()),
        ];
        let head =
            RequestHead::new(HeaderMap::from_pairs(pairs.into_iter().chain(
                content_type.map(|(name, value)| (name.as_str(), value.as_slice())),
            )));
        // The transcoder says gRPC of what it has made gRPC.
        let grpc = "application/grpc";
        let was_grpc = content_type.is_some_and(|(_, value)| value == grpc.as_bytes());
        let called = path
            .strip_prefix("/shapes.v1.Shapes/")
            .filter(|_| answer.header("x-type") == Some(grpc) && !was_grpc);
        let Ok(subject) = Subject::new(&head, &twins) else {
            tally.refused += 1;
            continue;
        };
        let matching: Vec<&str> = matchers
            .iter()
            .filter(|(_, matcher)| matcher.matches(&subject))
            .map(|(name, _)| *name)
            .collect();
        match called {
            Some(method) if matching == [method] => tally.transcoded += 1,
            Some(method) => faults.push(format!(
                "{} {seen} {content_type:?} becomes {method}, the rules are for {matching:?}",
                request.method
            )),
            None => tally.left += 1,
        }
    }
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.join("\n")
    );
    tally
}

// Without it a spelling that the transcoder takes and the table does not, or takes for another method, would evade the rules,
// limits and masks of the method.
#[test]
fn the_filters_see_every_call_that_the_transcoder_makes() {
    for normalize in [true, false] {
        let Some(gateway) = transcoder(normalize, false) else {
            return;
        };
        let methods = [
            "GET",
            "POST",
            "HEAD",
            "PUT",
            "PATCH",
            "DELETE",
            "BREW",
            "OPTIONS",
            "GETcancel",
            "POSTundo",
            "*",
        ];
        let requests = paths()
            .into_iter()
            .flat_map(|path| methods.map(|method| Request::new(method, path.clone())));
        let tally = compare(&gateway, requests);
        assert!(
            tally.transcoded > 500 && tally.refused > 100 && tally.left > 500,
            "normalize_path {normalize}: {tally:?}"
        );
    }
}

// Without it a content type that the transcoder does not take for gRPC could be one to the filters, or the other way round.
#[test]
fn a_content_type_hides_no_call() {
    for auto_mapping in [false, true] {
        let Some(gateway) = transcoder(true, auto_mapping) else {
            return;
        };
        let kinds = [
            "",
            "application/json",
            "text/plain",
            "application/grpc",
            "application/grpc+proto",
            "application/grpc+json",
            "application/grpc;x=y",
            "application/grpc ",
            "Application/gRPC",
            "application/grpc-web",
            "application/grpc-web+proto",
            "application/grpc-web-text+proto",
            "application/grpcx",
            "application/connect+json",
            "application/grpc, text/plain",
        ];
        let paths = [
            "/shapes/7",
            "/shapes/abc",
            "/any/abc",
            "/shapes/7:cancel",
            "/shapes.v1.Shapes/Bare",
            "/shapes.v1.Shapes/Bare/",
            "/shapes.v1.Shapes/Get",
            "/shapes.v1.Shapes/Get/",
            "/shapes.v1.Shapes/%42are",
            "/shapes.v1.Shapes/two",
        ];
        let requests = paths.into_iter().flat_map(|path| {
            kinds.into_iter().flat_map(move |kind| {
                ["GET", "POST"].map(|method| {
                    let request = Request::new(method, path);
                    match (kind, method) {
                        ("", _) => request,
                        (kind, "POST") => request.header("content-type", kind).body("{}"),
                        (kind, _) => request.header("content-type", kind),
                    }
                })
            })
        });
        let tally = compare(&gateway, requests);
        assert!(
            tally.transcoded > 20 && tally.left > 20,
            "auto_mapping {auto_mapping}: {tally:?}"
        );
    }
}
