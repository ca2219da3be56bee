//! Calls that are made again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_harness::{Bootstrap, Gateway, Request};
use http::HeaderValue;
use serde_json::{Value, json};

use super::{add_cluster, first_route, single};
use crate::server::{Pieces, Received, Server};

/// A service that says UNAVAILABLE twice for each call, and then OK; and how often it was asked.
struct Shaky {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Shaky {
    fn start() -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let server = Server::start(move |_: Received| {
            let tries = count.fetch_add(1, Ordering::Relaxed);
            let status = if tries < 2 { "14" } else { "0" };
            let mut response = http::Response::new(Pieces::default());
            let headers = response.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/grpc"));
            headers.insert("grpc-status", HeaderValue::from_static(status));
            std::future::ready(response)
        });
        Self { server, asked }
    }

    /// The status that a call gets, and how often the service was asked for it.
    fn call(
        &self,
        gateway: &Gateway,
        path: &str,
        headers: &[(&str, &str)],
    ) -> (Option<i32>, usize) {
        self.asked.store(0, Ordering::Relaxed);
        let call = headers
            .iter()
            .fold(Request::grpc(path, b""), |call, (name, value)| {
                call.header(*name, *value)
            });
        let status = gateway.h2().send(&call).grpc_status();
        (status, self.asked.load(Ordering::Relaxed))
    }
}

/// Callers on this machine count as internal: Envoy by itself obeys what they say.
fn bootstrap(shaky: &Shaky, members: Value) -> Bootstrap {
    let mut bootstrap = single(members);
    add_cluster(
        &mut bootstrap,
        "shaky",
        shaky.server.load_assignment("shaky"),
    );
    let route = json!({
        "match": { "prefix": "/shaky.v1." },
        "route": { "cluster": "shaky" },
    });
    first_route(&mut bootstrap, route);
    bootstrap.connection_manager_mut()["internal_address_config"] =
        json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] });
    bootstrap
}

const GREEDY: [(&str, &str); 3] = [
    ("x-envoy-max-retries", "9"),
    ("x-envoy-retry-grpc-on", "unavailable"),
    ("x-envoy-retry-on", "5xx"),
];

// What is not tried again fails although it need not; and a client that says how often makes one call many.
#[test]
fn a_method_is_tried_again_as_its_rule_says_and_no_client() {
    let shaky = Shaky::start();
    let methods = json!({ "grpc": { "methods": [
        { "service": "shaky.v1.Stock", "method": "Get", "retry": { "on": ["unavailable"], "max": 2 } },
        { "service": "shaky.v1.Stock", "method": "List", "retry": { "on": ["unavailable"], "max": 1 } },
        { "service": "shaky.v1.Stock", "method": "Watch", "retry": { "on": ["internal"], "max": 9 } },
    ] } });
    let Some(gateway) = Gateway::start(&bootstrap(&shaky, methods)) else {
        return;
    };
    for headers in [&[][..], &GREEDY] {
        for (method, expected) in [
            ("Get", (Some(0), 3)),
            ("List", (Some(14), 2)),
            ("Watch", (Some(14), 1)),
            ("Put", (Some(14), 1)),
        ] {
            let path = format!("/shaky.v1.Stock/{method}");
            let found = shaky.call(&gateway, &path, headers);
            assert_eq!(found, expected, "{method} {headers:?}");
        }
    }
    // Without the table Envoy obeys the client: the headers of above do something.
    drop(gateway);
    let Some(gateway) = Gateway::start(&bootstrap(&shaky, json!({}))) else {
        return;
    };
    let found = shaky.call(&gateway, "/shaky.v1.Stock/Put", &GREEDY);
    assert_eq!(found, (Some(0), 3));
}
