//! The requests of the demo's tour, as clients of a gateway of Istio send them.

use envoy_harness::{Protocol, Request, Response, demo_key};
use serde_json::{Value, json};

use super::Mesh;
use super::control_plane::{self, Release};

/// A request, and what must come of it.
struct Step {
    title: &'static str,
    request: Request,
    status: u16,
    /// Members of the access log's line.
    logged: Vec<(&'static str, &'static str)>,
    holds: fn(&Response),
}

fn step(title: &'static str, request: Request, status: u16) -> Step {
    Step {
        title,
        request,
        status,
        logged: Vec::new(),
        holds: |_| {},
    }
}

impl Step {
    fn logged(mut self, member: &'static str, value: &'static str) -> Self {
        self.logged.push((member, value));
        self
    }

    fn holds(mut self, holds: fn(&Response)) -> Self {
        self.holds = holds;
        self
    }

    fn take(&self, mesh: &Mesh, protocol: Protocol) {
        let at = format!("{}, {protocol:?}", self.title);
        let response = mesh.client(protocol).send(&self.request);
        assert_eq!(response.status, self.status, "{at}: {}", response.text());
        // Nothing but the codec may answer without an id.
        let id = response
            .header("x-request-id")
            .unwrap_or_else(|| panic!("{at}: no id"));
        let line = mesh
            .envoy()
            .access_log_entry(|line| line["request_id"] == id);
        for (member, value) in &self.logged {
            assert_eq!(line[member], *value, "{at}: {line}");
        }
        (self.holds)(&response);
    }
}

fn key(request: Request) -> Request {
    request.header("x-api-key", demo_key("acme-2026"))
}

fn steps(mesh: &Mesh) -> Vec<Step> {
    let alice = mesh
        .token("alice")
        .scope("orders:read orders:write stock:write")
        .groups(&["staff"])
        .sign();
    let bob = mesh.token("bob").sign();
    let carol = mesh.token("carol").groups(&["admins"]).sign();
    let expired = mesh
        .token("alice")
        .claim("exp", json!(1_700_000_000))
        .sign();
    let ops = demo_key("ops-2026");
    vec![
        step("health needs no credential", Request::get("/healthz"), 200).logged("rule", "health"),
        step(
            "nothing else answers without one",
            Request::get("/users/17"),
            401,
        )
        .logged("reason", "credential_missing")
        .holds(|response| {
            assert_eq!(
                response.headers.get_all("www-authenticate").iter().count(),
                2
            );
            assert_eq!(
                response.header("content-type"),
                Some("application/problem+json")
            );
        }),
        step(
            "a wrong key",
            Request::get("/users/17").header("x-api-key", "guess"),
            401,
        )
        .logged("decision", "deny"),
        step(
            "a right key: the upstream is told who calls",
            key(Request::get("/users/17")),
            200,
        )
        .logged("identity", "api_key:acme-2026")
        .holds(|response| {
            let echo = response.echo();
            assert_eq!(echo.header("x-consumer"), ["acme"]);
            assert_eq!(echo.header("x-plan"), ["gold"]);
            assert!(echo.header("x-api-key").is_empty());
        }),
        step(
            "nobody says for himself who he is",
            Request::get("/public/prices")
                .header("x-user", "root")
                .header("x-authenticated-by", "me"),
            200,
        )
        .logged("rule", "public")
        .holds(|response| {
            let echo = response.echo();
            assert!(
                echo.header("x-user").is_empty() && echo.header("x-authenticated-by").is_empty()
            );
        }),
        step(
            "a token with the scope",
            Request::get("/orders/4711").bearer(&alice),
            200,
        )
        .logged("rule", "orders-read")
        .holds(|response| {
            let echo = response.echo();
            assert_eq!(echo.service, "orders");
            assert_eq!(echo.header("x-user"), ["alice"]);
            assert!(echo.header("authorization").is_empty());
        }),
        step(
            "a token without it",
            Request::get("/orders/4711").bearer(&bob),
            403,
        )
        .holds(|response| {
            assert!(
                response
                    .header("www-authenticate")
                    .is_some_and(|said| said.contains("insufficient_scope"))
            );
        }),
        step(
            "a token of yesterday, also where none is needed",
            Request::get("/public/prices").bearer(&expired),
            401,
        )
        .logged("rule", "public"),
        step(
            "two proofs at once",
            Request::get("/admin/orders")
                .bearer(&carol)
                .header("x-api-key", &ops),
            200,
        )
        .logged("rule", "admin"),
        step(
            "one of two proofs",
            Request::get("/admin/orders").header("x-api-key", &ops),
            401,
        ),
        step(
            "version 1 by path, which is cut off",
            key(Request::get("/v1/users/17?full=1")),
            200,
        )
        .holds(|response| {
            let echo = response.echo();
            assert_eq!(echo.path, "/users/17?full=1");
            assert_eq!(echo.header("x-gatehouse-api-version"), ["1"]);
            assert!(response.header("deprecation").is_some());
        }),
        step("version 2 by path", key(Request::get("/v2/users/17")), 200).holds(|response| {
            let echo = response.echo();
            assert_eq!(echo.path, "/users/17");
            assert_eq!(echo.header("x-gatehouse-api-version"), ["2"]);
            assert_eq!(response.header("deprecation"), None);
        }),
        step(
            "version 2 by Accept, on a route that matches what routing wrote",
            key(Request::get("/users/17")).header("accept", "application/json;version=2"),
            200,
        )
        .logged("route", "gatehouse.users.1"),
        step("version 1 by default", key(Request::get("/users/17")), 200)
            .logged("route", "gatehouse.users.0"),
        step(
            "a version that there is not",
            key(Request::get("/users/17")).header("x-api-version", "9"),
            406,
        ),
        step(
            "a client's own version header",
            key(Request::get("/users/17")).header("x-gatehouse-api-version", "2"),
            200,
        )
        .logged("route", "gatehouse.users.0"),
        step(
            "a host with a port",
            key(Request::get("/users/17")).authority("api.example.com:8443"),
            200,
        )
        .logged("authority", "api.example.com"),
        step(
            "a path that no rule covers",
            key(Request::get("/elsewhere")),
            403,
        )
        .logged("decision", "deny"),
        step("a rule on trial", Request::get("/reports/2026"), 200)
            .logged("decision", "shadow_deny")
            .holds(|response| {
                // What transform takes out of a report.
                assert!(response.echo().header("x-forwarded-for").is_empty());
                assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
            }),
        step("no rule of transform", Request::get("/public/prices"), 200).holds(|response| {
            assert!(!response.echo().header("x-forwarded-for").is_empty());
        }),
        step(
            "a customer, without what is personal",
            key(Request::get("/customers/7")).header("x-debug", "1"),
            200,
        )
        .logged("rule", "customers")
        .holds(|response| {
            let customer = response.json();
            assert_eq!(customer["email"], "***");
            assert_eq!(customer["card"]["number"], "**** **** **** ****");
            assert_eq!(customer.get("notes"), None);
            assert_eq!(response.header("cache-control"), Some("no-store"));
        }),
        step(
            "the API as it was called once: rewritten",
            key(Request::get("/api/users/17")),
            200,
        )
        .logged("rule", "api")
        .holds(|response| assert_eq!(response.echo().path, "/users/17")),
        step(
            "a rewrite that would lead elsewhere",
            key(Request::get("/api/admin/orders")),
            403,
        ),
        step(
            "a preflight of a page that may call",
            Request::new("OPTIONS", "/users/17")
                .header("origin", "https://app.gatehouse.test")
                .header("access-control-request-method", "GET"),
            200,
        )
        .holds(|response| {
            let allowed = response.header("access-control-allow-origin");
            assert_eq!(allowed, Some("https://app.gatehouse.test"));
        }),
        step(
            "a preflight of another page meets auth",
            Request::new("OPTIONS", "/users/17")
                .header("origin", "https://elsewhere.test")
                .header("access-control-request-method", "GET"),
            401,
        )
        .logged("decision", "deny"),
        step(
            "an answer to a page that may call, through both cors filters",
            key(Request::get("/users/17")).header("origin", "https://app.gatehouse.test"),
            200,
        )
        .holds(|response| {
            // Once.
            let allowed = response.header("access-control-allow-origin");
            assert_eq!(allowed, Some("https://app.gatehouse.test"));
        }),
        step("a method by REST", key(Request::get("/stock/7")), 200)
            .logged("rule", "stock-get")
            .holds(|response| {
                assert_eq!(response.header("content-type"), Some("application/json"));
                assert!(
                    response.json()["replica"]
                        .as_str()
                        .is_some_and(|name| name.starts_with("inventory-"))
                );
            }),
        step(
            "the same method without the scope",
            Request::get("/stock/7").bearer(&bob),
            403,
        ),
        step(
            "gRPC-Web without a credential",
            Request::grpc_web("/inventory.v1.Stock/Get", b""),
            200,
        )
        .holds(|response| {
            assert_eq!(response.header("grpc-status"), Some("16"));
        }),
        step(
            "no gRPC, on a path of gRPC: the rule of the method holds",
            Request::new("POST", "/inventory.v1.Stock/Get").bearer(&bob),
            403,
        ),
    ]
}

// Without it a request could be answered otherwise in Istio than in the Envoy that everything else is tested on.
#[test]
fn the_tour_passes_on_what_istio_generates() {
    let Some(mesh) = Mesh::start(Release::TrafficExtension, &control_plane::plugins()) else {
        return;
    };
    for step in steps(&mesh) {
        for protocol in [Protocol::H1, Protocol::H2] {
            step.take(&mesh, protocol);
        }
    }
    // Refused before any filter, and so without an id: what the patches of the edge are for.
    let escaped = key(Request::get("/users/..%2fadmin/orders"));
    let underscore = key(Request::get("/users/17").header("x_user", "root"));
    for client in [mesh.h1(), mesh.h2()] {
        assert_eq!(client.send(&escaped).status, 400);
    }
    assert_eq!(mesh.h1().send(&underscore).status, 400);
    assert!(
        mesh.h2().try_send(&underscore).is_err(),
        "HTTP/2 resets the stream"
    );
    grpc(&mesh);
    limits(&mesh);
    bodies(&mesh);
}

/// gRPC by path, service and method.
fn grpc(mesh: &Mesh) {
    let call = |path: &str| mesh.h2().send(&key(Request::grpc(path, b"\x0a\x017")));
    let answer = call("/inventory.v1.Stock/Get");
    assert_eq!(
        (answer.status, answer.grpc_status()),
        (200, Some(0)),
        "{answer:?}"
    );
    let answer = call("/users.v1.Users/Get");
    assert_eq!(
        answer.echo().header("x-gatehouse-grpc-service"),
        ["users.v1.Users"]
    );
    assert_eq!(answer.echo().header("x-gatehouse-grpc-method"), ["Get"]);
    // A key where a token is needed, and a service that no rule is for.
    for (path, status) in [
        ("/inventory.v1.Stock/Adjust", 16),
        ("/inventory.v1.Other/Get", 7),
    ] {
        assert_eq!(call(path).grpc_status(), Some(status), "{path}");
    }
}

/// More orders than a person may write.
fn limits(mesh: &Mesh) {
    let token = mesh
        .token("dora")
        .scope("orders:write")
        .groups(&["staff"])
        .sign();
    let request = Request::new("POST", "/orders").bearer(token);
    let answers: Vec<Response> = std::thread::scope(|scope| {
        let hammer = || {
            let mut connection = mesh.h1().connect().expect("a connection");
            (0..40)
                .map(|_| connection.send(&request))
                .collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(hammer)).collect();
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client ended"))
            .collect()
    });
    let refused: Vec<_> = answers
        .iter()
        .filter(|answer| answer.status == 429)
        .collect();
    assert!(answers.iter().filter(|answer| answer.status == 200).count() >= 20);
    assert!(
        !refused.is_empty(),
        "160 orders in no time, and none refused"
    );
    for answer in refused {
        assert!(
            answer.header("retry-after").is_some() && answer.header("ratelimit").is_some(),
            "{answer:?}"
        );
    }
}

/// Bodies that are larger than what a connection may buffer: they stream.
fn bodies(mesh: &Mesh) {
    let token = mesh
        .token("emil")
        .scope("orders:write")
        .groups(&["staff"])
        .sign();
    let body = format!("{{\"note\": \"{}\"}}", "x".repeat(200 * 1024));
    for client in [mesh.h1(), mesh.h2()] {
        let request = Request::new("POST", "/orders")
            .bearer(&token)
            .header("content-type", "application/json");
        assert_eq!(client.send(&request.body(body.clone())).status, 200);
        // The echo of 10 KiB of headers passes through the rewriter of JSON.
        let mut request = Request::get("/reports/2026");
        for index in 0..5 {
            request = request.header(format!("x-filler-{index}"), "y".repeat(2 * 1024));
        }
        let response = client.send(&request);
        assert_eq!(response.status, 200);
        let echo: Value = response.json();
        assert_eq!(
            echo["headers"]["x-filler-4"][0].as_str().map(str::len),
            Some(2 * 1024)
        );
        assert_eq!(echo["headers"].get("x-forwarded-for"), None);
    }
}
