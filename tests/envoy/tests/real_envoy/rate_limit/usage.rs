//! What a response costs, as its body says it: read by Envoy's chunks, in the forms in which bodies end, and changed in none.

use envoy_harness::{Bootstrap, Gateway, Protocol, Request};
use http::HeaderMap;
use serde_json::json;

use super::{counter, with_limits};
use crate::server::{Pieces, Received, Server};

const USAGE: [&str; 3] = [
    "{\"choices\": [\"total_tokens\"], \"us",
    "age\": {\"total_tok",
    "ens\": 40}}\n",
];
const EVENTS: [&str; 4] = [
    "data: {\"choices\": [], \"usage\": null}\n\nda",
    "ta: {\"usage\": {\"total_to",
    "kens\": 40}}\r\n\r",
    "\ndata: [DONE]\n\n",
];

/// What the upstream answers, by the last part of the path.
async fn answer(request: Received) -> http::Response<Pieces> {
    let kind = request
        .path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_owned();
    let pieces: &[&'static str] = match kind.as_str() {
        "events" | "events-trailers" => &EVENTS,
        "half" => &USAGE[..2],
        "text" => &["no document"],
        "free" => &["{\"usage\": {\"total_tokens\": 0}}"],
        _ => &USAGE,
    };
    let trailers = kind.ends_with("trailers").then(|| {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", http::HeaderValue::from_static("7"));
        trailers
    });
    let mut response = http::Response::new(Pieces::new(pieces, trailers));
    let content_type = match kind.as_str() {
        "events" | "events-trailers" => "text/event-stream",
        "text" => "text/plain",
        _ => "application/json",
    };
    let headers = response.headers_mut();
    headers.insert("content-type", http::HeaderValue::from_static(content_type));
    if kind == "gzip" {
        headers.insert("content-encoding", http::HeaderValue::from_static("gzip"));
    }
    response
}

/// A limit that takes ten in advance, in front of the server.
fn bootstrap(server: &Server, http2: bool) -> Bootstrap {
    let mut bootstrap = with_limits(json!([
        { "name": "tokens", "key": { "header": "x-tenant" }, "rate": "1000/d", "cost": 10,
          "actual_cost": { "json": "/usage/total_tokens", "max": 500 } },
    ]));
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = server.load_assignment("users");
    if http2 {
        let options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"] = json!({
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": options, "explicit_http_config": { "http2_protocol_options": {} },
            },
        });
    }
    bootstrap
}

/// Tokens that were used are paid for, however the answer is cut and ends; and the client gets every byte of it.
#[test]
fn the_body_of_a_response_says_what_it_has_cost() {
    let server = Server::start(answer);
    for http2 in [false, true] {
        let Some(gateway) = Gateway::start(&bootstrap(&server, http2)) else {
            return;
        };
        let mut expected = 1000;
        let mut kinds = vec![
            ("plain", 40, USAGE.concat()),
            ("events", 40, EVENTS.concat()),
            ("half", 10, USAGE[..2].concat()),
            ("text", 10, "no document".to_owned()),
            ("gzip", 10, USAGE.concat()),
        ];
        if http2 {
            kinds.push(("json-trailers", 40, USAGE.concat()));
            kinds.push(("events-trailers", 40, EVENTS.concat()));
        }
        for (kind, cost, body) in &kinds {
            for protocol in [Protocol::H1, Protocol::H2] {
                let client = gateway.client(protocol);
                let ask = |kind: &str| {
                    let request = Request::get(format!("/{kind}"));
                    client.send(
                        &request
                            .header("x-tenant", "acme")
                            .header("accept-encoding", "gzip"),
                    )
                };
                let answer = ask(kind);
                assert_eq!((answer.status, &answer.text()), (200, body), "{kind}");
                let has_trailers = kind.ends_with("trailers") && protocol == Protocol::H2;
                assert_eq!(
                    answer.trailers.contains_key("x-sum"),
                    has_trailers,
                    "{kind}"
                );
                expected -= cost;
                // The end of a body reaches the filter before the client.
                let free = ask("free");
                let left: u64 = free
                    .header("x-ratelimit-remaining")
                    .unwrap()
                    .parse()
                    .unwrap();
                assert_eq!(left, expected - 10, "{kind}");
            }
        }
        assert_eq!(counter(&gateway, "unread"), 6);
        assert_eq!(counter(&gateway, "unsettled"), 0);
        gateway.assert_filters_alive();
    }
}
