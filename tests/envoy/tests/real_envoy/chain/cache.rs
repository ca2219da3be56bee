//! Envoy's cache behind auth: it keeps what is everybody's, and no answer of one caller reaches another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use envoy_harness::{Bootstrap, Gateway, Request, demo_key};
use http::HeaderValue;
use serde_json::{Value, json};

use crate::server::{Pieces, Received, Server};

const VARIANT: &str = "envoy/variants/cache.yaml";

/// An upstream that declares every answer good for a minute, as a careless one does, and says who asked.
fn server() -> Server {
    let number = Arc::new(AtomicUsize::new(1));
    Server::start(move |request: Received| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        async move {
            let caller = request.header("x-consumer").or(request.header("x-user"));
            let body = json!({ "number": number, "caller": caller, "email": "ada@example.test",
                "path": request.path, "marked": request.header("x-mark") });
            let body: &'static str = Box::leak(body.to_string().into_boxed_str());
            let mut response = http::Response::new(Pieces::new(&[body], None));
            let headers = response.headers_mut();
            headers.insert("content-type", HeaderValue::from_static("application/json"));
            headers.insert(
                "cache-control",
                HeaderValue::from_static("public, max-age=60"),
            );
            headers.insert("x-replica", HeaderValue::from_static("cached-1"));
            if let Some(vary) = request.header("x-vary") {
                headers.insert("vary", HeaderValue::try_from(vary).expect("a header"));
            }
            response
        }
    })
}

fn gateway(mut bootstrap: Bootstrap, server: &Server) -> Option<Gateway> {
    let cluster = bootstrap.cluster_mut("users");
    cluster["type"] = "STATIC".into();
    cluster["load_assignment"] = server.load_assignment("users");
    cluster.as_object_mut()?.remove("health_checks");
    Gateway::start(&bootstrap)
}

/// The chain with the variant's cache in front of the router, on for every route: more than anybody should.
fn chain_with_cache() -> Bootstrap {
    let mut variant = Bootstrap::file(VARIANT);
    let filters = variant.http_filters_mut();
    let at = filters
        .iter()
        .position(|filter| filter["name"] == "envoy.filters.http.cache");
    let mut cache = filters.remove(at.expect("the variant has a cache"));
    cache.as_object_mut().expect("a filter").remove("disabled");
    let mut chain = Bootstrap::chain();
    let filters = chain.http_filters_mut();
    let last = filters.len() - 1;
    filters.insert(last, cache);
    chain
}

fn ask(gateway: &Gateway, path: &str, key: Option<&str>) -> Value {
    let request = Request::get(path);
    let request = match key {
        Some(id) => request.header("x-api-key", demo_key(id)),
        None => request,
    };
    let answer = gateway.h1().send(&request);
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.json()
}

/// Without this test the variant could be one that caches nothing, and every other test here would pass.
#[test]
fn what_depends_on_no_caller_is_asked_for_once() {
    let server = server();
    let Some(gateway) = gateway(Bootstrap::file(VARIANT), &server) else {
        return;
    };
    let first = ask(&gateway, "/public/1", None);
    for _ in 0..8 {
        assert_eq!(ask(&gateway, "/public/1", None), first);
    }
    assert_ne!(ask(&gateway, "/public/2", None), first);
    assert_ne!(ask(&gateway, "/public/1?page=2", None), first);
    // Every caller of a rule that is `cacheable` reads the same; nobody reads it without a key.
    let first = ask(&gateway, "/catalogue/1", Some("acme-2026"));
    assert_eq!(ask(&gateway, "/catalogue/1", Some("ops-2026")), first);
    for key in [None, Some("guess")] {
        let request = Request::get("/catalogue/1");
        let request = match key {
            Some(key) => request.header("x-api-key", key),
            None => request,
        };
        assert_eq!(gateway.h1().send(&request).status, 401, "{key:?}");
    }
}

/// Without this test an answer could be served to whoever asks next: the cache cannot see the credential that auth took out.
#[test]
fn an_answer_of_one_caller_never_reaches_another() {
    let server = server();
    let Some(gateway) = gateway(Bootstrap::file(VARIANT), &server) else {
        return;
    };
    for path in ["/users/1", "/public/own"] {
        for (key, caller) in [
            ("acme-2026", "acme"),
            ("ops-2026", "operations"),
            ("acme-2026", "acme"),
        ] {
            assert_eq!(ask(&gateway, path, Some(key))["caller"], caller, "{path}");
        }
    }
    // Nothing of theirs was kept, and what is kept for everybody is not theirs.
    let public = ask(&gateway, "/public/own", None);
    assert_eq!(public["caller"], Value::Null);
    assert_eq!(ask(&gateway, "/public/own", None), public);
    // A client cannot talk auth out of it, or into keeping a forged identity.
    let request = Request::get("/public/forged")
        .header("cache-control", "max-age=600")
        .header("x-consumer", "acme");
    let own = request.clone().header("x-api-key", demo_key("acme-2026"));
    assert_eq!(gateway.h1().send(&own).json()["caller"], "acme");
    assert_eq!(gateway.h1().send(&request).json()["caller"], Value::Null);
    assert_eq!(ask(&gateway, "/public/forged", None)["caller"], Value::Null);
}

/// The same in the whole chain, with the cache on for every route: each caller's version, identity and mask are his own.
#[test]
fn nor_does_it_in_the_whole_chain() {
    let server = server();
    let Some(gateway) = gateway(chain_with_cache(), &server) else {
        return;
    };
    let first = ask(&gateway, "/public/1", None);
    assert_eq!(
        ask(&gateway, "/public/1", None),
        first,
        "the cache does not work"
    );
    let token = |subject: &str, group: &str| gateway.token(subject).groups(&[group]).sign();
    let callers = [
        ("alice", "staff"),
        ("dora", "support"),
        ("bob", "staff"),
        ("alice", "staff"),
    ];
    for path in [
        "/users/1",
        "/v2/users/1",
        "/api/users/1",
        "/customers/1",
        "/public/own",
    ] {
        for (subject, group) in callers {
            let request = Request::get(path).bearer(token(subject, group));
            let answer = gateway.h1().send(&request);
            let said = answer.json();
            assert_eq!(said["caller"], subject, "{path}: {said}");
            let masked = path.starts_with("/customers") && group != "support";
            let email = if masked { "***" } else { "ada@example.test" };
            assert_eq!(said["email"], email, "{path}, {subject}");
        }
    }
    // What was asked for without a credential is everybody's, also of those who have one.
    let request = Request::get("/public/1").bearer(token("alice", "staff"));
    assert_eq!(gateway.h1().send(&request).json(), first);
}

/// Without this test an answer that varies by what the cache does not know could be given to all. Or Envoy could crash: with
/// `allowed_vary_headers` set, 1.40 does at the first such answer.
#[test]
fn an_answer_that_varies_is_not_kept() {
    let server = server();
    let Some(gateway) = gateway(Bootstrap::file(VARIANT), &server) else {
        return;
    };
    for vary in ["accept-language", "x-consumer", "*"] {
        let request = Request::get(format!("/public/{}", vary.len())).header("x-vary", vary);
        let numbers = [0; 3].map(|_| gateway.h1().send(&request).json()["number"].clone());
        assert!(
            numbers[0] != numbers[1] && numbers[1] != numbers[2],
            "{vary}: {numbers:?}"
        );
    }
}

/// Why the cache stands last: what it fetches meets no filter behind it, and no rewrite of the route. Where Envoy has learned to do
/// otherwise, `envoy/variants/cache.yaml` and `filters/README.md` need not say so any more.
#[test]
fn what_the_cache_fetches_meets_nothing_behind_it() {
    let server = server();
    let mut bootstrap = Bootstrap::file(VARIANT);
    let filters = bootstrap.http_filters_mut();
    let mark = json!({ "header": { "key": "x-mark", "value": "behind" } });
    let marking = json!({
        "name": "mark",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
            "mutations": { "request_mutations": [{ "append": mark }] },
        },
    });
    let last = filters.len() - 1;
    filters.insert(last, marking);
    let host = &mut bootstrap.connection_manager_mut()["route_config"]["virtual_hosts"][0];
    for route in host["routes"].as_array_mut().expect("routes") {
        route["route"]["prefix_rewrite"] = "/rewritten".into();
    }
    let Some(gateway) = gateway(bootstrap, &server) else {
        return;
    };
    let fetched = ask(&gateway, "/public/1", None);
    assert_eq!(
        (&fetched["path"], &fetched["marked"]),
        (&json!("/public/1"), &Value::Null)
    );
    let passed = ask(&gateway, "/users/1", Some("acme-2026"));
    assert_eq!(
        (&passed["path"], &passed["marked"]),
        (&json!("/rewritten/1"), &json!("behind"))
    );
}
