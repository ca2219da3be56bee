//! Bodies rewritten in a stream that really is one. Only here is seen how the host cuts, frames and ends them.

mod answers;
mod attacks;
mod capture;
mod codings;
mod edits;
mod json_test_suite;
mod large;
mod peer;
mod problems;
mod records;
mod requests;
mod routes;
mod templates;
mod transcoded;

use std::net::SocketAddr;

use envoy_harness::{Bootstrap, Request};
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::server::Pieces;

/// How a body ends, which filters are told in three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// The last data says that it is over.
    WithData,
    /// An empty frame behind them does. Over HTTP/1.1 every body ends so.
    EmptyFrame,
    /// Trailers do.
    Trailers,
}

impl Ending {
    const ALL: [Ending; 3] = [Ending::WithData, Ending::EmptyFrame, Ending::Trailers];

    /// A request whose body ends so.
    fn of(self, request: Request) -> Request {
        match self {
            Ending::WithData => request,
            Ending::EmptyFrame => request.empty_end(),
            Ending::Trailers => request.trailer("x-sum", "7"),
        }
    }

    /// The body of an answer that ends so; over HTTP/2 each piece is a frame.
    fn pieces(self, pieces: impl IntoIterator<Item = Bytes>) -> Pieces {
        let empty = (self == Ending::EmptyFrame).then(Bytes::new);
        let trailers = (self == Ending::Trailers).then(|| {
            let sum = HeaderName::from_static("x-sum");
            HeaderMap::from_iter([(sum, HeaderValue::from_static("7"))])
        });
        Pieces::of(pieces.into_iter().chain(empty), trailers)
    }
}

/// `envoy/single/transform.yaml` in front of that upstream.
fn single(load_assignment: Value, http2: bool) -> Bootstrap {
    let mut bootstrap = Bootstrap::file("envoy/single/transform.yaml");
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = load_assignment;
    let protocol = match http2 {
        true => json!({ "http2_protocol_options": {} }),
        false => json!({ "http_protocol_options": { "enable_trailers": true } }),
    };
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
            "explicit_http_config": protocol,
        },
    });
    let manager = bootstrap.connection_manager_mut();
    manager["http_protocol_options"] = json!({ "enable_trailers": true });
    bootstrap
}

/// As [`single`], with one rule for everything under `/both` that reads the bodies of both directions, and closes where it
/// cannot.
fn both(load_assignment: Value, http2: bool) -> Bootstrap {
    let mut bootstrap = single(load_assignment, http2);
    bootstrap.set_filter_config(
        "gatehouse.transform",
        json!({
            "version": 1,
            "rules": [{
                "name": "both",
                "match": { "path": { "prefix": "/both" } },
                "request": { "body": [{ "remove": "/internal" }, { "set": "/source", "value": "api" }] },
                "response": { "body": [{ "mask": "/customers/*/email" }, { "remove": "/customers/*/notes" }] },
            }],
        }),
    );
    bootstrap
}

/// A cluster of that one address.
fn load_assignment(address: SocketAddr) -> Value {
    let address = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    json!({
        "cluster_name": "users",
        "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": address } } }] }],
    })
}
